"""Random variants of training patches: all randomness in `sample`, none in `cut` and `recolour`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segdesk.core.box import Index3
from segdesk.errors import UsageError
from segdesk.nn.losses import IGNORE

MAX_BLENDED_CLASSES = 8
"""Up to here labels are interpolated class by class, which keeps thin structures; more take the nearest voxel."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How far the variants go; 0 or () turns a kind off.

    Parameters
    ----------
    chance : float
        Probability of each kind of intensity change, and of elastic deformation.
    turn_chance : float
        Probability of rotation and change of size; patches that are not turned stay sharp.
    rotate_degrees : float
        Largest rotation about each axis (2D: in the plane).
    scale : float
        Largest relative change of size, 0.2: from 1/1.2 to 1.2.
    elastic_voxels : float
        Standard deviation of the displacement of a coarse grid of control points.
    flip_axes : tuple of str
        Of "k", "j", "i" of the model's axes. Only where a mirror image is plausible:
        left-right ("i" of RAS), if no label has a side.
    gain, offset, noise, blur_voxels, bias : float
        Largest change of contrast (relative), of brightness, standard deviation of added noise (both in
        units of the normalised image), of the Gaussian blur, relative strength of a smooth bias field.
    gamma : float
        Largest exponent g; between 1/g and g.
    """

    chance: float = 0.3
    turn_chance: float = 0.7
    rotate_degrees: float = 15.0
    scale: float = 0.2
    elastic_voxels: float = 1.5
    flip_axes: tuple[str, ...] = ()
    gain: float = 0.25
    offset: float = 0.25
    noise: float = 0.15
    blur_voxels: float = 0.8
    bias: float = 0.25
    gamma: float = 1.5

    def __post_init__(self) -> None:
        """Refuse axes that do not exist and negative strengths."""
        if not set(self.flip_axes) <= {"k", "j", "i"}:
            raise UsageError(f"flip_axes are of k, j, i; not {', '.join(self.flip_axes)}.")
        strengths = (
            self.chance,
            self.turn_chance,
            self.rotate_degrees,
            self.scale,
            self.elastic_voxels,
            self.gain,
            self.offset,
        )
        if (
            min(*strengths, self.noise, self.blur_voxels, self.bias) < 0
            or self.gamma < 1
            or max(self.chance, self.turn_chance) > 1
        ):
            raise UsageError("Augmentation strengths are 0 or more, chance lies in 0..1, gamma is 1 or more.")


@dataclass(frozen=True, slots=True)
class Variant:
    """The drawn numbers of one variant.

    Parameters
    ----------
    matrix : ndarray of float64, shape (3, 3)
        Maps offsets from the centre in the patch to offsets in the image, (k, j, i) voxels.
    elastic : ndarray of float32, shape (3, n, n, n), optional
        Displacement in voxels at control points spread over the patch.
    bias : ndarray of float32, shape (n, n, n), optional
        Logarithm of the bias field at control points.
    gain, offset, gamma, blur_voxels, noise : float
        1, 0, 1, 0, 0 change nothing.
    noise_seed : int
        Seed of the noise image.
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


IDENTITY = Variant(np.eye(3))
"""The variant that only cuts."""

_CONTROL_POINTS = 5


def sample(rng: np.random.Generator, settings: AugmentSettings, dimensions: int = 3) -> Variant:
    """Draw the numbers of one variant; 2D variants leave k alone."""
    # Every number is drawn whether it is used or not, so that one setting does not shift the others.
    angles = rng.uniform(-1, 1, 3) * settings.rotate_degrees
    zoom = (1 + settings.scale) ** rng.uniform(-1, 1)
    mirrored = rng.random(3) < 0.5
    bends = rng.normal(0, settings.elastic_voxels, (3, *[_CONTROL_POINTS] * 3)).astype(np.float32)
    bias = rng.normal(0, settings.bias, [3] * 3).astype(np.float32)
    on = rng.random(7) < settings.chance
    spread = rng.uniform(-1, 1, 4)
    amount = rng.uniform(0, 1, 2)
    if rng.random() >= settings.turn_chance:
        angles, zoom = np.zeros(3), 1.0
    if dimensions == 2:
        angles[1:], bends[0] = 0.0, 0.0
    return Variant(
        matrix=_matrix(angles, zoom, mirrored, settings.flip_axes, dimensions),
        elastic=bends if on[0] and settings.elastic_voxels else None,
        bias=bias if on[1] and settings.bias else None,
        gain=float((1 + settings.gain) ** spread[0]) if on[2] else 1.0,
        offset=float(settings.offset * spread[1]) if on[3] else 0.0,
        gamma=float(settings.gamma ** spread[2]) if on[4] else 1.0,
        blur_voxels=float(settings.blur_voxels * amount[0]) if on[5] else 0.0,
        noise=float(settings.noise * amount[1]) if on[6] else 0.0,
        noise_seed=int(rng.integers(2**31)),
    )


def cut(
    image: Tensor,
    labels: Tensor,
    centre_kji: NDArray[np.float64],
    patch_kji: Index3,
    variant: Variant,
    *,
    mirror: bool = False,
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

    Returns
    -------
    tuple of Tensor
        (C, *patch) float32 and (*patch) uint8.
    """
    grid = _grid(image.shape[1:], centre_kji, patch_kji, variant)
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
    return result


def _matrix(
    angles_degrees: NDArray[np.float64], zoom: float, mirrored: NDArray[np.bool_], flip_axes: tuple[str, ...], dims: int
) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles_degrees)):
        turn = np.eye(3)
        a, b = [n for n in range(3) if n != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    sizes = np.array([zoom if dims == 3 else 1.0, zoom, zoom])
    signs = np.array([-1.0 if name in flip_axes and mirrored[axis] else 1.0 for axis, name in enumerate("kji")])
    return np.asarray(matrix @ np.diag(signs / sizes))


def _grid(shape: torch.Size, centre_kji: NDArray[np.float64], patch_kji: Index3, variant: Variant) -> Tensor:
    """Return where each patch voxel is read, in `grid_sample`'s coordinates: x, y, z in [-1, 1] at outer faces."""
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in patch_kji]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    if variant.elastic is not None:
        bends = functional.interpolate(
            torch.from_numpy(variant.elastic)[None], patch_kji, mode="trilinear", align_corners=True
        )[0]
        offsets = offsets + bends.movedim(0, -1)
    index = offsets @ torch.from_numpy(variant.matrix.T.astype(np.float32))
    index = index + torch.from_numpy(np.asarray(centre_kji, dtype=np.float32))
    size = torch.tensor(list(shape), dtype=torch.float32)
    return ((2 * index + 1) / size - 1).flip(-1)


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


__all__ = ["IDENTITY", "IGNORE", "AugmentSettings", "Variant", "cut", "recolour", "sample"]
