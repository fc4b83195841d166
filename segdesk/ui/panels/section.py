"""The parts that panels are made of: a titled section, a note, a column that scrolls."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from segdesk.ui.theme import GRID_PX, Role, set_role


class Section(QWidget):
    """A heading with what belongs to it below.

    Parameters
    ----------
    title : str
        The heading.
    *parts : QWidget
        What comes below, from top to bottom.
    """

    def __init__(self, title: str, *parts: QWidget) -> None:
        super().__init__()
        self.heading = QLabel(title)
        set_role(self.heading, Role.HEADING)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(GRID_PX)
        self.body.addWidget(self.heading)
        for part in parts:
            self.body.addWidget(part)


class Notes(QWidget):
    """Short sentences below each other; nothing when there are none."""

    def __init__(self, role: Role = Role.MUTED) -> None:
        super().__init__()
        self._role = role
        self._labels: list[QLabel] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(GRID_PX // 2)

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences shown."""
        return tuple(label.text() for label in self._labels if not label.isHidden())

    def set_texts(self, texts: Sequence[str], role: Role | None = None) -> None:
        """Show these sentences; labels are reused so that nothing flickers."""
        self._role = role or self._role
        while len(self._labels) < len(texts):
            self._labels.append(wrapped(""))
            self._layout.addWidget(self._labels[-1])
        for position, label in enumerate(self._labels):
            label.setVisible(position < len(texts))
            if position < len(texts):
                label.setText(texts[position])
                set_role(label, self._role)
        self.setVisible(bool(texts))


class ScrollColumn(QScrollArea):
    """A column of sections that scrolls up and down when the window is low, never sideways.

    Parameters
    ----------
    width_px : int
        Fixed width of the column.
    """

    def __init__(self, width_px: int) -> None:
        super().__init__()
        set_role(self, Role.PANEL)
        content = QFrame()
        set_role(content, Role.PANEL)
        self._sections = QVBoxLayout(content)
        self._sections.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        self._sections.setSpacing(3 * GRID_PX)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedWidth(width_px)

    def set_sections(self, *parts: QWidget) -> None:
        """Put parts below each other; called once."""
        for part in parts:
            self._sections.addWidget(part)
        self._sections.addStretch()


def wrapped(text: str, role: Role | None = None) -> QLabel:
    """Return a label that breaks its lines instead of widening its column."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if role:
        set_role(label, role)
    return label
