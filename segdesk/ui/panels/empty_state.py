"""What an empty screen says: what is missing and what to do next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from segdesk.ui.theme import Role, set_role

_TEXT_WIDTH_PX = 520


class EmptyState(QWidget):
    """A headline, one sentence of help, and the buttons of the next step.

    Parameters
    ----------
    headline : str
        What is missing: "No project is open".
    hint : str
        What to do: "Drop a folder of scans here, or create a project."
    actions : pairs of (text, callable)
        Buttons; the first one is the suggestion.
    """

    def __init__(
        self,
        headline: str,
        hint: str,
        actions: tuple[tuple[str, Callable[[], object]], ...] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._headline = _centred(headline)
        set_role(self._headline, Role.TITLE)
        self._hint = _centred(hint)
        set_role(self._hint, Role.MUTED)
        self.buttons: list[QPushButton] = []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(32, 32, 32, 32)
        layout.setSpacing(16)
        layout.addStretch(2)
        layout.addLayout(_column(self._headline, self._hint))
        layout.addLayout(self._button_row(actions))
        layout.addStretch(3)

    def say(self, headline: str, hint: str) -> None:
        """Change both texts."""
        self._headline.setText(headline)
        self._hint.setText(hint)

    @property
    def text(self) -> str:
        """Headline and hint, for tests and screen readers."""
        return f"{self._headline.text()}\n{self._hint.text()}"

    def _button_row(self, actions: tuple[tuple[str, Callable[[], object]], ...]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch()
        for position, (text, run) in enumerate(actions):
            button = QPushButton(text)
            if position == 0:
                set_role(button, Role.PRIMARY)
            button.clicked.connect(lambda checked=False, run=run: run())
            self.buttons.append(button)
            row.addWidget(button)
        row.addStretch()
        return row


def _column(*labels: QLabel) -> QHBoxLayout:
    """Put labels into a column of fixed width; an alignment flag instead would clip their wrapped lines."""
    column = QWidget()
    column.setFixedWidth(_TEXT_WIDTH_PX)
    below = QVBoxLayout(column)
    below.setContentsMargins(0, 0, 0, 0)
    below.setSpacing(8)
    for label in labels:
        below.addWidget(label)
    row = QHBoxLayout()
    row.addStretch()
    row.addWidget(column)
    row.addStretch()
    return row


def _centred(text: str) -> QLabel:
    label = QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setWordWrap(True)
    return label
