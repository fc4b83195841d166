"""Overlap of two label maps, from one table of counts.

Every overlap measure is a function of how many voxels carry each pair of
(reference, candidate) values, so the volumes are read once, slab by slab.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.counting import value_counts
from segdesk.core.labels import LabelArray
from segdesk.errors import ShapeMismatch

_CHUNK = 1 << 20
"""Voxels counted at once; bounds the int64 temporaries of `bincount` to 8 MiB each."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Voxels of one label: true and false positives and negatives, as Python integers."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def reference(self) -> int:
        """Voxels of the reference."""
        return self.true_positive + self.false_negative

    @property
    def candidate(self) -> int:
        """Voxels of the candidate."""
        return self.true_positive + self.false_positive

    @property
    def dice(self) -> float:
        """2|A∩B| / (|A|+|B|); NaN when both are empty (Dice, Ecology 26:297, 1945)."""
        return _ratio(2 * self.true_positive, self.reference + self.candidate)

    @property
    def iou(self) -> float:
        """|A∩B| / |A∪B|; NaN when both are empty (Jaccard 1912)."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive + self.false_negative)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); NaN for an empty candidate."""
        return _ratio(self.true_positive, self.candidate)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), also called sensitivity; NaN for an empty reference."""
        return _ratio(self.true_positive, self.reference)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP); NaN when the reference fills the grid."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def count_overlap(reference: LabelArray, candidate: LabelArray) -> dict[int, Counts]:
    """Count the overlap of every value but background in either array.

    Parameters
    ----------
    reference, candidate : ndarray of uint8 or uint16, same shape
        Label values; several billion voxels are fine (64-bit counts).

    Returns
    -------
    dict of int to Counts
        In ascending order of value; empty when both arrays are background.

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ShapeMismatch(f"Masks of shapes {reference.shape} and {candidate.shape} cannot be compared.")
    values = np.union1d(np.flatnonzero(value_counts(reference)), np.flatnonzero(value_counts(candidate)))
    table = _pair_table(reference.reshape(-1), candidate.reshape(-1), values)
    total = int(table.sum())
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    counts = {}
    for place, value in enumerate(values):
        if value == 0:
            continue
        both, in_reference, in_candidate = int(table[place, place]), int(rows[place]), int(columns[place])
        missed, extra = in_reference - both, in_candidate - both
        counts[int(value)] = Counts(both, extra, missed, total - both - missed - extra)
    return counts


def count_masks(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> Counts:
    """Count the overlap of two binary masks of one shape."""
    both = int(np.count_nonzero(reference & candidate))
    missed = int(np.count_nonzero(reference)) - both
    extra = int(np.count_nonzero(candidate)) - both
    return Counts(both, extra, missed, reference.size - both - missed - extra)


def pixel_accuracy(reference: LabelArray, candidate: LabelArray) -> float:
    """Return the fraction of voxels with the same value, background included; NaN for an empty grid."""
    return _ratio(int(np.count_nonzero(reference == candidate)), reference.size)


def _pair_table(reference: LabelArray, candidate: LabelArray, values: NDArray[np.intp]) -> NDArray[np.int64]:
    """Count (reference, candidate) pairs of dense value indices, shape (n, n)."""
    count = max(1, len(values))
    place = np.zeros(65536, np.intp)
    place[values] = np.arange(len(values))
    table = np.zeros(count * count, np.int64)
    for start in range(0, reference.size, _CHUNK):
        pairs = place[reference[start : start + _CHUNK]] * count + place[candidate[start : start + _CHUNK]]
        table += np.bincount(pairs, minlength=count * count)
    return table.reshape(count, count)
