"""Distances between the surfaces of two masks, in mm, by the affine.

Definition (version `DEFINITION`): the surface of a mask is its voxels with a face
neighbour outside it (6 neighbours, 4 on a single slice), the mask padded by one
voxel; distances are between voxel centres. HD95 is the larger of the two directed
95th percentiles (linear interpolation); ASSD is the mean of both directed sets
pooled; NSD is the part of both surfaces within the tolerance of the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.errors import InvalidMask, ShapeMismatch
from segdesk.metrics.overlap import Mask

DEFINITION = "segdesk-surface-1"
"""Stored with every result; changes when the definition above does."""

TOLERANCE_ATOL_MM = 1e-6
"""Slack of the NSD's <=: affines come as float32, where 0.7 mm is stored as 0.69999999."""

Distances = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceDistances:
    """From each surface voxel of one mask to the nearest of the other, in mm.

    Parameters
    ----------
    to_reference_mm, to_candidate_mm : ndarray of float64, shape (n,)
        From the candidate's surface, and from the reference's; never empty.
    """

    to_reference_mm: Distances
    to_candidate_mm: Distances

    @property
    def hd95_mm(self) -> float:
        """Larger of the two directed 95th percentiles."""
        return max(float(np.percentile(side, 95.0)) for side in (self.to_reference_mm, self.to_candidate_mm))

    @property
    def assd_mm(self) -> float:
        """Mean of both directed sets pooled."""
        total = self.to_reference_mm.sum() + self.to_candidate_mm.sum()
        return float(total / (self.to_reference_mm.size + self.to_candidate_mm.size))

    def nsd(self, tolerance_mm: float) -> float:
        """Return the part of both surfaces within `tolerance_mm` (<=) of the other's."""
        limit = tolerance_mm + TOLERANCE_ATOL_MM
        near = np.count_nonzero(self.to_reference_mm <= limit) + np.count_nonzero(self.to_candidate_mm <= limit)
        return float(near / (self.to_reference_mm.size + self.to_candidate_mm.size))


def surface_distances(reference: Mask, candidate: Mask, geometry: Geometry) -> SurfaceDistances:
    """Measure the distances between the surfaces of two masks.

    Parameters
    ----------
    reference, candidate : ndarray of bool, one 3D shape
        On the grid, or cut from it by one box that holds both masks whole.
    geometry : Geometry
        The whole grid: its axes of one voxel have no neighbours; any affine, also
        oblique, anisotropic and sheared.

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    InvalidMask
        If a mask is empty: its distances are undefined.
    """
    if reference.shape != candidate.shape:
        raise ShapeMismatch(f"A candidate of shape {candidate.shape} cannot be compared with {reference.shape}.")
    boxes = Box.around(reference), Box.around(candidate)
    if boxes[0] is None or boxes[1] is None:
        raise InvalidMask("An empty mask has no surface; its distances are undefined.")
    both = boxes[0].union(boxes[1])
    first, second = (surface_of(mask[both.slices], geometry) for mask in (reference, candidate))
    return SurfaceDistances(_directed(second, first, geometry), _directed(first, second, geometry))


def surface_of(mask: Mask, geometry: Geometry) -> Mask:
    """Return the voxels with a face neighbour outside the mask; outside the array is outside.

    Parameters
    ----------
    mask : ndarray of bool, 3D
        A mask on the grid, or a part of it that holds the mask whole.
    geometry : Geometry
        Axes on which this grid has one voxel are left out: a slice has 4 neighbours a pixel.
    """
    padded = np.pad(mask, 1)
    inner = mask.copy()
    middle = slice(1, -1)
    for axis in (axis for axis, count in enumerate(geometry.shape_kji) if count > 1):
        for side in (slice(None, -2), slice(2, None)):
            inner &= padded[tuple(side if other == axis else middle for other in range(3))]
    return mask & ~inner if max(geometry.shape_kji) > 1 else mask.copy()


def _directed(origin: Mask, target: Mask, geometry: Geometry) -> Distances:
    """Return the distance of each origin voxel to the nearest target voxel; shared voxels are at 0."""
    distances = np.zeros(np.count_nonzero(origin))
    apart = ~target[origin]
    if apart.any():
        # Loaded when needed: it takes 0.2 s, during which a window that only merges reads would stand still.
        from scipy.spatial import cKDTree

        tree = cKDTree(_points_mm(target, geometry), balanced_tree=False, compact_nodes=False)
        distances[apart] = tree.query(_points_mm(origin & ~target, geometry))[0]
    return distances


def _points_mm(mask: Mask, geometry: Geometry) -> NDArray[np.float64]:
    """Return voxel centres relative to the array's first voxel: small numbers lose no digits."""
    linear = geometry.affine_kji_to_lps[:3, :3]
    return np.asarray(np.argwhere(mask) @ linear.T, dtype=np.float64)
