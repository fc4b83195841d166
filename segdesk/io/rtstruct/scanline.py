"""Polygons to voxels on one slice.

The rule: a voxel belongs to the region if its centre lies inside, or on the outline. Inside
is meant even-odd over all contours of the region on the slice, so that an inner contour cuts a
hole, one within that is an island again, and keyholes (a hole joined to the outside by a
channel there and back) come out right. Planning systems, plastimatch and rt-utils do the same;
the winding rule would fill inner contours, whose direction of turn DICOM leaves open.

Outlines through voxel centres are common: programs that trace masks with OpenCV (rt-utils) join
the centres of the outermost voxels. Without the second half of the rule rounding would decide
there, and lines of one voxel's width, which are drawn there and back, would be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ON_OUTLINE = 0.01
"""A centre this near to an outline, in voxels, lies on it; coordinates are often rounded to 0.01 mm."""


_STEPS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class FilledBox:
    """A mask on a part of a slice: rows from `row`, columns from `column`."""

    row: int
    column: int
    mask: NDArray[np.bool_]

    @property
    def window(self) -> tuple[slice, slice]:
        """The part of the slice, for indexing."""
        rows, columns = self.mask.shape
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask))

    def common(self, other: FilledBox) -> int:
        """Return the number of voxels that both have."""
        low = max(self.row, other.row), max(self.column, other.column)
        high = (
            min(self.row + self.mask.shape[0], other.row + other.mask.shape[0]),
            min(self.column + self.mask.shape[1], other.column + other.mask.shape[1]),
        )
        if high[0] <= low[0] or high[1] <= low[1]:
            return 0
        parts = [
            box.mask[low[0] - box.row : high[0] - box.row, low[1] - box.column : high[1] - box.column]
            for box in (self, other)
        ]
        return int(np.count_nonzero(parts[0] & parts[1]))


def fill(polygons_ji: Sequence[NDArray[np.float64]], shape_ji: tuple[int, int]) -> FilledBox:
    """Return the voxels of one slice that polygons enclose together.

    Parameters
    ----------
    polygons_ji : sequence of ndarray of float64, shape (N, 2)
        Corners as (row, column) in voxels; whole numbers are voxel centres. Closed by
        joining the last to the first. May lie partly or wholly outside.
    shape_ji : tuple of int
        Rows and columns of the slice.
    """
    edges = _edges(polygons_ji)
    low, high = _box(edges, shape_ji)
    shape = (int(high[0] - low[0]), int(high[1] - low[1]))
    if min(shape) <= 0:
        return FilledBox(0, 0, np.zeros((0, 0), np.bool_))
    edges = edges - np.tile(low, 2)
    return FilledBox(int(low[0]), int(low[1]), _inside(edges, shape) | _outline(edges, shape))


def _edges(polygons_ji: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return all edges, shape (E, 4), the end with the smaller column first.

    Then an edge and its way back are the same numbers, and cross every column alike.
    """
    ends = np.concatenate([np.hstack([each, np.roll(each, -1, axis=0)]) for each in polygons_ji])
    is_backward = (ends[:, 1] > ends[:, 3]) | ((ends[:, 1] == ends[:, 3]) & (ends[:, 0] > ends[:, 2]))
    return np.where(is_backward[:, None], ends[:, [2, 3, 0, 1]], ends)


def _box(edges: NDArray[np.float64], shape_ji: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and one-past-last row and column that can hold a voxel."""
    corners = edges.reshape(-1, 2)
    low = np.clip(np.ceil(corners.min(axis=0) - ON_OUTLINE), 0, shape_ji).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=0) + ON_OUTLINE) + 1, 0, shape_ji).astype(np.int64)
    return low, high


def _inside(edges: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Count crossings along each column: every edge flips all voxels below it."""
    rows, columns = shape
    flips = np.zeros((rows + 1, columns), np.uint8)
    for part in _blocks(edges, columns):
        first = np.clip(np.ceil(part[:, 1]), 0, columns).astype(np.int64)
        # Half-open, so that a corner on a column is crossed once.
        stop = np.clip(np.ceil(part[:, 3]), 0, columns).astype(np.int64)
        number, column = _steps(first, stop)
        row = np.clip(np.ceil(_along(part[number], column)), 0, rows).astype(np.int64)
        # Wraps around at 256, which leaves odd and even as they are.
        np.add.at(flips, (row, column), 1)
    parity = np.bitwise_xor.accumulate(flips[:rows], axis=0) & 1
    return np.asarray(parity, dtype=np.uint8).view(np.bool_)


def _outline(edges: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the voxels whose centre lies on an edge."""
    mask = np.zeros(shape, np.bool_)
    is_flat = np.abs(edges[:, 2] - edges[:, 0]) <= edges[:, 3] - edges[:, 1]
    for part in _blocks(edges[is_flat], shape[1]):
        row, column = _centres_on(part, shape)
        mask[row, column] = True
    turned = edges[~is_flat][:, [1, 0, 3, 2]]
    turned = np.where((turned[:, 1] > turned[:, 3])[:, None], turned[:, [2, 3, 0, 1]], turned)
    for part in _blocks(turned, shape[0]):
        column, row = _centres_on(part, (shape[1], shape[0]))
        mask[row, column] = True
    return mask


def _blocks(edges: NDArray[np.float64], columns: int) -> list[NDArray[np.float64]]:
    """Split the edges, so that a contour of a million points does not cross all columns at once."""
    return np.array_split(edges, len(edges) * columns // _STEPS_AT_ONCE + 1)


def _centres_on(edges: NDArray[np.float64], shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and column of every voxel centre on edges flatter than 45 degrees."""
    first = np.clip(np.ceil(edges[:, 1] - ON_OUTLINE), 0, shape[1]).astype(np.int64)
    stop = np.clip(np.floor(edges[:, 3] + ON_OUTLINE) + 1, 0, shape[1]).astype(np.int64)
    number, column = _steps(first, stop)
    exact = _along(edges[number], column)
    row = np.rint(exact)
    hit = (np.abs(exact - row) <= ON_OUTLINE) & (row >= 0) & (row < shape[0])
    return row[hit].astype(np.int64), column[hit]


def _steps(first: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, for ranges first..stop-1, the number of the range and each of its members."""
    counts = np.maximum(stop - first, 0)
    number = np.repeat(np.arange(len(first)), counts)
    ends = np.cumsum(counts)
    return number, np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts - first, counts)


def _along(edges: NDArray[np.float64], column: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the row at which each edge crosses its column; never beyond the edge's ends."""
    row0, column0, row1, column1 = edges.T
    width = column1 - column0
    part = np.divide(column - column0, width, out=np.zeros_like(width), where=width > 0)
    return np.asarray(row0 + np.clip(part, 0, 1) * (row1 - row0), dtype=np.float64)
