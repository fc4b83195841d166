"""Volumes of masks in mm3."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry, Grid


def volume_mm3(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Return the volume of a binary mask (K, J, I) on its grid in mm3.

    A stack of irregular slices counts every slice with its own extent.
    """
    if isinstance(grid, Geometry):
        return int(np.count_nonzero(mask)) * grid.voxel_volume_mm3
    per_slice = np.count_nonzero(mask, axis=(1, 2))
    return float(per_slice @ grid.voxel_volumes_k_mm3)
