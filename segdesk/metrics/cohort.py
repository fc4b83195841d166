"""Scores of many cases: spread, worst case, and what was undefined, beside every mean."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from segdesk.metrics.cells import CellScores
from segdesk.metrics.overlap import LabelCounts
from segdesk.metrics.table import MEASURES, CaseScores, Json, LabelScores, cells_json, null_if_nan, safe_cell


@dataclass(frozen=True, slots=True)
class Statistics:
    """One measure of one label over the cases in which it is defined.

    Parameters
    ----------
    mean, median, iqr, q25, q75 : float
        NaN when it is defined nowhere; quartiles by linear interpolation.
    worst, worst_case : float, str
        The worst value (for errors the one furthest from 0) and its case.
    n, n_undefined : int
        Cases behind the numbers, and cases left out because it is undefined there.
    """

    mean: float
    median: float
    iqr: float
    q25: float
    q75: float
    worst: float
    worst_case: str
    n: int
    n_undefined: int

    @classmethod
    def over(cls, numbers: Mapping[str, float], worseness: Callable[[float], float]) -> Statistics:
        """Summarise a measure by case; the worst case has the greatest `worseness`."""
        defined = {case: number for case, number in numbers.items() if not math.isnan(number)}
        undefined = len(numbers) - len(defined)
        if not defined:
            nan = math.nan
            return cls(nan, nan, nan, nan, nan, nan, "", 0, undefined)
        array = np.array(list(defined.values()))
        q25, median, q75 = (float(q) for q in np.percentile(array, (25, 50, 75)))
        worst = max(defined, key=lambda case: worseness(defined[case]))
        mean = float(array.mean())
        return cls(mean, median, q75 - q25, q25, q75, defined[worst], worst, len(defined), undefined)

    def to_json(self) -> Json:
        """Return all fields; undefined is None."""
        numbers = {name: getattr(self, name) for name in ("mean", "median", "iqr", "q25", "q75", "worst")}
        return {
            **{name: null_if_nan(number) for name, number in numbers.items()},
            "worst_case": self.worst_case or None,
            "n": self.n,
            "n_undefined": self.n_undefined,
        }


@dataclass(frozen=True, slots=True)
class CohortScores:
    """Scores of several cases, by case name; names are unique."""

    cases: tuple[tuple[str, CaseScores], ...]

    def summary(self) -> dict[int, dict[str, Statistics]]:
        """Return statistics by label value and measure; a case without the label counts as undefined."""
        return {value: self._statistics(rows) for value, rows in self._by_value().items()}

    def pooled(self) -> dict[int, LabelCounts]:
        """Return by label value the voxels of all cases together: the whole set's Dice."""
        return {
            value: reduce(add, (label.counts for label in rows.values())) for value, rows in self._by_value().items()
        }

    @property
    def pixel_accuracy(self) -> float:
        """Mean over the cases; NaN without one."""
        return float(np.mean([scores.pixel_accuracy for _, scores in self.cases])) if self.cases else math.nan

    @property
    def cells(self) -> CellScores | None:
        """Pairs of pixels of all cases together; None where no wall was named."""
        every = [scores.cells for _, scores in self.cases if scores.cells]
        return reduce(add, every) if every else None

    def to_json(self) -> Json:
        """Return CONTRACT's object for `evaluate` of two folders."""
        pooled, cells = self.pooled(), self.cells
        return {
            "cases": [{"case": name, **scores.to_json()} for name, scores in self.cases],
            "summary": {
                str(value): {**{name: each.to_json() for name, each in rows.items()}, "pooled": _ratios(pooled[value])}
                for value, rows in self.summary().items()
            },
            "pixel_accuracy": null_if_nan(self.pixel_accuracy),
            **({"cells": cells_json(cells)} if cells else {}),
        }

    def to_csv(self) -> str:
        """Return a CSV row per case and label; undefined is an empty cell with its reason in the last column.

        Text that a spreadsheet would run as a formula is prefixed with an apostrophe.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("case", "label", "name", "status", *MEASURES, "reason"))
        for name, scores in self.cases:
            writer.writerows((safe_cell(name), *_cells(label)) for label in scores.labels)
        return text.getvalue()

    def _by_value(self) -> dict[int, dict[str, LabelScores]]:
        values = sorted({label.value for _, scores in self.cases for label in scores.labels})
        return {
            value: {name: label for name, scores in self.cases for label in scores.labels if label.value == value}
            for value in values
        }

    def _statistics(self, rows: Mapping[str, LabelScores]) -> dict[str, Statistics]:
        return {measure: Statistics.over(self._column(rows, measure), _worseness(measure)) for measure in MEASURES}

    def _column(self, rows: Mapping[str, LabelScores], measure: str) -> dict[str, float]:
        return {name: getattr(rows[name], measure) if name in rows else math.nan for name, _ in self.cases}


def _ratios(counts: LabelCounts) -> Json:
    names = ("dice", "iou", "precision", "recall", "specificity")
    return {name: null_if_nan(getattr(counts, name)) for name in names}


def _cells(label: LabelScores) -> tuple[object, ...]:
    numbers = [getattr(label, measure) for measure in MEASURES]
    cells = ["" if math.isnan(number) else repr(number) for number in numbers]
    return label.value, safe_cell(label.name), label.status.value, *cells, safe_cell(label.reason)


def _worseness(measure: str) -> Callable[[float], float]:
    """Return what is greatest in the worst case: the distance, the error either way, or what Dice lacks."""
    if measure in ("hd95_mm", "assd_mm"):
        return float
    return abs if measure in ("volume_error_mm3", "volume_error_percent") else lambda number: -number
