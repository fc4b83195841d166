"""Turn data and recipe into a model description: grid, patch, network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import PALETTE
from segdesk.errors import UsageError
from segdesk.nn.dataset import Dataset, LoadedCase
from segdesk.nn.recipe import PreprocessingChoice, Recipe
from segdesk.zoo.spec import FLIP_AXES, Channel, LabelSpec, ModelSpec, NetworkSpec

NO_HASH = "0" * 64
"""Stands for the weights' hash until there are weights."""

_PATCH_VOXELS = {2: 256 * 256, 3: 96 * 1024}
"""Default patch size: what two CPU cores train at one to two steps a second."""

_DIVISOR = {2: 16, 3: 8}


def plan_model(dataset: Dataset, cases: Sequence[LoadedCase], recipe: Recipe, name: str) -> ModelSpec:
    """Describe the model to train; what the recipe leaves open is taken from the cases.

    Parameters
    ----------
    dataset : Dataset
        Channels and labels.
    cases : sequence of LoadedCase
        The training cases: their median spacing and shape.
    recipe : Recipe
        May be empty.
    name : str
        Model name where the recipe has none.

    Raises
    ------
    UsageError
        If the recipe's numbers do not fit together.
    """
    choice = recipe.preprocessing
    dims = choice.dimensions or (3 if np.median([c.classes.shape[0] for c in cases]) >= 8 else 2)
    spacing = _spacing(choice, cases)
    network = recipe.network or default_network(dims)
    try:
        return ModelSpec(
            name=recipe.name or name,
            title=recipe.title or recipe.name or name,
            dimensions=2 if dims == 2 else 3,
            network=network,
            channels=tuple(Channel(name=each, normalisation=choice.normalisation) for each in dataset.channels),
            labels=_labels(dataset),
            spacing_kji_mm=spacing,
            patch_kji=_patch(choice, cases, spacing, dims),
            orientation=_orientation(choice, cases, dims),
            flip_axes=tuple(axis for axis in FLIP_AXES if axis in recipe.augment.flip_axes),
            post_processing=recipe.post_processing,
            weights_sha256=NO_HASH,
        )
    except ValueError as exc:
        raise UsageError(f"The recipe does not make a model: {' '.join(str(exc).split())[:300]}") from exc


def default_network(dims: int) -> NetworkSpec:
    """Return the network used where none is named: 2.8 million parameters in 3D, 1.9 in 2D."""
    widths = [32, 64, 96, 128] if dims == 3 else [32, 64, 96, 128, 160]
    return NetworkSpec.model_validate(
        {"name": "residual_unet", "parameters": {"widths": widths, "deep_supervision": 1}}
    )


def _labels(dataset: Dataset) -> tuple[LabelSpec, ...]:
    return tuple(
        LabelSpec.model_validate(
            {"value": label.value, "name": label.name, "colour_rgb": label.colour_rgb or PALETTE[n % len(PALETTE)]}
        )
        for n, label in enumerate(dataset.labels)
    )


def _orientation(choice: PreprocessingChoice, cases: Sequence[LoadedCase], dims: int) -> Literal["RAS", "LPS"] | None:
    """Turn 3D scans to RAS where every case knows its axes; 2D images keep theirs."""
    if choice.orientation not in ("", "RAS", "LPS"):
        raise UsageError(f"orientation is RAS, LPS or nothing, not {choice.orientation[:20]!r}.")
    if choice.orientation == "LPS":
        return "LPS"
    if choice.orientation == "RAS":
        return "RAS"
    if dims == 2:
        return None
    return "RAS" if all(_first_grid(case).orientation_known for case in cases) else None


def _spacing(choice: PreprocessingChoice, cases: Sequence[LoadedCase]) -> tuple[float, float, float] | None:
    if choice.spacing_kji_mm:
        k, j, i = _three(choice.spacing_kji_mm, "spacing_kji_mm")
        return k, j, i
    grids = [_first_grid(case) for case in cases]
    regular = [grid.spacing_kji_mm for grid in grids if isinstance(grid, Geometry) and grid.spacing_known]
    if len(regular) < len(grids):
        return None
    k, j, i = (float(x) for x in np.median(regular, axis=0))
    return k, j, i


def _patch(
    choice: PreprocessingChoice, cases: Sequence[LoadedCase], spacing: Sequence[float] | None, dims: int
) -> Index3:
    if choice.patch_kji:
        k, j, i = (int(n) for n in _three(choice.patch_kji, "patch_kji"))
        return k, j, i
    shapes = np.array([case.classes.shape for case in cases], dtype=np.float64)
    if spacing is not None:
        own = np.array([getattr(_first_grid(case), "spacing_kji_mm", spacing) for case in cases])
        shapes = shapes * own / np.array(spacing)
    lengths = np.median(shapes, axis=0)
    if dims == 2:
        lengths[0] = 1
    while lengths.prod() > _PATCH_VOXELS[dims]:
        lengths[int(lengths.argmax())] *= 0.9
    unit = _DIVISOR[dims]
    k, j, i = (1 if dims == 2 and axis == 0 else max(1, math.ceil(n / unit)) * unit for axis, n in enumerate(lengths))
    return k, j, i


def _three(values: Sequence[float], name: str) -> Sequence[float]:
    if len(values) != 3:
        raise UsageError(f"{name} has three numbers (k, j, i).")
    return values


def _first_grid(case: LoadedCase) -> Grid:
    return next(iter(case.channels.values())).geometry
