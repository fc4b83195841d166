"""Errors that belong to no other place: shown under the header until they are read."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from segdesk.ui.icons import Glyph
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role


class MessageBar(QFrame):
    """One line that stays until it is closed; a newer one replaces it."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.PANEL)
        self._label = wrapped("", Role.ERROR)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        close = QToolButton()
        close.setToolTip("I have read it")
        close.setAccessibleName("Close the message")
        theme.put_icon(close, Glyph.CLOSE)
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * GRID_PX, 4, GRID_PX, 4)
        row.setSpacing(GRID_PX)
        row.addWidget(self._label, 1)
        row.addWidget(close)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.hide()

    @property
    def text(self) -> str:
        """What is shown, "" when nothing is."""
        return "" if self.isHidden() else self._label.text()

    def tell(self, text: str) -> None:
        """Show a message."""
        self._label.setText(text)
        self.show()
