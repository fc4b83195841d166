"""Pictures of the real window, for reports: drawn offscreen, while a script plays on the session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEventLoop, QMessageLogContext, QPointF, QTimer, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication, QWidget

from segdesk.core.settings import Settings
from segdesk.errors import WriteError
from segdesk.session import Session
from segdesk.ui.actions import Place
from segdesk.ui.fonts import use_fonts
from segdesk.ui.main_window import START_SIZE, MainWindow
from segdesk.ui.theme import Theme, ThemeName
from segdesk.ui.views.slice_view import SliceView

_QUIET_MS = 400
"""Nothing is under way for this long: delayed repaints and merges have been drawn."""

_LONGEST_MS = 15_000
"""A picture is taken after this, whatever is still under way."""

_LOOK_MS = 50


@dataclass(frozen=True, slots=True)
class Focus:
    """Where the views look.

    Parameters
    ----------
    index_kji : tuple of float
        The voxel in the middle.
    extent_mm : float
        What the shorter side of a view shows.
    """

    index_kji: tuple[float, float, float]
    extent_mm: float


class Photographer:
    """Shows a session in a window nobody sees, and photographs it.

    Parameters
    ----------
    session : Session
        Played on by the caller, in this thread.
    theme : ThemeName
        Dark by default, as the program.
    """

    def __init__(self, session: Session, theme: ThemeName = ThemeName.DARK) -> None:
        qInstallMessageHandler(_ignore)
        app = QApplication.instance()
        if not isinstance(app, QApplication):
            app = QApplication(["segdesk"])
            use_fonts(app)
        self._app = app
        self.window = MainWindow(Theme(app, theme), Settings())
        self.window.resize(*START_SIZE)
        self.window.attach(session)
        self.window.show()

    def take(self, place: Place, file: Path, focus: Focus | None = None) -> None:
        """Show a workspace, wait until it has settled, and save a PNG.

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        self.window.go_to(place)
        self._settle()
        page = self.window.pages.currentWidget()
        if focus is not None and page is not None:
            _look_at(page, focus)
            self._settle()
        if not self.window.grab().save(str(file), "PNG"):
            raise WriteError(f"The picture {file.name} could not be written.", path=file)

    def close(self) -> None:
        """Put the window away; its threads have ended afterwards."""
        self.window.close()
        self.window.deleteLater()
        self._app.processEvents()
        qInstallMessageHandler(None)

    def _settle(self) -> None:
        """Let events through until no job has run for a while.

        No other event loop is running in a script, so this one is no nested loop.
        """
        loop, clock = QEventLoop(), QTimer()
        waited = quiet = 0

        def look() -> None:
            nonlocal waited, quiet
            waited += _LOOK_MS
            quiet = 0 if self.window.ui.jobs.running else quiet + _LOOK_MS
            if quiet >= _QUIET_MS or waited >= _LONGEST_MS:
                loop.quit()

        clock.timeout.connect(look)
        clock.start(_LOOK_MS)
        loop.exec()
        clock.stop()


def _ignore(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    """Drop what the offscreen platform says it cannot do: there is no window manager."""


def _look_at(page: QWidget, focus: Focus) -> None:
    """Put the cursor on a voxel and magnify around it in every slice view of a page."""
    for view in page.findChildren(SliceView):
        view.views.go_to(focus.index_kji)
        view.fit()
        row, column = view.model.plane.to_pixel(focus.index_kji)
        x, y = view.viewport.to_screen(row, column)
        shorter = min(view.width(), view.height())
        view.pan(view.width() / 2 - x, view.height() / 2 - y)
        view.zoom(shorter / (focus.extent_mm * view.viewport.scale), QPointF(view.width() / 2, view.height() / 2))
