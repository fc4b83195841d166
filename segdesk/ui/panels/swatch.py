"""A label's colour as a small square."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from segdesk.core.labels import Colour

_SWATCH_PX = 14


class Swatch(QWidget):
    """The square that the label list shows too.

    Parameters
    ----------
    colour_rgb : tuple of int
        0 to 255 each.
    """

    def __init__(self, colour_rgb: Colour, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colour = QColor(*colour_rgb)
        self.setFixedSize(_SWATCH_PX, _SWATCH_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._colour)
        painter.drawRoundedRect(self.rect(), 3, 3)
        painter.end()
