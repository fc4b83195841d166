"""Resampling along index axes, one axis at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from segdesk.core.box import Index3

FloatArray = NDArray[np.float32]


def resample_linear(array: FloatArray, shape: Index3) -> FloatArray:
    """Resample to `shape` so that the outer faces of both grids coincide.

    Linear between voxel centres; where voxels grow, the triangle grows with them,
    so that fine structure is averaged and not aliased. Edges repeat. An axis whose
    count stays is not touched.

    Parameters
    ----------
    array : ndarray of float32, shape (K, J, I)
    shape : tuple of int
        New counts, in the order of the array's axes.
    """
    result = array
    for axis, count in enumerate(shape):
        if result.shape[axis] != count:
            result = _along(result, axis, count)
    return result


def resample_nearest(array: NDArray, shape: Index3) -> NDArray:
    """Resample to `shape` by the nearest voxel; values are never mixed."""
    result = array
    for axis, count in enumerate(shape):
        if result.shape[axis] != count:
            centres = _centres(result.shape[axis], count)
            nearest = np.clip(np.rint(centres), 0, result.shape[axis] - 1).astype(np.intp)
            result = result.take(nearest, axis=axis)
    return result


def _centres(before: int, after: int) -> NDArray[np.float64]:
    """Return where the new voxel centres lie in old indices."""
    return np.asarray((np.arange(after) + 0.5) * (before / after) - 0.5, dtype=np.float64)


def _along(array: FloatArray, axis: int, count: int) -> FloatArray:
    front = np.moveaxis(array, axis, 0)
    flat = np.ascontiguousarray(front, dtype=np.float32).reshape(front.shape[0], -1)
    mixed = np.asarray(_weights(front.shape[0], count) @ flat, dtype=np.float32)
    return np.moveaxis(mixed.reshape(count, *front.shape[1:]), 0, axis)


def _weights(before: int, after: int) -> sparse.csr_array:
    """Return the (after, before) matrix whose rows mix old voxels into new ones."""
    reach = max(1.0, before / after)
    distance = np.abs(np.arange(before)[None, :] - _centres(before, after)[:, None])
    triangle = np.maximum(0.0, 1.0 - distance / reach)
    return sparse.csr_array((triangle / triangle.sum(axis=1, keepdims=True)).astype(np.float32))
