"""Train a model from scratch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from segdesk.core.prediction import ViewChoice
from segdesk.core.progress import Progress
from segdesk.errors import UsageError
from segdesk.nn.device import resolve_device
from segdesk.nn.fit import Budget, Emit
from segdesk.nn.folds import Folds, Machine, Member, split_folds, train_folds
from segdesk.nn.layouts import read_dataset
from segdesk.nn.networks.ensemble import joined_weights
from segdesk.nn.networks.registry import network_named, network_of
from segdesk.nn.output import Outcome, as_stored, command_line, write_model
from segdesk.nn.plan import default_network, plan_training
from segdesk.nn.precision import half_precision_record
from segdesk.nn.prepare import divide
from segdesk.nn.recipe import Recipe
from segdesk.nn.recipe_file import read_recipe
from segdesk.nn.run import (
    Material,
    Run,
    fit_network,
    load_material,
    refuse_existing,
    reproducible,
    seen_by,
    work_folder,
)
from segdesk.nn.scoring import CaseDice, score_cases, summary
from segdesk.zoo.spec import ModelSpec, TrainingRecord

MOST_FOLDS = 16
"""As many members as a model folder may have."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What `train` is asked to do.

    Parameters
    ----------
    data : Path
        Data set folder.
    out : Path
        Model folder to write. While training, ``.<name>.training`` beside it holds the
        checkpoints; started again with the same settings, the run resumes there.
    budget : Budget
        Steps or seconds of the loop.
    recipe : Path, optional
        TOML file.
    network : str
        Name that replaces the recipe's network (with its default numbers).
    split : Path, optional
        CSV with case,split.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    seed : int
        Seed of every random choice.
    threads : int
        CPU threads; 0 leaves torch's choice. Equal results need equal threads.
    overwrite : bool
        Replace an existing model folder.
    folds : int
        Number of folds of a cross-validation by patient; the members, one per fold, become one
        model. The budget is that of each fold. 0: one network, whose fold is a hashed part.
    fold : int
        The only fold to train, from 1; the model then has one network. 0: all of them.
    """

    data: Path
    out: Path
    budget: Budget
    recipe: Path | None = None
    network: str = ""
    split: Path | None = None
    device: str = "auto"
    seed: int = 0
    threads: int = 0
    overwrite: bool = False
    folds: int = 0
    fold: int = 0

    def __post_init__(self) -> None:
        """Refuse folds that do not exist."""
        if self.folds not in range(MOST_FOLDS + 1) or self.folds == 1:
            raise UsageError(f"The number of folds lies in 2..{MOST_FOLDS}.")
        if self.fold and not 1 <= self.fold <= self.folds:
            raise UsageError(f"Fold {self.fold} does not exist; give --folds and one of 1 to that number.")


def train(settings: TrainSettings, emit: Emit, report: Progress) -> None:
    """Train a model and write its folder.

    Emits a ``plan``, ``progress``, ``validation`` and ``checkpoint`` events and, last, ``result`` with
    ``model``, ``metrics`` and ``test_cases``. The fold that chooses the best state is part of
    the training cases; the test part is looked at once, at the end. With a budget of steps on
    the CPU two runs with one seed and one number of threads are bitwise equal.

    Parameters
    ----------
    settings : TrainSettings
        What to do.
    emit : callable
        Takes each event.
    report : Progress
        Called at every step; may raise `Cancelled`, after which the run can be resumed.

    Raises
    ------
    SegdeskError
        For unusable data (``bad_dataset``), settings (``usage``), an output that exists
        (``exists``), or a loss that is no number (``diverged``).
    """
    refuse_existing(settings.out, settings.overwrite)
    recipe, device = _recipe(settings), resolve_device(settings.device)
    dataset = read_dataset(settings.data, recipe.layout, settings.split)
    material = load_material(dataset, divide(dataset, recipe.training.fold), report)
    for warning in material.warnings:
        emit({"event": "warning", **warning.to_json()})
    planned_on = [*material.train, *material.fold] if settings.folds else material.train
    plan = plan_training(dataset, planned_on, recipe, settings.out.name, device)
    emit({"event": "plan", "text": "\n".join(plan.sentences)})
    spec, recipe = plan.spec, plan.recipe
    run = Run(spec, recipe, material, settings.budget, settings.seed, work_folder(settings.out))
    members = _members(run, settings, Machine(device, settings.threads), emit, report)
    if settings.fold:
        material = split_folds(material, settings.folds)[settings.fold - 1]
    spec = spec.model_copy(update={"members": len(members)})
    weights = as_stored(joined_weights([member.fitted.weights for member in members]), recipe)
    with reproducible(settings.seed, settings.threads):
        network = network_of(spec).to(device)
        network.load_state_dict(weights)
        scores = score_cases(network, spec, material.test, report)
        metrics = _metrics(material, members, scores, spec) | _metrics_of_views(network, spec, material, report)
        metrics |= half_precision_record(network, spec, material.test or material.fold, scores, report)
    changes = {"training": _record(material, recipe, members), "metrics": metrics}
    finished = spec.model_copy(update=changes)
    outcome = Outcome(finished, weights, recipe, tuple(members), tuple(scores), _command(settings), plan.sentences)
    write_model(settings.out, outcome, overwrite=settings.overwrite)
    shutil.rmtree(run.folder, ignore_errors=True)
    steps = sum(member.fitted.steps for member in members)
    emit({"event": "result", **_result(settings, finished, [score.case for score in scores], steps)})


def _members(run: Run, settings: TrainSettings, machine: Machine, emit: Emit, report: Progress) -> list[Member]:
    """Train one network, or one per fold."""
    if settings.folds:
        wanted = [settings.fold] if settings.fold else list(range(1, settings.folds + 1))
        return train_folds(run, Folds(settings.folds, tuple(wanted)), machine, emit, report)
    with reproducible(settings.seed, machine.threads):
        network = network_of(run.spec).to(machine.device)
        return [Member(0, fit_network(network, run, emit, report))]


def _metrics(
    material: Material, members: Sequence[Member], scores: Sequence[CaseDice], spec: ModelSpec
) -> dict[str, Any]:
    chosen = [member.fitted.history.best_dice for member in members if member.fitted.history.scores]
    looked_at = len(material.fold) if len(members) == 1 else sum(len(member.scores) for member in members)
    metrics: dict[str, Any] = {
        "fold": {"cases": looked_at, "mean_dice": sum(chosen) / len(chosen) if chosen else None},
        "test": summary(scores, spec) if scores else None,
    }
    across = [score for member in members for score in member.scores]
    return metrics | ({"cross_validation": summary(across, spec)} if across else {})


def _metrics_of_views(network: nn.Module, spec: ModelSpec, material: Material, report: Progress) -> dict[str, Any]:
    """Return the score with three views of a model that can be run so; nothing for others."""
    if len(spec.views) == 1 or not material.test:
        return {}
    return {
        "test_three_views": summary(score_cases(network, spec, material.test, report, views=ViewChoice.THREE), spec)
    }


def _command(settings: TrainSettings) -> str:
    words = ["train", "--data", settings.data.name]
    words += ["--network", settings.network] if settings.network else []
    words += ["--folds", str(settings.folds)] if settings.folds else []
    words += ["--fold", str(settings.fold)] if settings.fold else []
    return command_line(words, settings)


def _recipe(settings: TrainSettings) -> Recipe:
    recipe = read_recipe(settings.recipe) if settings.recipe else Recipe()
    if not settings.network or (recipe.network and recipe.network.name == settings.network):
        return recipe
    if settings.network == "residual_unet":
        return replace(recipe, network=default_network(recipe.preprocessing.dimensions or 3))
    return replace(recipe, network=network_named(settings.network))


def _record(material: Material, recipe: Recipe, members: Sequence[Member]) -> TrainingRecord:
    """Tell what was seen; with several members every case trained some of them."""
    everything = [*material.train, *material.fold]
    return TrainingRecord(
        dataset=material.dataset.name,
        licence=material.dataset.licence,
        recipe="recipe.toml" if recipe.text else "",
        training_cases=seen_by(material.train if len(members) == 1 else everything),
        validation_cases=seen_by(material.fold if len(members) == 1 else []),
    )


def _result(settings: TrainSettings, spec: ModelSpec, test_cases: list[str], steps: int) -> dict[str, object]:
    return {"model": str(settings.out), "metrics": dict(spec.metrics), "test_cases": test_cases, "steps": steps}
