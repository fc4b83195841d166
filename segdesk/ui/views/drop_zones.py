"""Two places to drop a file on while a case is open: another image, or a mask of this one."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QRect, Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QWidget

from segdesk.ui.icons import Glyph, glyph_pixmap
from segdesk.ui.theme import GRID_PX, Theme

_ICON_PX = 48
_RADIUS_PX = 6


class DropZones(QWidget):
    """Covers its parent while something is dragged over it.

    Parameters
    ----------
    theme : Theme
        Colours.

    Signals
    -------
    image_dropped : list of Path
        On the left half.
    mask_dropped : Path
        On the right half.
    """

    image_dropped = QtSignal(list)
    mask_dropped = QtSignal(object)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._case_name = ""
        self._is_mask_half = False
        self.setAcceptDrops(True)
        self.hide()

    def appear(self, case_name: str) -> None:
        """Cover the parent; files can be dropped."""
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self._case_name = case_name
        self.raise_()
        self.show()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take over from what lies below."""
        if _paths(event):
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        """Light the half under the pointer."""
        self._is_mask_half = event.position().x() > self.width() / 2
        event.acceptProposedAction()
        self.update()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Go away: the drag left the window."""
        self.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Say what was dropped where; a mask is one file."""
        event.acceptProposedAction()
        self.hide()
        paths = _paths(event)
        if event.position().x() > self.width() / 2 and len(paths) == 1:
            self.mask_dropped.emit(paths[0])
        else:
            self.image_dropped.emit(paths)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the two halves over a dimmed window."""
        tokens = self._theme.tokens
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = tokens.colour("window")
        shade.setAlpha(224)
        painter.fillRect(self.rect(), shade)
        margin = 4 * GRID_PX
        half = self.width() // 2
        left = QRect(margin, margin, half - 3 * margin // 2, self.height() - 2 * margin)
        right = QRect(half + margin // 2, margin, half - 3 * margin // 2, self.height() - 2 * margin)
        self._draw_half(painter, left, Glyph.IMAGE, "Open as an image", "Another case", not self._is_mask_half)
        self._draw_half(painter, right, Glyph.BRUSH, "Add as a mask", f"To {self._case_name}", self._is_mask_half)
        painter.end()

    def _draw_half(self, painter: QPainter, place: QRect, glyph: Glyph, title: str, hint: str, lit: bool) -> None:
        tokens = self._theme.tokens
        painter.setPen(QPen(tokens.colour("accent" if lit else "border"), 2, Qt.PenStyle.DashLine))
        # Solid, so that no text of the window runs through the words.
        painter.setBrush(tokens.colour("selection" if lit else "window"))
        painter.drawRoundedRect(place, _RADIUS_PX, _RADIUS_PX)
        middle = place.center()
        icon = glyph_pixmap(glyph, tokens.colour("accent" if lit else "muted"), _ICON_PX, 2.0)
        painter.drawPixmap(middle.x() - _ICON_PX // 2, middle.y() - _ICON_PX - GRID_PX, icon)
        painter.setPen(tokens.colour("text"))
        font = self.font()
        font.setPointSize(13)
        font.setBold(True)
        painter.setFont(font)
        line = QRect(place.left(), middle.y() + GRID_PX, place.width(), 3 * GRID_PX)
        painter.drawText(line, int(Qt.AlignmentFlag.AlignCenter), title)
        painter.setFont(self.font())
        painter.setPen(tokens.colour("muted"))
        painter.drawText(line.translated(0, 3 * GRID_PX), int(Qt.AlignmentFlag.AlignCenter), hint)


def _paths(event: QDropEvent) -> list[Path]:
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
