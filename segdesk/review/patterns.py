"""Vote patterns: what the raters said, with how many voxels said it.

N raters and C classes give at most C^N patterns, and most voxels are unanimous.
Every count, kappa and EM step is therefore exact on the histogram of patterns and
costs almost nothing; only voxels that are not unanimous are ever sorted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.counting import value_counts
from segdesk.core.labels import LabelArray


@dataclass(frozen=True, slots=True)
class VotePatterns:
    """The histogram of votes in a box, and the way back to voxels.

    Parameters
    ----------
    values : ndarray of int, shape (C,)
        Label values that occur, ascending, background (0) first, always there.
    votes : ndarray of int, shape (P, N)
        Place in `values` that each rater chose, per occupied pattern.
    counts : ndarray of int64, shape (P,)
        Voxels per pattern.
    first : ndarray of uint8 or uint16, shape (K, J, I)
        The first rater's labels.
    disputed : ndarray of bool, shape (K, J, I)
        Voxels that are not unanimous.
    disputed_pattern : ndarray of int, shape (D,)
        Pattern of each disputed voxel in C order.
    unanimous_pattern : ndarray of int, shape (C,)
        Pattern in which everybody chose the value; -1 where there is no such voxel.
    """

    values: NDArray[np.intp]
    votes: NDArray[np.intp]
    counts: NDArray[np.int64]
    first: LabelArray
    disputed: NDArray[np.bool_]
    disputed_pattern: NDArray[np.intp]
    unanimous_pattern: NDArray[np.intp]

    @property
    def n_raters(self) -> int:
        """Number of raters."""
        return int(self.votes.shape[1])

    def class_votes(self) -> NDArray[np.intp]:
        """Count the raters per pattern and class, shape (P, C)."""
        return np.stack([(self.votes == place).sum(axis=1) for place in range(len(self.values))], axis=1)

    def to_voxels(self, per_pattern: NDArray[np.generic]) -> NDArray[np.generic]:
        """Spread one number per pattern over the box, shape (K, J, I)."""
        table = np.zeros(int(self.values[-1]) + 1, per_pattern.dtype)
        occupied = self.unanimous_pattern >= 0
        table[self.values[occupied]] = per_pattern[self.unanimous_pattern[occupied]]
        voxels = table[self.first]
        voxels[self.disputed] = per_pattern[self.disputed_pattern]
        return voxels


def vote_patterns(masks: Sequence[LabelArray]) -> VotePatterns:
    """Build the histogram of votes.

    Parameters
    ----------
    masks : sequence of ndarray of uint8 or uint16, shape (K, J, I)
        One per rater, all of one shape; one or more. Patterns come in an order that
        depends on the votes alone.
    """
    first = masks[0]
    disputed = np.zeros(first.shape, np.bool_)
    for other in masks[1:]:
        disputed |= first != other
    agreed_counts = value_counts(first) - _counts_at(first, disputed)
    said = [mask[disputed] for mask in masks]
    values = np.unique(np.concatenate([np.flatnonzero(agreed_counts), [0], *(np.unique(votes) for votes in said)]))
    values = values.astype(np.intp)
    unanimous = np.flatnonzero(agreed_counts[values])
    patterns, pattern_counts, inverse = _unique_rows(
        np.stack([np.searchsorted(values, v) for v in said], axis=1), values
    )
    unanimous_pattern = np.full(len(values), -1, np.intp)
    unanimous_pattern[unanimous] = np.arange(len(unanimous))
    return VotePatterns(
        values=values,
        votes=np.concatenate([np.repeat(unanimous[:, None], len(masks), axis=1), patterns]).astype(np.intp),
        counts=np.concatenate([agreed_counts[values][unanimous], pattern_counts]).astype(np.int64),
        first=first,
        disputed=disputed,
        disputed_pattern=inverse + len(unanimous),
        unanimous_pattern=unanimous_pattern,
    )


def _counts_at(labels: LabelArray, where: NDArray[np.bool_]) -> NDArray[np.int64]:
    return value_counts(labels[where])


def _unique_rows(
    rows: NDArray[np.intp], values: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the distinct rows, their counts, and the row of each input, by one integer code per row."""
    code = np.zeros(len(rows), np.int64)
    for column in range(rows.shape[1]):
        # Codes are made dense before they could overflow: 65536 classes and many raters still fit.
        if code.size and int(code.max()) > np.iinfo(np.int64).max // (len(values) + 1) - 1:
            code = np.unique(code, return_inverse=True)[1]
        code = code * len(values) + rows[:, column]
    _, index, inverse, counts = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    return rows[index], counts, inverse
