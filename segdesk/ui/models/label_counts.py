"""How large each label is, kept up to date slice by slice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.counting import value_counts
from segdesk.core.geometry import Grid, SliceStackGeometry
from segdesk.core.labels import LabelArray, LabelMap

SLAB_BYTES = 8 << 20
"""So much of the mask is copied at a time for a worker to count: 2 ms of the window's thread."""


class LabelCounts:
    """Voxels per label and slice; counted in slabs, by a worker, from snapshots.

    Parameters
    ----------
    labels : LabelMap
        The mask; all of it is to be counted at first.
    """

    def __init__(self, labels: LabelMap) -> None:
        self._labels = labels
        count = labels.geometry.shape_kji[0]
        self._by_slice: list[dict[int, int]] = [{} for _ in range(count)]
        self._stale = set(range(count))

    @property
    def is_stale(self) -> bool:
        """Whether slices wait to be counted."""
        return bool(self._stale)

    def touch(self, box: Box) -> None:
        """Note that the voxels of a box changed."""
        self._stale.update(range(box.start_kji[0], box.stop_kji[0]))

    def next_slab(self) -> tuple[range, LabelArray]:
        """Return a run of stale slices with a copy of their labels; they count as fresh from now on.

        Layers lie below each other, as more rows.
        """
        layers = self._labels.layers
        first = min(self._stale)
        longest = max(1, SLAB_BYTES // max(1, sum(layer[0].nbytes for layer in layers)))
        stop = first + 1
        while stop in self._stale and stop - first < longest:
            stop += 1
        self._stale.difference_update(range(first, stop))
        rows: LabelArray = np.concatenate([layer[first:stop] for layer in layers], axis=1)
        return range(first, stop), rows

    def put(self, slices: Iterable[int], counts: Iterable[dict[int, int]]) -> None:
        """Take what `counted` made of a slab."""
        for index, row in zip(slices, counts, strict=True):
            self._by_slice[index] = row

    def volumes_mm3(self) -> dict[int, float]:
        """Return the volume of every label present; in voxels where the spacing is not known."""
        grid = self._labels.geometry
        volumes: dict[int, float] = {}
        for index, row in enumerate(self._by_slice):
            for value, voxels in row.items():
                volumes[value] = volumes.get(value, 0.0) + voxels * _voxel_mm3(grid, index)
        return volumes


def counted(slab: LabelArray) -> list[dict[int, int]]:
    """Return for each slice of a slab how many voxels each label has, background left out."""
    return [_present(value_counts(each)) for each in slab]


def _present(counts: NDArray[np.int64]) -> dict[int, int]:
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value}


def _voxel_mm3(grid: Grid, slice_index: int) -> float:
    if not grid.spacing_known:
        return 1.0
    if isinstance(grid, SliceStackGeometry):
        return float(grid.voxel_volumes_k_mm3[slice_index])
    return grid.voxel_volume_mm3


def volume_text(volume_mm3: float, *, has_mm: bool) -> str:
    """Return a volume for the label list: mL from 1 mL on, mm³ below, voxels without spacing."""
    if not has_mm:
        return f"{volume_mm3:.0f} vox"
    if volume_mm3 >= 999.5:
        return f"{volume_mm3 / 1000:.3g} mL" if volume_mm3 < 9.995e5 else f"{volume_mm3 / 1e6:.3g} L"
    return f"{volume_mm3:.3g} mm³" if volume_mm3 < 99.5 else f"{volume_mm3:.0f} mm³"
