"""Random variants of training patches: all randomness is in `sample`; `segdesk.nn.variant` applies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segdesk.errors import UsageError
from segdesk.nn.variant import Variant

MAX_SHEAR_DEGREES, MAX_CONTROL_POINTS = 45.0, 32
"""Beyond these a patch is no anatomy any more."""


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
    elastic_points : int
        Control points along each axis of the patch; 3 in the U-Net of 2015 (with 10 voxels).
    elastic_spline : bool
        Cubic splines between the control points, as there; else linear.
    shear_degrees : float
        Largest shear between each pair of axes (2D: in the plane), with the rotation.
    quarter_turns : tuple of str
        Of "k", "j", "i": axes about which patches are turned by multiples of 90 degrees, in voxels.
        Only where any direction is plausible; 2D models know "k" alone.
    flip_axes : tuple of str
        Of "k", "j", "i" of the model's axes. Only where a mirror image is plausible:
        left-right ("i" of RAS), if no label has a side.
    gain, offset, noise, blur_voxels, bias : float
        Largest change of contrast (relative), of brightness, standard deviation of added noise (both in
        units of the normalised image), of the Gaussian blur, relative strength of a smooth bias field.
    gamma : float
        Largest exponent g; between 1/g and g.
    erase : float
        Largest length of a box that is overwritten with the channel's mean, as a part of the patch.

    References
    ----------
    Ronneberger et al., U-Net, MICCAI 2015, section 3.1 (elastic); Isensee et al., Nat Methods 18:203, 2021, supplement
    (rotation, scaling, noise, blur, brightness, contrast, gamma); Zhong et al., Random erasing, AAAI 2020.
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
    elastic_points: int = 5
    elastic_spline: bool = False
    shear_degrees: float = 0.0
    quarter_turns: tuple[str, ...] = ()
    erase: float = 0.0

    def __post_init__(self) -> None:
        """Refuse axes that do not exist and negative strengths."""
        for name, axes in (("flip_axes", self.flip_axes), ("quarter_turns", self.quarter_turns)):
            if not set(axes) <= {"k", "j", "i"}:
                raise UsageError(f"{name} are of k, j, i; not {', '.join(axes)}.")
        strengths = (
            self.chance, self.turn_chance, self.rotate_degrees, self.scale, self.elastic_voxels, self.shear_degrees,
            self.gain, self.offset, self.noise, self.blur_voxels, self.bias, self.erase,
        )  # fmt: skip
        if min(strengths) < 0 or self.gamma < 1 or max(self.chance, self.turn_chance, self.erase) > 1:
            raise UsageError("Augmentation strengths are 0 or more, chance and erase lie in 0..1, gamma is 1 or more.")
        if self.shear_degrees > MAX_SHEAR_DEGREES or not 2 <= self.elastic_points <= MAX_CONTROL_POINTS:
            raise UsageError(
                f"shear_degrees is {MAX_SHEAR_DEGREES:g} at most, elastic_points lies in 2..{MAX_CONTROL_POINTS}."
            )

    def seen_across(self, axis: int) -> AugmentSettings:
        """Return the settings for patches whose first axis is `axis` of the grid, the others in their order."""
        if axis == 0:
            return self
        order = "kji"[axis] + "kji".replace("kji"[axis], "")
        here = dict(zip(order, "kji", strict=True))
        return replace(
            self,
            flip_axes=tuple(here[name] for name in self.flip_axes),
            quarter_turns=tuple(here[name] for name in self.quarter_turns),
        )


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
    is_turned = rng.random() < settings.turn_chance
    noise_seed = int(rng.integers(2**31))
    # Kinds that came later are drawn last: the variants of older recipes stay as they were.
    quarters = rng.integers(4, size=3)
    shears = rng.uniform(-1, 1, 3) * settings.shear_degrees * is_turned
    is_erased = rng.random() < settings.chance
    start, length = rng.uniform(0, 1, 3), rng.uniform(0.1, 1, 3) * settings.erase
    if settings.elastic_points != _CONTROL_POINTS:
        bends = rng.normal(0, settings.elastic_voxels, (3, *[settings.elastic_points] * 3)).astype(np.float32)
    if not is_turned:
        angles, zoom = np.zeros(3), 1.0
    if dimensions == 2:
        angles[1:], bends[0], shears[:2] = 0.0, 0.0, 0.0
    turns = [int(n) if name in settings.quarter_turns else 0 for name, n in zip("kji", quarters, strict=True)]
    matrix = _matrix(angles, zoom, mirrored, settings.flip_axes, dimensions)
    matrix = matrix @ _shear(shears) @ _quarter_turns(turns[:1] if dimensions == 2 else turns)
    return Variant(
        matrix=matrix,
        elastic=bends if on[0] and settings.elastic_voxels else None,
        bias=bias if on[1] and settings.bias else None,
        gain=float((1 + settings.gain) ** spread[0]) if on[2] else 1.0,
        offset=float(settings.offset * spread[1]) if on[3] else 0.0,
        gamma=float(settings.gamma ** spread[2]) if on[4] else 1.0,
        blur_voxels=float(settings.blur_voxels * amount[0]) if on[5] else 0.0,
        noise=float(settings.noise * amount[1]) if on[6] else 0.0,
        noise_seed=noise_seed,
        elastic_spline=settings.elastic_spline,
        erased=np.stack([start * (1 - length), length]) if is_erased and settings.erase else None,
    )


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


def _shear(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shear that moves k by j, k by i and j by i; it keeps the volume."""
    matrix = np.eye(3)
    matrix[0, 1], matrix[0, 2], matrix[1, 2] = np.tan(np.deg2rad(degrees))
    return matrix


def _quarter_turns(turns: Sequence[int]) -> NDArray[np.float64]:
    """Return rotations about k, j, i by multiples of 90 degrees, in whole numbers."""
    matrix = np.eye(3)
    for axis, count in enumerate(turns):
        a, b = [n for n in range(3) if n != axis]
        quarter = np.eye(3)
        quarter[[a, b]] = quarter[[b, a]]
        quarter[a] *= -1
        matrix = matrix @ np.linalg.matrix_power(quarter, count)
    return matrix
