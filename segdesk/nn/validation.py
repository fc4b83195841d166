"""Whole-case scores while training: the network on preprocessed cases, Dice per class."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from segdesk.core.box import Index3
from segdesk.nn.losses import IGNORE
from segdesk.nn.sampler import TrainingCase


@dataclass(frozen=True, slots=True)
class FoldScore:
    """Dice on the fold.

    Parameters
    ----------
    dice_by_label : mapping of int to float
        Mean over the cases in which the class is there or predicted, by class index.
    mean_dice : float
        Mean over classes; 0 when no class is anywhere, so that it can be compared.
    cases : int
        How many cases were looked at.
    """

    dice_by_label: Mapping[int, float]
    mean_dice: float
    cases: int


@torch.inference_mode()
def score_fold(network: nn.Module, cases: Sequence[TrainingCase], patch_kji: Index3, *, bf16: bool) -> FoldScore:
    """Segment every case in windows and compare with its labels."""
    network.eval()
    dices: dict[int, list[float]] = {}
    for case in cases:
        with torch.autocast(_device(network).type, dtype=torch.bfloat16, enabled=bf16):
            logits = window_logits(network, case.image, patch_kji)
        classes = logits.argmax(dim=0).to(torch.uint8)
        for value in range(1, logits.shape[0]):
            dice = class_dice(classes, case.labels, value)
            if dice is not None:
                dices.setdefault(value, []).append(dice)
    means = {value: float(np.mean(each)) for value, each in sorted(dices.items())}
    return FoldScore(means, float(np.mean(list(means.values()))) if means else 0.0, len(cases))


def class_dice(candidate: Tensor, reference: Tensor, value: int) -> float | None:
    """Compute the Dice of one class over the voxels that count; None when it is in neither."""
    counted = reference != IGNORE
    a, b = (candidate == value) & counted, reference == value
    size = int(a.sum()) + int(b.sum())
    return None if size == 0 else 2 * int((a & b).sum()) / size


def window_logits(network: nn.Module, image: Tensor, patch_kji: Index3) -> Tensor:
    """Return the logits (classes, k, j, i) of an image (C, k, j, i): half-overlapping windows, averaged.

    Images smaller than the patch are padded with 0 around the middle, as in training.
    2D networks get slice after slice.
    """
    margin = int(getattr(network, "output_margin", 0))
    shape = image.shape[1:]
    padding = [max(0, p - n) for p, n in zip(patch_kji, shape, strict=True)]
    before = [p // 2 for p in padding]
    widths = [(b + m, p - b + m) for b, p, m in zip(before, padding, (0, margin, margin), strict=True)]
    padded = functional.pad(image, [n for pair in reversed(widths) for n in pair])
    inner = [n + p for n, p in zip(shape, padding, strict=True)]
    total: Tensor | None = None
    weight = torch.zeros(inner)
    for corner in itertools.product(*(_starts(n, p) for n, p in zip(inner, patch_kji, strict=True))):
        window = [slice(c, c + p) for c, p in zip(corner, patch_kji, strict=True)]
        wide = [slice(s.start, s.stop + 2 * m) for s, m in zip(window, (0, margin, margin), strict=True)]
        logits = _forward(network, padded[(slice(None), *wide)])
        total = torch.zeros((logits.shape[0], *inner)) if total is None else total
        total[(slice(None), *window)] += logits
        weight[tuple(window)] += 1
    crop = [slice(b, b + n) for b, n in zip(before, shape, strict=True)]
    return torch.as_tensor(total)[(slice(None), *crop)] / weight[tuple(crop)]


def _forward(network: nn.Module, window: Tensor) -> Tensor:
    batch = window.to(_device(network))
    if getattr(network, "dims", 3) == 2 or batch.shape[1] == 1:
        return network(batch.movedim(1, 0)).movedim(0, 1).float().cpu()
    return network(batch[None])[0].float().cpu()


def _starts(length: int, patch: int) -> list[int]:
    """Return window starts that overlap by half or more and end flush."""
    if length <= patch:
        return [0]
    count = int(np.ceil((length - patch) / max(1, patch // 2))) + 1
    return [round(n * (length - patch) / (count - 1)) for n in range(count)]


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
