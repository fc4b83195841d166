"""Train a model from scratch."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from segdesk.core.progress import Progress
from segdesk.nn.device import resolve_device
from segdesk.nn.fit import Budget, Emit
from segdesk.nn.layouts import read_dataset
from segdesk.nn.networks.registry import network_named, network_of
from segdesk.nn.output import Outcome, command_line, write_model
from segdesk.nn.plan import default_network, plan_model
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
from segdesk.nn.scoring import score_cases, summary
from segdesk.zoo.spec import ModelSpec, TrainingRecord


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


def train(settings: TrainSettings, emit: Emit, report: Progress) -> None:
    """Train a model and write its folder.

    Emits ``progress``, ``validation`` and ``checkpoint`` events and, last, ``result`` with
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
    spec = plan_model(dataset, material.train, recipe, settings.out.name)
    run = Run(spec, recipe, material, settings.budget, settings.seed, work_folder(settings.out))
    with reproducible(settings.seed, settings.threads):
        network = network_of(spec).to(device)
        fitted = fit_network(network, run, emit, report)
        network.load_state_dict(dict(fitted.weights))
        scores = score_cases(network, spec, material.test, report)
    history = fitted.history
    metrics = {
        "fold": {"cases": len(material.fold), "mean_dice": history.best_dice if material.fold else None},
        "test": summary(scores, spec) if scores else None,
    }
    finished = spec.model_copy(update={"training": _record(material, recipe), "metrics": metrics})
    words = ["train", "--data", settings.data.name]
    told = command_line([*words, "--network", settings.network] if settings.network else words, settings)
    outcome = Outcome(finished, fitted.weights, recipe, fitted, tuple(scores), told)
    write_model(settings.out, outcome, overwrite=settings.overwrite)
    shutil.rmtree(run.folder, ignore_errors=True)
    emit({"event": "result", **_result(settings, finished, [score.case for score in scores], fitted.steps)})


def _recipe(settings: TrainSettings) -> Recipe:
    recipe = read_recipe(settings.recipe) if settings.recipe else Recipe()
    if not settings.network or (recipe.network and recipe.network.name == settings.network):
        return recipe
    if settings.network == "residual_unet":
        return replace(recipe, network=default_network(recipe.preprocessing.dimensions or 3))
    return replace(recipe, network=network_named(settings.network))


def _record(material: Material, recipe: Recipe) -> TrainingRecord:
    return TrainingRecord(
        dataset=material.dataset.name,
        licence=material.dataset.licence,
        recipe="recipe.toml" if recipe.text else "",
        training_cases=seen_by(material.train),
        validation_cases=seen_by(material.fold),
    )


def _result(settings: TrainSettings, spec: ModelSpec, test_cases: list[str], steps: int) -> dict[str, object]:
    return {"model": str(settings.out), "metrics": dict(spec.metrics), "test_cases": test_cases, "steps": steps}
