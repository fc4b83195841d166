"""One variant of a training patch, cut and recoloured; nothing here is random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from torch import Tensor
from torch.nn import functional

from segdesk.core.box import Index3

MAX_BLENDED_CLASSES = 8
"""Up to here labels are interpolated class by class, which keeps thin structures; more take the nearest voxel."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The drawn numbers of one variant.

    Parameters
    ----------
    matrix : ndarray of float64, shape (3, 3)
        Maps offsets from the centre in the patch to offsets in the image, (k, j, i) voxels.
    elastic : ndarray of float32, shape (3, n, n, n), optional
        Displacement in voxels at control points spread over the patch.
    elastic_spline : bool
        Cubic splines between them.
    bias : ndarray of float32, shape (n, n, n), optional
        Logarithm of the bias field at control points.
    gain, offset, gamma, blur_voxels, noise : float
        1, 0, 1, 0, 0 change nothing.
    noise_seed : int
        Seed of the noise image.
    erased : ndarray of float64, shape (2, 3), optional
        Where the erased box starts and how long it is, as parts of the patch.
    """

    matrix: NDArray[np.float64]
    elastic: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    gain: float = 1.0
    offset: float = 0.0
    gamma: float = 1.0
    blur_voxels: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    elastic_spline: bool = False
    erased: NDArray[np.float64] | None = None


IDENTITY = Variant(np.eye(3))
"""The variant that only cuts."""


def cut(
    image: Tensor,
    labels: Tensor,
    centre_kji: NDArray[np.float64],
    patch_kji: Index3,
    variant: Variant,
    *,
    mirror: bool = False,
    slices_together: bool = False,
) -> tuple[Tensor, Tensor]:
    """Cut a turned, scaled, bent patch out of an image and its labels.

    Parameters
    ----------
    image : Tensor of float32, shape (C, K, J, I)
        Normalised; outside it the patch is 0, or mirrored.
    labels : Tensor of uint8, shape (K, J, I)
        Class indices, 255 for ignored voxels; outside is background, or mirrored.
    centre_kji : ndarray
        Where the patch's centre lies, in voxel indices.
    patch_kji : tuple of int
        Size of the patch.
    variant : Variant
        Its geometric part is used.
    mirror : bool
        Continue image and labels beyond their borders by reflection.
    slices_together : bool
        The patch is a slice with its neighbours: all are bent alike, and beyond the ends of the image its last
        slice repeats, as a 2.5D model sees it when it predicts.

    Returns
    -------
    tuple of Tensor
        (C, *patch) float32 and (*patch) uint8.
    """
    places = _places(image.shape[1:], centre_kji, patch_kji, variant, slices_together=slices_together)
    near = _read_part(places, image.shape[1:], mirror=mirror)
    image, labels = image[(slice(None), *near)], labels[near]
    places = places - torch.tensor([side.start for side in near], dtype=torch.float32)
    grid = _in_grid_sample(places, image.shape[1:])
    classes = [int(value) for value in torch.unique(labels) if value != 0]
    if len(classes) > MAX_BLENDED_CLASSES:
        picked = _pick(image, grid, "bilinear", mirror)
        return picked, _pick(labels[None].float(), grid, "nearest", mirror)[0].to(torch.uint8)
    layers = [image, *((labels == value)[None].float() for value in classes)]
    both = _pick(torch.cat(layers), grid, "bilinear", mirror)
    shares = both[image.shape[0] :]
    background = 1 - shares.sum(dim=0, keepdim=True)
    values = torch.tensor([0, *classes], dtype=torch.uint8)
    return both[: image.shape[0]], values[torch.cat([background, shares]).argmax(dim=0)]


def recolour(image: Tensor, variant: Variant) -> Tensor:
    """Apply the intensity part of a variant to a patch (C, k, j, i)."""
    result = image
    if variant.blur_voxels > 0.05:
        result = _blurred(result, variant.blur_voxels)
    if variant.bias is not None:
        field = functional.interpolate(
            torch.from_numpy(variant.bias)[None, None], result.shape[1:], mode="trilinear", align_corners=True
        )[0]
        result = (result - result.amin()) * field.exp() + result.amin()
    if variant.gamma != 1.0:
        low, high = result.amin(), result.amax()
        span = (high - low).clamp_min(1e-6)
        result = ((result - low) / span).clamp(0, 1) ** variant.gamma * span + low
    result = result * variant.gain + variant.offset
    if variant.noise > 0:
        noise = np.random.default_rng(variant.noise_seed).standard_normal(result.shape, dtype=np.float32)
        result = result + torch.from_numpy(noise) * variant.noise
    return result if variant.erased is None else _erased(result, variant.erased)


def _places(
    shape: torch.Size,
    centre_kji: NDArray[np.float64],
    patch_kji: Index3,
    variant: Variant,
    *,
    slices_together: bool,
) -> Tensor:
    """Return where each patch voxel is read, (k, j, i) in voxel indices of the image."""
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch_kji]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    if variant.elastic is not None:
        bent = (1, *patch_kji[1:]) if slices_together else patch_kji
        offsets = offsets + _bends(variant, bent).movedim(0, -1)
    index = offsets @ torch.from_numpy(variant.matrix.T.astype(np.float32))
    index = index + torch.from_numpy(np.asarray(centre_kji, dtype=np.float32))
    if slices_together:
        index[..., 0].clamp_(0, shape[0] - 1)
    return index


def _read_part(places: Tensor, shape: torch.Size, *, mirror: bool) -> tuple[slice, slice, slice]:
    """Return the part of an image that a patch is read from; all of it where that is not much more.

    Labels are sampled class by class, which of a whole brain takes a hundred times as long as of the patch.
    """
    flat = places.reshape(-1, 3)
    lows = (flat.amin(dim=0).floor().long() - 1).tolist()
    highs = (flat.amax(dim=0).ceil().long() + 2).tolist()
    sides: list[slice] = []
    for low, high, length in zip(lows, highs, shape, strict=True):
        if mirror:
            # What lies beyond a border is read from as far inside it; farther than once across, from anywhere.
            if low < -length or high > 2 * length:
                low, high = 0, length
            low, high = min(low, 2 * length - high), max(high, -low)
        start = min(max(low, 0), length - 1)
        sides.append(slice(start, max(start + 1, min(high, length))))
    k, j, i = sides
    part = math.prod(side.stop - side.start for side in sides)
    return (k, j, i) if 2 * part <= math.prod(shape) else (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))


def _in_grid_sample(places: Tensor, shape: torch.Size) -> Tensor:
    """Return voxel indices in `grid_sample`'s coordinates: x, y, z in [-1, 1] at outer faces."""
    size = torch.tensor(list(shape), dtype=torch.float32)
    return ((2 * places + 1) / size - 1).flip(-1)


def _bends(variant: Variant, patch_kji: Index3) -> Tensor:
    """Return the displacement of every patch voxel, (3, *patch) voxels."""
    points = torch.as_tensor(variant.elastic)
    if not variant.elastic_spline:
        return functional.interpolate(points[None], patch_kji, mode="trilinear", align_corners=True)[0]
    k, j, i = (_spline(points.shape[-1], length) for length in patch_kji)
    return torch.einsum("ckji,Kk,Jj,Ii->cKJI", points, k, j, i)


@lru_cache(maxsize=32)
def _spline(points: int, length: int) -> Tensor:
    """Return how much each control point counts at each voxel, (length, points), for a cubic spline through them."""
    where = np.linspace(0, points - 1, length) if length > 1 else np.array([(points - 1) / 2])
    spline = make_interp_spline(np.arange(points), np.eye(points), k=min(3, points - 1))
    return torch.from_numpy(spline(where).astype(np.float32))


def _erased(image: Tensor, box: NDArray[np.float64]) -> Tensor:
    """Overwrite a box with the mean of each channel."""
    sizes = np.array(image.shape[1:])
    first = np.floor(box[0] * sizes).astype(int)
    last = np.minimum(sizes, np.ceil((box[0] + box[1]) * sizes).astype(int))
    inside = (slice(None), *(slice(int(a), int(b)) for a, b in zip(first, last, strict=True)))
    result = image.clone()
    result[inside] = image.mean(dim=(1, 2, 3), keepdim=True)
    return result


def _pick(layers: Tensor, grid: Tensor, mode: str, mirror: bool) -> Tensor:
    outside = "reflection" if mirror else "zeros"
    return functional.grid_sample(layers[None], grid[None], mode=mode, padding_mode=outside, align_corners=False)[0]


def _blurred(image: Tensor, sigma_voxels: float) -> Tensor:
    """Blur along every axis longer than one voxel with a five-wide Gaussian; edges repeat."""
    offsets = torch.arange(-2, 3, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma_voxels) ** 2)
    kernel = kernel / kernel.sum()
    result = image[:, None]
    for axis in range(3):
        if result.shape[2 + axis] > 1:
            shape, pads = [1, 1, 1], [0] * 6
            shape[axis] = 5
            pads[2 * (2 - axis)] = pads[2 * (2 - axis) + 1] = 2
            padded = functional.pad(result, pads, mode="replicate")
            result = functional.conv3d(padded, kernel.reshape(1, 1, *shape))
    return result[:, 0]
