"""Networks in memory on whole cases: classes on either grid, Dice while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from segdesk.core.labels import LabelArray
from segdesk.core.prediction import ViewChoice
from segdesk.nn.fusion import View, stitch_views
from segdesk.nn.loaded_model import windows_of
from segdesk.nn.losses import IGNORE
from segdesk.nn.preprocess import FloatArray, Preprocessed
from segdesk.nn.sampler import TrainingCase
from segdesk.nn.stitch import ClassSink, Engine, ProbabilitySink, Sink
from segdesk.nn.views import views_of
from segdesk.nn.window import WindowPlan
from segdesk.zoo.spec import ModelSpec

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class FoldScore:
    """Dice on the fold.

    Parameters
    ----------
    dice_by_class : mapping of int to float
        Mean over the cases in which the class is there or drawn, by class index.
    mean_dice : float
        Mean over classes; 0 when no class is anywhere, so that it can be compared.
    cases : int
        How many cases were looked at.
    """

    dice_by_class: Mapping[int, float]
    mean_dice: float
    cases: int


def score_fold(network: nn.Module, spec: ModelSpec, cases: Sequence[TrainingCase], *, bf16: bool) -> FoldScore:
    """Segment every case on the model's grid and compare with its labels."""
    dices: dict[int, list[float]] = {}
    for case in cases:
        drawn = classify(network, spec, case.image.numpy(), bf16=bf16)
        for value, dice in enumerate(class_dices(drawn, case.labels.numpy(), len(spec.labels)), start=1):
            if dice is not None:
                dices.setdefault(value, []).append(dice)
    means = {value: float(np.mean(each)) for value, each in sorted(dices.items())}
    return FoldScore(means, float(np.mean(list(means.values()))) if means else 0.0, len(cases))


def class_dices(drawn: LabelArray, reference: LabelArray, labels: int) -> list[float | None]:
    """Compute 2|A∩B| / (|A|+|B|) of the classes 1 to `labels`; None where both are empty.

    Voxels that are `IGNORE` in the reference do not count.
    """
    counted = reference != IGNORE
    a, b = drawn[counted], reference[counted]
    both = np.bincount(a[a == b], minlength=labels + 1)
    sizes = np.bincount(a, minlength=labels + 1) + np.bincount(b, minlength=labels + 1)
    return [2 * int(both[c]) / int(sizes[c]) if sizes[c] else None for c in range(1, labels + 1)]


def classify(
    network: nn.Module,
    spec: ModelSpec,
    image: FloatArray,
    *,
    bf16: bool = False,
    views: ViewChoice = ViewChoice.SLICES,
) -> LabelArray:
    """Return the class index of every voxel of a preprocessed image (C, k, j, i), on its own grid."""
    _, k, j, i = image.shape
    sink = ClassSink((k, j, i))
    _run(network, spec, image, sink, bf16=bf16, views=views)
    return sink.classes


def segment(
    network: nn.Module,
    spec: ModelSpec,
    prepared: Preprocessed,
    *,
    bf16: bool = False,
    views: ViewChoice = ViewChoice.SLICES,
) -> LabelArray:
    """Return the class index of every voxel on the source grid, as `predict` does."""
    _, k, j, i = prepared.array.shape
    if prepared.axes.turned_shape(prepared.source.shape_kji) == (k, j, i):
        classes = classify(network, spec, prepared.array, bf16=bf16, views=views)
        return np.ascontiguousarray(prepared.axes.turn_back(classes))
    sink = ProbabilitySink(len(spec.label_values), (k, j, i))
    _run(network, spec, prepared.array, sink, bf16=bf16, views=views)
    return prepared.labels_to_source(np.asarray(sink.probabilities, dtype=np.float32))


def _run(network: nn.Module, spec: ModelSpec, image: FloatArray, sink: Sink, *, bf16: bool, views: ViewChoice) -> None:
    network.eval()
    _, k, j, i = image.shape
    window, margin, divisor = windows_of(network, spec)
    plan = WindowPlan((k, j, i), window, margin, divisor=divisor)
    device = _device(network)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        stitch_views(
            Engine(network, spec.dimensions, device, _CPU),
            image,
            plan,
            [View(axis) for axis in views_of(views, (k, j, i))],
            sink,
            _go_on,
            classes=len(spec.label_values),
            dtype=np.float32,
        )


def _go_on(done: int) -> None:
    """Let the windows run; the loop's own report cancels between steps."""


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
