"""Pictures of the program at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that is wanted.

    Parameters
    ----------
    name : str
        File name without extension: "03-draft".
    workspace : str
        What the window shows: "cases", "read", "agree", "score" or "teach".
    caption : str
        What is seen.
    look_at_lps : tuple of float, optional
        Point in the middle of the views, LPS mm; None leaves them as they are.
    extent_mm : float
        What the shorter side of a view shows around the point.
    """

    name: str
    workspace: str
    caption: str
    look_at_lps: tuple[float, float, float] | None = None
    extent_mm: float = 90.0


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that was taken."""

    path: Path
    caption: str


class Camera(Protocol):
    """Takes pictures of a window that shows the demo's session."""

    def take(self, shot: Shot) -> Photo | None:
        """Return the picture, None when there is no window to be seen."""

    def close(self) -> None:
        """Put the window away."""


class NoCamera:
    """Where there is no Qt: takes nothing."""

    def take(self, shot: Shot) -> Photo | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Do nothing."""
