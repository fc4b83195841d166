"""The three orthogonal views of a volume: slices across k, j and i of the model's grid.

Seen across an axis, that axis comes first and the other two keep their order, so that a 2D
network takes every view as it takes slices across k. Nothing is resampled: the model's grid
decides how large the voxels of each view are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from segdesk.nn.sampler import TrainingCase
from segdesk.zoo.spec import FLIP_AXES, ModelSpec

T = TypeVar("T")


def view_axes(spec: ModelSpec) -> tuple[int, ...]:
    """Return the axes of the model's grid (0: k) across which it was trained on slices."""
    return tuple(FLIP_AXES.index(name) for name in spec.views)


def seen_across(values: Sequence[T], axis: int) -> tuple[T, T, T]:
    """Return one value per axis (k, j, i) in the order of a view."""
    first, second, third = values[axis], *(value for n, value in enumerate(values) if n != axis)
    return first, second, third


def case_seen_across(case: TrainingCase, axis: int) -> TrainingCase:
    """Return a case without border weights with its axes in the order of a view (tensors are shared)."""
    return TrainingCase(case.name, case.image.movedim(1 + axis, 1), case.labels.movedim(axis, 0))
