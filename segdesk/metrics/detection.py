"""Lesions found and missed: connected components matched by overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

CONNECTIVITY = 26
"""Voxels that touch at a face, an edge or a corner belong to one lesion."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Counts of lesions."""

    true_positive: int
    false_positive: int
    false_negative: int

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN when there is no lesion at all."""
        total = 2 * self.true_positive + self.false_positive + self.false_negative
        return 2 * self.true_positive / total if total else math.nan


def detect(reference: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> Detection:
    """Match lesions of two binary masks (K, J, I) by overlap.

    A reference lesion is found when any candidate voxel lies in it; a candidate
    lesion is false when it touches no reference voxel. One candidate lesion over
    two reference lesions finds both.
    """
    lesions, n_lesions = cc3d.connected_components(reference, connectivity=CONNECTIVITY, return_N=True)
    marks, n_marks = cc3d.connected_components(candidate, connectivity=CONNECTIVITY, return_N=True)
    found = len(np.unique(lesions[candidate & reference]))
    right = len(np.unique(marks[candidate & reference]))
    return Detection(found, n_marks - right, n_lesions - found)
