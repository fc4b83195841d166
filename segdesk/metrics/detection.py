"""Lesions found, missed and made up: connected components matched by overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.errors import ShapeMismatch
from segdesk.metrics.overlap import Mask


@dataclass(frozen=True, slots=True)
class Detection:
    """How the lesions of a candidate meet those of a reference.

    Parameters
    ----------
    found, missed : int
        Reference lesions that are overlapped (true positives), and those that are not (false negatives).
    matched, false_positive : int
        Candidate lesions that overlap a reference lesion enough, and those that do not.
    """

    found: int
    missed: int
    matched: int
    false_positive: int

    @property
    def sensitivity(self) -> float:
        """Part of the reference lesions that were found; NaN when there are none."""
        return _ratio(self.found, self.found + self.missed)

    @property
    def precision(self) -> float:
        """Part of the candidate lesions that are real; NaN when there are none."""
        return _ratio(self.matched, self.matched + self.false_positive)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), TP counted on reference lesions; NaN when both sides have none."""
        return _ratio(2 * self.found, 2 * self.found + self.false_positive + self.missed)


def detect(reference: Mask, candidate: Mask, min_overlap: float = 0.0) -> Detection:
    """Match connected components (26 neighbours, 8 on a slice) by overlap.

    A reference lesion is found when the candidate covers some of it, and at least the
    part `min_overlap`; a candidate lesion is matched when it touches a found lesion. One
    candidate may find several lesions, and several may find one.

    Parameters
    ----------
    reference, candidate : ndarray of bool, shape (K, J, I)
        Masks of one label.
    min_overlap : float
        In [0, 1].

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ShapeMismatch(f"A candidate of shape {candidate.shape} cannot be compared with {reference.shape}.")
    box = Box.around(reference | candidate)
    if box is None:
        return Detection(0, 0, 0, 0)
    real, sizes = _components(reference[box.slices])
    drawn, drawn_sizes = _components(candidate[box.slices])
    common = (real > 0) & (drawn > 0)
    covered = np.bincount(real[common], minlength=sizes.size)
    is_found = (covered > 0) & (covered >= min_overlap * sizes)
    is_matched = np.zeros(drawn_sizes.size, dtype=np.bool_)
    is_matched[drawn[common][is_found[real[common]]]] = True
    found, matched = int(np.count_nonzero(is_found)), int(np.count_nonzero(is_matched))
    return Detection(found, sizes.size - 1 - found, matched, drawn_sizes.size - 1 - matched)


def _components(mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numbered components from 1, and their sizes with the background's first."""
    numbered = np.asarray(cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26), dtype=np.int64)
    return numbered, np.bincount(numbered.ravel(), minlength=1)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
