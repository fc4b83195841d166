"""A strip of key figures: a number, and below it what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from segdesk.ui.theme import Role, set_role


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its caption and, on hover, its definition."""

    value: str
    caption: str
    tip: str = ""


class FigureStrip(QWidget):
    """Key figures side by side, all of one height."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._tiles: list[_Tile] = []
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def set_figures(self, figures: Sequence[Figure]) -> None:
        """Show these figures; tiles are reused so that nothing flickers."""
        while len(self._tiles) < len(figures):
            self._tiles.append(_Tile())
            self._row.addWidget(self._tiles[-1], 1)
        for tile, figure in zip(self._tiles, figures, strict=False):
            tile.show_figure(figure)
        for position, tile in enumerate(self._tiles):
            tile.setVisible(position < len(figures))

    def texts(self) -> list[tuple[str, str]]:
        """Return value and caption of every visible figure."""
        return [(tile.value.text(), tile.caption.text()) for tile in self._tiles if not tile.isHidden()]


class _Tile(QFrame):
    """One figure."""

    def __init__(self) -> None:
        super().__init__()
        set_role(self, Role.CARD)
        self.value, self.caption = QLabel(), QLabel()
        set_role(self.value, Role.VALUE)
        set_role(self.caption, Role.MUTED)
        self.caption.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(0)
        layout.addWidget(self.value)
        layout.addWidget(self.caption, 0, Qt.AlignmentFlag.AlignTop)
        layout.addStretch()

    def show_figure(self, figure: Figure) -> None:
        self.value.setText(figure.value)
        self.caption.setText(figure.caption)
        self.setToolTip(figure.tip)
