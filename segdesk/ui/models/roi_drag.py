"""Dragging a region of interest in a slice: a new box, an edge, a corner, or the whole."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.core.box import Box, Index3
from segdesk.core.reslice import SlicePlane

Point2 = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RoiDrag:
    """One drag, from press to release.

    Parameters
    ----------
    plane : SlicePlane
        Where it happens.
    press_px : tuple of float
        (row, column) of the press.
    start : Box or None
        The region before; None begins a new one, full along the normal.
    edges : tuple of int
        For rows and columns: -1 the first edge moves, +1 the last, 0 neither.
    """

    plane: SlicePlane
    press_px: Point2
    start: Box | None
    edges: tuple[int, int] = (0, 0)

    @classmethod
    def at(cls, plane: SlicePlane, roi: Box | None, press_px: Point2, reach_px: Point2) -> RoiDrag:
        """Return the drag that a press means.

        Parameters
        ----------
        plane : SlicePlane
            Where.
        roi : Box or None
            The present region.
        press_px : tuple of float
            (row, column) of the press.
        reach_px : tuple of float
            How near to an edge counts as on it, in slice pixels.
        """
        if roi is None:
            return cls(plane, press_px, None)
        row0, column0, row1, column1 = rect_px(plane, roi)
        rows = _edge(press_px[0], row0, row1, reach_px[0])
        columns = _edge(press_px[1], column0, column1, reach_px[1])
        if rows is None or columns is None:
            return cls(plane, press_px, None)
        return cls(plane, press_px, roi, (rows, columns))

    @property
    def is_new(self) -> bool:
        """Whether a new box is drawn."""
        return self.start is None

    def to(self, here_px: Point2) -> Box:
        """Return the region when the pointer is here, clipped to the image and never empty."""
        if self.start is None:
            rows, columns = sorted((self.press_px[0], here_px[0])), sorted((self.press_px[1], here_px[1]))
            return self._box((rows[0], columns[0], rows[1], columns[1]), Box.whole(self.plane.shape_kji))
        moved = here_px[0] - self.press_px[0], here_px[1] - self.press_px[1]
        row0, column0, row1, column1 = rect_px(self.plane, self.start)
        whole = self.edges == (0, 0)
        row0 += moved[0] if whole or self.edges[0] < 0 else 0
        row1 += moved[0] if whole or self.edges[0] > 0 else 0
        column0 += moved[1] if whole or self.edges[1] < 0 else 0
        column1 += moved[1] if whole or self.edges[1] > 0 else 0
        rows, columns = sorted((row0, row1)), sorted((column0, column1))
        return self._box((rows[0], columns[0], rows[1], columns[1]), self.start)

    def _box(self, rect: tuple[float, float, float, float], along_normal: Box) -> Box:
        """Return the box whose outer edges are nearest to a rectangle of slice positions."""
        row0, column0, row1, column1 = rect
        corners = [self.plane.to_index(r, c, 0) for r, c in ((row0, column0), (row1, column1))]
        start, stop = list(along_normal.start_kji), list(along_normal.stop_kji)
        for axis in (self.plane.row_axis, self.plane.column_axis):
            low, high = sorted((corners[0][axis], corners[1][axis]))
            count = self.plane.shape_kji[axis]
            start[axis] = min(max(round(low + 0.5), 0), count - 1)
            stop[axis] = min(max(round(high + 0.5), start[axis] + 1), count)
        return Box(_index(start), _index(stop))


def rect_px(plane: SlicePlane, box: Box) -> tuple[float, float, float, float]:
    """Return the outer edges (row0, column0, row1, column1) of a box in slice positions."""
    (k0, j0, i0), (k1, j1, i1) = box.start_kji, box.stop_kji
    (row0, column0), (row1, column1) = plane.to_pixel((k0, j0, i0)), plane.to_pixel((k1 - 1, j1 - 1, i1 - 1))
    return min(row0, row1) - 0.5, min(column0, column1) - 0.5, max(row0, row1) + 0.5, max(column0, column1) + 0.5


def _edge(at: float, first: float, last: float, reach: float) -> int | None:
    """Return -1 or 1 on an edge, 0 between the edges, None outside."""
    if not first - reach <= at <= last + reach:
        return None
    if abs(at - first) <= reach:
        return -1
    return 1 if abs(at - last) <= reach else 0


def _index(values: list[int]) -> Index3:
    return values[0], values[1], values[2]
