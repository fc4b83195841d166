"""Curves of a training run: one plot, named curves, the theme's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent
from PySide6.QtGui import QColor, QPalette, QWheelEvent

_AXIS_WIDTH_PX = 48


@dataclass(frozen=True, slots=True)
class Curve:
    """One named curve.

    Parameters
    ----------
    name : str
        For the legend.
    x, y : sequence of float
        Points; a NaN in `y` breaks the line.
    colour_rgb : tuple of int, optional
        The theme's accent by default.
    has_points : bool
        Draw a dot at every point (few, far between) instead of the line alone.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour_rgb: tuple[int, int, int] | None = None
    has_points: bool = False


class CurveView(pg.PlotWidget):
    """A plot of named curves that follows the palette of the window.

    Parameters
    ----------
    title : str
        Above the plot.
    x_label : str
        Below the axis; with its unit.
    y_range : pair of float, optional
        Fixed range (0 to 1 for Dice); fitted to the curves by default.
    legend_at_bottom : bool
        Where curves rise, the legend would lie on them at the top.
    """

    def __init__(
        self, title: str, x_label: str, y_range: tuple[float, float] | None = None, *, legend_at_bottom: bool = False
    ) -> None:
        super().__init__(enableMenu=False)
        self._title, self._x_label = title, x_label
        self._items: dict[str, pg.PlotDataItem] = {}
        self._colours: dict[str, tuple[int, int, int] | None] = {}
        self._shown: tuple[Curve, ...] = ()
        plot = self.getPlotItem()
        plot.hideButtons()
        plot.setMouseEnabled(x=False, y=False)
        plot.getAxis("left").setWidth(_AXIS_WIDTH_PX)
        if y_range:
            plot.setYRange(*y_range, padding=0.02)
        self._legend = plot.addLegend(offset=(-8, -8 if legend_at_bottom else 8), labelTextSize="9pt")
        self.setMinimumHeight(140)
        self._follow_palette()

    def set_curves(self, curves: Sequence[Curve]) -> None:
        """Show these curves; those of other names vanish. Unchanged ones are not painted again."""
        # Copies: a story may grow the lists it hands out.
        wanted = tuple(replace(curve, x=tuple(curve.x), y=tuple(curve.y)) for curve in curves)
        if wanted == self._shown:
            return
        self._shown = wanted
        for name in set(self._items) - {curve.name for curve in curves}:
            self.getPlotItem().removeItem(self._items.pop(name))
            self._colours.pop(name)
        for curve in curves:
            if curve.name not in self._items:
                self._colours[curve.name] = curve.colour_rgb
                self._items[curve.name] = self.getPlotItem().plot(name=curve.name)
                self._style_curve(curve.name, has_points=curve.has_points)
            points = np.asarray(curve.y, dtype=np.float64)
            self._items[curve.name].setData(np.asarray(curve.x, dtype=np.float64), points, connect="finite")

    def points_of(self, name: str) -> tuple[list[float], list[float]]:
        """Return what a curve shows: its x and y values; two empty lists for an unknown name."""
        if name not in self._items:
            return [], []
        x, y = self._items[name].getOriginalDataset()
        return ([], []) if x is None else (list(x), list(y))

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change of theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_legend"):
            self._follow_palette()

    def _style_curve(self, name: str, *, has_points: bool) -> None:
        chosen = self._colours[name]
        colour = QColor(*chosen) if chosen else self.palette().color(QPalette.ColorRole.Accent)
        item = self._items[name]
        item.setPen(pg.mkPen(colour, width=2))
        if has_points:
            item.setSymbol("o")
            item.setSymbolSize(6)
            item.setSymbolBrush(colour)
            item.setSymbolPen(None)

    def _follow_palette(self) -> None:
        palette = self.palette()
        text = palette.color(QPalette.ColorRole.PlaceholderText)
        self.setBackground(palette.color(QPalette.ColorRole.Base))
        plot = self.getPlotItem()
        plot.setTitle(self._title, color=palette.color(QPalette.ColorRole.WindowText), size="10pt", justify="left")
        faint = QColor(text)
        faint.setAlpha(90)
        for side in ("left", "bottom"):
            plot.getAxis(side).setPen(pg.mkPen(faint))
            plot.getAxis(side).setTextPen(text)
        plot.setLabel("bottom", self._x_label, color=text.name())
        plot.showGrid(x=False, y=True, alpha=0.15)
        self._legend.setLabelTextColor(palette.color(QPalette.ColorRole.WindowText))
        for name, item in self._items.items():
            self._style_curve(name, has_points=item.opts["symbol"] is not None)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Let the page scroll; the plot never zooms by accident."""
        event.ignore()
