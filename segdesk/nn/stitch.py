"""Run a network window by window and stitch its answers, slab by slab.

Only the slices that windows still write to are kept as one float per class; a
finished slab goes to a sink, which keeps labels (one byte a voxel) or, where they
are needed, probabilities. A volume with many labels thus never exists as floats.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segdesk.core.box import Index3
from segdesk.core.labels import LabelArray
from segdesk.nn.window import Profiles, WindowPlan

FloatArray = NDArray[np.float32]

_SLICES_AT_ONCE = 8
"""Finished slices handed over together: their copy stays small beside the slab."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A network ready to run.

    Parameters
    ----------
    network : torch.nn.Module or Runner
        On `device`, in evaluation mode; gives logits.
    dimensions : int
        2 for networks that take (N, C, j, i).
    device : torch.device
        Where the network is.
    store : torch.device
        Where the unfinished slab is.
    batch : int
        Windows a forward pass.
    flip_axes : tuple of int
        Of (k, j, i): average over all copies of each window mirrored along these.
    spread : bool
        Append a channel to the logits: how much the copies' probabilities vary.
    """

    network: Callable[[Tensor], Tensor]
    dimensions: int
    device: torch.device
    store: torch.device
    batch: int = 1
    flip_axes: tuple[int, ...] = ()
    spread: bool = False

    def logits(self, windows: Tensor) -> Tensor:
        """Return the logits of a batch of windows, both (N, channels, k, j, i)."""
        total: Tensor | None = None
        moments = _Moments()
        copies = list(self._copies())
        for axes in copies:
            answer = self._forward(windows.flip(axes)).flip(axes)
            if self.spread:
                moments.add(answer.softmax(dim=1))
            total = answer if total is None else total.add_(answer)
        mean = torch.as_tensor(total) if len(copies) == 1 else torch.as_tensor(total).div_(len(copies))
        return torch.cat([mean, moments.variance()], dim=1) if self.spread else mean

    def _forward(self, windows: Tensor) -> Tensor:
        logits = self.network(network_input(windows, self.dimensions)).float()
        return logits[:, :, None] if self.dimensions == 2 else logits

    def _copies(self) -> Iterator[tuple[int, ...]]:
        """Yield the axes of the windows that each copy is mirrored along; the first copy along none."""
        axes = [2 + axis for axis in self.flip_axes]
        for count in range(len(axes) + 1):
            yield from itertools.combinations(axes, count)


def network_input(windows: Tensor, dimensions: int) -> Tensor:
    """Return windows (N, C, k, j, i) as a network of 2 or 3 dimensions takes them."""
    # One slice, or with it its neighbours: the slices of a channel follow each other.
    return windows.flatten(1, 2) if dimensions == 2 else windows


class _Moments:
    """Mean and variance of probabilities (Welford 1962), summed over the classes."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, sample: Tensor) -> None:
        self._count += 1
        if self._mean is None or self._squares is None:
            self._mean, self._squares = sample, torch.zeros_like(sample)
            return
        deviation = sample - self._mean
        self._mean = self._mean + deviation / self._count
        self._squares.addcmul_(deviation, sample - self._mean)

    def variance(self) -> Tensor:
        """Return the variance over the samples, summed over the classes, shape (N, 1, k, j, i)."""
        return torch.as_tensor(self._squares).sum(dim=1, keepdim=True).div_(self._count)


class Sink(Protocol):
    """Takes finished slabs of logits, in ascending order of k."""

    def take(self, start_k: int, logits: Tensor) -> None:
        """Keep what is needed of logits (classes, k, j, i) of the slices from `start_k`."""


class ClassSink:
    """Keeps the most probable class of each voxel; decided on the device, copied while the next windows run."""

    def __init__(self, shape: Index3) -> None:
        self._classes = torch.zeros(shape, dtype=torch.uint8)
        self._device = self._classes.device

    @property
    def classes(self) -> LabelArray:
        """The class indices taken so far, (k, j, i)."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return self._classes.numpy()

    def take(self, start_k: int, logits: Tensor) -> None:
        """Keep the class with the largest logit; the lower one wins a tie."""
        if logits.is_cuda and not self._classes.is_pinned():
            # Only into pinned memory does a copy run beside the computation.
            self._classes, self._device = self._classes.pin_memory(), logits.device
        best = logits.argmax(dim=0).to(torch.uint8)
        self._classes[start_k : start_k + logits.shape[1]].copy_(best, non_blocking=True)


class ProbabilitySink:
    """Keeps the softmax of each voxel; shape (classes, k, j, i) in `dtype`."""

    def __init__(self, classes: int, shape: Index3, dtype: type[np.floating] = np.float32) -> None:
        self.probabilities: NDArray[np.floating] = np.zeros((classes, *shape), dtype)

    def take(self, start_k: int, logits: Tensor) -> None:
        """Keep the softmax over the classes."""
        self.probabilities[:, start_k : start_k + logits.shape[1]] = logits.softmax(dim=0).cpu().numpy()


@torch.inference_mode()
def stitch(engine: Engine, image: FloatArray, plan: WindowPlan, sink: Sink, step: Callable[[int], None]) -> None:
    """Run every window and hand finished slabs to the sink.

    Parameters
    ----------
    engine : Engine
        Network, device, batch.
    image : ndarray of float32, shape (C, k, j, i)
        Normalised image of `plan.shape`.
    plan : WindowPlan
        Where the windows lie.
    sink : Sink
        Takes the result.
    step : callable
        Called with the number of windows done before and after each batch; may raise `Cancelled`.
    """
    padded = torch.from_numpy(plan.pad(image)).to(engine.store)
    slab = _Slab(plan, engine.store, sink)
    windows = list(plan.windows())
    step(0)
    for first in range(0, len(windows), engine.batch):
        batch = windows[first : first + engine.batch]
        views = torch.stack([padded[(slice(None), *plan.view(window.corner).slices)] for window in batch])
        for window, logits in zip(batch, engine.logits(views.to(engine.device)), strict=True):
            slab.add(window.corner, logits.to(engine.store) * _product(window.profiles, engine.store))
        step(first + len(batch))
    slab.finish()


class _Slab:
    """The weighted sum of the slices that windows still write to."""

    def __init__(self, plan: WindowPlan, device: torch.device, sink: Sink) -> None:
        self._plan = plan
        self._device = device
        self._sink = sink
        self._start = 0
        self._sum: Tensor | None = None

    def add(self, corner: Index3, weighted: Tensor) -> None:
        """Add a window; windows come in ascending order of k."""
        total = self._prepared(weighted.shape[0])
        if corner[0] > self._start:
            self._flush(total, corner[0] - self._start)
        (_, j, i), (_, dj, di) = corner, self._plan.window
        total[:, :, j : j + dj, i : i + di] += weighted

    def finish(self) -> None:
        """Hand over what is left."""
        if self._sum is not None:
            self._flush(self._sum, self._sum.shape[1])

    def _prepared(self, classes: int) -> Tensor:
        if self._sum is None:
            _, rows, columns = self._plan.padded_shape
            self._sum = torch.zeros((classes, self._plan.window[0], rows, columns), device=self._device)
        return self._sum

    def _flush(self, total: Tensor, count: int) -> None:
        """Hand the first `count` slices to the sink and move the rest to the front."""
        depth = total.shape[1]
        done = min(count, depth)
        for first in range(0, done, _SLICES_AT_ONCE):
            self._hand_over(self._start + first, total[:, first : min(done, first + _SLICES_AT_ONCE)])
        # One by one: the places overlap, and a copy of the rest would be as large as the slab.
        for n in range(depth - done):
            total[:, n] = total[:, n + done]
        total[:, depth - done :] = 0
        self._start += count

    def _hand_over(self, start: int, slices: Tensor) -> None:
        """Divide by the weights, cut the padding off and pass on."""
        plan = self._plan
        inside = [slice(b, b + n) for b, n in zip(plan.before, plan.shape, strict=True)]
        low, high = max(start, inside[0].start), min(start + slices.shape[1], inside[0].stop)
        if low >= high:
            return
        totals = (plan.totals[0][low:high], plan.totals[1][inside[1]], plan.totals[2][inside[2]])
        kept = slices[:, low - start : high - start, inside[1], inside[2]]
        self._sink.take(low - inside[0].start, kept / _product(totals, self._device))


def _product(profiles: Profiles, device: torch.device) -> Tensor:
    k, j, i = (torch.from_numpy(each).to(device) for each in profiles)
    return k[:, None, None] * j[:, None] * i
