"""From a data set to what the loop needs: who trains, who chooses, who is kept for the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from segdesk.errors import UsageError
from segdesk.nn.dataset import CaseFiles, Dataset, LoadedCase
from segdesk.nn.preprocess import preprocess
from segdesk.nn.sampler import TrainingCase
from segdesk.nn.split import held_out
from segdesk.zoo.spec import ModelSpec

TEST_SHARE = 0.2
"""Part of the patients kept for the score where the data set does not say who."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The cases of a run: no patient is in two of them."""

    train: tuple[CaseFiles, ...]
    fold: tuple[CaseFiles, ...]
    test: tuple[CaseFiles, ...]


def divide(dataset: Dataset, fold_share: float) -> Parts:
    """Divide the cases by patient.

    The data set's own split decides the test part, else a hash of the patient keys.
    The fold is a hashed part of the rest. A patient whom the split puts on both sides
    is taken out of training.

    Raises
    ------
    SegdeskError
        If nobody is left to train on (code ``bad_dataset``).
    """
    patients = {case.patient for case in dataset.cases}
    if any(case.part for case in dataset.cases):
        tested = {case.patient for case in dataset.cases if case.part == "test"}
    else:
        tested = set(held_out(patients, TEST_SHARE, "test"))
    chosen = held_out(patients - tested, fold_share, "fold")
    test = tuple(c for c in dataset.cases if c.patient in tested and c.part != "train")
    fold = tuple(c for c in dataset.cases if c.patient in chosen)
    train = tuple(c for c in dataset.cases if c.patient not in chosen and c.patient not in tested)
    return Parts(train, fold, test)


def training_cases(cases: Sequence[LoadedCase], spec: ModelSpec) -> list[TrainingCase]:
    """Bring cases to the model's grid, once; they stay in memory."""
    ready: list[TrainingCase] = []
    for case in cases:
        seen = preprocess(case.channels, spec)
        labels = torch.from_numpy(seen.labels_to_model(case.classes))
        ready.append(TrainingCase(case.files.name, torch.from_numpy(seen.array), labels))
    return ready


def choose_device(name: str) -> torch.device:
    """Return the device: "auto" takes a GPU where there is one.

    Raises
    ------
    UsageError
        If the name is none, or the device is not there (code ``device_unavailable``).
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cpu" and not index:
        return torch.device("cpu")
    if kind != "cuda" or (index and not index.isdigit()):
        raise UsageError(f"Device {name!r} is unknown; use auto, cpu, cuda or cuda:N.")
    if int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"There is no device {name!r} here; use --device auto or cpu.", code="device_unavailable")
    return torch.device(name)
