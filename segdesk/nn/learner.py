"""One network, its optimiser and its averaged twin: a step at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segdesk.nn.losses import LossSettings, deep_loss, segmentation_loss
from segdesk.nn.recipe import TrainingNumbers
from segdesk.nn.sampler import PatchSampler

_MOMENTUM = 0.99
"""nnU-Net's momentum for SGD (Isensee et al. 2021)."""

_POWER = 0.9
"""Exponent of the falling learning rate (Chen et al., DeepLab, 2018)."""


class Learner:
    """Trains a network; the averaged weights are what is kept.

    Parameters
    ----------
    network : torch.nn.Module
        On its device; parameters that do not require a gradient stay as they are.
    sampler : PatchSampler
        Gives the batch of every step.
    numbers : TrainingNumbers
        Optimiser and averaging.
    loss : LossSettings
        What is minimised.
    """

    def __init__(self, network: nn.Module, sampler: PatchSampler, numbers: TrainingNumbers, loss: LossSettings) -> None:
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self._sampler = sampler
        self._numbers = numbers
        self._loss = loss
        self._trained = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = _optimizer(self._trained, numbers)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def step(self, step: int, progress: float) -> float:
        """Train on the batch of `step`; return the loss.

        Parameters
        ----------
        step : int
            Counts from 0; decides the batch.
        progress : float
            Part of the budget that is used, in [0, 1); decides the learning rate.

        Returns
        -------
        float
            NaN or infinity if the step failed; the weights are then as before.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self._numbers.learning_rate * (1 - progress) ** _POWER
        self.network.train()
        images, labels = self._sampler.batch(step, self._numbers.batch_size)
        loss = self._batch_loss(images.to(self.device), labels.to(self.device))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._trained, self._numbers.clip_norm)
        value = float(loss.detach())
        if not math.isfinite(value) or not math.isfinite(float(norm)):
            return math.nan
        self._optimizer.step()
        self._average(step)
        return value

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of everything a resumed run needs, by dotted name."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{key}": value for key, value in moments.items() if value is not None}
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to a state that `tensors` returned."""
        self.network.load_state_dict(part(tensors, "network"))
        self.average.load_state_dict(part(tensors, "average"))
        moments: dict[int, dict[str, Any]] = {}
        for name, value in part(tensors, "optimizer").items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = value
        plan = self._optimizer.state_dict()
        self._optimizer.load_state_dict({"state": moments, "param_groups": plan["param_groups"]})

    def _batch_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._numbers.bf16):
            deep = getattr(self.network, "forward_deep", None)
            heads = deep(images) if deep is not None else [self.network(images)]
        if len(heads) > 1:
            return deep_loss(heads, labels, self._loss)
        return segmentation_loss(heads[0], labels, self._loss)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # Early on the average follows quickly, else it would remember the random start.
        weight = 1 - min(self._numbers.ema, (1 + step) / (10 + step))
        mine: list[Tensor] = list(self.network.parameters())
        theirs: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(theirs, mine, weight)
        for own, averaged in zip(self.network.buffers(), self.average.buffers(), strict=True):
            averaged.copy_(own)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a dotted prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _optimizer(parameters: list[nn.Parameter], numbers: TrainingNumbers) -> torch.optim.Optimizer:
    if numbers.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, numbers.learning_rate, momentum=_MOMENTUM, nesterov=True, weight_decay=numbers.weight_decay
        )
    return torch.optim.AdamW(parameters, numbers.learning_rate, weight_decay=numbers.weight_decay)
