"""Turn data and recipe into what will be trained: grid, patch, network, batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import Grid
from segdesk.core.labels import PALETTE
from segdesk.errors import UsageError
from segdesk.nn.dataset import Dataset, LoadedCase
from segdesk.nn.fingerprint import Fingerprint, fingerprint
from segdesk.nn.plan_network import NetworkPlan, plan_network
from segdesk.nn.plan_words import Spacing, median_image, plan_in_words
from segdesk.nn.recipe import PreprocessingChoice, Recipe
from segdesk.nn.training_memory import memory_budget_mib
from segdesk.zoo.spec import FLIP_AXES, Channel, LabelSpec, ModelSpec, NetworkSpec, Normalisation

NO_HASH = "0" * 64
"""Stands for the weights' hash until there are weights."""

_PATCH_VOXELS = {2: 256 * 256, 3: 96 * 1024}
"""Default patch of a network that a recipe names: what two CPU cores train at one to two steps a second."""

_DIVISOR = {2: 16, 3: 8}

_THICK = 3.0
_FINER_PERCENTILE = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be trained, and why.

    Parameters
    ----------
    spec : ModelSpec
        Grid, patch, network.
    recipe : Recipe
        The one given, with what was planned for it filled in.
    sentences : tuple of str
        The plan for people.
    """

    spec: ModelSpec
    recipe: Recipe
    sentences: tuple[str, ...]


def plan_training(
    dataset: Dataset, cases: Sequence[LoadedCase], recipe: Recipe, name: str, device: torch.device
) -> Plan:
    """Plan a training; what the recipe leaves open is taken from the cases.

    Depth, patch and batch follow from the memory budget where the recipe names neither a network nor
    a patch; the batch and the normalisation of CT are planned only where there is no recipe at all.

    Parameters
    ----------
    dataset : Dataset
        Channels and labels.
    cases : sequence of LoadedCase
        The training cases.
    recipe : Recipe
        May be empty.
    name : str
        Model name where the recipe has none.
    device : torch.device
        Its memory is the budget, unless the recipe gives one.

    Raises
    ------
    UsageError
        If the recipe's numbers do not fit together.
    """
    choice = recipe.preprocessing
    dims = choice.dimensions or (3 if np.median([case.classes.shape[0] for case in cases]) >= 8 else 2)
    _check_views(choice, dims)
    orientation = _orientation(choice, cases, dims)
    seen = fingerprint(cases, len(dataset.labels) + 1, orientation)
    spacing = _spacing(choice, seen)
    budget_mib = choice.memory_mib or memory_budget_mib(device)
    planned = None
    if recipe.network is None and not choice.patch_kji:
        planned = _planned_network(dataset, seen, spacing, dims, choice, budget_mib)
        network, patch = planned.network, planned.patch if dims == 3 else (1, *planned.patch)
    else:
        network, patch = recipe.network or default_network(dims), _patch(choice, seen, spacing, dims)
    if planned is not None and not recipe.text:
        recipe = replace(recipe, training=replace(recipe.training, batch_size=planned.batch))
    channels = tuple(Channel(name=each, normalisation=_normalisation(each, seen, recipe)) for each in dataset.channels)
    try:
        spec = ModelSpec.model_validate(
            {
                "name": recipe.name or name,
                "title": recipe.title or recipe.name or name,
                "dimensions": 2 if dims == 2 else 3,
                "slice_context": choice.slice_context,
                "views": choice.views,
                "network": network,
                "channels": channels,
                "labels": _labels(dataset),
                "spacing_kji_mm": spacing,
                "patch_kji": patch,
                "orientation": orientation,
                "trained_extent_kji_mm": seen.extent_kji_mm,
                "flip_axes": tuple(axis for axis in FLIP_AXES if axis in recipe.augment.flip_axes),
                "post_processing": recipe.post_processing,
                "weights_sha256": NO_HASH,
            }
        )
    except ValueError as exc:
        raise UsageError(f"The recipe does not make a model: {' '.join(str(exc).split())[:300]}") from exc
    return Plan(spec, recipe, plan_in_words(spec, seen, recipe.training.batch_size, planned, budget_mib))


def _planned_network(
    dataset: Dataset,
    seen: Fingerprint,
    spacing: Spacing | None,
    dims: int,
    choice: PreprocessingChoice,
    budget_mib: float,
) -> NetworkPlan:
    image = _largest_views(median_image(seen, spacing), choice)
    classes = len(dataset.labels) + 1
    voxels = float(np.prod(median_image(seen, spacing))) * seen.cases
    inputs = len(dataset.channels) * (1 + 2 * choice.slice_context)
    # A network that sees all views has no axis whose voxels are larger.
    steps = (1.0, 1.0, 1.0) if spacing is None or len(choice.views) > 1 else spacing
    return plan_network(image[-dims:], steps[-dims:], inputs, classes, voxels, budget_mib)


def _largest_views(image: NDArray[np.float64], choice: PreprocessingChoice) -> NDArray[np.float64]:
    """Return lengths (k, j, i) whose last two hold the slices of every view: rows are j or k, columns i or j."""
    if len(choice.views) == 1:
        return image
    k, j, i = image
    return np.array([k, max(j, k), max(i, j)])


def _check_views(choice: PreprocessingChoice, dims: int) -> None:
    """Refuse what only 2D models have; the rest is checked with the model's own description."""
    if dims == 3 and (choice.slice_context or len(choice.views) > 1):
        raise UsageError("slice_context and views are of 2D models: give dimensions = 2 with them.")


def _normalisation(channel: str, seen: Fingerprint, recipe: Recipe) -> Normalisation:
    """Return the recipe's; without a recipe CT numbers, which mean the same in every scan, keep one scale."""
    found = seen.intensities.get(channel)
    if recipe.text or not channel.startswith("ct") or found is None or not found.low < found.high or found.std <= 0:
        return recipe.preprocessing.normalisation
    return Normalisation(kind="window", low=found.low, high=found.high, mean=found.mean, std=found.std)


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
    """Turn scans to RAS where every case knows its axes; 2D models that see one view only keep theirs."""
    if choice.orientation not in ("", "RAS", "LPS"):
        raise UsageError(f"orientation is RAS, LPS or nothing, not {choice.orientation[:20]!r}.")
    if choice.orientation == "LPS":
        return "LPS"
    if choice.orientation == "RAS":
        return "RAS"
    if dims == 2 and len(choice.views) == 1:
        return None
    return "RAS" if all(_first_grid(case).orientation_known for case in cases) else None


def _spacing(choice: PreprocessingChoice, seen: Fingerprint) -> Spacing | None:
    """Return the recipe's spacing, else the median of the cases, finer along the axis of thick slices.

    References
    ----------
    Isensee et al., Nat Methods 18:203, 2021, supplementary note 2: an axis whose median spacing is more than three
    times that of the others, with less than a third of their voxels, takes the 10th percentile of its spacings.
    """
    if choice.spacing_kji_mm:
        k, j, i = _three(choice.spacing_kji_mm, "spacing_kji_mm")
        return k, j, i
    if seen.spacings_kji_mm is None:
        return None
    spacing = np.median(seen.spacings_kji_mm, axis=0)
    voxels = np.median(seen.shapes_kji * seen.spacings_kji_mm / spacing, axis=0)
    worst = int(spacing.argmax())
    others = [axis for axis in range(3) if axis != worst]
    if spacing[worst] > _THICK * spacing[others].max() and voxels[worst] * _THICK < voxels[others].min():
        finer = float(np.percentile(seen.spacings_kji_mm[:, worst], _FINER_PERCENTILE))
        spacing[worst] = max(finer, spacing[others].max())
    k, j, i = (float(x) for x in spacing)
    return k, j, i


def _patch(choice: PreprocessingChoice, seen: Fingerprint, spacing: Spacing | None, dims: int) -> Index3:
    if choice.patch_kji:
        k, j, i = (int(n) for n in _three(choice.patch_kji, "patch_kji"))
        return k, j, i
    lengths = _largest_views(median_image(seen, spacing), choice)
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
