"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from segdesk.errors import UsageError

IGNORE = 255
"""Class index of voxels that do not train: disputed ones, an nnU-Net ignore label."""

_SMOOTH = 1e-5


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Which loss, with which class weights.

    Parameters
    ----------
    name : str
        "dice_ce" (sum of both), "ce" or "dice".
    class_weights : tuple of float
        For the cross-entropy, background first; empty: all equal.
    """

    name: str = "dice_ce"
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown name and weights that are no weights."""
        if self.name not in _LOSSES:
            raise UsageError(f"Loss {self.name!r} is unknown; use one of {', '.join(_LOSSES)}.")
        if any(not 0 <= weight < float("inf") for weight in self.class_weights):
            raise UsageError("Class weights are numbers of 0 or more.")


def segmentation_loss(logits: Tensor, target: Tensor, settings: LossSettings) -> Tensor:
    """Compute the loss of logits (N, C, ...) against class indices (N, ...), in float32.

    Voxels of class `IGNORE` take no part; a batch of nothing else costs 0.
    """
    return _LOSSES[settings.name](logits.float(), target, settings.class_weights)


def deep_loss(heads: Sequence[Tensor], target: Tensor, settings: LossSettings) -> Tensor:
    """Weigh the loss of every head by half the one before; the coarser targets are the nearest voxels.

    References
    ----------
    Lee et al., Deeply-supervised nets, AISTATS 2015; weights as in nnU-Net.
    """
    weights = [0.5**n for n in range(len(heads))]
    losses = [segmentation_loss(head, _shrunk(target, head), settings) for head in heads]
    total = torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum()
    return total / sum(weights)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute 1 - mean soft Dice over the foreground classes, the batch taken as one image.

    A class that is neither there nor predicted counts as right.

    References
    ----------
    Milletari et al., V-Net, 3DV 2016; batch Dice as in Isensee et al. 2021.
    """
    counted = (target != IGNORE).unsqueeze(1)
    probability = logits.softmax(dim=1) * counted
    wanted = _one_hot(target, logits.shape[1]) * counted
    axes = [0, *range(2, logits.ndim)]
    both = (probability * wanted).sum(dim=axes)
    size = probability.sum(dim=axes) + wanted.sum(dim=axes)
    return 1 - ((2 * both + _SMOOTH) / (size + _SMOOTH))[1:].mean()


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Sequence[float] = ()) -> Tensor:
    """Compute the (weighted) mean cross-entropy over the voxels that count."""
    if not bool((target != IGNORE).any()):
        return logits.sum() * 0
    weight = logits.new_tensor(class_weights) if class_weights else None
    return functional.cross_entropy(logits, target.long(), weight=weight, ignore_index=IGNORE)


def _dice_ce(logits: Tensor, target: Tensor, class_weights: Sequence[float]) -> Tensor:
    return dice_loss(logits, target) + cross_entropy(logits, target, class_weights)


def _one_hot(target: Tensor, classes: int) -> Tensor:
    known = target.long().clamp_max(classes - 1)
    return functional.one_hot(known, classes).movedim(-1, 1).float()


def _shrunk(target: Tensor, head: Tensor) -> Tensor:
    if head.shape[2:] == target.shape[1:]:
        return target
    return functional.interpolate(target[:, None].float(), head.shape[2:], mode="nearest")[:, 0].to(target.dtype)


_LOSSES: dict[str, Callable[[Tensor, Tensor, Sequence[float]], Tensor]] = {
    "dice_ce": _dice_ce,
    "ce": cross_entropy,
    "dice": lambda logits, target, _: dice_loss(logits, target),
}
