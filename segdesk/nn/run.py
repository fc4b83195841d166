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

import torch
from torch import nn

from segdesk.core.box import Index3
from segdesk.core.progress import Progress
from segdesk.errors import UsageError, Warn, WriteError
from segdesk.nn.dataset import Dataset, LoadedCase, bad_dataset, load_cases
from segdesk.nn.fit import Budget, Emit, Fit, Fitted, Place
from segdesk.nn.learner import Learner
from segdesk.nn.loaded_model import windows_of
from segdesk.nn.prepare import Parts, training_cases
from segdesk.nn.recipe import Recipe
from segdesk.nn.sampler import PatchSampler
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
    sampler = PatchSampler(
        training_cases(run.material.train, spec),
        window,
        recipe.augment,
        run.seed,
        dimensions=spec.dimensions,
        foreground=numbers.foreground,
        margin=margin,
    )
    fold = training_cases(run.material.fold, spec)
    learner = Learner(network, sampler, numbers, recipe.loss)
    fit = Fit(learner, fold, spec, run.budget, Place(run.folder, run_hash(run)))
    return fit.run(numbers.validations, numbers.bf16, emit, report)


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
        "spec": run.spec.model_dump(mode="json", exclude={"created", "weights_sha256"}),
        "recipe": [asdict(recipe.loss), asdict(recipe.augment), asdict(recipe.training)],
        "budget": [run.budget.steps, run.budget.seconds],
        "seed": run.seed,
        "cases": [[case.image_sha256 for case in part] for part in (material.train, material.fold)],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


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
