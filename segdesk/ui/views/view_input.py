"""Mouse and keys of a slice view, by the table of the product."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent

from segdesk.core.volume import Window
from segdesk.ui.models.mouse import LeftDrag
from segdesk.ui.models.roi_drag import RoiDrag
from segdesk.ui.models.tool_model import Tool

if TYPE_CHECKING:
    from segdesk.ui.views.slice_view import SliceView

NOTCH = 120
"""Qt's angle of one wheel notch, in eighths of a degree."""

ZOOM_PER_NOTCH = 1.15
ZOOM_PER_PX = 1.008
WINDOW_DOUBLES_PX = 180.0
LEVEL_SPANS_PX = 400.0
PAGE_SLICES = 10
ROI_REACH_PX = 8.0


class Drag(Enum):
    """What the pressed mouse is doing."""

    NONE = auto()
    PAN = auto()
    ZOOM = auto()
    WINDOW = auto()
    CROSSHAIR = auto()
    STROKE = auto()
    ROI = auto()


class ViewInput:
    """Decides what a gesture means and tells the models.

    Parameters
    ----------
    view : SliceView
        The view the events come from.
    """

    def __init__(self, view: SliceView) -> None:
        self._view = view
        self.drag = Drag.NONE
        self._last = QPointF()
        self._press = QPointF()
        self._press_window = Window(0, 1)
        self._roi: RoiDrag | None = None
        self._wheel_rest = 0.0
        self._space_down = False
        self._space_used = False
        self.is_inverting = False
        """Whether Ctrl is held: the brush erases, the eraser paints."""

    def press(self, event: QMouseEvent) -> None:
        """Begin what the button means here."""
        if self.drag is not Drag.NONE:
            return
        self._last = self._press = event.position()
        self._press_window = self._view.views.window.value
        self.drag = self._drag_of(event)
        self._space_used |= self._space_down
        if self.drag is Drag.CROSSHAIR:
            self._view.put_cursor(event.position())

    def move(self, event: QMouseEvent) -> None:
        """Go on with the drag; without one, follow the mouse."""
        self.is_inverting = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        here = event.position()
        step = here - self._last
        if self.drag is Drag.PAN:
            self._view.pan(step.x(), step.y())
        elif self.drag is Drag.ZOOM:
            self._view.zoom(ZOOM_PER_PX ** -step.y(), self._press)
        elif self.drag is Drag.WINDOW:
            self._drag_window(here - self._press)
        elif self.drag is Drag.STROKE:
            self._view.tools.drag(self._view.index_under(here))
        elif self.drag is Drag.ROI and self._roi is not None:
            self._view.tools.roi.value = self._roi.to(self._view.pixel_under(here))
        elif self.drag is Drag.CROSSHAIR or _only_shift(event):
            self._view.put_cursor(here)
        self._last = here

    def release(self, event: QMouseEvent) -> None:
        """End the drag."""
        if self.drag is Drag.STROKE:
            self._view.tools.release()
        self.drag = Drag.NONE
        self._roi = None

    def double_click(self, event: QMouseEvent) -> None:
        """Maximise or restore; with Ctrl reset the window; in a drawing tool a second dab."""
        if event.button() is not Qt.MouseButton.LeftButton or self._view.tools.tool.value.draws:
            self.press(event)
        elif event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._view.reset_window()
        else:
            self._view.maximise_asked.emit()

    def wheel(self, event: QWheelEvent) -> None:
        """Scroll slices, zoom with Ctrl, size the brush or change the time with Shift."""
        angle = event.angleDelta().y() or event.angleDelta().x()
        modifiers = event.modifiers()
        if modifiers & Qt.KeyboardModifier.ControlModifier:
            self._view.zoom(ZOOM_PER_NOTCH ** (angle / NOTCH), event.position())
            return
        if modifiers & Qt.KeyboardModifier.ShiftModifier and self._view.tools.tool.value.draws:
            self._view.tools.resize_brush(angle / NOTCH)
            return
        notches = self._whole_notches(angle)
        if modifiers & Qt.KeyboardModifier.ShiftModifier:
            self._view.views.time_point.value += notches
        elif notches:
            self._view.scroll_slices(notches)

    def key_press(self, event: QKeyEvent) -> bool:
        """Handle a key; False when it is none of the view's."""
        key = event.key()
        if key == Qt.Key.Key_Control:
            self.is_inverting = True
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space_down, self._space_used = True, False
            return True
        if key == Qt.Key.Key_Escape:
            return self._escape()
        if self._takes_preset(event):
            return True
        steps = {
            Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: PAGE_SLICES, Qt.Key.Key_PageDown: -PAGE_SLICES,
        }  # fmt: skip
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            return False
        if key in steps:
            self._view.model.step(steps[Qt.Key(key)])
        elif key == Qt.Key.Key_Home:
            self._view.model.to_first()
        elif key == Qt.Key.Key_End:
            self._view.model.to_last()
        else:
            return False
        return True

    def key_release(self, event: QKeyEvent) -> bool:
        """Handle the release of Space: a tap toggles the last tool."""
        if event.key() == Qt.Key.Key_Control:
            self.is_inverting = False
        if event.key() != Qt.Key.Key_Space or event.isAutoRepeat():
            return False
        tapped = self._space_down and not self._space_used
        self._space_down = False
        if tapped:
            self._view.tools.toggle_last()
        return True

    def forget_keys(self) -> None:
        """Forget held keys: their release went elsewhere."""
        self._space_down = self.is_inverting = False

    def _drag_of(self, event: QMouseEvent) -> Drag:
        button = event.button()
        if button is Qt.MouseButton.MiddleButton:
            return Drag.PAN
        if button is Qt.MouseButton.RightButton:
            return Drag.ZOOM
        if button is not Qt.MouseButton.LeftButton:
            return Drag.NONE
        if self._space_down:
            return Drag.PAN
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            self._view.pick_label(event.position())
            return Drag.NONE
        return self._left_drag(event)

    def _left_drag(self, event: QMouseEvent) -> Drag:
        tool = self._view.tools.tool.value
        if tool.draws:
            inverted = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            index = self._view.index_under(event.position())
            axis = self._view.model.plane.normal_axis
            return Drag.STROKE if self._view.tools.press(index, axis, inverted=inverted) else Drag.NONE
        if tool is Tool.ROI:
            self._roi = self._view.roi_drag_at(event.position(), ROI_REACH_PX)
            return Drag.ROI
        if tool is Tool.CROSSHAIR or self._view.left_drag is LeftDrag.CROSSHAIR:
            return Drag.CROSSHAIR
        return Drag.WINDOW

    def _drag_window(self, moved: QPointF) -> None:
        """Right widens, up brightens; in proportion to the window, so that HU and raw MR feel the same."""
        start = self._press_window
        width = start.width * 2.0 ** (moved.x() / WINDOW_DOUBLES_PX)
        centre = start.centre + moved.y() / LEVEL_SPANS_PX * start.width
        if moved.x() or moved.y():
            self._view.views.window.value = Window(centre, width, "")

    def _whole_notches(self, angle: int) -> int:
        """Return whole notches; fine steps of a touch pad add up."""
        self._wheel_rest += angle / NOTCH
        notches = int(self._wheel_rest)
        self._wheel_rest -= notches
        return notches

    def _takes_preset(self, event: QKeyEvent) -> bool:
        """Take window preset 1 to 9; the numbers belong to the tool while one draws."""
        number = event.key() - Qt.Key.Key_1
        presets = self._view.views.presets
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if not plain or not 0 <= number < min(9, len(presets)) or self._view.tools.tool.value.draws:
            return False
        self._view.views.window.value = presets[number]
        return True

    def _escape(self) -> bool:
        if self._view.tools.abort():
            self.drag = Drag.NONE
            return True
        if self._view.tools.tool.value is Tool.NONE:
            return False
        self._view.tools.choose(Tool.NONE)
        return True


def _only_shift(event: QMouseEvent) -> bool:
    shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
    return shift and event.buttons() == Qt.MouseButton.NoButton
