"""What training from scratch and fine-tuning share."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segdesk.core.box import Index3
from segdesk.core.progress import Progress
from segdesk.errors import UsageError, Warn, WriteError
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.batch_norm import add_batch_norm, fold_batch_norm
from segdesk.nn.border import border_maps
from segdesk.nn.dataset import Dataset, LoadedCase, bad_dataset, load_cases
from segdesk.nn.fit import Budget, Emit, Fit, Fitted, Place
from segdesk.nn.learner import Learner
from segdesk.nn.loaded_model import windows_of
from segdesk.nn.losses import LossSettings, inverse_frequency
from segdesk.nn.prepare import Parts, training_cases
from segdesk.nn.recipe import Recipe, TrainingNumbers
from segdesk.nn.sampler import PatchSampler, TrainingCase
from segdesk.nn.views import case_seen_across, seen_across, view_axes
from segdesk.zoo.model_folder import SPEC_NAME
from segdesk.zoo.spec import CaseHash, ModelSpec


@dataclass(frozen=True, slots=True)
class Material:
    """The cases of a run, in memory, and what the user must be told about them."""

    dataset: Dataset
    train: list[LoadedCase]
    fold: list[LoadedCase]
    test: list[LoadedCase]
    warnings: tuple[Warn, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a run depends on, and where its checkpoints lie.

    Parameters
    ----------
    spec : ModelSpec
        Grid, patch and network.
    recipe : Recipe
        Loss, augmentation, optimiser.
    material : Material
        The cases.
    budget : Budget
        Steps or seconds.
    seed : int
        Seed of every random choice.
    folder : Path
        For checkpoints.
    """

    spec: ModelSpec
    recipe: Recipe
    material: Material
    budget: Budget
    seed: int
    folder: Path


def load_material(dataset: Dataset, parts: Parts, report: Progress) -> Material:
    """Read all parts; a case whose pixels sit in an earlier part (test, fold, train) is left out.

    Raises
    ------
    SegdeskError
        If nothing is left to train on (code ``bad_dataset``).
    """
    everyone = [*parts.test, *parts.fold, *parts.train]
    if not parts.train:
        raise bad_dataset("No case is left to train on; more patients or another split are needed.", dataset.root)
    loaded, warnings = load_cases(dataset, everyone, report)
    here = {case.files.name: case for case in loaded}
    train, fold, test = (
        [here[files.name] for files in part if files.name in here] for part in (parts.train, parts.fold, parts.test)
    )
    if not train:
        raise bad_dataset(f"No training case can be used. First problem: {warnings[0].message}", dataset.root)
    return Material(dataset, train, fold, test, (*dataset.warnings, *warnings))


def fit_network(network: nn.Module, run: Run, emit: Emit, report: Progress) -> Fitted:
    """Train `network` in place; resumes a run of the same settings and data.

    Raises
    ------
    UsageError
        If the patch is too small for the network.
    """
    spec, recipe = run.spec, run.recipe
    window, (_, margin, _), divisor = windows_of(network, spec)
    if math.prod(n // d for n, d in zip(window, divisor, strict=True)) < 2:
        raise UsageError(
            f"A patch of {window} voxels is too small for network {spec.network.name!r}; enlarge patch_kji."
        )
    is_safe = next(network.parameters()).device.type != "cpu" or _is_wide_enough(window, divisor)
    numbers = replace(recipe.training, bf16=recipe.training.bf16 and is_safe)
    if numbers.batch_norm:
        add_batch_norm(network)
    cases = training_cases(run.material.train, spec)
    loss = _with_frequencies(recipe.loss, cases, spec)
    sampler = PatchSampler(
        _in_all_views(cases, loss, spec),
        window,
        recipe.augment,
        run.seed,
        dimensions=spec.dimensions,
        foreground=numbers.foreground,
        margin=margin,
        slice_context=spec.slice_context,
    )
    fold = training_cases(run.material.fold, spec)
    learner = Learner(network, sampler, numbers, loss)
    fit = Fit(learner, fold, spec, run.budget, Place(run.folder, run_hash(run)))
    fitted = fit.run(numbers, emit, report)
    return replace(fitted, weights=fold_batch_norm(network, fitted.weights)) if numbers.batch_norm else fitted


def _with_frequencies(loss: LossSettings, cases: Sequence[TrainingCase], spec: ModelSpec) -> LossSettings:
    """Replace the wish for balanced classes by their weights."""
    if not loss.balance:
        return loss
    weights = inverse_frequency([case.labels for case in cases], len(spec.label_values))
    return replace(loss, balance=False, class_weights=weights)


def _in_all_views(cases: list[TrainingCase], loss: LossSettings, spec: ModelSpec) -> list[TrainingCase]:
    """Return every case once for each view the model learns from, with the border weights of that view."""
    return [
        seen
        for axis in view_axes(spec)
        for seen in _with_borders([case_seen_across(case, axis) for case in cases], loss, spec, axis)
    ]


def _with_borders(cases: list[TrainingCase], loss: LossSettings, spec: ModelSpec, axis: int) -> list[TrainingCase]:
    """Add the border weights, computed once on each whole case; patches take their part of them.

    Raises
    ------
    UsageError
        If the recipe names a label that the model does not have.
    """
    if not loss.border_weight:
        return cases
    wanted = loss.border_labels or spec.label_values[1:]
    unknown = sorted(set(wanted) - set(spec.label_values))
    if unknown:
        raise UsageError(f"border_labels names {unknown[0]}, which is none of the model's label values.")
    classes = [spec.label_values.index(value) for value in wanted]
    spacing = seen_across(spec.spacing_kji_mm or (1.0, 1.0, 1.0), axis)
    return [
        replace(
            case,
            border=torch.from_numpy(
                border_maps(
                    case.labels.numpy(), classes, loss.border_weight, loss.border_sigma_voxels, spacing, spec.dimensions
                )
            ),
        )
        for case in cases
    ]


def _is_wide_enough(window: Index3, divisor: Index3) -> bool:
    """Whether mixed precision is safe on a CPU.

    In torch 2.13 (oneDNN, bfloat16) the weight gradients of convolutions over two voxels along
    an axis hold memory that was never written: NaN in one run, other numbers in the next.
    """
    return all(n // d >= 3 for n, d in zip(window, divisor, strict=True) if d > 1)


def run_hash(run: Run) -> str:
    """Hash everything a run depends on, so that only the same run resumes a checkpoint."""
    recipe, material = run.recipe, run.material
    told = {
        "spec": run.spec.model_dump(mode="json", include=_SPEC_OF_A_RUN)
        | run.spec.model_dump(mode="json", include=_LATER_SPEC_OF_A_RUN, exclude_defaults=True),
        "recipe": [_settings(recipe.loss), _settings(recipe.augment), _settings(recipe.training)],
        "budget": [run.budget.steps, run.budget.seconds],
        "seed": run.seed,
        "cases": [[case.image_sha256 for case in part] for part in (material.train, material.fold)],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


_SPEC_OF_A_RUN = {
    "format_version", "name", "version", "title", "task", "dimensions", "network", "channels", "labels",
    "spacing_kji_mm", "patch_kji", "orientation", "post_processing", "training", "metrics", "parent", "untrained",
}  # fmt: skip

_LATER_SPEC_OF_A_RUN = {"slice_context", "views"}
"""Parts of a model that came later; they count where a model uses them."""

_FIRST_SETTINGS: dict[type, set[str]] = {
    LossSettings: {"name", "class_weights"},
    AugmentSettings: {
        "chance", "turn_chance", "rotate_degrees", "scale", "elastic_voxels", "flip_axes", "gain", "offset", "noise",
        "blur_voxels", "bias", "gamma",
    },
    TrainingNumbers: {
        "optimizer", "learning_rate", "weight_decay", "batch_size", "ema", "clip_norm", "foreground", "fold",
        "validations", "bf16",
    },
}  # fmt: skip
"""Settings there were from the start; later ones count where a recipe uses them, so that older runs still resume."""


def _settings(chosen: LossSettings | AugmentSettings | TrainingNumbers) -> dict[str, Any]:
    kind = type(chosen)
    defaults = asdict(kind())
    return {
        name: value
        for name, value in asdict(chosen).items()
        if name in _FIRST_SETTINGS[kind] or value != defaults[name]
    }


def work_folder(out: Path) -> Path:
    """Return the folder of a run's checkpoints, beside the model it will write."""
    return out.parent / f".{out.name[:80]}.training"


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Raise before hours of training what writing would raise after them."""
    if out.exists() and not overwrite:
        raise WriteError(f"{out.name!r} exists already; choose another name.", code="exists", path=out)
    if out.exists() and not (out / SPEC_NAME).is_file():
        raise WriteError(f"{out.name!r} exists and is no model folder; it is not replaced.", path=out)
    nearest = next(parent for parent in out.absolute().parents if parent.exists())
    try:
        # Tried and taken away again: a run that is refused leaves nothing behind.
        with tempfile.TemporaryDirectory(dir=nearest):
            pass
    except OSError as exc:
        raise WriteError(f"The model cannot be written here ({exc.strerror}).", path=out) from exc


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Seed torch and fix its threads for a block; both are as before afterwards."""
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if threads:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def seen_by(cases: Sequence[LoadedCase]) -> tuple[CaseHash, ...]:
    """Return the cases as a model folder records them."""
    return tuple(case.seen for case in cases)
