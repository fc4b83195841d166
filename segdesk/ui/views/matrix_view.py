"""A square matrix of agreement as coloured cells with their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from segdesk.ui.models.number_text import fixed

Matrix = Sequence[Sequence[float]]

_CELL_HEIGHT_PX = 28
_MAX_CELL_PX = 64
_WISHED_CELL_PX = 28
_TEXT_FITS_PX = 25
_LEAST_NAMES_PX = 32
_NAME_FITS_PX = 88
_LEAST_WIDTH_PX = 160
_GAP_PX = 2
_NAMES_SHARE = 0.4


class MatrixView(QWidget):
    """Pairwise values of named raters; the darker the accent, the higher the value.

    Columns carry numbers instead of names, so that ten raters fit beside each other; the
    row of the same number says who it is. The diagonal is left empty: it is 1 by definition.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._values: tuple[tuple[float, ...], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Pairwise Dice")

    def set_matrix(self, names: Sequence[str], values: Matrix) -> None:
        """Show another matrix, shape (n, n) for n names; NaN is shown as "-"."""
        self._names = tuple(names)
        self._values = tuple(tuple(row) for row in values)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return a row of header and one for each rater."""
        return QSize(280, (len(self._names) + 1) * _CELL_HEIGHT_PX)

    def minimumSizeHint(self) -> QSize:
        """Return the height of all rows; cells of many raters get narrow instead of widening the panel."""
        return QSize(_LEAST_WIDTH_PX, self.sizeHint().height())

    def tip_at(self, point: QPoint) -> str:
        """Return what the cell under a point says in full, "" beside the cells."""
        for row, column, cell in self._cells():
            if cell.contains(point) and row != column:
                return f"Dice of {self._names[row]} and {self._names[column]}: {fixed(self._values[row][column])}"
        return ""

    def event(self, event: QEvent) -> bool:
        """Show the full names of the pair under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tip_at(event.pos()), self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw names, column numbers and cells."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_names(painter)
        for row, column, cell in self._cells():
            self._draw_cell(painter, cell, None if row == column else self._values[row][column])
        painter.end()

    def _names_width(self) -> int:
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(f"{n}  {name}") for n, name in enumerate(self._names, 1)), default=0)
        room = self.width() - _WISHED_CELL_PX * len(self._names)
        return max(_LEAST_NAMES_PX, min(widest + 12, int(self.width() * _NAMES_SHARE), room))

    def _cells(self) -> list[tuple[int, int, QRect]]:
        n, left = len(self._names), self._names_width()
        width = max(_GAP_PX + 1, min(_MAX_CELL_PX, (self.width() - left) // max(1, n)))
        return [
            (
                row,
                column,
                QRect(
                    left + column * width,
                    (row + 1) * _CELL_HEIGHT_PX,
                    width - _GAP_PX,
                    _CELL_HEIGHT_PX - _GAP_PX,
                ),
            )
            for row in range(n)
            for column in range(n)
        ]

    def _draw_names(self, painter: QPainter) -> None:
        palette, metrics, left = self.palette(), self.fontMetrics(), self._names_width()
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        for position, name in enumerate(self._names):
            label = f"{position + 1}  {name}" if left >= _NAME_FITS_PX else str(position + 1)
            text = metrics.elidedText(label, Qt.TextElideMode.ElideRight, left - 8)
            area = QRect(0, (position + 1) * _CELL_HEIGHT_PX, left, _CELL_HEIGHT_PX - _GAP_PX)
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        painter.setPen(palette.color(QPalette.ColorRole.PlaceholderText))
        for row, column, cell in self._cells():
            if row == 0:
                head = QRect(cell.left(), 0, cell.width(), _CELL_HEIGHT_PX)
                painter.drawText(head, Qt.AlignmentFlag.AlignCenter, str(column + 1))

    def _draw_cell(self, painter: QPainter, cell: QRect, value: float | None) -> None:
        palette = self.palette()
        base, accent = palette.color(QPalette.ColorRole.Base), palette.color(QPalette.ColorRole.Accent)
        painter.setPen(Qt.PenStyle.NoPen)
        share = 0.0 if value is None or value != value else max(0.0, min(1.0, value))
        painter.setBrush(base if value is None else mixed(base, accent, share**2))
        painter.drawRoundedRect(cell, 3, 3)
        if value is None or cell.width() < _TEXT_FITS_PX:
            return
        painter.setPen(readable_on(painter.brush().color()))
        digits = 2 if cell.width() < 48 else 3
        text = fixed(value, digits)
        painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, "1" if value == 1 else text.removeprefix("0"))


def mixed(first: QColor, second: QColor, share: float) -> QColor:
    """Return the colour `share` of the way from the first to the second."""
    channels = ((1 - share) * a + share * b for a, b in zip(_rgb(first), _rgb(second), strict=True))
    return QColor(*(round(c) for c in channels))


def readable_on(background: QColor) -> QColor:
    """Return near-black or near-white, whichever stands out (relative luminance as in WCAG 2)."""
    linear = [_linear(c / 255) for c in _rgb(background)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return QColor("#14171c") if luminance > 0.18 else QColor("#f2f4f7")


def _rgb(colour: QColor) -> tuple[int, int, int]:
    return colour.red(), colour.green(), colour.blue()


def _linear(channel: float) -> float:
    return float(channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4)
