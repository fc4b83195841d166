"""The tools as one vertical strip of icons with their key letters."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from segdesk.ui.actions import ACTIONS, Act, Actions, shown_key
from segdesk.ui.icons import ICON_SIZE_PX
from segdesk.ui.theme import GRID_PX, Role, set_role

STRIP_WIDTH_PX = 48
_TOOLS = (Act.TOOL_CROSSHAIR, Act.TOOL_BRUSH, Act.TOOL_ERASER, Act.TOOL_PREDICT)
_BELOW = (Act.UNDO, Act.REDO, Act.SHOW_LABELS, Act.RESET_VIEW)


class ToolStrip(QFrame):
    """Buttons of the tool actions; what is on and possible follows the actions."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.PANEL)
        self.setFixedWidth(STRIP_WIDTH_PX)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, GRID_PX, 4, GRID_PX)
        column.setSpacing(4)
        for name in _TOOLS:
            column.addWidget(_button(actions, name))
        column.addStretch(1)
        for name in _BELOW:
            column.addWidget(_button(actions, name))


def _button(actions: Actions, name: Act) -> QToolButton:
    row = next(each for each in ACTIONS if each.name is name)
    button = QToolButton()
    button.setDefaultAction(actions[name])
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
    button.setIconSize(QSize(ICON_SIZE_PX, ICON_SIZE_PX))
    # The action's text stays the menu's; the strip shows the key alone.
    actions[name].setIconText(shown_key(row.keys[0]) if len(row.keys[0]) == 1 else "")
    if len(row.keys[0]) > 1:
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    button.setAccessibleName(row.text)
    return set_role(button, Role.TOOL)
