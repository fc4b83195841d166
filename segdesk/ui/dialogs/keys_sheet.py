"""The sheet of all keys and gestures, made from the tables."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from segdesk.ui.actions import ACTIONS, MenuName, shown_key
from segdesk.ui.models.mouse import GESTURES
from segdesk.ui.theme import GRID_PX, Role, set_role

_MENUS_BY_COLUMN = (
    (MenuName.TOOLS, MenuName.EDIT, MenuName.HELP),
    (MenuName.VIEW, MenuName.FILE, MenuName.GO),
)

_KEYS_WIDTH_PX = 128


class KeysSheet(QDialog):
    """One page: mouse at the left, then the keys by menu."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Mouse and keys")
        row = QHBoxLayout(self)
        row.setContentsMargins(3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX)
        row.setSpacing(4 * GRID_PX)
        row.addLayout(_column(("In a view", [(each.keys, each.effect) for each in GESTURES])))
        for menus in _MENUS_BY_COLUMN:
            row.addLayout(_column(*((_plain(menu), _rows(menu)) for menu in menus)))


def _rows(menu: MenuName) -> list[tuple[str, str]]:
    return [
        (", ".join(shown_key(key) for key in row.keys), row.text.rstrip("…"))
        for row in ACTIONS
        if row.menu is menu and row.keys
    ]


def _column(*blocks: tuple[str, list[tuple[str, str]]]) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(GRID_PX)
    for title, rows in blocks:
        column.addWidget(set_role(QLabel(title), Role.HEADING))
        grid = QGridLayout()
        grid.setHorizontalSpacing(2 * GRID_PX)
        grid.setVerticalSpacing(4)
        for number, (keys, effect) in enumerate(rows):
            grid.addWidget(set_role(QLabel(keys), Role.MUTED), number, 0, Qt.AlignmentFlag.AlignVCenter)
            grid.addWidget(QLabel(effect), number, 1, Qt.AlignmentFlag.AlignVCenter)
        grid.setColumnMinimumWidth(0, _KEYS_WIDTH_PX)
        grid.setColumnStretch(1, 1)
        column.addLayout(grid)
        column.addSpacing(GRID_PX)
    column.addStretch(1)
    return column


def _plain(menu: MenuName) -> str:
    return menu.value.replace("&", "")
