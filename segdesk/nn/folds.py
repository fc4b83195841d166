"""Cross-validation: one member per fold, trained on all patients but the fold's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from segdesk.core.progress import Progress
from segdesk.nn.dataset import LoadedCase
from segdesk.nn.fit import Emit, Fitted
from segdesk.nn.losses import IGNORE
from segdesk.nn.networks.registry import network_of
from segdesk.nn.run import Material, Run, fit_network, reproducible
from segdesk.nn.scoring import CaseDice, score_cases
from segdesk.nn.split import stratified_folds


@dataclass(frozen=True, slots=True)
class Member:
    """One trained network.

    Parameters
    ----------
    fold : int
        Which fold chose its best state; 0 where there is one network only.
    fitted : Fitted
        Weights and the way there.
    scores : tuple of CaseDice
        Of the cases of its fold, on their own grids.
    """

    fold: int
    fitted: Fitted
    scores: tuple[CaseDice, ...] = ()


@dataclass(frozen=True, slots=True)
class Folds:
    """A cross-validation: how many folds there are, and which of them, from 1, are trained here."""

    count: int
    wanted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a training runs; `threads` 0 leaves torch's choice."""

    device: torch.device
    threads: int


def split_folds(material: Material, folds: int) -> tuple[Material, ...]:
    """Divide the training patients into folds; the test part is the same in all.

    Patients are spread by the labels they show, then by how much of the image these fill.

    Raises
    ------
    UsageError
        If there are fewer patients than folds.
    """
    pool = [*material.train, *material.fold]
    parts = stratified_folds(_features(pool), folds)
    return tuple(
        replace(
            material,
            train=[case for case in pool if case.files.patient not in part],
            fold=[case for case in pool if case.files.patient in part],
        )
        for part in parts
    )


def train_folds(run: Run, folds: Folds, machine: Machine, emit: Emit, report: Progress) -> list[Member]:
    """Train the wanted folds one after another; a fold that is finished already is not trained again.

    Parameters
    ----------
    run : Run
        Its material holds all training cases; fold n uses the seed of the run + n and a folder of its own.
    folds : Folds
        Which.
    machine : Machine
        Where.
    emit : callable
        Takes each event, with the number of its fold as ``fold`` and ``folds``.
    report : Progress
        Counts over all wanted folds.
    """
    materials = split_folds(run.material, folds.count)
    members: list[Member] = []
    for done, fold in enumerate(folds.wanted):
        own = replace(
            run, material=materials[fold - 1], seed=run.seed + fold, folder=run.folder / f"fold-{fold}-of-{folds.count}"
        )
        tell = _about(emit, fold, folds.count)
        part = _part_of(report, done, len(folds.wanted), fold)
        with reproducible(own.seed, machine.threads):
            network = network_of(own.spec).to(machine.device)
            fitted = fit_network(network, own, tell, part)
            network.load_state_dict(dict(fitted.weights))
            scores = score_cases(network, own.spec, own.material.fold, part)
        members.append(Member(fold, fitted, tuple(scores)))
    return members


def _features(cases: Sequence[LoadedCase]) -> dict[str, tuple[float, ...]]:
    """Return for each patient how many labels it shows, their mean number, and the part of the voxels they fill."""
    by_patient: dict[str, list[tuple[float, ...]]] = {}
    for case in cases:
        counted = case.classes[case.classes != IGNORE]
        labels = [int(value) for value in np.unique(counted) if value]
        row = (float(len(labels)), float(sum(labels)), float(np.count_nonzero(counted)) / max(1, counted.size))
        by_patient.setdefault(case.files.patient, []).append(row)
    return {patient: tuple(np.mean(rows, axis=0).tolist()) for patient, rows in by_patient.items()}


def _about(emit: Emit, fold: int, folds: int) -> Emit:
    def tell(event: Mapping[str, Any]) -> None:
        emit({**event, "fold": fold, "folds": folds})

    return tell


def _part_of(report: Progress, before: int, parts: int, fold: int) -> Progress:
    """Return the progress of one fold as a part of the whole."""

    def part(done: int, total: int, text: str = "") -> None:
        share = done / total if total else 0.0
        report(int(1000 * (before + share) / parts), 1000, f"Fold {fold}: {text}")

    return part
