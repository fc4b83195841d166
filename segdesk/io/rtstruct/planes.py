"""Which slice a contour lies on, and where on it: contours are in patient mm, grids are anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry, Grid, Points, SliceStackGeometry

ON_SLICE = 0.05
"""A contour this near to a slice, as a part of the step between slices, lies on it: positions are rounded."""

NEAR_SLICE = 0.25
"""A contour this near is taken to the slice, and said to be off it; farther away it belongs to no slice."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedContours:
    """Contours on the slices of a grid.

    Parameters
    ----------
    slices : ndarray of int64, shape (C,)
        Nearest slice of each contour; may lie outside the grid.
    offsets : ndarray of float64, shape (C,)
        Largest distance of a point from that slice, in steps between slices.
    offsets_mm : ndarray of float64, shape (C,)
        The same in mm.
    heights : ndarray of float64, shape (C,)
        Where the middle of the contour lies above (or below) that slice, in steps.
    points_ji : tuple of ndarray of float64, shape (N, 2) each
        Points in voxel indices (row, column) of the slice.
    """

    slices: NDArray[np.int64]
    offsets: NDArray[np.float64]
    offsets_mm: NDArray[np.float64]
    heights: NDArray[np.float64]
    points_ji: tuple[NDArray[np.float64], ...]


def place_contours(contours: Sequence[Points], grid: Grid) -> PlacedContours:
    """Find the slice of each contour.

    Parameters
    ----------
    contours : sequence of ndarray of float64, shape (N, 3)
        Points in LPS mm, at least one each.
    grid : Geometry or SliceStackGeometry
        Oblique, tilted, mirrored or irregular grids alike.
    """
    if not contours:
        return PlacedContours(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0), ())
    lengths = [len(points) for points in contours]
    points_lps = np.concatenate(contours)
    starts = np.cumsum([0, *lengths[:-1]])
    if isinstance(grid, Geometry):
        return _on_regular(points_lps, starts, grid)
    return _on_stack(points_lps, starts, np.asarray(lengths), grid)


def has_distinct_planes(grid: SliceStackGeometry) -> bool:
    """Whether no two slices lie at one position (a monitoring run takes one again and again)."""
    corners = np.round(grid.slice_affines_ji_to_lps[:, :3, 2], 2)
    return len(np.unique(corners, axis=0)) == len(corners)


def _on_regular(points_lps: Points, starts: NDArray[np.int64], grid: Geometry) -> PlacedContours:
    index_kji = grid.lps_to_index(points_lps)
    low, high = np.minimum.reduceat(index_kji[:, 0], starts), np.maximum.reduceat(index_kji[:, 0], starts)
    middle = (low + high) / 2
    slices = np.rint(middle).astype(np.int64)
    offsets = np.maximum(np.abs(low - slices), np.abs(high - slices))
    row, column = grid.affine_kji_to_lps[:3, 1], grid.affine_kji_to_lps[:3, 2]
    # Between sheared slices the step is not the distance: that is along the normal.
    step_mm = grid.voxel_volume_mm3 / float(np.linalg.norm(np.cross(row, column)))
    points_ji = tuple(np.split(index_kji[:, 1:], starts[1:]))
    return PlacedContours(slices, offsets, offsets * step_mm, middle - slices, points_ji)


def _on_stack(
    points_lps: Points, starts: NDArray[np.int64], lengths: NDArray[np.int64], grid: SliceStackGeometry
) -> PlacedContours:
    """Slices lie anywhere: each contour goes to the plane its middle is nearest to."""
    affines = grid.slice_affines_ji_to_lps[:, :3]
    normals = np.cross(affines[..., 0], affines[..., 1])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    middles = np.add.reduceat(points_lps, starts) / lengths[:, None]
    distances = np.einsum("knc,kc->kn", middles[None] - affines[:, None, :, 2], normals)
    slices = np.abs(distances).argmin(axis=0)
    slice_of_point = np.repeat(slices, lengths)
    from_corner = points_lps - affines[slice_of_point, :, 2]
    off_mm = np.abs(np.einsum("nc,nc->n", from_corner, normals[slice_of_point]))
    offsets_mm = np.maximum.reduceat(off_mm, starts)
    inverses = np.linalg.pinv(affines[..., :2])
    points_ji = np.einsum("nrc,nc->nr", inverses[slice_of_point], from_corner)
    return PlacedContours(
        slices.astype(np.int64),
        offsets_mm / grid.thickness_k_mm[slices],
        offsets_mm,
        distances[slices, np.arange(len(slices))] / grid.thickness_k_mm[slices],
        tuple(np.split(points_ji, starts[1:])),
    )
