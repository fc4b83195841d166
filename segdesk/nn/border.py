"""The weight map that makes a network learn the thin background between objects that nearly touch."""

from __future__ import annotations

from collections.abc import Sequence

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segdesk.core.labels import LabelArray

_REACH_SIGMAS = 6.0
"""Distances beyond it are taken as infinite: exp(-6**2 / 2) of the weight is 1.5e-8 of it, less than float32 keeps."""


def border_map(
    objects: NDArray[np.integer],
    weight: float = 10.0,
    sigma_voxels: float = 5.0,
    spacing_kji: Sequence[float] = (1.0, 1.0, 1.0),
) -> NDArray[np.float32]:
    """Compute w0 exp(-(d1 + d2)**2 / (2 sigma**2)) for every voxel outside all objects.

    d1 and d2 are the exact Euclidean distances to the nearest voxel of the nearest and of the
    second nearest object.

    Parameters
    ----------
    objects : ndarray of int, shape (K, J, I) or (J, I)
        0 outside, n in the n-th object.
    weight : float
        w0.
    sigma_voxels : float
        sigma, in voxels of the finest axis.
    spacing_kji : sequence of float
        Voxel size along each axis of `objects`, in any unit.

    Returns
    -------
    ndarray of float32, shape of `objects`
        0 inside the objects, and everywhere if there are fewer than two.

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, equation 2 (w0 = 10, sigma = 5 pixels), without
    its class weight, which the loss adds.
    """
    size = np.asarray(spacing_kji[-objects.ndim :], dtype=np.float64)
    size = size / size.min()
    first = np.full(objects.shape, np.inf, np.float32)
    second = first.copy()
    reach = [int(np.ceil(_REACH_SIGMAS * sigma_voxels / step)) for step in size]
    boxes: list[tuple[slice, ...] | None] = [*ndimage.find_objects(objects)]
    for number, box in enumerate(boxes, start=1):
        if box is None:
            continue
        near = tuple(slice(max(0, side.start - more), side.stop + more) for side, more in zip(box, reach, strict=True))
        outside = np.ascontiguousarray(objects[near] != number)
        distance = edt.edt(outside, anisotropy=tuple(size), black_border=False)
        second[near] = np.minimum(second[near], np.maximum(first[near], distance))
        first[near] = np.minimum(first[near], distance)
    result = weight * np.exp(-((first + second) ** 2) / (2 * sigma_voxels**2))
    result[objects > 0] = 0
    return np.asarray(result, dtype=np.float32)


def separate_objects(classes: LabelArray, wanted: Sequence[int]) -> NDArray[np.int32]:
    """Give every separate piece of some classes a number; voxels of one class that share a face are one piece.

    Parameters
    ----------
    classes : ndarray of uint8, shape (K, J, I) or (J, I)
        Class indices.
    wanted : sequence of int
        Class indices whose pieces are objects.

    Returns
    -------
    ndarray of int32, shape of `classes`
        0 outside, 1 to n in the objects.
    """
    objects = np.zeros(classes.shape, np.int32)
    count = 0
    for value in wanted:
        pieces, found = ndimage.label(classes == value)
        objects[pieces > 0] = pieces[pieces > 0] + count
        count += found
    return objects


def border_maps(
    classes: LabelArray,
    wanted: Sequence[int],
    weight: float,
    sigma_voxels: float,
    spacing_kji: Sequence[float],
    dims: int,
) -> NDArray[np.float32]:
    """Compute the map of a case (K, J, I): of the volume for 3D models, slice by slice for 2D ones."""
    if dims == 3:
        return border_map(separate_objects(classes, wanted), weight, sigma_voxels, spacing_kji)
    flat = spacing_kji[-2:]
    return np.stack([border_map(separate_objects(each, wanted), weight, sigma_voxels, flat) for each in classes])
