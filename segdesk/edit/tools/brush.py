"""The brush: a disc in a slice or a ball, swept along a segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3
from segdesk.core.geometry import Geometry, Grid
from segdesk.edit.region import Region

Point3 = tuple[float, float, float]
"""A continuous voxel index in (k, j, i); voxel centres are whole numbers."""

_ROUNDING = 1.0 + 1e-9
"""Voxels at exactly the radius count, whatever the last bits of the affine say."""


@dataclass(frozen=True, slots=True)
class Brush:
    """A round brush.

    Parameters
    ----------
    radius_mm : float
        Voxels whose centre is within this distance of the stroke are covered, and always
        the voxel under the cursor.
    plane_axis : int, optional
        Index axis (0 k, 1 j, 2 i) that the slice is perpendicular to: a disc in that
        slice. None gives a ball.
    """

    radius_mm: float
    plane_axis: int | None = None


def swept_region(geometry: Grid, start_kji: Point3, stop_kji: Point3, brush: Brush) -> Region | None:
    """Return the voxels a brush covers on its way from one cursor sample to the next.

    Distances are measured in mm through the affine, so that the disc is round in the
    patient on anisotropic, oblique and sheared grids, and the sweep leaves no gap however
    fast the mouse moves. A disc stays in the slice of `start_kji`.

    Parameters
    ----------
    geometry : Geometry or SliceStackGeometry
        Grid to paint on. On a stack the slice under the cursor sets the metric.
    start_kji, stop_kji : tuple of float
        Cursor positions; they may lie outside the grid.
    brush : Brush
        Radius and plane.

    Returns
    -------
    Region or None
        Clipped to the grid; None when it misses the grid.
    """
    start, stop = np.asarray(start_kji, np.float64), np.asarray(stop_kji, np.float64)
    axes = [axis for axis in range(3) if axis != brush.plane_axis]
    if brush.plane_axis is not None:
        start[brush.plane_axis] = stop[brush.plane_axis] = np.floor(start[brush.plane_axis] + 0.5)
    metric = _metric_mm2(geometry, int(start[0]))
    box = _reach(start, stop, metric[np.ix_(axes, axes)], axes, brush.radius_mm).clip(geometry.shape_kji)
    if box.is_empty:
        return None
    mask = _squared_distance_mm2(box, start, stop, metric) <= brush.radius_mm**2 * _ROUNDING
    _mark_path(mask, box, start, stop)
    return Region(box, mask) if mask.any() else None


def _metric_mm2(geometry: Grid, slice_k: int) -> NDArray[np.float64]:
    """Return G with |d|^2 = d.T G d in mm2 for index offsets d."""
    if isinstance(geometry, Geometry):
        columns = geometry.affine_kji_to_lps[:3, :3]
    else:
        k = min(max(slice_k, 0), geometry.shape_kji[0] - 1)
        rows, cols = geometry.slice_affines_ji_to_lps[k, :3, :2].T
        normal = np.cross(rows, cols)
        columns = np.stack([normal / np.linalg.norm(normal) * geometry.thickness_k_mm[k], rows, cols], axis=1)
    return np.asarray(columns.T @ columns, dtype=np.float64)


def _reach(
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    metric: NDArray[np.float64],
    axes: list[int],
    radius_mm: float,
) -> Box:
    """Return the box of all voxels the brush can cover: the extent of d.T G d <= r^2 is r sqrt(inv(G)_aa)."""
    margin = np.full(3, 0.5)
    margin[axes] = np.maximum(0.5, radius_mm * np.sqrt(np.diag(np.linalg.inv(metric))))
    low = np.floor(np.minimum(start, stop) - margin + 0.5).astype(int)
    high = np.floor(np.maximum(start, stop) + margin + 0.5).astype(int)
    if len(axes) == 2:
        (fixed,) = {0, 1, 2} - set(axes)
        low[fixed] = high[fixed] = int(start[fixed])
    return Box(_index(low), _index(high + 1))


def _squared_distance_mm2(
    box: Box, start: NDArray[np.float64], stop: NDArray[np.float64], metric: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared distance of each voxel centre of `box` from the segment, in mm2."""
    k, j, i = (
        np.arange(a, b, dtype=np.float64).reshape(shape) - origin
        for a, b, shape, origin in zip(
            box.start_kji, box.stop_kji, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), start, strict=True
        )
    )
    g = metric
    squared = g[0, 0] * k * k + g[1, 1] * j * j + g[2, 2] * i * i
    squared = squared + 2 * (g[0, 1] * k * j + g[0, 2] * k * i + g[1, 2] * j * i)
    along = stop - start
    length_mm2 = float(along @ g @ along)
    if length_mm2 > 0:
        gk, gj, gi = g @ along
        dot = gk * k + gj * j + gi * i
        at = np.clip(dot / length_mm2, 0.0, 1.0)
        squared = squared + at * (at * length_mm2 - 2 * dot)
    return np.asarray(squared, dtype=np.float64)


def _mark_path(mask: NDArray[np.bool_], box: Box, start: NDArray[np.float64], stop: NDArray[np.float64]) -> None:
    """Cover every voxel the cursor passed through: a brush thinner than a voxel still draws."""
    samples = int(np.ceil(np.abs(stop - start).max() * 2)) + 1
    path = np.floor(np.linspace(start, stop, samples) + 0.5).astype(int) - box.start_kji
    inside = path[((path >= 0) & (path < mask.shape)).all(axis=1)]
    mask[tuple(inside.T)] = True


def _index(values: NDArray[np.int_]) -> Index3:
    k, j, i = (int(v) for v in values)
    return k, j, i
