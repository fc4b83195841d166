"""Which voxels two label maps share, and the ratios made of those counts.

Definitions: Dice, Ecology 26(3):297-302, 1945; Jaccard, Bull Soc Vaud Sci Nat 37:547-579,
1901. An undefined ratio (0/0) is NaN; it is never counted as 0 or 1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.counting import value_counts
from segdesk.core.labels import LabelArray
from segdesk.errors import ShapeMismatch

_CHUNK = 1 << 18
"""Voxels compared at once; keeps every temporary in the processor's cache."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Voxels of one label: in both masks, in one of them, in none.

    Parameters
    ----------
    true_positive, false_positive, false_negative, true_negative : int
        Seen from the candidate; Python integers, so nothing overflows.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    def __add__(self, other: LabelCounts) -> LabelCounts:
        """Pool the voxels of two cases."""
        return LabelCounts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

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
        """2|A∩B| / (|A|+|B|); NaN when both are empty."""
        return _ratio(2 * self.true_positive, self.reference + self.candidate)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: the same number as Dice."""
        return self.dice

    @property
    def iou(self) -> float:
        """|A∩B| / |A∪B|; NaN when both are empty."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive + self.false_negative)

    @property
    def precision(self) -> float:
        """Part of the candidate that is in the reference; NaN for an empty candidate."""
        return _ratio(self.true_positive, self.candidate)

    @property
    def recall(self) -> float:
        """Part of the reference that is in the candidate (sensitivity); NaN for an empty reference."""
        return _ratio(self.true_positive, self.reference)

    @property
    def specificity(self) -> float:
        """Part of the reference's outside that the candidate leaves out; NaN where there is no outside."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all voxels; NaN for an array without voxels."""
        right = self.true_positive + self.true_negative
        return _ratio(right, right + self.false_positive + self.false_negative)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each pair (reference value, candidate value) occurs.

    Parameters
    ----------
    pairs : mapping of (int, int) to int
        Occupied pairs only.
    """

    pairs: Mapping[tuple[int, int], int]

    @property
    def values(self) -> tuple[int, ...]:
        """Non-zero values on either side, ascending."""
        return tuple(sorted({value for pair in self.pairs for value in pair} - {0}))

    @property
    def n_voxels(self) -> int:
        """Voxels compared."""
        return sum(self.pairs.values())

    @property
    def pixel_accuracy(self) -> float:
        """Part of the voxels with equal values; NaN without voxels."""
        return _ratio(sum(n for (a, b), n in self.pairs.items() if a == b), self.n_voxels)

    def of(self, value: int) -> LabelCounts:
        """Return the counts of one label against everything else."""
        both = self.pairs.get((value, value), 0)
        reference = sum(n for (a, _), n in self.pairs.items() if a == value)
        candidate = sum(n for (_, b), n in self.pairs.items() if b == value)
        return LabelCounts(both, candidate - both, reference - both, self.n_voxels - reference - candidate + both)


def confusion(reference: LabelArray, candidate: LabelArray) -> Confusion:
    """Count the pairs of values of two label arrays.

    Equal voxels are counted on one array, eight bytes at a time; only voxels that
    differ are paired, chunk by chunk, so there is no temporary of the volume's size.

    Parameters
    ----------
    reference, candidate : ndarray of uint8 or uint16, one shape
        C-contiguous ones are read in place.

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ShapeMismatch(f"A candidate of shape {candidate.shape} cannot be compared with {reference.shape}.")
    pairs: Counter[tuple[int, int]] = Counter()
    for value, count in enumerate(value_counts(reference).tolist()):
        if count:
            pairs[value, value] = count
    first, second = reference.reshape(-1), candidate.reshape(-1)
    for start in range(0, first.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        for (a, b), count in _differing(first[part], second[part]).items():
            pairs[a, b] += count
            pairs[a, a] -= count
    return Confusion({pair: count for pair, count in pairs.items() if count})


def _differing(first: LabelArray, second: LabelArray) -> dict[tuple[int, int], int]:
    places = np.flatnonzero(first != second)
    codes = (first[places].astype(np.uint32) << np.uint32(16)) | second[places]
    found, counts = np.unique(codes, return_counts=True)
    return {(code >> 16, code & 0xFFFF): n for code, n in zip(found.tolist(), counts.tolist(), strict=True)}


def mask_counts(reference: Mask, candidate: Mask) -> LabelCounts:
    """Count two binary masks against each other; ShapeMismatch if the shapes differ."""
    return confusion(reference.view(np.uint8), candidate.view(np.uint8)).of(1)


def dice(reference: Mask, candidate: Mask) -> float:
    """Compute the Dice similarity coefficient 2|A∩B| / (|A|+|B|).

    Parameters
    ----------
    reference, candidate : ndarray of bool, one shape
        Binary masks on one grid; nothing is resampled.

    Returns
    -------
    float
        In [0, 1]; NaN when both masks are empty (undefined, left out of means).

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    """
    return mask_counts(reference, candidate).dice


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
