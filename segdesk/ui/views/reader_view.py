"""A slice view with the outlines of several readers on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from segdesk.ui.models.agree_model import ShownRead
from segdesk.ui.models.outline import Runs, outlines
from segdesk.ui.models.slice_model import SliceModel
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.viewport import Viewport
from segdesk.ui.views.slice_view import SliceView

_LINE_PX = 1.6
_MOST_SHIFT_PX = 1.7
_SHIFT_SHARE = 0.2


class ReaderView(SliceView):
    """Draws each reader's outline in the reader's colour over the slice.

    Where readers agree their outlines coincide; each is drawn a little beside the other (never
    more than a fifth of a voxel), so that all of them are seen.
    """

    def __init__(self, model: SliceModel, tools: ToolModel, parent: QWidget | None = None) -> None:
        super().__init__(model, tools, parent)
        self._reads: tuple[ShownRead, ...] = ()
        self._lines: tuple[int, list[tuple[QColor, list[Runs]]]] | None = None

    def set_reads(self, reads: Sequence[ShownRead]) -> None:
        """Draw these reads; they lie on the image's grid."""
        self._reads = tuple(reads)
        self._lines = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the slice, then the outlines."""
        super().paintEvent(event)
        if not self._reads:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        lines = self._outlines()
        for position, (colour, runs) in enumerate(lines):
            painter.setPen(QPen(colour, _LINE_PX, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
            shift = position - (len(lines) - 1) / 2
            for each in runs:
                painter.drawLines(_on_screen(each, self.viewport, shift))
        painter.end()

    def _outlines(self) -> list[tuple[QColor, list[Runs]]]:
        """Return the outlines in the shown slice, kept while the slice stays."""
        index = self.model.slice_index
        if self._lines is None or self._lines[0] != index:
            cut = self.model.plane.cut
            lines = [
                (QColor(*read.style.colour_rgb), _outlines_of(cut(read.labels.array, index))) for read in self._reads
            ]
            self._lines = index, lines
        return self._lines[1]


def _outlines_of(labels: NDArray[Any]) -> list[Runs]:
    """Return the outlines of a slice; only the part with labels is looked at, or ten readers would be felt."""
    rows = np.flatnonzero(labels.any(axis=1))
    if rows.size == 0:
        return []
    band = labels[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(band.any(axis=0))
    corner_xy = np.array([columns[0], rows[0]] * 2, np.float64)
    return [runs + corner_xy for runs in outlines(band[:, columns[0] : columns[-1] + 1]).values()]


def _on_screen(runs: Runs, viewport: Viewport, place: float) -> list[QLineF]:
    """Return runs as lines on the screen, the `place`-th shifted aside."""
    pixel_wh = np.array(viewport.pixel_wh * 2)
    shift = place * min(_MOST_SHIFT_PX, _SHIFT_SHARE * float(pixel_wh.min()))
    points = runs * pixel_wh + np.array(viewport.offset_xy * 2) + shift
    return [QLineF(*ends) for ends in points.tolist()]
