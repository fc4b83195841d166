"""Volumes of labels in mm3, by the grid's own voxel volumes."""

from __future__ import annotations

import numpy as np

from segdesk.core.counting import value_counts
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.metrics.regions import label_boxes, label_mask


def volumes_mm3(labels: LabelMap) -> dict[int, float]:
    """Return the volume of each non-zero value that is present, in mm3.

    On a regular grid this is the voxel count times |det| of the affine (exact for
    sheared grids); on a stack of slices each slice's own pixel area and thickness
    count. A label in several layers counts each voxel once.
    """
    if isinstance(labels.geometry, Geometry) and len(labels.layers) == 1:
        voxel_mm3 = labels.geometry.voxel_volume_mm3
        counts = value_counts(labels.array)
        return {int(value): int(counts[value]) * voxel_mm3 for value in np.flatnonzero(counts) if value != 0}
    per_slice_mm3 = _voxel_volumes_k_mm3(labels)
    volumes = {}
    for value, box in sorted(label_boxes(labels).items()):
        voxels_k = np.count_nonzero(label_mask(labels, value, box), axis=(1, 2))
        volumes[value] = float(voxels_k @ per_slice_mm3[box.slices[0]])
    return volumes


def _voxel_volumes_k_mm3(labels: LabelMap) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    grid = labels.geometry
    if isinstance(grid, Geometry):
        return np.full(grid.shape_kji[0], grid.voxel_volume_mm3)
    return grid.voxel_volumes_k_mm3
