"""One column of dots a rater, with median and quartiles behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QColor, QPalette, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

_BOX_HALF_WIDTH = 0.28
_SPREAD = 0.18
_GOLDEN = 0.6180339887
_AXIS_HEIGHT_PX = 40
_AXIS_WIDTH_PX = 48


@dataclass(frozen=True, slots=True)
class DotGroup:
    """The values of one rater.

    Parameters
    ----------
    name : str
        Below the column.
    values : tuple of float
        One a case (or label); NaN is not drawn, the name tells how many were left out.
    keys : tuple of str
        What each value belongs to: shown on hover, handed out on click.
    colour_rgb : tuple of int
        The rater's colour.
    """

    name: str
    values: tuple[float, ...]
    keys: tuple[str, ...]
    colour_rgb: tuple[int, int, int]


class DotPlot(pg.PlotWidget):
    """Values of several raters side by side; a click on a dot names its case."""

    dot_clicked = QtSignal(str, str)
    """Rater and key of the dot that was clicked."""

    def __init__(self, title: str, limits: tuple[float, float] | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent, enableMenu=False)
        self._title, self._limits = title, limits
        self._groups: tuple[DotGroup, ...] = ()
        plot = self.getPlotItem()
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.getAxis("left").setWidth(_AXIS_WIDTH_PX)
        plot.getAxis("bottom").setHeight(_AXIS_HEIGHT_PX)
        self.setMinimumHeight(160)
        self._draw()

    @property
    def groups(self) -> tuple[DotGroup, ...]:
        """What is shown."""
        return self._groups

    def set_groups(self, groups: Sequence[DotGroup]) -> None:
        """Show these raters in this order."""
        self._groups = tuple(groups)
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change of theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_groups"):
            self._draw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Shorten the names to the room there is."""
        super().resizeEvent(event)
        if hasattr(self, "_groups"):
            self._name_columns()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Let the page scroll; the plot never zooms by accident."""
        event.ignore()

    def _draw(self) -> None:
        palette, plot = self.palette(), self.getPlotItem()
        plot.clear()
        self.setBackground(palette.color(QPalette.ColorRole.Base))
        text = palette.color(QPalette.ColorRole.WindowText)
        plot.setTitle(self._title, color=text, size="10pt", justify="left")
        faint = QColor(palette.color(QPalette.ColorRole.PlaceholderText))
        faint.setAlpha(90)
        for side in ("left", "bottom"):
            plot.getAxis(side).setPen(pg.mkPen(faint))
            plot.getAxis(side).setTextPen(
                text if side == "bottom" else palette.color(QPalette.ColorRole.PlaceholderText)
            )
        self._name_columns()
        if self._limits:
            plot.setYRange(_low_end(self._groups, self._limits), self._limits[1], padding=0.04)
        plot.setXRange(-0.6, max(0.6, len(self._groups) - 0.4), padding=0)
        plot.showGrid(x=False, y=True, alpha=0.15)
        for position, group in enumerate(self._groups):
            self._draw_group(position, group)

    def _name_columns(self) -> None:
        room_px = (self.width() - _AXIS_WIDTH_PX) // max(1, len(self._groups)) - 8
        elided = self.fontMetrics().elidedText
        names = [
            "\n".join(elided(line, Qt.TextElideMode.ElideMiddle, room_px) for line in _axis_lines(group))
            for group in self._groups
        ]
        self.getPlotItem().getAxis("bottom").setTicks([list(enumerate(names))])

    def _draw_group(self, position: int, group: DotGroup) -> None:
        values = np.asarray(group.values, dtype=np.float64)
        defined = np.flatnonzero(np.isfinite(values))
        if defined.size == 0:
            return
        colour = QColor(*group.colour_rgb)
        if defined.size >= 4:  # quartiles of fewer values would pretend to know more than the dots
            self._draw_box(position, values[defined], colour)
        # The golden ratio spreads neighbours apart and is the same at every redraw.
        x = position + _SPREAD * (2 * np.mod(defined * _GOLDEN, 1.0) - 1) * (defined.size > 1)
        dots = pg.ScatterPlotItem(
            x=x,
            y=values[defined],
            data=[group.keys[n] for n in defined],
            size=9,
            brush=pg.mkBrush(colour),
            pen=pg.mkPen(self.palette().color(QPalette.ColorRole.Base), width=1),
            hoverable=True,
            hoverSize=12,
            tip=lambda x, y, data: f"{data}: {y:.3f}",
        )
        dots.sigClicked.connect(lambda item, points, event, name=group.name: self._emit(name, points))
        self.getPlotItem().addItem(dots)

    def _draw_box(self, position: int, values: np.ndarray, colour: QColor) -> None:
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        fill = QColor(colour)
        fill.setAlpha(50)
        left, right = position - _BOX_HALF_WIDTH, position + _BOX_HALF_WIDTH
        box = pg.BarGraphItem(x0=[left], x1=[right], y0=[low], y1=[high], brush=pg.mkBrush(fill), pen=pg.mkPen(None))
        line = pg.PlotDataItem([left, right], [median, median], pen=pg.mkPen(colour, width=2))
        self.getPlotItem().addItem(box)
        self.getPlotItem().addItem(line)

    def _emit(self, rater: str, points: Sequence[pg.SpotItem]) -> None:
        if len(points):
            self.dot_clicked.emit(rater, str(points[0].data()))


def _axis_lines(group: DotGroup) -> list[str]:
    missing = sum(1 for value in group.values if value != value)
    return [group.name, f"{missing} undefined"] if missing else [group.name]


def _low_end(groups: Sequence[DotGroup], limits: tuple[float, float]) -> float:
    """Return where the axis begins: a tenth below the lowest value, so that near values stay apart."""
    values = [value for group in groups for value in group.values if value == value]
    return max(limits[0], np.floor(10 * min(values, default=limits[0]) - 0.5) / 10)
