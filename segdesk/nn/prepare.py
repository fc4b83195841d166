"""From a data set to what the loop needs: who trains, who chooses, who is kept for the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from segdesk.nn.dataset import CaseFiles, Dataset, LoadedCase
from segdesk.nn.preprocess import preprocess
from segdesk.nn.sampler import TrainingCase
from segdesk.nn.split import held_out
from segdesk.zoo.spec import ModelSpec

TEST_SHARE = 0.25
"""Part of the patients kept for the score where the data set does not say who."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The cases of a run: no patient is in two of them."""

    train: tuple[CaseFiles, ...]
    fold: tuple[CaseFiles, ...]
    test: tuple[CaseFiles, ...]


def divide(dataset: Dataset, fold_share: float, seen: frozenset[str] = frozenset()) -> Parts:
    """Divide the cases by patient.

    The data set's own split decides the test part, else a hash of the patient keys.
    The fold is a hashed part of the rest. A patient whom the split puts on both sides
    is taken out of training.

    Parameters
    ----------
    dataset : Dataset
        At least one case.
    fold_share : float
        Part of the training patients that chooses the best state; 0: nobody, the last state is kept.
    seen : frozenset of str
        Patient keys a base model has seen: they may train, never test.
    """
    fresh = {case.patient for case in dataset.cases} - seen
    if any(case.part for case in dataset.cases):
        named = {case.patient for case in dataset.cases if case.part == "test"}
        tested = named & fresh
    else:
        named = tested = set(held_out(fresh, TEST_SHARE, "test"))
    left = {case.patient for case in dataset.cases} - named
    chosen = held_out(left, fold_share, "fold") if fold_share else frozenset()
    test = tuple(c for c in dataset.cases if c.patient in tested and c.part != "train")
    fold = tuple(c for c in dataset.cases if c.patient in chosen)
    train = tuple(c for c in dataset.cases if c.patient in left - chosen)
    return Parts(train, fold, test)


def patients_seen(spec: ModelSpec) -> frozenset[str]:
    """Return the keys of the patients that influenced a model's weights, its ancestors' included."""
    return frozenset(case.patient_key for case in spec.training.seen) if spec.training else frozenset()


def training_cases(cases: Sequence[LoadedCase], spec: ModelSpec) -> list[TrainingCase]:
    """Bring cases to the model's grid, once; they stay in memory."""
    ready: list[TrainingCase] = []
    for case in cases:
        seen = preprocess(case.channels, spec)
        labels = torch.from_numpy(seen.labels_to_model(case.classes))
        ready.append(TrainingCase(case.files.name, torch.from_numpy(seen.array), labels))
    return ready
