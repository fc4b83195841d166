"""Whether an engine draws the same mask as torch in float32, on a window of the image itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segdesk.core.box import Index3
from segdesk.nn.engines.runner import Runner

LEAST_AGREEMENT = 0.9999
"""Part of a window's voxels that must get the same class."""

_SAME = 1e-4
"""Logits closer than this part of the largest one are the same: which of two equal ones wins means nothing."""


def middle_window(image: NDArray[np.float32], size: Index3) -> Tensor:
    """Return the middle of a normalised image (C, k, j, i) as one window (1, C, *size); zeros where it is smaller."""
    window = np.zeros((image.shape[0], *size), np.float32)
    shared = [min(length, wanted) for length, wanted in zip(image.shape[1:], size, strict=True)]
    window[_middle(window.shape, shared)] = image[_middle(image.shape, shared)]
    return torch.from_numpy(window[None])


def _middle(shape: Sequence[int], lengths: Sequence[int]) -> tuple[slice, ...]:
    """Return the middle `lengths` of the last three axes of an array of four."""
    starts = [(whole - length) // 2 for whole, length in zip(shape[1:], lengths, strict=True)]
    return slice(None), *(slice(start, start + length) for start, length in zip(starts, lengths, strict=True))


@torch.inference_mode()
def agreement(runner: Runner, reference: Runner, windows: Tensor) -> float:
    """Return the part of the voxels of which both say the same class.

    Parameters
    ----------
    runner, reference : Runner
        On one device; both are ready.
    windows : Tensor
        As runners take them, on that device.
    """
    theirs, ours = runner(windows).float(), reference(windows).float()
    if theirs.shape != ours.shape or not bool(torch.isfinite(theirs).all()):
        return 0.0
    best = ours.amax(dim=1)
    chosen = ours.gather(1, theirs.argmax(dim=1, keepdim=True))[:, 0]
    same = best - chosen <= _SAME * ours.abs().amax().clamp(min=1.0)
    return float(same.double().mean())
