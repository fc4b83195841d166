"""The right-angled grid around a sheared one: what a tilted series is resampled onto on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segdesk.core.geometry import Geometry

_ON_LATTICE = 1e-6
"""In voxels: rounding of the affine must not add a row."""


def right_angled(geometry: Geometry) -> Geometry:
    """Return the smallest right-angled grid that holds every voxel centre of a grid.

    The i axis and the plane of the slices stay; the k axis becomes the slice normal, and
    slices are as far apart as before. Voxel (0, 0, 0) of the source lies on the new lattice,
    so that rows and columns of the first slice are met exactly.

    Parameters
    ----------
    geometry : Geometry
        Any; one without shear gives an equal grid.

    Returns
    -------
    Geometry
        As large or larger along j and i; `source` says that it was resampled.
    """
    step_k, step_j, step_i = geometry.affine_kji_to_lps[:3, :3].T
    along_i = step_i / np.linalg.norm(step_i)
    across_i = step_j - (step_j @ along_i) * along_i
    along_j = across_i / np.linalg.norm(across_i)
    normal = np.cross(along_i, along_j)
    normal *= np.sign(step_k @ normal)
    affine = geometry.affine_kji_to_lps.copy()
    affine[:3, 0] = normal * (step_k @ normal)
    affine[:3, 1] = along_j * (step_j @ along_j)
    lattice = replace(geometry, affine_kji_to_lps=affine, source=f"{geometry.source}, resampled at right angles")
    index = lattice.lps_to_index(geometry.corners_lps())
    first = np.floor(index.min(axis=0) + _ON_LATTICE)
    last = np.ceil(index.max(axis=0) - _ON_LATTICE)
    k, j, i = (int(n) for n in last - first + 1)
    affine[:3, 3] = lattice.index_to_lps(first)
    return replace(lattice, shape_kji=(k, j, i), affine_kji_to_lps=affine)
