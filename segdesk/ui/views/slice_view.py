"""A view of one plane: pulls its slice when it paints."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QPlainTextEdit, QSizePolicy, QTextEdit, QWidget

from segdesk.core.box import Box
from segdesk.core.events import SignalInstance
from segdesk.ui.models.mouse import LeftDrag
from segdesk.ui.models.roi_drag import RoiDrag
from segdesk.ui.models.slice_model import SliceModel
from segdesk.ui.models.tool_model import Tool, ToolModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.models.viewport import Viewport
from segdesk.ui.views import decorations
from segdesk.ui.views.slice_canvas import SliceCanvas
from segdesk.ui.views.view_input import ViewInput

_TEXT_EDITORS = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox)


class SliceView(QWidget):
    """Shows a slice with labels, letters, crosshair and scale bar; takes the mouse.

    Parameters
    ----------
    model : SliceModel
        The plane.
    tools : ToolModel
        The active tool.
    parent : QWidget, optional
        Owner.

    Signals
    -------
    maximise_asked
        Double-click.
    """

    maximise_asked = QtSignal()

    def __init__(self, model: SliceModel, tools: ToolModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.views: ViewSet = model.views
        self.tools = tools
        self.left_drag = LeftDrag.WINDOW
        self.scroll_sign = 1
        self.shows_crosshair = True
        self.shows_letters = True
        self.smooth = True
        self.canvas = SliceCanvas(model)
        self._viewport: Viewport | None = None
        self._mouse: QPointF | None = None
        self._shown_slice = model.slice_index
        self._input = ViewInput(self)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(f"{model.plane.plane.value} view")
        self._listen()

    def _listen(self) -> None:
        views, tools, editor = self.views, self.tools, self.tools.editor
        self._ties: tuple[tuple[SignalInstance, Callable[..., None]], ...] = (
            (views.cursor_kji.changed, self._on_cursor),
            (views.labels_changed, self._on_labels),
            (views.repaint, self._on_repaint),
            (tools.roi.changed, self._on_decoration),
            (tools.notice.changed, self._on_decoration),
            (editor.brush_radius_mm.changed, self._on_decoration),
            (editor.active_value.changed, self._on_decoration),
            (tools.tool.changed, self._on_tool),
        )
        for signal, slot in self._ties:
            signal.connect(slot)
        self._on_tool(tools.tool.value)

    def let_go(self) -> None:
        """Stop listening: the models live on when the view is deleted."""
        for signal, slot in self._ties:
            signal.disconnect(slot)

    def minimumSizeHint(self) -> QSize:
        """Return a size below which a view is of no use."""
        return QSize(120, 96)

    @property
    def viewport(self) -> Viewport:
        """The present map between slice and screen; fitted until somebody zooms."""
        if self._viewport is not None:
            return self._viewport
        plane = self.model.plane
        return Viewport.fitted(plane.shape_px, plane.pixel_spacing_mm, (self.width(), self.height()))

    def fit(self) -> None:
        """Show the whole slice."""
        self._viewport = None
        self.update()

    def pan(self, dx: float, dy: float) -> None:
        """Move the slice by screen pixels."""
        self._viewport = self.viewport.panned(dx, dy)
        self.update()

    def zoom(self, factor: float, at: QPointF) -> None:
        """Magnify around a screen position."""
        self._viewport = self.viewport.zoomed(factor, (at.x(), at.y()))
        self.update()

    def scroll_slices(self, notches: int) -> None:
        """Go through the slices; the setting may turn the direction."""
        self.model.step(notches * self.scroll_sign)

    def reset_window(self) -> None:
        """Take the window that the image was opened with."""
        self.views.window.value = self.views.start_window

    def pixel_under(self, at: QPointF) -> tuple[float, float]:
        """Return the slice position (row, column) under a screen position."""
        return self.viewport.to_pixel(at.x(), at.y())

    def index_under(self, at: QPointF) -> tuple[float, float, float]:
        """Return the continuous voxel index under a screen position."""
        return self.model.index_at(*self.pixel_under(at))

    def put_cursor(self, at: QPointF) -> None:
        """Show the place under a screen position in all views."""
        self.views.go_to(self.index_under(at))

    def pick_label(self, at: QPointF) -> None:
        """Make the label under a screen position the active one."""
        voxel = self.model.voxel_at(*self.pixel_under(at))
        if voxel is not None:
            self.tools.pick_label(voxel)

    def roi_drag_at(self, at: QPointF, reach_px: float) -> RoiDrag:
        """Return the drag of the region of interest that a press here begins."""
        width, height = self.viewport.pixel_wh
        reach = reach_px / height, reach_px / width
        return RoiDrag.at(self.model.plane, self.tools.roi.value, self.pixel_under(at), reach)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, then what lies over it."""
        painter = QPainter(self)
        viewport = self.viewport
        picture = self.canvas.picture(viewport, self.size(), self.devicePixelRatioF(), smooth=self.smooth)
        painter.drawImage(0, 0, picture)
        self._decorate(decorations.Sheet(painter, QRectF(self.rect()), viewport))
        painter.end()

    def _decorate(self, sheet: decorations.Sheet) -> None:
        plane = self.model.plane
        roi = self.tools.roi.value
        if roi is not None:
            decorations.draw_region(sheet, self.model, roi, with_handles=self.tools.tool.value is Tool.ROI)
        if self.shows_crosshair and len(self.views.slices) > 1:
            decorations.draw_crosshair(sheet, *plane.to_pixel(self.views.cursor_kji.value))
        if self.shows_letters:
            decorations.draw_letters(sheet, plane.edges)
        decorations.draw_scale_bar(sheet, "mm" if self.views.has_mm else "px")
        heat = self.views.shown_heat
        if heat is not None:
            decorations.draw_heat_legend(sheet, heat)
        if self.tools.tool.value.draws and self._mouse is not None:
            self._draw_brush(sheet, self._mouse)
        if self.tools.notice.value:
            decorations.draw_notice(sheet, self.tools.notice.value)

    def _draw_brush(self, sheet: decorations.Sheet, at: QPointF) -> None:
        editor = self.tools.editor
        erasing = (self.tools.tool.value is Tool.ERASER) != self._input.is_inverting
        colour = QColor(*self.views.colour_of(editor.active_value.value))
        decorations.draw_brush(sheet, at, editor.brush_radius_mm.value, colour, erasing=erasing)

    def _on_cursor(self, cursor: object) -> None:
        if self._shown_slice != self.model.slice_index:
            self._shown_slice = self.model.slice_index
            self.canvas.invalidate()
        self.update()

    def _on_labels(self, box: Box) -> None:
        rect = self.model.rect_of(box)
        if rect is not None:
            self.canvas.invalidate_rect(rect)
            self.update()

    def _on_repaint(self) -> None:
        self.canvas.invalidate()
        self.update()

    def _on_decoration(self, value: object) -> None:
        self.update()

    def _on_tool(self, tool: Tool) -> None:
        shapes = {Tool.NONE: Qt.CursorShape.ArrowCursor, Tool.CROSSHAIR: Qt.CursorShape.CrossCursor}
        shapes[Tool.ROI] = Qt.CursorShape.CrossCursor
        self.setCursor(shapes.get(tool, Qt.CursorShape.BlankCursor))
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a gesture."""
        self._input.press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow a gesture and tell what is under the mouse."""
        self._mouse = event.position()
        self._input.move(event)
        self.views.probe_kji.value = self.model.voxel_at(*self.pixel_under(event.position()))
        if self.tools.tool.value.draws:
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a gesture."""
        self._input.release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Maximise, reset the window, or a second dab."""
        self._input.double_click(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll, zoom, size."""
        self._input.wheel(event)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Handle the view's own keys."""
        if not self._input.key_press(event):
            super().keyPressEvent(event)
        self.update()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Handle the release of the view's own keys."""
        if not self._input.key_release(event):
            super().keyReleaseEvent(event)
        self.update()

    def enterEvent(self, event: QEnterEvent) -> None:
        """Take the keys, unless somebody is typing."""
        if not isinstance(QApplication.focusWidget(), _TEXT_EDITORS):
            self.setFocus(Qt.FocusReason.MouseFocusReason)

    def leaveEvent(self, event: QEvent) -> None:
        """Forget the mouse."""
        self._mouse = None
        self.views.probe_kji.value = None
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Forget held keys: their release goes elsewhere."""
        self._input.forget_keys()
        super().focusOutEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the middle of a zoomed slice in the middle."""
        if self._viewport is not None and event.oldSize().isValid():
            grown = event.size() - event.oldSize()
            self._viewport = self._viewport.panned(grown.width() / 2, grown.height() / 2)
        super().resizeEvent(event)
