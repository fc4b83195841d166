"""Comparing an image of ours with one read by nibabel, in the patient and not by index.

Import as ``from tests.io.world import corner_distance_mm``.
"""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
IJK_FROM_KJI = np.eye(4)[[2, 1, 0, 3]]


def lps_affine(image: Any) -> NDArray[np.float64]:
    """The affine of a nibabel image from (k, j, i) to LPS."""
    return LPS_FROM_RAS @ image.affine @ IJK_FROM_KJI


def nibabel_array(image: Any) -> NDArray[Any]:
    """Voxels as ([T,] K, J, I[, 3]), scaled in float64 where the file has a scale."""
    stored = np.asanyarray(image.dataobj)
    if stored.dtype.names:
        colours = np.stack([stored[name] for name in "RGB"], axis=-1)
        return np.ascontiguousarray(colours.transpose(2, 1, 0, 3))
    return stored.T if stored.ndim > 2 else stored.T[None]


def to_grid_of(volume: Volume, image: Any) -> tuple[NDArray[Any], float]:
    """Reorder a volume's axes to another program's and say how far its corners are off.

    Returns
    -------
    array
        The volume's voxels in the axis order of `image` (LPS only in name).
    float
        Largest distance, in mm, of a corner from the other grid's voxel.
    """
    geometry = volume.geometry
    assert isinstance(geometry, Geometry)
    other = lps_affine(image)
    relation = np.linalg.inv(other) @ geometry.affine_kji_to_lps
    # A grid of one slice has no step of its own along k.
    turn = np.rint(relation[:3, :3] / np.linalg.norm(relation[:3, :3], axis=0))
    assert np.array_equal(np.abs(turn).sum(axis=0), [1, 1, 1]), relation
    axes = [int(np.flatnonzero(turn[row])[0]) for row in range(3)]
    signs = [turn[row, axes[row]] for row in range(3)]
    lead = volume.array.ndim - 3 - volume.is_rgb
    order = [*range(lead), *(axis + lead for axis in axes), *range(lead + 3, volume.array.ndim)]
    array = volume.array.transpose(order)
    flips = tuple(axis + lead for axis, sign in enumerate(signs) if sign < 0)
    array = np.flip(array, flips)
    last = np.array(geometry.shape_kji) - 1
    worst = 0.0
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * last
        index_there = [index[axes[row]] if signs[row] > 0 else last[axes[row]] - index[axes[row]] for row in range(3)]
        there = other @ [*index_there, 1.0]
        worst = max(worst, float(np.linalg.norm(there[:3] - geometry.index_to_lps(index))))
    return array, worst


def load(path: Any) -> Any:
    """Load with nibabel."""
    return nibabel.load(path)
