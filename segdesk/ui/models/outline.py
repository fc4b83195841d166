"""Outlines of labels along voxel edges, as straight runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Runs = NDArray[np.float64]
"""Lines, one a row: (column0, row0, column1, row1) in slice pixels; voxel edges are at halves."""


def outlines(labels: NDArray[Any], hidden: Collection[int] = ()) -> dict[int, Runs]:
    """Return the edges between different labels of a slice.

    Parameters
    ----------
    labels : ndarray of integers, shape (rows, columns)
        One slice.
    hidden : collection of int
        Values treated as background.

    Returns
    -------
    dict of int to ndarray of float64, shape (n, 4)
        Per label value the runs of its outline. Where two labels touch, both have the
        edge. A label that ends at the border of the slice is closed there.
    """
    framed = np.pad(labels, 1)
    if hidden:
        framed[np.isin(framed, list(hidden))] = 0
    across = _runs(framed[:-1], framed[1:])
    down = _runs(framed[:, :-1], framed[:, 1:], along_columns=True)[:, [0, 2, 1, 4, 3]]
    lines = np.concatenate([across, down])
    return {int(value): lines[lines[:, 0] == value, 1:] for value in np.unique(lines[:, 0])}


def _runs(above: NDArray[Any], below: NDArray[Any], *, along_columns: bool = False) -> NDArray[np.float64]:
    """Return (value, x0, y0, x1, y1) of the straight runs between two arrays shifted by one voxel."""
    line, place = np.nonzero(above != below)
    sides = above[line, place], below[line, place]
    if along_columns:
        line, place = place, line
        order = np.argsort(line * above.shape[0] + place)
        line, place, sides = line[order], place[order], (sides[0][order], sides[1][order])
    return np.concatenate([_joined(side, line, place) for side in sides])


def _joined(values: NDArray[Any], line: NDArray[np.intp], place: NDArray[np.intp]) -> NDArray[np.float64]:
    """Join edges of one value that follow each other on a line; edges come ordered by line, then place."""
    kept = np.flatnonzero(values)
    values, line, place = values[kept], line[kept], place[kept]
    if values.size == 0:
        return np.empty((0, 5))
    breaks = (values[1:] != values[:-1]) | (line[1:] != line[:-1]) | (place[1:] != place[:-1] + 1)
    first = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    last = np.concatenate([first[1:], [values.size]]) - 1
    # The frame shifts indices by one; edge n of the framed array lies at n - 0.5 of the slice.
    y = line[first] - 0.5
    return np.stack([values[first], place[first] - 1.5, y, place[last] - 0.5, y], axis=1).astype(np.float64)
