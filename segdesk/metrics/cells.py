"""How well a drawn wall separates cells: the foreground-restricted Rand score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segdesk.errors import ShapeMismatch
from segdesk.metrics.overlap import Mask

_IN_PLANE = np.zeros((3, 3, 3), dtype=np.bool_)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)
"""Pixels of one slice that share an edge: a wall one pixel wide separates them, also along a diagonal."""


@dataclass(frozen=True, slots=True)
class CellScores:
    """Pairs of pixels that lie in cells of the reference.

    Parameters
    ----------
    pairs_both, pairs_candidate, pairs_reference : int
        Pairs that lie in one cell on both sides, in the candidate, in the reference.
    """

    pairs_both: int
    pairs_candidate: int
    pairs_reference: int

    def __add__(self, other: CellScores) -> CellScores:
        """Pool two sections or cases."""
        return CellScores(
            self.pairs_both + other.pairs_both,
            self.pairs_candidate + other.pairs_candidate,
            self.pairs_reference + other.pairs_reference,
        )

    @property
    def rand(self) -> float:
        """Rand F-score, 1 is best; NaN without a pair on either side."""
        both = self.pairs_candidate + self.pairs_reference
        return 2 * self.pairs_both / both if both else math.nan

    @property
    def merge(self) -> float:
        """Part of the candidate's pairs that belong together: low where cells were merged."""
        return self.pairs_both / self.pairs_candidate if self.pairs_candidate else math.nan

    @property
    def split(self) -> float:
        """Part of the reference's pairs that stayed together: low where cells were split."""
        return self.pairs_both / self.pairs_reference if self.pairs_reference else math.nan


def cell_scores(candidate_walls: Mask, reference_walls: Mask) -> CellScores:
    """Compare the cells that two drawings of their walls leave, slice by slice.

    A cell is a 4-connected region of a slice without wall. Only pixels inside cells of the
    reference count; there, each pixel that the candidate draws as wall is a cell of its own.

    Parameters
    ----------
    candidate_walls, reference_walls : ndarray of bool, shape (K, J, I)
        True on the wall.

    Raises
    ------
    ShapeMismatch
        If the shapes differ.

    References
    ----------
    Arganda-Carreras et al., Front Neuroanat 9:142 (2015): the foreground-restricted Rand
    score of the ISBI 2012 challenge, with equal weights for splits and mergers.
    """
    if candidate_walls.shape != reference_walls.shape:
        raise ShapeMismatch(f"The walls are {candidate_walls.shape} and {reference_walls.shape} voxels.")
    inside = ~reference_walls
    reference = ndimage.label(inside, _IN_PLANE)[0][inside].astype(np.int64)
    candidate = ndimage.label(~candidate_walls, _IN_PLANE)[0][inside].astype(np.int64)
    drawn = candidate > 0
    joint = reference[drawn] * (int(candidate.max(initial=0)) + 1) + candidate[drawn]
    return CellScores(_pairs(joint), _pairs(candidate[drawn]), _pairs(reference))


def _pairs(values: NDArray[np.int64]) -> int:
    """Count ordered pairs of different pixels with one value."""
    counts = np.unique(values, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1)).sum())
