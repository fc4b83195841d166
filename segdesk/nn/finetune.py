"""Teach a model more, and judge the result against the model it came from.

``python -m segdesk.nn.finetune JOB.json`` is the detached training child; see `segdesk.nn.child`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segdesk.core.progress import Progress
from segdesk.core.provenance import utc_now
from segdesk.errors import Warn
from segdesk.nn.adapt import adapt_dataset, freeze_for, tuning_recipe
from segdesk.nn.device import resolve_device
from segdesk.nn.fingerprint import fingerprint
from segdesk.nn.fit import Budget, Emit, Fitted
from segdesk.nn.folds import Member
from segdesk.nn.gate import Verdict, judge
from segdesk.nn.layouts import read_dataset
from segdesk.nn.loaded_model import load_model
from segdesk.nn.output import Outcome, as_stored, command_line, write_model
from segdesk.nn.precision import half_precision_record
from segdesk.nn.prepare import divide, patients_seen
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
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Ancestor, ModelSpec, TrainingRecord


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """What `finetune` is asked to do.

    Parameters
    ----------
    data : Path
        Data set folder.
    model : str or Path
        The base: a name or a folder. It is never touched.
    out : Path
        Model folder to write, whatever the verdict.
    budget : Budget
        Steps or seconds of the loop.
    recipe, split, device, seed, threads, overwrite
        As in `TrainSettings`; network and grid are the base's.
    """

    data: Path
    model: str | Path
    out: Path
    budget: Budget
    recipe: Path | None = None
    split: Path | None = None
    device: str = "auto"
    seed: int = 0
    threads: int = 0
    overwrite: bool = False


Scores = tuple[list[CaseDice], list[CaseDice]]
"""Champion's and challenger's scores of the same cases."""


def finetune(settings: FinetuneSettings, emit: Emit, report: Progress) -> None:
    """Fine-tune a model, write the challenger and say whether it is better.

    A test part is held out by patient, by hash; cases that the base or its ancestors have
    seen are never in it. With few training patients the encoder is frozen. Emits the events
    of `train`; the last one, ``result``, has ``champion``, ``challenger``, ``difference``,
    ``test_cases``, ``verdict``, ``promoted`` (False: a person or the project decides) and ``reason``.

    Parameters
    ----------
    settings : FinetuneSettings
        What to do.
    emit : callable
        Takes each event.
    report : Progress
        Called at every step; may raise `Cancelled`.

    Raises
    ------
    BadModelFolder
        If the base is damaged or not found.
    SegdeskError
        As `train`.
    """
    refuse_existing(settings.out, settings.overwrite)
    device = resolve_device(settings.device)
    report(0, 0, "Loading the model")
    base = find_model(settings.model)
    champion = load_model(base).network
    recipe = tuning_recipe(settings.recipe, base)
    dataset = adapt_dataset(read_dataset(settings.data, recipe.layout, settings.split), base.spec)
    material = load_material(dataset, divide(dataset, recipe.training.fold, patients_seen(base.spec)), report)
    material = _without_seen(material, base.spec)
    for warning in material.warnings:
        emit({"event": "warning", **warning.to_json()})
    spec = _challenger_spec(base, material)
    run = Run(spec, recipe, material, settings.budget, settings.seed, work_folder(settings.out))
    with reproducible(settings.seed, settings.threads):
        before = score_cases(champion.to(device), base.spec, material.test, report)
        network = load_model(base).network.to(device)
        frozen = freeze_for(network, len({case.files.patient for case in material.train}))
        emit({"event": "progress", "step": 0, "text": frozen})
        fitted = fit_network(network, run, emit, report)
        weights = as_stored(fitted.weights, recipe)
        network.load_state_dict(weights)
        after = score_cases(network, spec, material.test, report)
        half = half_precision_record(network, spec, material.test or material.fold, after, report)
    verdict = judge(before, after)
    finished = _with_metrics(spec, fitted, (before, after), verdict, half)
    told = command_line(["finetune", "--data", settings.data.name, "--model", base.spec.identity], settings)
    outcome = Outcome(finished, weights, recipe, (Member(0, fitted),), tuple(after), told)
    write_model(settings.out, outcome, overwrite=settings.overwrite)
    shutil.rmtree(run.folder, ignore_errors=True)
    emit(_result(settings, finished, verdict, (before, after)))


def _without_seen(material: Material, spec: ModelSpec) -> Material:
    """Move test cases whose very pixels the base has seen, under another patient key, out of the test."""
    seen = _seen_pixels(spec)
    kept = [case for case in material.test if case.image_sha256 not in seen]
    known = [
        Warn("case_excluded", f"{case.files.name}: the base model was trained on it; it is not used as a test.")
        for case in material.test
        if case.image_sha256 in seen
    ]
    return replace(material, test=kept, warnings=(*material.warnings, *known))


def _seen_pixels(spec: ModelSpec) -> frozenset[str]:
    return frozenset(case.image_sha256 for case in spec.training.seen) if spec.training else frozenset()


def _challenger_spec(base: ModelFolder, material: Material) -> ModelSpec:
    """Describe the challenger: the base's grid and network, its own cases, the base's as an ancestor's."""
    old = base.spec.training
    ancestors = old.ancestors if old else ()
    seen = (*old.training_cases, *old.validation_cases) if old else ()
    reference = base.spec.reference
    parent = Ancestor(
        name=reference.name, version=reference.version, weights_sha256=reference.weights_sha256, cases=seen
    )
    training = TrainingRecord(
        dataset=material.dataset.name,
        licence=material.dataset.licence,
        training_cases=seen_by(material.train),
        validation_cases=seen_by(material.fold),
        ancestors=(*ancestors, parent),
    )
    version = base.spec.version
    changes = {
        "version": str(int(version) + 1) if version.isdigit() else f"{version[:60]}.1",
        "training": training,
        "trained_extent_kji_mm": _longest(base.spec, material),
        "parent": reference,
        "untrained": False,
        "created": utc_now(),
        "metrics": {},
    }
    return base.spec.model_copy(update=changes)


def _longest(base: ModelSpec, material: Material) -> tuple[float, float, float] | None:
    """Return the length of the longest image base and challenger were trained on, along each axis; None: not known."""
    new = fingerprint(material.train, len(base.label_values), base.orientation).extent_kji_mm
    old = base.trained_extent_kji_mm
    if old is None or new is None:
        return None
    k, j, i = (max(pair) for pair in zip(old, new, strict=True))
    return k, j, i


def _with_metrics(spec: ModelSpec, fitted: Fitted, scores: Scores, verdict: Verdict, half: dict[str, Any]) -> ModelSpec:
    before, after = scores
    metrics = {
        "fold": {"mean_dice": fitted.history.best_dice if fitted.history.scores else None},
        "champion": summary(before, spec),
        "test": summary(after, spec) if after else None,
        "difference": verdict.difference,
        "verdict": verdict.word,
        "reason": verdict.reason,
        **half,
    }
    return spec.model_copy(update={"metrics": metrics})


def _result(settings: FinetuneSettings, spec: ModelSpec, verdict: Verdict, scores: Scores) -> dict[str, Any]:
    before, after = scores
    return {
        "event": "result",
        "model": str(settings.out),
        "champion": summary(before, spec),
        "challenger": summary(after, spec),
        "difference": verdict.difference,
        "test_cases": [score.case for score in after],
        "test_patients": verdict.patients,
        "began_as_model": [score.case for score in after if score.began_as_model],
        "verdict": verdict.word,
        "promoted": False,
        "reason": verdict.reason,
    }


if __name__ == "__main__":
    from segdesk.nn.child import main

    raise SystemExit(main())
