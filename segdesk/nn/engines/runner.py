"""A network that answers windows: the seam every engine fits into, and torch behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from segdesk.core.prediction import EngineChoice, Precision

CPU = torch.device("cpu")

_CHANNELS_LAST: Mapping[int, torch.memory_format] = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of a batch's axes; tensor cores read it without turning the batch over."""


class Runner(Protocol):
    """Runs one network in one engine and precision.

    Contract: takes normalised windows (N, channels, [k,] j, i), float32, on `device`; gives their
    logits (N, classes, [k,] j, i) there, which the caller may change. Any N; raises `MemoryError`
    or torch's own error where memory runs out.
    """

    @property
    def name(self) -> str:
        """Engine and precision, as the manifest says them: "torch-fp32"."""

    @property
    def device(self) -> torch.device:
        """Where windows are expected."""

    def make_ready(self) -> None:
        """Bring the network to its device; called before a run, and when another runner had it meanwhile."""

    def __call__(self, windows: Tensor) -> Tensor:
        """Return the logits of a batch."""


@dataclass(frozen=True, slots=True)
class TorchRunner:
    """Torch, eager: float32, or bfloat16 where autocast finds it safe.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode; shared between runners, `make_ready` moves it.
    device : torch.device
        Where it runs.
    precision : Precision
        FP32 or BF16.
    """

    network: nn.Module
    device: torch.device
    precision: Precision = Precision.FP32

    @property
    def name(self) -> str:
        """Engine and precision."""
        return runner_name(EngineChoice.TORCH, self.precision)

    def make_ready(self) -> None:
        """Bring the network to the device; on CUDA with the channels last."""
        self.network.to(self.device)
        for parameter in self.network.parameters():
            if parameter.ndim in _CHANNELS_LAST:
                parameter.data = parameter.data.contiguous(memory_format=self._format(parameter.ndim))

    def __call__(self, windows: Tensor) -> Tensor:
        """Return the logits of a batch."""
        ordered = windows.contiguous(memory_format=self._format(windows.ndim))
        is_half = self.precision is Precision.BF16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_half):
            logits: Tensor = self.network(ordered)
        return logits

    def _format(self, axes: int) -> torch.memory_format:
        # On CPUs oneDNN chooses its own order; channels-last was measured no faster there.
        return _CHANNELS_LAST[axes] if self.device.type == "cuda" else torch.contiguous_format


def runner_name(engine: EngineChoice, precision: Precision) -> str:
    """Return what the manifest calls an engine in a precision."""
    return f"{engine.value}-{precision.value}"


def computes_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 without slow emulation: on CPUs oneDNN asks for AVX-512 or the like."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_bf16_instructions(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 itself; plain AVX-512 computes it in float32 and gains little."""
    if device.type == "cuda":
        return computes_bf16(device)
    return computes_bf16(device) and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
