"""The header: menus and project at the left, workspaces in the middle, reader, device and theme at the right."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenuBar,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from segdesk.ui.actions import GO_ACTS, Act, Place, shown_key
from segdesk.ui.context import Ui
from segdesk.ui.icons import Glyph
from segdesk.ui.theme import GRID_PX, Role, ThemeName, set_role

HEIGHT_PX = 44


class Header(QFrame):
    """The top row of the window.

    Parameters
    ----------
    ui : Ui
        Of the window.
    """

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.HEADER)
        self.setFixedHeight(HEIGHT_PX)
        self._ui = ui
        self.menus = QMenuBar()
        self.menus.setNativeMenuBar(False)
        self.menus.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        ui.actions.fill(self.menus)
        self.project = _ElidedLabel()
        self.tabs = QButtonGroup(self)
        self.right = QHBoxLayout()
        self.right.setSpacing(4)
        self.right.addStretch(1)
        grid = QGridLayout(self)
        grid.setContentsMargins(GRID_PX, 0, GRID_PX, 0)
        grid.setHorizontalSpacing(GRID_PX)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(2, 1)
        grid.addLayout(self._left(), 0, 0)
        grid.addLayout(self._middle(), 0, 1)
        grid.addLayout(self.right, 0, 2)
        self._theme_button = self._icon_button(Act.THEME, Glyph.SUN)
        self._icon_button(Act.HELP_KEYS, Glyph.HELP)
        ui.theme.changed.connect(self._on_theme)
        self._on_theme()

    def show_place(self, place: Place) -> None:
        """Mark the tab of a workspace."""
        for button in self.tabs.buttons():
            button.setChecked(button.text() == place.value)

    def add_right(self, widget: QWidget) -> None:
        """Put a widget before the theme button."""
        self.right.insertWidget(self.right.count() - 2, widget)

    def _left(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(GRID_PX)
        row.addWidget(self.menus, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.project, 1)
        return row

    def _middle(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(2)
        for place, act in GO_ACTS.items():
            button = QToolButton()
            button.setText(place.value)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            keys = self._ui.actions[act].shortcut().toString()
            button.setToolTip(f"{place.value} ({shown_key(keys)})")
            button.clicked.connect(self._ui.actions[act].trigger)
            set_role(button, Role.TAB)
            self.tabs.addButton(button)
            row.addWidget(button)
        return row

    def _icon_button(self, act: Act, glyph: Glyph) -> QToolButton:
        button = QToolButton()
        button.setToolTip(self._ui.actions[act].toolTip())
        button.setAccessibleName(self._ui.actions[act].text())
        button.clicked.connect(self._ui.actions[act].trigger)
        self._ui.theme.put_icon(button, glyph)
        self.right.addWidget(button)
        return button

    def _on_theme(self) -> None:
        dark = self._ui.theme.name is ThemeName.DARK
        self._ui.theme.put_icon(self._theme_button, Glyph.SUN if dark else Glyph.MOON)


class _ElidedLabel(QLabel):
    """A label that shortens its text instead of pushing its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        set_role(self, Role.MUTED)
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_text(self, text: str) -> None:
        """Show a text as far as there is room."""
        self._whole = text
        self.setToolTip(text)
        self._fit()

    def resizeEvent(self, event: object) -> None:
        """Shorten to the new width."""
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, self.width()))
