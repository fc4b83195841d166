"""How deep a network is and how large its patches are, for a grid and a memory budget.

References
----------
Isensee et al., nnU-Net, Nat Methods 18:203, 2021, supplementary note 2: an axis is halved while it keeps four
voxels and its spacing is within a factor of two of the finest; kernels are 1-wide along an axis until its spacing
is; the patch starts as the median image and shrinks until a step fits into memory. Ours shrinks along the axis that
is longest in millimetres, which leaves the few slices of a thick-sliced scan together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.nn.training_memory import training_memory_mib
from segdesk.zoo.spec import NetworkSpec

Lengths = tuple[int, ...]

_SMALLEST_MAP = 4
_MOST_POOLINGS = {2: 6, 3: 5}
_WIDTHS = (32, 64, 96, 128, 160, 192, 192)
_SMALLEST_BATCH = 2
_MOST_OF_THE_DATA = 0.05
"""A batch holds no more of all voxels than this, so that steps differ from each other."""

_SHRINK, _AS_LONG = 0.95, 0.98
"""A step of the patch; axes that are this near to the longest shrink with it."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A network, its patch and its batch.

    Parameters
    ----------
    network : NetworkSpec
        A residual U-Net.
    patch : tuple of int
        (k, j, i) or (j, i) voxels.
    batch : int
        Patches per step.
    poolings : tuple of int
        How often each axis is halved.
    memory_mib : float
        What a step needs.
    """

    network: NetworkSpec
    patch: Lengths
    batch: int
    poolings: Lengths
    memory_mib: float


def plan_network(
    image: Sequence[float] | NDArray[np.float64],
    spacing: Sequence[float],
    channels: int,
    classes: int,
    voxels: float,
    budget_mib: float,
) -> NetworkPlan:
    """Plan depth, patch and batch.

    Parameters
    ----------
    image : sequence of float
        Median image on the model's grid, voxels along (k, j, i) or (j, i).
    spacing : sequence of float
        Voxel size along the same axes, in any unit.
    channels, classes : int
        Of the image; of the answer, background included.
    voxels : float
        Of all training images together.
    budget_mib : float
        Memory a step may use.
    """
    lengths = np.maximum(1.0, np.asarray(image, dtype=np.float64))
    while True:
        network, patch, poolings = network_for(lengths, spacing)
        memory = training_memory_mib(network, channels, classes, patch, _SMALLEST_BATCH)
        if memory <= budget_mib or lengths.max() <= 2 * _SMALLEST_MAP:
            break
        lengths = _shrunk(lengths, spacing, budget_mib / memory)
    each = memory / _SMALLEST_BATCH
    largest = min(budget_mib / each, _MOST_OF_THE_DATA * voxels / float(np.prod(patch)))
    batch = max(_SMALLEST_BATCH, int(largest))
    if batch > _SMALLEST_BATCH:
        memory = training_memory_mib(network, channels, classes, patch, batch)
    return NetworkPlan(network, patch, batch, poolings, memory)


def _shrunk(lengths: NDArray[np.float64], spacing: Sequence[float], share: float) -> NDArray[np.float64]:
    """Return a smaller patch, by one step at least and as many as memory, which goes with the voxels, asks for."""
    wanted = lengths.prod() * share
    result = lengths.copy()
    while True:
        extent = result * np.asarray(spacing)
        result = np.where(extent > _AS_LONG * extent.max(), result * _SHRINK, result)
        # Rounding up to what can be halved has its part in the memory; a tenth more is tried first.
        if result.prod() <= 1.1 * wanted or result.max() <= 2 * _SMALLEST_MAP:
            return result


def network_for(lengths: NDArray[np.float64], spacing: Sequence[float]) -> tuple[NetworkSpec, Lengths, Lengths]:
    """Return the residual U-Net for a patch, the patch made divisible, and how often each axis is halved."""
    dims = len(lengths)
    sizes, steps = np.array(lengths), np.array(spacing, dtype=np.float64)
    kernels, strides = [_kernel(steps)], [(1,) * dims]
    while len(strides) <= _MOST_POOLINGS[dims]:
        large = sizes >= 2 * _SMALLEST_MAP
        if not large.any():
            break
        halved = large & (steps / steps[large].min() < 2)
        strides.append(tuple(2 if each else 1 for each in halved))
        sizes, steps = np.where(halved, sizes / 2, sizes), np.where(halved, steps * 2, steps)
        kernels.append(_kernel(steps))
    poolings = tuple(int(n) for n in np.log2(np.array(strides)).sum(axis=0))
    patch = tuple(math.ceil(n / 2**p) * 2**p for n, p in zip(lengths, poolings, strict=True))
    return _residual(kernels, strides), patch, poolings


def _kernel(steps: NDArray[np.float64]) -> Lengths:
    return tuple(3 if each else 1 for each in steps / steps.min() < 2)


def _residual(kernels: list[Lengths], strides: list[Lengths]) -> NetworkSpec:
    """Return our residual U-Net where all axes are alike, nnU-Net's, which may treat them differently, elsewhere."""
    widths = list(_WIDTHS[: len(strides)])
    is_even = all(len(set(each)) == 1 for each in strides) and all(set(each) == {3} for each in kernels)
    if is_even or len(strides) == 1:
        parameters: dict[str, object] = {"widths": widths, "deep_supervision": min(1, len(widths) - 1)}
        return NetworkSpec.model_validate({"name": "residual_unet", "parameters": parameters})
    parameters = {
        "widths": widths,
        "kernel_sizes": [list(each) for each in kernels],
        "strides": [list(each) for each in strides],
        "blocks": [1] * len(widths),
        "decoder_blocks": [1] * (len(widths) - 1),
        "deep_supervision": 1,
    }
    return NetworkSpec.model_validate({"name": "residual_encoder_unet", "parameters": parameters})
