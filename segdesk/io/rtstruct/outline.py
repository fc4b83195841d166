"""Voxels to polygons: the borders of the voxels themselves, holes joined in by keyholes.

A polygon along voxel borders encloses exactly the voxels' area, so that the volume another
program measures is the mask's, and every voxel centre is half a voxel away from it, so that
reading by centres gives the mask back bit by bit, whatever is rounded. (A line half-way between
centres, as marching squares draws, would take half its area from a region of one voxel.)

A hole is joined to the outer border by a channel of no width, there and back: the way PS3.3
C.8.8.6.3 describes for CLOSED_PLANAR. Programs that fill each contour and add them up
(dcmrtstruct2nii) would fill a hole that is a contour of its own; a keyhole is right there, and
also in programs that count contours even-odd (plastimatch, rt-utils, SlicerRT).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box

_Indices = NDArray[np.int64]

_RIGHT, _DOWN, _LEFT, _UP = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One closed polygon: a piece of a region on a slice, with its holes.

    Parameters
    ----------
    k : int
        Slice.
    corners_ji : ndarray of float64, shape (N, 2)
        Corners as (row, column) in voxels, at halves: voxel centres are whole numbers.
        The last is not the first again. Clockwise on the screen.
    """

    k: int
    corners_ji: NDArray[np.float64]


def outlines(mask: NDArray[np.bool_]) -> list[Outline]:
    """Return the polygons that enclose exactly the voxels of a mask, in slice order.

    Parameters
    ----------
    mask : ndarray of bool, shape (K, J, I)

    Returns
    -------
    list of Outline
        One per piece (voxels that touch only at a corner are two pieces); empty for an
        empty mask.
    """
    box = Box.around(mask)
    if box is None:
        return []
    lattice = _Lattice.of(mask[box.slices])
    lattice = lattice.with_keyholes()
    k0, j0, i0 = box.start_kji
    first = np.array([j0, i0]) - 0.5
    return [Outline(k0 + k, corners + first) for k, corners in lattice.polygons()]


@dataclass(frozen=True, slots=True, eq=False)
class _Lattice:
    """Directed borders between voxels inside and outside; inside lies to the right.

    Corners of voxels are numbered through slices, rows and columns. Arrays have one entry
    per border: where it starts, where it goes, and which border follows it.
    """

    shape: tuple[int, int, int]
    start: _Indices
    direction: _Indices
    following: _Indices

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> _Lattice:
        """Find all borders of a mask and link them to loops."""
        shape = (mask.shape[0], mask.shape[1] + 1, mask.shape[2] + 1)
        padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
        neighbours = (
            (_RIGHT, padded[:, :-2, 1:-1], (0, 0)),
            (_DOWN, padded[:, 1:-1, 2:], (0, 1)),
            (_LEFT, padded[:, 2:, 1:-1], (1, 1)),
            (_UP, padded[:, 1:-1, :-2], (1, 0)),
        )
        keys = []
        for towards, neighbour, (down, right) in neighbours:
            k, j, i = np.nonzero(mask & ~neighbour)
            keys.append(np.ravel_multi_index((k, j + down, i + right), shape) * 4 + towards)
        key = np.sort(np.concatenate(keys))
        start, direction = np.divmod(key, 4)
        return cls(shape, start, direction, _following(key, start + _step(shape)[direction], direction))

    def with_keyholes(self) -> _Lattice:
        """Join every hole to the border on its left by a channel there and back."""
        loop = _leaders(self.following)
        rows, columns = self._rows_and_columns()
        turns = np.where(self.direction == _DOWN, columns, 0) - np.where(self.direction == _UP, columns, 0)
        area = np.bincount(loop, turns, len(loop))
        in_hole = np.flatnonzero(area[loop] < 0)
        if not len(in_hole):
            return self
        # The leftmost corner of a hole, the upper one of several: to its left there is inside on
        # both sides until the next border, which belongs to the same piece.
        order = in_hole[np.lexsort((rows[in_hole], columns[in_hole], loop[in_hole]))]
        leaves = order[np.unique(loop[order], return_index=True)[1]]
        reached = np.searchsorted(self.start, self.start[leaves], side="left") - 1
        return self._joined(reached, leaves)

    def _joined(self, reached: _Indices, leaves: _Indices) -> _Lattice:
        """Add a channel from the start of each border `reached` to that of `leaves`, and back."""
        count, holes = len(self.start), len(leaves)
        following = np.concatenate([self.following, np.zeros(2 * holes, np.int64)])
        before = np.zeros_like(following)
        before[following[:count]] = np.arange(count)
        for n, (near, far) in enumerate(zip(reached.tolist(), leaves.tolist(), strict=True)):
            there, back = count + n, count + holes + n
            for one, other in ((before[near], there), (there, far), (before[far], back), (back, near)):
                following[one] = other
            before[there], before[far], before[back], before[near] = before[near], there, before[far], back
        start = np.concatenate([self.start, self.start[reached], self.start[leaves]])
        direction = np.concatenate([self.direction, np.full(holes, _RIGHT), np.full(holes, _LEFT)])
        return _Lattice(self.shape, start, direction, following)

    def polygons(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield the slice and the corners, (row, column) of the lattice, of every loop."""
        loop = _leaders(self.following)
        order = np.lexsort((-_distance_to_end(self.following, loop), loop))
        is_corner = np.ones(len(order), np.bool_)
        is_corner[self.following] = self.direction[self.following] != self.direction
        order = order[is_corner[order]]
        rows, columns = self._rows_and_columns()
        slices = self.start // (self.shape[1] * self.shape[2])
        for part in np.split(order, np.flatnonzero(np.diff(loop[order])) + 1):
            yield int(slices[part[0]]), np.stack([rows[part], columns[part]], axis=-1).astype(np.float64)

    def _rows_and_columns(self) -> tuple[_Indices, _Indices]:
        rows, columns = np.divmod(self.start, self.shape[2])
        return rows % self.shape[1], columns


def _step(shape: tuple[int, int, int]) -> _Indices:
    """Return how far the number of a corner moves in each direction."""
    return np.array([1, shape[2], -1, -shape[2]])


def _following(key: _Indices, end: _Indices, direction: _Indices) -> _Indices:
    """Return the border that follows each one.

    Where two regions touch at a corner there are two: the turn to the right stays with the
    same voxel, so that pieces that touch only there stay apart.
    """
    following = np.full(len(key), -1)
    for turn in (-1, 0, 1):
        wanted = end * 4 + (direction + turn) % 4
        place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        found = key[place] == wanted
        following[found] = place[found]
    return following


def _leaders(following: _Indices) -> _Indices:
    """Return, for every border, the smallest index in its loop (by doubling the distance looked ahead)."""
    leader, jump = np.arange(len(following)), following
    while True:
        further = np.minimum(leader, leader[jump])
        if np.array_equal(further, leader):
            return leader
        leader, jump = further, jump[jump]


def _distance_to_end(following: _Indices, leader: _Indices) -> _Indices:
    """Return the number of borders from each one to the last of its loop, the one before the leader."""
    is_last = leader == following
    jump = np.where(is_last, np.arange(len(following)), following)
    distance = np.where(is_last, 0, 1)
    while True:
        further = distance + distance[jump]
        if np.array_equal(further, distance):
            return distance
        distance, jump = further, jump[jump]
