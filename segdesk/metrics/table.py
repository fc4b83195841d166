"""Scores as values: per label, per case, over all cases."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

import numpy as np

from segdesk.errors import Warn

Json = dict[str, object]

METRICS = (
    "dice",
    "iou",
    "precision",
    "recall",
    "hd95_mm",
    "assd_mm",
    "nsd",
    "volume_reference_mm3",
    "volume_candidate_mm3",
    "volume_error_mm3",
)
"""Measures of a label in the order tables show them."""

_WORST: dict[str, Callable[[list[float]], float]] = {
    "hd95_mm": max,
    "assd_mm": max,
    "volume_error_mm3": lambda values: max(values, key=abs),
}
"""How the worst case is picked; the smallest for every other measure."""


class Status(StrEnum):
    """What kind of comparison a label was."""

    OK = "ok"
    BOTH_EMPTY = "both_empty"
    MISSED = "missed"
    FALSE_POSITIVE = "false_positive"


@dataclass(frozen=True, slots=True)
class LabelScores:
    """All measures of one label; NaN where undefined.

    Parameters
    ----------
    value, name : int, str
        The label.
    status : Status
        Both empty is undefined and outside means; missed and false positive have Dice 0.
    dice, iou, precision, recall, nsd : float
        In [0, 1].
    hd95_mm, assd_mm : float
        Undefined when either mask is empty, never 0.
    volume_reference_mm3, volume_candidate_mm3 : float
        Volumes.
    """

    value: int
    name: str
    status: Status
    dice: float
    iou: float
    precision: float
    recall: float
    hd95_mm: float
    assd_mm: float
    nsd: float
    volume_reference_mm3: float
    volume_candidate_mm3: float

    @property
    def volume_error_mm3(self) -> float:
        """Candidate - reference."""
        return self.volume_candidate_mm3 - self.volume_reference_mm3

    def to_json(self) -> Json:
        """Return the fields of CONTRACT; undefined is None."""
        numbers = {metric: null_if_nan(getattr(self, metric)) for metric in METRICS}
        return {"name": self.name, "status": self.status.value, **numbers}


@dataclass(frozen=True, slots=True)
class CaseScores:
    """Scores of one candidate against one reference.

    Parameters
    ----------
    labels : tuple of LabelScores
        In ascending order of value.
    pixel_accuracy : float
        Voxels with equal values over all voxels.
    tolerance_mm : float
        Of the NSD.
    warnings : tuple of Warn
        What must be shown beside the numbers.
    """

    labels: tuple[LabelScores, ...]
    pixel_accuracy: float
    tolerance_mm: float
    warnings: tuple[Warn, ...] = ()

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the labels where it is defined; NaN when there is none."""
        return _mean(label.dice for label in self.labels)

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the labels where it is defined; NaN when there is none."""
        return _mean(label.iou for label in self.labels)

    @property
    def n_undefined(self) -> int:
        """Labels whose Dice is undefined."""
        return sum(math.isnan(label.dice) for label in self.labels)

    def to_json(self) -> Json:
        """Return the object of CONTRACT `evaluate`; undefined is None."""
        return {
            "labels": {str(label.value): label.to_json() for label in self.labels},
            "mean": {
                "dice": null_if_nan(self.mean_dice),
                "iou": null_if_nan(self.mean_iou),
                "n": len(self.labels) - self.n_undefined,
                "n_undefined": self.n_undefined,
            },
            "pixel_accuracy": null_if_nan(self.pixel_accuracy),
            "tolerance_mm": self.tolerance_mm,
            "warnings": [warn.to_json() for warn in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """One measure of one label over cases; NaN when no case defines it."""

    mean: float
    median: float
    iqr: float
    worst: float
    n: int
    n_undefined: int

    @classmethod
    def of(cls, metric: str, values: Sequence[float]) -> Summary:
        """Summarise a measure; NaN values are counted as undefined and left out."""
        known = [value for value in values if not math.isnan(value)]
        missing = len(values) - len(known)
        if not known:
            return cls(math.nan, math.nan, math.nan, math.nan, 0, missing)
        q1, median, q3 = (float(q) for q in np.percentile(known, (25, 50, 75)))
        worst = _WORST.get(metric, min)(known)
        return cls(fmean(known), median, q3 - q1, worst, len(known), missing)

    def to_json(self) -> Json:
        """Return the fields by name; undefined is None."""
        numbers = {key: null_if_nan(getattr(self, key)) for key in ("mean", "median", "iqr", "worst")}
        return {**numbers, "n": self.n, "n_undefined": self.n_undefined}


@dataclass(frozen=True, slots=True)
class CohortScores:
    """Scores of several cases, by case name."""

    cases: tuple[tuple[str, CaseScores], ...]

    def summary(self) -> dict[int, dict[str, Summary]]:
        """Return a `Summary` per label value and measure; the worst volume error is the largest either way."""
        by_value: dict[int, list[LabelScores]] = {}
        for _, scores in self.cases:
            for label in scores.labels:
                by_value.setdefault(label.value, []).append(label)
        return {value: _summaries(labels) for value, labels in sorted(by_value.items())}

    def to_json(self) -> Json:
        """Return the object of CONTRACT `evaluate` for folders."""
        summary = {
            str(value): {metric: row.to_json() for metric, row in rows.items()}
            for value, rows in self.summary().items()
        }
        return {"cases": [{"case": name, **scores.to_json()} for name, scores in self.cases], "summary": summary}

    def to_csv(self) -> str:
        """Return one row per case and label; cells a spreadsheet would run are made text."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["case", "label", "name", "status", *METRICS])
        for name, scores in self.cases:
            for label in scores.labels:
                numbers = ["" if math.isnan(x := getattr(label, metric)) else repr(float(x)) for metric in METRICS]
                writer.writerow([safe_cell(name), label.value, safe_cell(label.name), label.status.value, *numbers])
        return out.getvalue()


def null_if_nan(number: float) -> float | None:
    """Return None for NaN: JSON has no undefined number."""
    return None if math.isnan(number) else number


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _summaries(labels: Sequence[LabelScores]) -> dict[str, Summary]:
    return {metric: Summary.of(metric, [getattr(label, metric) for label in labels]) for metric in METRICS}


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan
