"""How well each rater finds the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import LabelArray
from segdesk.metrics.overlap import LabelCounts, confusion
from segdesk.metrics.table import null_if_nan
from segdesk.review.ballot import Ballot
from segdesk.review.patterns import VotePatterns
from segdesk.review.staple import StapleResult


@dataclass(frozen=True, slots=True)
class RaterQuality:
    """A rater against the truth: STAPLE's estimates, else counted against the consensus.

    Parameters
    ----------
    name : str
        The rater.
    sensitivity, specificity : mapping of int to float
        By label value, over the domain; NaN where undefined.
    is_counted : bool
        False for a rater of weight 0.
    """

    name: str
    sensitivity: Mapping[int, float]
    specificity: Mapping[int, float]
    is_counted: bool = True

    def to_json(self) -> dict[str, object]:
        """Return the fields of CONTRACT; undefined is None."""
        return {
            "name": self.name,
            "sensitivity": {str(value): null_if_nan(x) for value, x in self.sensitivity.items()},
            "specificity": {str(value): null_if_nan(x) for value, x in self.specificity.items()},
            "counted": self.is_counted,
        }


def qualities_of(
    ballot: Ballot, patterns: VotePatterns, winners: NDArray[np.intp], staple: StapleResult | None
) -> tuple[RaterQuality, ...]:
    """Return each rater against the truth; undecided voxels are background in it."""
    truth = np.maximum(winners, 0)
    voxels = np.bincount(truth, patterns.counts, len(patterns.values)).astype(np.float64)
    places = {rater.name: place for place, rater in enumerate(ballot.counted)}
    qualities = []
    for rater in ballot.raters:
        place = places.get(rater.name)
        if place is None:
            rows = _counted_apart(rater.labels.array[ballot.box.slices], patterns, truth)
        elif staple is not None:
            rows = _estimated(staple.confusion[place], voxels)
        else:
            rows = _counted(patterns, truth, place)
        by_value = {int(patterns.values[label]): row for label, row in enumerate(rows) if label != 0}
        sensitivity = {value: row[0] for value, row in by_value.items()}
        specificity = {value: row[1] for value, row in by_value.items()}
        qualities.append(RaterQuality(rater.name, sensitivity, specificity, place is not None))
    return tuple(qualities)


def _estimated(confusion: NDArray[np.float64], voxels: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return (sensitivity, specificity) per class from P(said | true); other classes count by their voxels."""
    rows = []
    for place in range(len(voxels)):
        others = np.delete(voxels, place)
        wrongly = np.delete(confusion[place], place)
        specificity = 1 - float(others @ wrongly) / float(others.sum()) if others.any() else math.nan
        rows.append((float(confusion[place, place]), specificity))
    return rows


def _counted(patterns: VotePatterns, truth: NDArray[np.intp], rater: int) -> list[tuple[float, float]]:
    """Return (sensitivity, specificity) per class, counted against the consensus."""
    rows = []
    for place in range(len(patterns.values)):
        drawn, true = patterns.votes[:, rater] == place, truth == place
        both, extra, missed, rest = (
            int(patterns.counts[chosen].sum())
            for chosen in (drawn & true, drawn & ~true, ~drawn & true, ~drawn & ~true)
        )
        counts = LabelCounts(both, extra, missed, rest)
        rows.append((counts.recall, counts.specificity))
    return rows


def _counted_apart(said: LabelArray, patterns: VotePatterns, truth: NDArray[np.intp]) -> list[tuple[float, float]]:
    """Return the same for a rater whose votes are not in the histogram."""
    agreed = np.zeros(said.shape, np.uint16)
    patterns.spread(patterns.values[truth].astype(np.uint16), agreed)
    pairs = confusion(agreed, said)
    counts = [pairs.of(int(value)) for value in patterns.values]
    return [(each.recall, each.specificity) for each in counts]
