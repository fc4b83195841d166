"""Scores of many cases: spread, worst case, and what was undefined, beside every mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from segdesk.metrics.overlap import LabelCounts
from segdesk.metrics.table import MEASURES, CaseScores, Json, LabelScores, null_if_nan


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
    def over(cls, numbers: Mapping[str, float], badness: Callable[[float], float]) -> Statistics:
        """Summarise a measure by case; the worst case has the greatest `badness`."""
        defined = {case: number for case, number in numbers.items() if not math.isnan(number)}
        undefined = len(numbers) - len(defined)
        if not defined:
            nan = math.nan
            return cls(nan, nan, nan, nan, nan, nan, "", 0, undefined)
        array = np.array(list(defined.values()))
        q25, median, q75 = (float(q) for q in np.percentile(array, (25, 50, 75)))
        worst = max(defined, key=lambda case: badness(defined[case]))
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
class LabelSummary:
    """One label over all cases.

    Parameters
    ----------
    name : str
        Label name.
    statistics : mapping of str to Statistics
        By measure.
    pooled : LabelCounts
        The voxels of all cases together: the whole set's Dice.
    """

    name: str
    statistics: Mapping[str, Statistics]
    pooled: LabelCounts

    def to_json(self) -> Json:
        """Return CONTRACT's summary of a label, with the pooled ratios."""
        ratios = {name: getattr(self.pooled, name) for name in ("dice", "iou", "precision", "recall", "specificity")}
        pooled = {name: null_if_nan(number) for name, number in ratios.items()}
        return {
            "name": self.name,
            **{name: statistics.to_json() for name, statistics in self.statistics.items()},
            "pooled": pooled,
        }


@dataclass(frozen=True, slots=True)
class CohortScores:
    """All cases of a folder or a study; case names are unique."""

    cases: tuple[CaseScores, ...]

    @property
    def summary(self) -> dict[int, LabelSummary]:
        """Statistics by label value; a case without the label on either side counts as undefined."""
        values = sorted({label.value for case in self.cases for label in case.labels})
        return {value: self._summary(value) for value in values}

    def to_json(self) -> Json:
        """Return CONTRACT's object for `evaluate` of two folders."""
        return {
            "cases": [case.to_json() for case in self.cases],
            "summary": {str(value): summary.to_json() for value, summary in self.summary.items()},
        }

    def _summary(self, value: int) -> LabelSummary:
        rows = {case.case: label for case in self.cases for label in case.labels if label.value == value}
        absent = {case.case: math.nan for case in self.cases}
        statistics = {
            name: Statistics.over({**absent, **_column(rows, name)}, _BADNESS.get(name, lambda number: -number))
            for name in MEASURES
        }
        pooled = reduce(add, (label.counts for label in rows.values()))
        return LabelSummary(next(iter(rows.values())).name, statistics, pooled)


def _column(rows: Mapping[str, LabelScores], name: str) -> dict[str, float]:
    return {case: float(getattr(label, name)) for case, label in rows.items()}


_BADNESS: dict[str, Callable[[float], float]] = {
    "hd95_mm": float,
    "assd_mm": float,
    "volume_error_mm3": abs,
    "volume_error_percent": abs,
}
"""Measures in which more is worse; in the others less is."""


def worst_first(cases: Sequence[CaseScores]) -> list[CaseScores]:
    """Sort cases by mean Dice, the lowest first; undefined ones last."""
    return sorted(cases, key=lambda case: (math.isnan(case.mean.dice), case.mean.dice, case.case))
