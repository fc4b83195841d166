"""The score of a model on whole cases, on their own grid."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from segdesk.core.prediction import ViewChoice
from segdesk.core.progress import Progress, silent
from segdesk.nn.clean_up import clean_up
from segdesk.nn.dataset import LoadedCase
from segdesk.nn.preprocess import preprocess
from segdesk.nn.validation import class_dices, segment
from segdesk.zoo.spec import ModelSpec

BOOTSTRAP_ROUNDS = 2000
"""Resamples of the patients; the ends of a 95 % interval then move by about 0.001 from seed to seed."""


@dataclass(frozen=True, slots=True)
class CaseDice:
    """Dice per label value of one case; None where a label is in neither mask.

    `began_as_model`: the reference began as a model's draft, which flatters that model.
    """

    case: str
    patient: str
    dice: Mapping[int, float | None]
    began_as_model: bool = False

    @property
    def mean(self) -> float | None:
        """Mean over the labels that are defined; None when none is."""
        known = [value for value in self.dice.values() if value is not None]
        return float(np.mean(known)) if known else None


def score_cases(
    network: nn.Module,
    spec: ModelSpec,
    cases: Sequence[LoadedCase],
    report: Progress = silent,
    *,
    bf16: bool = False,
    views: ViewChoice = ViewChoice.SLICES,
) -> list[CaseDice]:
    """Segment every case as `predict` does and compute Dice per label on the case's own grid."""
    classes = {value: index for index, value in enumerate(spec.label_values)}
    rules = [rule.model_copy(update={"label": classes[rule.label]}) for rule in spec.post_processing]
    scores: list[CaseDice] = []
    for done, case in enumerate(cases):
        report(done, len(cases), f"Scoring {case.files.name}")
        prepared = preprocess(case.channels, spec)
        drawn = clean_up(segment(network, spec, prepared, bf16=bf16, views=views), prepared.source, rules)
        dices = class_dices(drawn, case.classes, len(spec.labels))
        by_value = dict(zip(spec.label_values[1:], dices, strict=True))
        scores.append(CaseDice(case.files.name, case.files.patient, by_value, bool(case.files.drafted_by)))
    return scores


def summary(scores: Sequence[CaseDice], spec: ModelSpec) -> dict[str, Any]:
    """Return the JSON metrics of a set of cases: per label and over all, with n, spread and a 95 % interval."""
    labels = {
        str(label.value): {"name": label.name, "dice": _statistics([s.dice[label.value] for s in scores], scores)}
        for label in spec.labels
    }
    means = _statistics([s.mean for s in scores], scores)
    marked = [s.case for s in scores if s.began_as_model]
    return {"cases": len(scores), "labels": labels, "mean": {"dice": means}, "began_as_model": marked}


def _statistics(values: Sequence[float | None], scores: Sequence[CaseDice]) -> dict[str, Any]:
    known = np.array([v for v in values if v is not None], dtype=np.float64)
    patients = [s.patient for s, v in zip(scores, values, strict=True) if v is not None]
    if known.size == 0:
        return {"mean": None, "median": None, "worst": None, "ci95": None, "n": 0, "n_undefined": len(values)}
    low, high = np.percentile(known, (25, 75))
    return {
        "mean": round(float(known.mean()), 5),
        "median": round(float(np.median(known)), 5),
        "iqr": round(float(high - low), 5),
        "worst": round(float(known.min()), 5),
        "ci95": bootstrap_ci(known, patients),
        "n": int(known.size),
        "n_undefined": len(values) - int(known.size),
    }


def bootstrap_ci(values: NDArray[np.float64], patients: Sequence[str], seed: int = 0) -> list[float] | None:
    """Return the 95 % percentile interval of the mean, patients drawn with replacement; None below 2 patients.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13; clusters are patients.
    """
    names, where = np.unique(np.asarray(patients), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(where, weights=values)
    counts = np.bincount(where)
    drawn = np.random.default_rng(seed).integers(len(names), size=(BOOTSTRAP_ROUNDS, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return [round(float(low), 5), round(float(high), 5)]


def as_csv(scores: Sequence[CaseDice], spec: ModelSpec) -> str:
    """Return the per-case table; undefined values are empty, names that look like formulas are quoted."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["case", *(f"dice_{value}" for value in spec.label_values[1:]), "dice_mean", "began_as_model"])
    for score in scores:
        cells = [*score.dice.values(), score.mean]
        shown = ["" if value is None else f"{value:.5f}" for value in cells]
        writer.writerow([_safe(score.case), *shown, "yes" if score.began_as_model else "no"])
    return file.getvalue()


def _safe(cell: str) -> str:
    """Prefix what a spreadsheet would run."""
    return f"'{cell}" if cell[:1] in "=+-@\t\r" else cell
