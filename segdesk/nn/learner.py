"""One network, its optimiser and its averaged twin: a step at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segdesk.nn.losses import LossSettings, deep_loss, segmentation_loss
from segdesk.nn.recipe import TrainingNumbers
from segdesk.nn.sampler import Batch, PatchSampler

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
        self._half = half_precision(self.device, numbers)
        self._scaler = _scaler(self.device, self._half)

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
        # Dropout draws from torch's own generator: a resumed run must draw as an uninterrupted one does.
        torch.manual_seed(int(np.random.SeedSequence([self._sampler.seed, step]).generate_state(1)[0]))
        loss = self._batch_loss(self._sampler.batch(step, self._numbers.batch_size))
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._trained, self._numbers.clip_norm)
        value = float(loss.detach())
        # In float16 a gradient too large for the scale is expected now and then: the scaler skips that step.
        is_lost = not math.isfinite(float(norm)) and not self._scaler.is_enabled()
        if not math.isfinite(value) or is_lost:
            return math.nan
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._average(step)
        return value

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of everything a resumed run needs, by dotted name."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{key}": value for key, value in moments.items() if value is not None}
        # Doubles, so that the numbers of the scaler come back as they were.
        numbers = self._scaler.state_dict().items()
        state |= {f"scaler.{key}": torch.tensor(value, dtype=torch.float64) for key, value in numbers}
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
        if scale := part(tensors, "scaler"):
            kinds = {key: type(value) for key, value in self._scaler.state_dict().items()}
            self._scaler.load_state_dict({key: kinds[key](value.item()) for key, value in scale.items()})

    def _batch_loss(self, batch: Batch) -> Tensor:
        images, labels = batch.images.to(self.device), batch.labels.to(self.device)
        border = None if batch.border is None else batch.border.to(self.device)
        with torch.autocast(self.device.type, dtype=self._half or torch.bfloat16, enabled=self._half is not None):
            deep = getattr(self.network, "forward_deep", None)
            heads = deep(images) if deep is not None else [self.network(images)]
        if len(heads) > 1:
            return deep_loss(heads, labels, self._loss, border)
        return segmentation_loss(heads[0], labels, self._loss, border)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # Early on the average follows quickly, else it would remember the random start.
        weight = 1 - min(self._numbers.ema, (1 + step) / (10 + step))
        mine: list[Tensor] = list(self.network.parameters())
        theirs: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(theirs, mine, weight)
        for own, averaged in zip(self.network.buffers(), self.average.buffers(), strict=True):
            # Statistics of batch norm belong to the weights they were measured with.
            averaged.lerp_(own, weight) if own.is_floating_point() else averaged.copy_(own)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a dotted prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def half_precision(device: torch.device, numbers: TrainingNumbers) -> torch.dtype | None:
    """Return what the network computes in: float16 on CUDA alone, bfloat16 anywhere; None: float32."""
    if numbers.fp16 and device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if numbers.bf16 else None


def _scaler(device: torch.device, half: torch.dtype | None) -> torch.amp.GradScaler:
    """Return what keeps float16 gradients from becoming 0; it does nothing in the other precisions."""
    return torch.amp.GradScaler(device.type, enabled=half is torch.float16)


def _optimizer(parameters: list[nn.Parameter], numbers: TrainingNumbers) -> torch.optim.Optimizer:
    if numbers.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, numbers.learning_rate, momentum=_MOMENTUM, nesterov=True, weight_decay=numbers.weight_decay
        )
    return torch.optim.AdamW(parameters, numbers.learning_rate, weight_decay=numbers.weight_decay)
