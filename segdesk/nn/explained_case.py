"""A network, an image and a class: windows, the score that is explained, and maps put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segdesk.core.progress import Progress
from segdesk.nn.loaded_model import LoadedModel
from segdesk.nn.preprocess import Preprocessed
from segdesk.nn.stitch import ClassSink, Engine, stitch
from segdesk.nn.window import Window, WindowPlan

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ExplainedCase:
    """What is explained, window by window.

    Parameters
    ----------
    network : torch.nn.Module
        On its device, differentiable.
    model : LoadedModel
        Windows and margins.
    image : Preprocessed
        On the model's grid.
    class_index : int
        Output channel of the label.
    report : Progress
        Called for each window.
    """

    network: nn.Module
    model: LoadedModel
    image: Preprocessed
    class_index: int
    report: Progress

    @property
    def plan(self) -> WindowPlan:
        """Where the windows lie."""
        k, j, i = self.image.array.shape[1:]
        return WindowPlan((k, j, i), self.model.window, self.model.margin, divisor=self.model.divisor)

    def drawn(self) -> NDArray[np.bool_]:
        """Return where the network draws the label, before any clean-up, (k, j, i)."""
        device = next(self.network.parameters()).device
        sink = ClassSink(self.plan.shape)
        engine = Engine(self.network, self.model.spec.dimensions, device, device)
        stitch(engine, self.image.array, self.plan, sink, self._step("Looking for the label"))
        return sink.classes == self.class_index

    def windows(self, text: str) -> Iterator[tuple[Window, Tensor]]:
        """Yield every window with what the network looks at there, (1, inputs, [k,] j, i)."""
        device = next(self.network.parameters()).device
        padded = torch.from_numpy(self.plan.pad(self.image.array))
        step = self._step(text)
        for number, window in enumerate(self.plan.windows()):
            step(number)
            view = padded[(slice(None), *self.plan.view(window.corner).slices)].to(device)
            yield window, (view.flatten(0, 1)[None] if self._is_2d else view[None])

    def placed(self, wanted: NDArray[np.bool_]) -> Tensor:
        """Return the wanted voxels (k, j, i) in the padded image, as `score` takes them."""
        padded = np.zeros(self.plan.padded_shape, np.bool_)
        padded[self._inside] = wanted
        return torch.from_numpy(padded)

    def score(self, logits: Tensor, window: Window, wanted: Tensor) -> Tensor:
        """Return this window's part in the sum of the label's stitched logits over the wanted (`placed`) voxels."""
        counts = wanted[self._span(window)] * self._share(window)
        chosen = logits[:, self.class_index]
        return (chosen.reshape(counts.shape) * counts.to(chosen.device)).sum()

    def stitched(self, parts: Iterable[tuple[Window, Tensor]]) -> FloatArray:
        """Average maps (k, j, i) of windows as their answers are averaged."""
        total = torch.zeros(self.plan.padded_shape)
        for window, part in parts:
            total[self._span(window)] += part.cpu() * self._share(window)
        return np.ascontiguousarray(total[self._inside].numpy())

    def on_window(self, coarse: Tensor, view: Tensor) -> Tensor:
        """Bring a map of a layer, (1, 1, ...), to the voxels its window answers for, (k, j, i).

        A padded network's layer covers what the network looks at; of one with valid convolutions it
        covers the middle: its length times its stride.
        """
        kind = "bilinear" if self._is_2d else "trilinear"
        lengths = list(view.shape[2:])
        if any(self.model.margin[-len(lengths) :]):
            steps = self.model.divisor[-len(lengths) :]
            pairs = zip(lengths, coarse.shape[2:], steps, strict=True)
            lengths = [size * min(step, 1 << ((length // size).bit_length() - 1)) for length, size, step in pairs]
        fine = functional.interpolate(coarse, size=lengths, mode=kind, align_corners=False)
        window = self.plan.window[-len(lengths) :]
        starts = [(length - size) // 2 for length, size in zip(lengths, window, strict=True)]
        inside = tuple(slice(start, start + size) for start, size in zip(starts, window, strict=True))
        return fine[0, 0][inside].reshape(self.plan.window)

    def gradients(self, parts: Iterable[tuple[Window, Tensor]]) -> FloatArray:
        """Add up gradients (1, inputs, [k,] j, i) with respect to what windows look at; (C, k, j, i) on the image."""
        total = torch.from_numpy(np.zeros_like(self.plan.pad(self.image.array)))
        for window, part in parts:
            place = total[(slice(None), *self.plan.view(window.corner).slices)]
            place += part[0].cpu().reshape(place.shape)
        first = [before + margin for before, margin in zip(self.plan.before, self.plan.margin, strict=True)]
        inside = tuple(slice(start, start + n) for start, n in zip(first, self.plan.shape, strict=True))
        return np.ascontiguousarray(total[(slice(None), *inside)].numpy())

    @property
    def _is_2d(self) -> bool:
        return self.model.spec.dimensions == 2

    @property
    def _inside(self) -> tuple[slice, ...]:
        return tuple(slice(start, start + n) for start, n in zip(self.plan.before, self.plan.shape, strict=True))

    def _span(self, window: Window) -> tuple[slice, ...]:
        return tuple(slice(start, start + n) for start, n in zip(window.corner, self.plan.window, strict=True))

    def _share(self, window: Window) -> Tensor:
        """Return how much each voxel of a window counts in the stitched answer."""
        shares = [
            torch.from_numpy(own / np.maximum(total[start : start + len(own)], np.finfo(np.float32).tiny))
            for own, total, start in zip(window.profiles, self.plan.totals, window.corner, strict=True)
        ]
        k, j, i = shares
        return k[:, None, None] * j[:, None] * i

    def _step(self, text: str) -> Callable[[int], None]:
        return lambda done: self.report(done, self.plan.count, text)
