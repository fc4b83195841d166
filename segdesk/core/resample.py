"""From one regular grid to another, by the affines alone, slab by slab."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segdesk.core.geometry import Affine, Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.volume import Volume
from segdesk.errors import GeometryMismatch, ShapeMismatch

_SLAB_VOXELS = 1 << 21
"""Voxels of the target made at once: bounds the memory beside input and output to some tens of MB."""

_EDGE_TOLERANCE = 1e-6
"""In voxels: a centre that rounding puts just outside the source's last half voxel still counts as inside."""


class Interpolation(StrEnum):
    """How values between voxel centres are found."""

    NEAREST = "nearest"
    LINEAR = "linear"


def resample_array(
    array: NDArray[Any], source: Geometry, target: Geometry, how: Interpolation, fill: float = 0.0
) -> NDArray[Any]:
    """Sample an array of one grid at the voxel centres of another.

    Points in the outer half of the source's border voxels take the border's value;
    points outside the source's voxels take `fill`. A coarser target is sampled, not averaged:
    smooth an image first where aliasing matters.

    Parameters
    ----------
    array : ndarray, shape (K, J, I)
        Values on `source`, any real dtype.
    source, target : Geometry
        Grids; sheared and oblique ones are exact.
    how : Interpolation
        NEAREST keeps the dtype and makes no new values (labels); LINEAR gives
        float32 (float64 for float64 input).
    fill : float
        Value outside the source.

    Returns
    -------
    ndarray, shape of `target`
        C-contiguous.

    Raises
    ------
    ShapeMismatch
        If the array does not have the shape of `source`.
    """
    if array.shape != source.shape_kji:
        raise ShapeMismatch(f"An array of shape {array.shape} does not fit the grid {source.shape_kji}.")
    is_nearest = how is Interpolation.NEAREST
    dtype = array.dtype if is_nearest else np.dtype(np.float64 if array.dtype == np.float64 else np.float32)
    out = np.full(target.shape_kji, fill, dtype)
    if 0 in array.shape or out.size == 0:
        return out
    values = array.view(np.uint8) if array.dtype == np.bool_ else array
    to_source = np.linalg.inv(source.affine_kji_to_lps) @ target.affine_kji_to_lps
    rows = target.shape_kji[1] * target.shape_kji[2]
    step = max(1, _SLAB_VOXELS // rows)
    for k in range(0, target.shape_kji[0], step):
        slab = out[k : k + step]
        inside = _inside(to_source, k, slab.shape, source.shape_kji)
        if not inside.any():
            continue
        offset = to_source[:3, 3] + k * to_source[:3, 0]
        sampled = ndimage.affine_transform(
            values,
            to_source[:3, :3],
            offset,
            output_shape=slab.shape,
            output=values.dtype if is_nearest else dtype,
            order=0 if is_nearest else 1,
            mode="nearest",
            prefilter=False,
        )
        np.copyto(slab, sampled, where=inside, casting="unsafe")
    return out


def resample_labels(labels: LabelMap, target: Geometry) -> LabelMap:
    """Return the label map on another grid: nearest neighbour, every layer.

    Voxels outside the source are background; table and origin are kept.

    Raises
    ------
    GeometryMismatch
        If the labels lie on a stack of slices, which has no single affine.
    """
    source = _regular(labels.geometry)
    layers = tuple(resample_array(layer, source, target, Interpolation.NEAREST) for layer in labels.layers)
    return LabelMap(layers, target, labels.table, labels.origin)


def resample_volume(
    volume: Volume, target: Geometry, how: Interpolation = Interpolation.LINEAR, fill: float = 0.0
) -> Volume:
    """Return one grey image on another grid; linear gives float32.

    Raises
    ------
    GeometryMismatch
        If the image lies on a stack of slices.
    ShapeMismatch
        If the image has several time points or colours.
    """
    source = _regular(volume.geometry)
    return replace(volume, array=resample_array(volume.array, source, target, how, fill), geometry=target)


def _regular(grid: object) -> Geometry:
    if not isinstance(grid, Geometry):
        raise GeometryMismatch("A stack of irregular slices cannot be resampled; only a regular grid can.")
    return grid


def _inside(
    to_source: Affine, first_k: int, shape_kji: tuple[int, ...], source_shape_kji: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Mark the slab's voxel centres that lie in some voxel of the source."""
    k, j, i = (np.arange(n, dtype=np.float64) for n in shape_kji)
    inside = np.ones(shape_kji, dtype=np.bool_)
    for axis, count in enumerate(source_shape_kji):
        by_k, by_j, by_i, offset = to_source[axis]
        along = (offset + by_k * (k + first_k))[:, None, None] + (by_j * j)[:, None] + by_i * i
        inside &= (along >= -0.5 - _EDGE_TOLERANCE) & (along < count - 0.5 + _EDGE_TOLERANCE)
    return inside
