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
    """Which loss, with which numbers.

    Parameters
    ----------
    name : str
        "dice_ce" (sum of both), "ce" (cross-entropy), "dice", "focal" or "tversky".
    class_weights : tuple of float
        For cross-entropy and focal loss, background first; empty: all equal.
    balance : bool
        Weigh the classes by the inverse of their frequency in the training cases; instead of `class_weights`.
    gamma : float
        Of the focal loss: how much less a voxel counts that is right already; 0 is the cross-entropy.
    alpha, beta : float
        Of the Tversky loss: the cost of a false-positive and of a false-negative voxel; 0.5 and 0.5 is the Dice.
    border_weight : float
        Extra weight in the cross-entropy of background between two objects that nearly touch; 0 turns it off,
        10 in the U-Net of 2015. See `segdesk.nn.border`.
    border_sigma_voxels : float
        How wide the gap between objects may be for it; 5 there.
    border_labels : tuple of int
        Label values whose separate pieces are the objects, 0 for the cells between membranes; empty: all labels.
    """

    name: str = "dice_ce"
    class_weights: tuple[float, ...] = ()
    balance: bool = False
    gamma: float = 2.0
    alpha: float = 0.3
    beta: float = 0.7
    border_weight: float = 0.0
    border_sigma_voxels: float = 5.0
    border_labels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown name and numbers that make no loss."""
        if self.name not in _LOSSES:
            raise UsageError(f"Loss {self.name!r} is unknown; use one of {', '.join(_LOSSES)}.")
        if any(not 0 <= weight < float("inf") for weight in self.class_weights):
            raise UsageError("Class weights are numbers of 0 or more.")
        if self.balance and self.class_weights:
            raise UsageError("Give class_weights or balance = true, not both.")
        if min(self.gamma, self.alpha, self.beta, self.border_weight) < 0 or self.border_sigma_voxels <= 0:
            raise UsageError("gamma, alpha, beta and border_weight are 0 or more, border_sigma_voxels is above 0.")
        if self.alpha + self.beta == 0:
            raise UsageError("alpha and beta of the Tversky loss are not both 0.")
        if self.border_weight and self.name not in _WITH_BORDER:
            raise UsageError(f"border_weight needs a cross-entropy: loss {' or '.join(sorted(_WITH_BORDER))}.")


def segmentation_loss(logits: Tensor, target: Tensor, settings: LossSettings, border: Tensor | None = None) -> Tensor:
    """Compute the loss of logits (N, C, ...) against class indices (N, ...), in float32.

    Voxels of class `IGNORE` take no part; a batch of nothing else costs 0. `border` (N, ...) is the
    extra weight of each voxel in the cross-entropy.
    """
    return _LOSSES[settings.name](logits.float(), target, settings, border)


def deep_loss(heads: Sequence[Tensor], target: Tensor, settings: LossSettings, border: Tensor | None = None) -> Tensor:
    """Weigh the loss of every head by half the one before; the coarser targets are the nearest voxels.

    References
    ----------
    Lee et al., Deeply-supervised nets, AISTATS 2015; weights as in nnU-Net.
    """
    weights = [0.5**n for n in range(len(heads))]
    losses = [
        segmentation_loss(head, _shrunk(target, head), settings, None if border is None else _shrunk(border, head))
        for head in heads
    ]
    total = torch.stack([w * loss for w, loss in zip(weights, losses, strict=True)]).sum()
    return total / sum(weights)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Compute 1 - mean soft Dice over the foreground classes, the batch taken as one image.

    A class that is neither there nor predicted counts as right.

    References
    ----------
    Milletari et al., V-Net, 3DV 2016; batch Dice as in Isensee et al. 2021.
    """
    probability, wanted = _shares(logits, target)
    axes = [0, *range(2, logits.ndim)]
    both = (probability * wanted).sum(dim=axes)
    size = probability.sum(dim=axes) + wanted.sum(dim=axes)
    return 1 - ((2 * both + _SMOOTH) / (size + _SMOOTH))[1:].mean()


def tversky_loss(logits: Tensor, target: Tensor, alpha: float, beta: float) -> Tensor:
    """Compute 1 - mean TP / (TP + alpha FP + beta FN) over the foreground classes, the batch taken as one image.

    With beta above alpha a missed voxel costs more than one too many. A class that is neither there
    nor predicted counts as right.

    References
    ----------
    Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation, MLMI 2017, equation 4.
    """
    probability, wanted = _shares(logits, target)
    axes = [0, *range(2, logits.ndim)]
    both = (probability * wanted).sum(dim=axes)
    too_many = probability.sum(dim=axes) - both
    missed = wanted.sum(dim=axes) - both
    return 1 - ((both + _SMOOTH) / (both + alpha * too_many + beta * missed + _SMOOTH))[1:].mean()


def cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Sequence[float] = (), border: Tensor | None = None
) -> Tensor:
    """Compute the weighted mean cross-entropy over the voxels that count.

    A voxel weighs its class's weight, plus `border` where that is given: the weight map of
    Ronneberger et al., MICCAI 2015, equation 2; the sum is divided by the sum of the weights.
    """
    if not bool((target != IGNORE).any()):
        return logits.sum() * 0
    weight = logits.new_tensor(class_weights) if class_weights else None
    if border is None:
        return functional.cross_entropy(logits, target.long(), weight=weight, ignore_index=IGNORE)
    counted = target != IGNORE
    weights = (_weights_at(logits, target, class_weights) + border) * counted
    each = functional.cross_entropy(logits, target.long(), reduction="none", ignore_index=IGNORE)
    return (weights * each).sum() / weights.sum()


def focal_loss(logits: Tensor, target: Tensor, gamma: float, class_weights: Sequence[float] = ()) -> Tensor:
    """Compute the mean of -w (1 - p) ** gamma log p over the voxels that count, p the true class's probability.

    References
    ----------
    Lin et al., Focal loss for dense object detection, ICCV 2017, equation 5; several classes by softmax.
    """
    counted = target != IGNORE
    if not bool(counted.any()):
        return logits.sum() * 0
    surprise = functional.cross_entropy(logits, target.long(), reduction="none", ignore_index=IGNORE)
    weights = _weights_at(logits, target, class_weights) * counted
    return (weights * (1 - torch.exp(-surprise)) ** gamma * surprise).sum() / counted.sum()


def inverse_frequency(targets: Sequence[Tensor], classes: int) -> tuple[float, ...]:
    """Return a weight per class: all voxels / (classes that are there * voxels of the class).

    Every class then weighs as much as any other in all cases together. A class that is nowhere
    gets 0; `IGNORE` does not count.
    """
    counts = torch.zeros(classes, dtype=torch.int64)
    for target in targets:
        counts += torch.bincount(target[target != IGNORE].long(), minlength=classes)
    there = int((counts > 0).sum())
    total = int(counts.sum())
    return tuple(total / (there * int(count)) if count else 0.0 for count in counts)


def _shares(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities and truth per class, 0 where voxels do not count."""
    counted = (target != IGNORE).unsqueeze(1)
    return logits.softmax(dim=1) * counted, _one_hot(target, logits.shape[1]) * counted


def _weights_at(logits: Tensor, target: Tensor, class_weights: Sequence[float]) -> Tensor:
    if not class_weights:
        return torch.ones_like(target, dtype=logits.dtype)
    return logits.new_tensor(class_weights)[target.long().clamp_max(logits.shape[1] - 1)]


def _one_hot(target: Tensor, classes: int) -> Tensor:
    known = target.long().clamp_max(classes - 1)
    return functional.one_hot(known, classes).movedim(-1, 1).float()


def _shrunk(target: Tensor, head: Tensor) -> Tensor:
    if head.shape[2:] == target.shape[1:]:
        return target
    return functional.interpolate(target[:, None].float(), head.shape[2:], mode="nearest")[:, 0].to(target.dtype)


def _dice_ce(logits: Tensor, target: Tensor, settings: LossSettings, border: Tensor | None) -> Tensor:
    return dice_loss(logits, target) + cross_entropy(logits, target, settings.class_weights, border)


def _ce(logits: Tensor, target: Tensor, settings: LossSettings, border: Tensor | None) -> Tensor:
    return cross_entropy(logits, target, settings.class_weights, border)


def _dice(logits: Tensor, target: Tensor, settings: LossSettings, border: Tensor | None) -> Tensor:
    return dice_loss(logits, target)


def _focal(logits: Tensor, target: Tensor, settings: LossSettings, border: Tensor | None) -> Tensor:
    return focal_loss(logits, target, settings.gamma, settings.class_weights)


def _tversky(logits: Tensor, target: Tensor, settings: LossSettings, border: Tensor | None) -> Tensor:
    return tversky_loss(logits, target, settings.alpha, settings.beta)


_LOSSES: dict[str, Callable[[Tensor, Tensor, LossSettings, Tensor | None], Tensor]] = {
    "dice_ce": _dice_ce,
    "ce": _ce,
    "dice": _dice,
    "focal": _focal,
    "tversky": _tversky,
}

_WITH_BORDER = {"ce", "dice_ce"}
