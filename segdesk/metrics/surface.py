"""Distances between the surfaces of two masks, in mm.

Definitions (version 1, NUMBERS): a surface voxel is a mask voxel with a
6-neighbour outside the mask (4-neighbour for a single slice), the mask padded by
one voxel; distances run between voxel centres through the affine, so anisotropic,
oblique and sheared grids are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry

DEFINITION_VERSION = 1
"""Stored beside results; changes whenever a number here would change."""


@dataclass(frozen=True, slots=True)
class SurfaceScores:
    """Surface measures; NaN where a mask is empty.

    Parameters
    ----------
    hd95_mm : float
        Larger of the two directed 95th percentiles, linear between order statistics.
    assd_mm : float
        Mean of both directed distance sets, pooled.
    nsd : float
        Part of both surfaces within the tolerance of the other (Nikolov et al. 2018).
    """

    hd95_mm: float
    assd_mm: float
    nsd: float


UNDEFINED = SurfaceScores(math.nan, math.nan, math.nan)


def surface_scores(
    reference: NDArray[np.bool_], candidate: NDArray[np.bool_], geometry: Geometry, tolerance_mm: float
) -> SurfaceScores:
    """Compare the surfaces of two binary masks.

    Parameters
    ----------
    reference, candidate : ndarray of bool, shape of `geometry`
        Either may be empty: then everything is undefined (NaN).
    geometry : Geometry
        Grid of both.
    tolerance_mm : float
        Distance up to which (inclusive) a surface voxel counts as right.

    Returns
    -------
    SurfaceScores
    """
    box_r, box_c = Box.around(reference), Box.around(candidate)
    if box_r is None or box_c is None:
        return UNDEFINED
    points_r = _surface_points_lps(reference, box_r, geometry)
    points_c = _surface_points_lps(candidate, box_c, geometry)
    to_c = cKDTree(points_c).query(points_r)[0]
    to_r = cKDTree(points_r).query(points_c)[0]
    both = np.concatenate([to_c, to_r])
    hd95 = max(float(np.percentile(to_c, 95)), float(np.percentile(to_r, 95)))
    return SurfaceScores(hd95, float(both.mean()), float(np.count_nonzero(both <= tolerance_mm) / both.size))


def surface_voxels(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of a mask (K, J, I) with a face neighbour outside it; outside the grid is outside.

    A single slice is 2D: its own faces along k do not count.
    """
    cross = ndimage.generate_binary_structure(3, 1)
    if mask.shape[0] == 1:
        cross[0] = cross[2] = False
    return np.asarray(mask & ~ndimage.binary_erosion(mask, cross, border_value=0), dtype=np.bool_)


def _surface_points_lps(mask: NDArray[np.bool_], box: Box, geometry: Geometry) -> NDArray[np.float64]:
    index_kji = np.argwhere(surface_voxels(mask[box.slices])) + np.asarray(box.start_kji)
    return geometry.index_to_lps(index_kji)
