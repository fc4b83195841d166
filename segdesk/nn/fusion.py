"""Run a 2D network across several axes of a volume and average what it says.

Every view ends its slabs along another axis, so nothing can be decided before the last one is
done: the mean is kept for all classes, four bytes a voxel and class, or two where that would be
large. Only then it is handed on, slab by slab, to whatever takes the slabs of a single run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segdesk.core.box import Index3
from segdesk.core.prediction import PredictOptions, ViewChoice
from segdesk.nn.inputs import mirrored_axes
from segdesk.nn.stitch import Engine, FloatArray, ProbabilitySink, Sink, stitch
from segdesk.nn.views import ALL_VIEWS, plan_across, views_of
from segdesk.nn.window import WindowPlan
from segdesk.zoo.spec import ModelSpec

_SLICES_AT_ONCE = 8
"""Slices handed on together, as `segdesk.nn.stitch` does."""

_LEAST = 1e-7
"""Probabilities that float16 rounds to 0 are taken as this: their logarithm is used."""


@dataclass(frozen=True, slots=True)
class View:
    """One way through the volume.

    Parameters
    ----------
    axis : int
        Axis of the model's grid (0: k) across which slices are taken.
    flip_axes : tuple of int
        Of the axes as the view has them: average over copies of each window mirrored along these.
    """

    axis: int
    flip_axes: tuple[int, ...] = ()


def views_of_run(options: PredictOptions, spec: ModelSpec, shape: Index3) -> tuple[View, ...]:
    """Return how an image (k, j, i) of the model's grid is gone through."""
    axes = views_of(options.views, shape)
    return tuple(View(axis, mirrored_axes(spec, axis) if options.flips else ()) for axis in axes)


def windows_across(plan: WindowPlan, views: Sequence[View]) -> int:
    """Return the number of windows of all views."""
    return sum(plan_across(plan, view.axis).count for view in views)


def notes_on_views(choice: ViewChoice, views: Sequence[View]) -> list[str]:
    """Tell which views of three there are not."""
    if choice is ViewChoice.SLICES or len(views) == len(ALL_VIEWS):
        return []
    return ["The image is one voxel thick: it was not seen from the side."]


def stitch_views(
    engine: Engine,
    image: FloatArray,
    plan: WindowPlan,
    views: Sequence[View],
    sink: Sink,
    step: Callable[[int], None],
    *,
    classes: int,
    dtype: type[np.floating],
) -> None:
    """Run every window of every view and hand the mean probabilities to the sink, as logits.

    Parameters
    ----------
    engine : Engine
        Of a 2D network; its flips are replaced by those of each view.
    image : ndarray of float32, shape (C, k, j, i)
        Normalised image of `plan.shape`.
    plan : WindowPlan
        Where the windows lie across k.
    views : sequence of View
        At least one; a single view across k is what `segdesk.nn.stitch.stitch` does.
    sink : Sink
        Takes the result.
    step : callable
        Called with the number of windows done, over all views; may raise `Cancelled`.
    classes : int
        Of the network, background included.
    dtype : type
        What the mean is kept in.
    """
    if len(views) == 1 and views[0].axis == 0:
        stitch(replace(engine, flip_axes=views[0].flip_axes), image, plan, sink, step)
        return
    mean = _Mean(_kept_by(sink), (classes, *plan.shape), dtype, parts=len(views), spread=engine.spread)
    done = 0
    for view in views:
        across = plan_across(plan, view.axis)
        own = replace(engine, flip_axes=view.flip_axes)
        turned = np.moveaxis(image, 1 + view.axis, 1)
        stitch(own, turned, across, mean.across(view.axis), _after(done, step))
        done += across.count
    mean.hand_over(sink)


def _after(before: int, step: Callable[[int], None]) -> Callable[[int], None]:
    """Return what counts the windows of one view behind those of the views before it."""
    return lambda done: step(before + done)


def _kept_by(sink: Sink) -> NDArray[np.floating] | None:
    """Return the array in which a sink will keep the probabilities: the sum then needs none of its own."""
    inner = getattr(sink, "labels", sink)
    return inner.probabilities if isinstance(inner, ProbabilitySink) else None


class _Mean:
    """Mean probabilities of the views, and of how much mirrored copies vary in each."""

    def __init__(
        self,
        kept: NDArray[np.floating] | None,
        shape: tuple[int, ...],
        dtype: type[np.floating],
        *,
        parts: int,
        spread: bool,
    ) -> None:
        self.probabilities = np.zeros(shape, dtype) if kept is None else kept
        self.spread: NDArray[np.float32] | None = np.zeros((1, *shape[1:]), np.float32) if spread else None
        self._parts = parts

    def across(self, axis: int) -> Sink:
        """Return what adds the slabs of one view."""
        spread = None if self.spread is None else np.moveaxis(self.spread, 1 + axis, 1)
        return _Share(np.moveaxis(self.probabilities, 1 + axis, 1), spread, self._parts)

    def hand_over(self, sink: Sink) -> None:
        """Pass the mean on as logits, whose softmax it is."""
        for start in range(0, self.probabilities.shape[1], _SLICES_AT_ONCE):
            slab = slice(start, start + _SLICES_AT_ONCE)
            logits = torch.from_numpy(self.probabilities[:, slab].astype(np.float32)).clamp_min(_LEAST).log()
            if self.spread is not None:
                logits = torch.cat([logits, torch.from_numpy(self.spread[:, slab])])
            sink.take(start, logits)


@dataclass(frozen=True, slots=True)
class _Share:
    """Adds the probabilities of one view, whose slices come first, to the mean."""

    probabilities: NDArray[Any]
    spread: NDArray[np.float32] | None
    parts: int

    def take(self, start_k: int, logits: Tensor) -> None:
        """Add the slices from `start_k` of the view."""
        slab = slice(start_k, start_k + logits.shape[1])
        classes = len(self.probabilities)
        self.probabilities[:, slab] += (logits[:classes].softmax(dim=0) / self.parts).cpu().numpy()
        if self.spread is not None:
            self.spread[:, slab] += (logits[classes:] / self.parts).cpu().numpy()
