"""Scores of labels, cases and cohorts, as values and as CONTRACT's JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from segdesk.errors import Warn
from segdesk.metrics.cells import CellScores
from segdesk.metrics.overlap import LabelCounts
from segdesk.metrics.surface import DEFINITION

Json = dict[str, object]


class Status(StrEnum):
    """What the two masks of a label are to each other."""

    OK = "ok"
    BOTH_EMPTY = "both_empty"
    MISSED = "missed"
    FALSE_POSITIVE = "false_positive"

    @classmethod
    def of(cls, counts: LabelCounts) -> Status:
        """Tell from the counts which masks are empty."""
        if counts.reference:
            return cls.OK if counts.candidate else cls.MISSED
        return cls.FALSE_POSITIVE if counts.candidate else cls.BOTH_EMPTY


REASONS = {
    Status.OK: "",
    Status.BOTH_EMPTY: "both empty: agree",
    Status.MISSED: "missed: the candidate is empty",
    Status.FALSE_POSITIVE: "false positive: the reference is empty",
}
"""Why values of a label are undefined, for tables."""


@dataclass(frozen=True, slots=True)
class LabelScores:
    """One label of one case; undefined values are NaN.

    Parameters
    ----------
    value, name : int, str
        Label value and name.
    counts : LabelCounts
        Voxels; overlap ratios are made from them.
    hd95_mm, assd_mm : float
        Surface distances; NaN where a mask is empty or the slices are irregular.
    nsd : float
        Part of both surfaces within the tolerance; 0 when one mask is empty, NaN when both are.
    volume_reference_mm3, volume_candidate_mm3 : float
        Volumes.
    reason : str
        Why something is undefined; "" when nothing is.
    """

    value: int
    name: str
    counts: LabelCounts
    hd95_mm: float
    assd_mm: float
    nsd: float
    volume_reference_mm3: float
    volume_candidate_mm3: float
    reason: str = ""

    @property
    def status(self) -> Status:
        """Which of the two masks are empty."""
        return Status.of(self.counts)

    @property
    def dice(self) -> float:
        """Dice; NaN when both are empty."""
        return self.counts.dice

    @property
    def iou(self) -> float:
        """Intersection over union; NaN when both are empty."""
        return self.counts.iou

    @property
    def precision(self) -> float:
        """Part of the candidate that is right; NaN for an empty candidate."""
        return self.counts.precision

    @property
    def recall(self) -> float:
        """Part of the reference that is found; NaN for an empty reference."""
        return self.counts.recall

    @property
    def specificity(self) -> float:
        """Part of the background that is left alone."""
        return self.counts.specificity

    @property
    def volume_error_mm3(self) -> float:
        """Candidate - reference."""
        return self.volume_candidate_mm3 - self.volume_reference_mm3

    @property
    def volume_error_percent(self) -> float:
        """Volume error in percent of the reference; NaN for an empty reference."""
        if not self.volume_reference_mm3:
            return math.nan
        return 100.0 * self.volume_error_mm3 / self.volume_reference_mm3

    def to_json(self) -> Json:
        """Return the fields of CONTRACT; undefined is None."""
        numbers = {name: null_if_nan(getattr(self, name)) for name in MEASURES}
        return {"name": self.name, "status": self.status.value, **numbers, "reason": self.reason}


MEASURES = (
    "dice", "iou", "precision", "recall", "specificity", "hd95_mm", "assd_mm", "nsd", "volume_reference_mm3",
    "volume_candidate_mm3", "volume_error_mm3", "volume_error_percent",
)  # fmt: skip
"""Every number of a label, in the order of tables."""


@dataclass(frozen=True, slots=True)
class MeanScores:
    """Mean over the labels of a case that are defined, with what it rests on."""

    dice: float
    iou: float
    n: int
    n_undefined: int
    dice_if_empty_is_1: float

    @classmethod
    def over(cls, labels: Sequence[LabelScores]) -> MeanScores:
        """Average labels; those empty on both sides are counted as undefined, not as 1 or 0."""
        defined = [label for label in labels if label.status is not Status.BOTH_EMPTY]
        empty = len(labels) - len(defined)
        dice = [label.dice for label in defined]
        return cls(
            _mean(dice), _mean([label.iou for label in defined]), len(defined), empty, _mean([*dice, *[1.0] * empty])
        )

    def to_json(self) -> Json:
        """Return the fields of CONTRACT; undefined is None."""
        return {
            "dice": null_if_nan(self.dice),
            "iou": null_if_nan(self.iou),
            "n": self.n,
            "n_undefined": self.n_undefined,
            "dice_if_empty_is_1": null_if_nan(self.dice_if_empty_is_1),
        }


@dataclass(frozen=True, slots=True)
class CaseScores:
    """All labels of one case.

    Parameters
    ----------
    labels : tuple of LabelScores
        In ascending order of value.
    pixel_accuracy : float
        Part of all voxels with equal labels.
    tolerance_mm : float
        Of the NSD.
    warnings : tuple of Warn
        What must be shown beside the numbers.
    cells : CellScores, optional
        How well one label, drawn as the wall between cells, separates them.
    geometry_source : str
        Where the mm come from, in words: the geometry of the reference.
    """

    labels: tuple[LabelScores, ...]
    pixel_accuracy: float
    tolerance_mm: float
    warnings: tuple[Warn, ...] = ()
    cells: CellScores | None = None
    geometry_source: str = "unknown"

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the labels where it is defined; NaN when there is none."""
        return self.mean.dice

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the labels where it is defined; NaN when there is none."""
        return self.mean.iou

    @property
    def n_undefined(self) -> int:
        """Labels that are empty on both sides."""
        return self.mean.n_undefined

    @property
    def mean(self) -> MeanScores:
        """Mean over the labels that are defined."""
        return MeanScores.over(self.labels)

    def to_json(self) -> Json:
        """Return CONTRACT's object for `evaluate`; undefined is None."""
        return {
            "labels": {str(label.value): label.to_json() for label in self.labels},
            "mean": self.mean.to_json(),
            "pixel_accuracy": null_if_nan(self.pixel_accuracy),
            "tolerance_mm": self.tolerance_mm,
            "definition": DEFINITION,
            "geometry_source": self.geometry_source,
            "warnings": [warning.to_json() for warning in self.warnings],
            **({"cells": cells_json(self.cells)} if self.cells else {}),
        }


def cells_json(cells: CellScores) -> Json:
    """Return the scores of separated cells; undefined is None."""
    return {name: null_if_nan(getattr(cells, name)) for name in ("rand", "merge", "split")}


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula: such text is prefixed with an apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers)) if numbers else math.nan


def null_if_nan(number: float) -> float | None:
    """Return None for NaN: JSON has no undefined number."""
    return None if math.isnan(number) else float(number)
