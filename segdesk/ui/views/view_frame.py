"""A view with its slim bar: plane, slice number and slider, window, maximise."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from segdesk.ui.icons import Glyph
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role
from segdesk.ui.views.slice_view import SliceView

BAR_HEIGHT_PX = 28


class SlimBar(QWidget):
    """One row above a view: its name at the left, maximise at the right, a middle for others.

    Signals
    -------
    maximise_asked
        The button was pressed.
    """

    maximise_asked = QtSignal()

    def __init__(self, name: str, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(BAR_HEIGHT_PX)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        set_role(self, Role.PANEL)
        self._theme = theme
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(GRID_PX, 0, 2, 0)
        self.row.setSpacing(GRID_PX)
        title = QLabel(name)
        set_role(title, Role.HEADING)
        self.row.addWidget(title)
        self._button = QToolButton()
        self._button.setAutoRaise(True)
        self._button.clicked.connect(self.maximise_asked)
        self.row.addWidget(self._button)
        self.show_maximised(maximised=False)

    def add_middle(self, widget: QWidget, stretch: int = 0) -> None:
        """Put a widget before the maximise button."""
        self.row.insertWidget(self.row.count() - 1, widget, stretch)

    def show_maximised(self, *, maximised: bool) -> None:
        """Show the way back or the way up."""
        self._theme.put_icon(self._button, Glyph.RESTORE if maximised else Glyph.MAXIMISE)
        self._button.setToolTip("Restore the layout (double-click)" if maximised else "Maximise (double-click)")


class SliceFrame(QWidget):
    """A slice view under its bar.

    Parameters
    ----------
    view : SliceView
        Becomes a child.
    theme : Theme
        For the icons.
    """

    def __init__(self, view: SliceView, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self._model = view.model
        self.bar = SlimBar(view.model.plane.plane.value, theme)
        self._number = QLabel()
        set_role(self._number, Role.MUTED)
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, max(0, self._model.plane.slice_count - 1))
        self._slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._slider.setToolTip("Slice (wheel, Up, Down)")
        self._slider.setAccessibleName(f"{view.model.plane.plane.value} slice")
        self._slider.valueChanged.connect(self._on_slider)
        self.bar.add_middle(self._slider, 1)
        self.bar.add_middle(self._number)
        self._slider.setVisible(self._model.plane.slice_count > 1)
        if not self._slider.isVisibleTo(self):
            self.bar.row.insertStretch(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.bar)
        column.addWidget(view, 1)
        view.views.cursor_kji.changed.connect(self._on_cursor)
        self._on_cursor(None)

    def let_go(self) -> None:
        """Stop listening before deletion."""
        self.view.views.cursor_kji.changed.disconnect(self._on_cursor)
        self.view.let_go()

    def _on_cursor(self, cursor: object) -> None:
        index, count = self._model.slice_index, self._model.plane.slice_count
        widest = len(str(count))
        self._number.setText(f"{index + 1:>{widest}}/{count}")
        self._slider.blockSignals(True)
        self._slider.setValue(index if self._model.plane.normal_step > 0 else count - 1 - index)
        self._slider.blockSignals(False)

    def _on_slider(self, place: int) -> None:
        plane = self._model.plane
        self._model.slice_index = place if plane.normal_step > 0 else plane.slice_count - 1 - place
