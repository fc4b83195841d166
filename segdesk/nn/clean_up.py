"""Post-processing rules of a model: small pieces go, then all but the largest."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import LabelArray
from segdesk.zoo.spec import PostRule

_TOUCHING = np.ones((3, 3, 3), dtype=bool)
"""Voxels that share a face, an edge or a corner are one piece."""


def clean_up(labels: LabelArray, grid: Grid, rules: Iterable[PostRule]) -> LabelArray:
    """Apply the rules to a label array (K, J, I), in place; removed voxels become background.

    Components are 26-connected (8-connected on a single slice) and measured in mm3;
    of two largest components the one met first is kept.
    """
    for rule in rules:
        mask = labels == rule.label
        box = Box.around(mask)
        if box is not None and (rule.largest_component or rule.minimum_size_mm3 > 0):
            removed = _removed(mask[box.slices], voxel_volumes_k_mm3(grid)[box.slices[0]], rule)
            labels[box.slices][removed] = 0
    return labels


def voxel_volumes_k_mm3(grid: Grid) -> NDArray[np.float64]:
    """Return the volume of one voxel of each slice in mm3, shape (K,)."""
    if isinstance(grid, Geometry):
        return np.full(grid.shape_kji[0], grid.voxel_volume_mm3)
    return grid.voxel_volumes_k_mm3


def _removed(mask: NDArray[np.bool_], volumes_k_mm3: NDArray[np.float64], rule: PostRule) -> NDArray[np.bool_]:
    """Return the voxels of a mask that the rule takes away."""
    pieces, count = ndimage.label(mask, structure=_TOUCHING)
    sizes_mm3 = np.zeros(count + 1)
    for piece_k, volume_mm3 in zip(pieces, volumes_k_mm3, strict=True):
        sizes_mm3 += np.bincount(piece_k.ravel(), minlength=count + 1) * volume_mm3
    sizes_mm3[0] = 0.0
    kept = sizes_mm3 >= rule.minimum_size_mm3
    kept[0] = False
    if rule.largest_component and kept.any():
        kept &= np.arange(count + 1) == int(np.argmax(np.where(kept, sizes_mm3, -1.0)))
    return np.asarray(mask & ~kept[pieces])
