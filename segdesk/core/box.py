"""Half-open boxes of voxel indices."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Index3 = tuple[int, int, int]
"""Three integers in (k, j, i) order."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box of voxels, `start_kji` inside, `stop_kji` outside.

    Parameters
    ----------
    start_kji, stop_kji : tuple of int
        Corners in (k, j, i); a box with any stop <= start is empty.
    """

    start_kji: Index3
    stop_kji: Index3

    @classmethod
    def whole(cls, shape_kji: Index3) -> Box:
        """Return the box that covers an array of `shape_kji`."""
        return cls((0, 0, 0), shape_kji)

    @classmethod
    def around(cls, mask: NDArray[np.bool_]) -> Box | None:
        """Return the tight box around the True voxels of a 3D mask, None if there are none."""
        bounds: list[tuple[int, int]] = []
        for axis in range(3):
            others = tuple(a for a in range(3) if a != axis)
            hits = np.flatnonzero(mask.any(axis=others))
            if hits.size == 0:
                return None
            bounds.append((int(hits[0]), int(hits[-1]) + 1))
        (k0, k1), (j0, j1), (i0, i1) = bounds
        return cls((k0, j0, i0), (k1, j1, i1))

    @classmethod
    def around_slices(cls, slices: Iterable[NDArray[np.bool_] | None]) -> Box | None:
        """Return what `around` returns, of slices (J, I) that come one by one; None stands for an empty one.

        No temporary of a whole volume, and one pass over it.
        """
        hits_k: list[int] = []
        plane: NDArray[np.bool_] | None = None
        for k, hits in enumerate(slices):
            if hits is not None and hits.any():
                hits_k.append(k)
                plane = hits.copy() if plane is None else np.logical_or(plane, hits, out=plane)
        if plane is None:
            return None
        rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
        start = (hits_k[0], int(rows[0]), int(columns[0]))
        return cls(start, (hits_k[-1] + 1, int(rows[-1]) + 1, int(columns[-1]) + 1))

    @property
    def shape_kji(self) -> Index3:
        """Number of voxels along each axis, never negative."""
        k, j, i = (max(0, b - a) for a, b in zip(self.start_kji, self.stop_kji, strict=True))
        return k, j, i

    @property
    def is_empty(self) -> bool:
        """Whether the box holds no voxel."""
        return 0 in self.shape_kji

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Slices that cut the box out of an array."""
        (k0, j0, i0), (k1, j1, i1) = self.start_kji, self.stop_kji
        return slice(k0, k1), slice(j0, j1), slice(i0, i1)

    def clip(self, shape_kji: Index3) -> Box:
        """Return the part of the box inside an array of `shape_kji`."""
        return self.intersection(Box.whole(shape_kji))

    def grow(self, margin: int) -> Box:
        """Return the box with `margin` voxels more on every side (not clipped)."""
        return Box(_shift(self.start_kji, -margin), _shift(self.stop_kji, margin))

    def shifted(self, by_kji: Index3) -> Box:
        """Return the box moved by a number of voxels along each axis."""
        return Box(_pairwise(operator.add, self.start_kji, by_kji), _pairwise(operator.add, self.stop_kji, by_kji))

    def union(self, other: Box) -> Box:
        """Return the smallest box around both."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Box(_pairwise(min, self.start_kji, other.start_kji), _pairwise(max, self.stop_kji, other.stop_kji))

    def intersection(self, other: Box) -> Box:
        """Return the common part; its start is kept inside both so that slicing is safe."""
        start = _pairwise(max, self.start_kji, other.start_kji)
        stop = _pairwise(max, start, _pairwise(min, self.stop_kji, other.stop_kji))
        return Box(start, stop)

    def contains(self, index_kji: Index3) -> bool:
        """Whether the voxel lies inside."""
        return all(a <= x < b for a, x, b in zip(self.start_kji, index_kji, self.stop_kji, strict=True))


def _shift(index: Index3, by: int) -> Index3:
    return index[0] + by, index[1] + by, index[2] + by


def _pairwise(pick: Callable[[int, int], int], a: Index3, b: Index3) -> Index3:
    return pick(a[0], b[0]), pick(a[1], b[1]), pick(a[2], b[2])
