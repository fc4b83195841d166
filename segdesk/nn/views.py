"""The three orthogonal views of a volume: slices across k, j and i of the model's grid.

Seen across an axis, that axis comes first and the other two keep their order, so that a 2D
network takes every view as it takes slices across k. Nothing is resampled: the model's grid
decides how large the voxels of each view are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.prediction import ViewChoice
from segdesk.errors import UsageError
from segdesk.nn.sampler import TrainingCase
from segdesk.nn.window import WindowPlan
from segdesk.zoo.spec import FLIP_AXES, ModelSpec

T = TypeVar("T")

ALL_VIEWS = (0, 1, 2)


def view_axes(spec: ModelSpec) -> tuple[int, ...]:
    """Return the axes of the model's grid (0: k) across which it was trained on slices."""
    return tuple(FLIP_AXES.index(name) for name in spec.views)


def seen_across(values: Sequence[T], axis: int) -> tuple[T, T, T]:
    """Return one value per axis (k, j, i) in the order of a view."""
    first, second, third = values[axis], *(value for n, value in enumerate(values) if n != axis)
    return first, second, third


def case_seen_across(case: TrainingCase, axis: int) -> TrainingCase:
    """Return a case without border weights with its axes in the order of a view (tensors are shared)."""
    return TrainingCase(case.name, case.image.movedim(1 + axis, 1), case.labels.movedim(axis, 0), view=axis)


def plan_across(plan: WindowPlan, axis: int) -> WindowPlan:
    """Return where the windows lie in a view, for a plan of slices across k."""
    return replace(plan, shape=seen_across(plan.shape, axis))


def check_views(choice: ViewChoice, spec: ModelSpec, grid: Grid) -> None:
    """Refuse to run a model along views that it or the image does not have.

    Raises
    ------
    UsageError
        If three views are asked of a 3D model, of one that was not trained on them, or of slices
        that are not evenly spaced (code ``irregular_spacing``).
    """
    if choice is ViewChoice.SLICES:
        return
    if spec.dimensions == 3:
        raise UsageError(f"{spec.identity} is a 3D model and sees all directions at once; leave the views out.")
    if spec.views != FLIP_AXES:
        raise UsageError(
            f"{spec.identity} has learned from slices across one axis; across the others its answers would mean "
            'nothing. Run it slice by slice, or train one with views = ["k", "j", "i"].'
        )
    if not isinstance(grid, Geometry):
        raise UsageError(
            "The slices are not evenly spaced, so they cannot be seen from the side; run the model slice by slice.",
            code="irregular_spacing",
        )


def views_of(choice: ViewChoice, shape: Index3) -> tuple[int, ...]:
    """Return the axes across which an image (k, j, i) of the model's grid is seen.

    A view whose slices would be a single row or column, as those from the side of a single
    slice, is left out.
    """
    if choice is ViewChoice.SLICES:
        return (0,)
    return tuple(axis for axis in ALL_VIEWS if axis == 0 or min(seen_across(shape, axis)[1:]) > 1)
