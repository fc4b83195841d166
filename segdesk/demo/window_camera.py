"""A camera on the real window; importing this module loads Qt."""

from __future__ import annotations

from pathlib import Path

from segdesk.core.geometry import Geometry
from segdesk.demo.camera import Photo, Shot
from segdesk.session import Session
from segdesk.ui.actions import Place
from segdesk.ui.photographer import Focus, Photographer


class WindowCamera:
    """Photographs a window that follows the demo's session.

    Parameters
    ----------
    session : Session
        The demo's.
    folder : Path
        Where the pictures go.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._photographer = Photographer(session)

    def take(self, shot: Shot) -> Photo:
        """Show the workspace of the shot and save the picture."""
        path = self._folder / f"{shot.name}.png"
        self._photographer.take(Place(shot.workspace.capitalize()), path, self._focus(shot))
        return Photo(path, shot.caption)

    def close(self) -> None:
        """Close the window."""
        self._photographer.close()

    def _focus(self, shot: Shot) -> Focus | None:
        case = self._session.case
        if shot.look_at_lps is None or case is None or not isinstance(case.volume.geometry, Geometry):
            return None
        k, j, i = (float(x) for x in case.volume.geometry.lps_to_index(shot.look_at_lps))
        return Focus((k, j, i), shot.extent_mm)
