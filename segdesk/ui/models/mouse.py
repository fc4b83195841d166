"""What the mouse does, as tables: named profiles and the lines of the help sheet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LeftDrag(StrEnum):
    """What dragging with the left button does when no tool is active."""

    WINDOW = "window/level"
    CROSSHAIR = "move the crosshair"


PROFILES = {"PACS": LeftDrag.WINDOW, "Slicer": LeftDrag.CROSSHAIR, "ITK-SNAP": LeftDrag.CROSSHAIR}
"""The mouse profiles by name; wheel, middle and right button are the same in all."""


@dataclass(frozen=True, slots=True)
class Gesture:
    """A mouse gesture or a key that views handle themselves."""

    keys: str
    effect: str


GESTURES: tuple[Gesture, ...] = (
    Gesture("Wheel", "Next or previous slice"),
    Gesture("Ctrl + wheel", "Zoom at the cursor"),
    Gesture("Shift + wheel", "Brush size in a tool, otherwise time point"),
    Gesture("Left drag", "Window/level, or crosshair, without a tool"),
    Gesture("Right drag", "Zoom"),
    Gesture("Middle drag, Space + drag", "Pan"),
    Gesture("Shift + move", "Show this place in all views"),
    Gesture("Double-click", "Maximise or restore a view"),
    Gesture("Ctrl + double-click", "Reset the window"),
    Gesture("Alt + click", "Pick the label under the cursor"),
    Gesture("Hold Ctrl", "Swap brush and eraser"),
    Gesture("Tap Space", "Last tool on or off"),
    Gesture("Up, Down", "Next or previous slice"),
    Gesture("Page Up, Page Down", "Ten slices on or back"),
    Gesture("Home, End", "First or last slice"),
    Gesture("1 - 9", "Window presets"),
    Gesture("Esc", "Give up a stroke, else turn the tool off"),
)
"""What works inside a view, for the help sheet."""
