"""Vote patterns: what the raters said, with how many voxels said it.

N raters and C classes give at most C^N patterns, and most voxels are unanimous.
Every count, kappa and EM step is therefore exact on the histogram of patterns and
costs almost nothing; only voxels that are not unanimous are ever sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.counting import value_counts
from segdesk.core.labels import LabelArray

_SLAB = 1 << 19
"""Voxels compared at once; keeps temporaries small beside the masks."""

_DENSE = 1 << 22
"""Largest table of codes that is counted by `bincount`; beyond it codes are sorted."""


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
        The first rater's labels (a view).
    disputed_index : ndarray of int, shape (D,)
        Voxels that are not unanimous, in C order of the box.
    disputed_pattern : ndarray of int, shape (D,)
        Pattern of each disputed voxel.
    unanimous_pattern : ndarray of int, shape (C,)
        Pattern in which everybody chose the value; -1 where there is no such voxel.
    """

    values: NDArray[np.intp]
    votes: NDArray[np.intp]
    counts: NDArray[np.int64]
    first: LabelArray
    disputed_index: NDArray[np.intp]
    disputed_pattern: NDArray[np.intp]
    unanimous_pattern: NDArray[np.intp]

    @property
    def n_raters(self) -> int:
        """Number of raters."""
        return int(self.votes.shape[1])

    def class_votes(self) -> NDArray[np.intp]:
        """Count the raters per pattern and class, shape (P, C)."""
        return np.stack([(self.votes == place).sum(axis=1) for place in range(len(self.values))], axis=1)

    def spread(self, per_pattern: NDArray[Any], out: NDArray[Any]) -> None:
        """Write one number per pattern to the voxels of `out`, zeros of shape (K, J, I)."""
        occupied = self.unanimous_pattern >= 0
        unanimous = self.values[occupied]
        table = np.zeros(int(self.values[-1]) + 1, per_pattern.dtype)
        table[unanimous] = per_pattern[self.unanimous_pattern[occupied]]
        if out.dtype == self.first.dtype and np.array_equal(table[unanimous], unanimous):
            np.copyto(out, self.first)
        else:
            self._look_up(table, out)
        out[np.unravel_index(self.disputed_index, out.shape)] = per_pattern[self.disputed_pattern]

    def _look_up(self, table: NDArray[Any], out: NDArray[Any]) -> None:
        """Write the number of each voxel's value in the first mask; flags and shares are one number on all labels."""
        labels = table[self.values[(self.values > 0) & (self.unanimous_pattern >= 0)]]
        if table[0] == 0 and (labels == labels[:1]).all():
            for slab in _slabs(out.shape) if labels.any() else ():
                np.multiply(self.first[slab] != 0, labels[0], out=out[slab])
        else:
            for slab in _slabs(out.shape):
                out[slab] = table[self.first[slab]]


def vote_patterns(masks: Sequence[LabelArray]) -> VotePatterns:
    """Build the histogram of votes.

    Parameters
    ----------
    masks : sequence of ndarray of uint8 or uint16, shape (K, J, I)
        One per rater, all of one shape; one or more. Patterns come in an order that
        depends on the votes alone.
    """
    first = masks[0]
    places, agreed = _unequal_places(masks)
    where = np.unravel_index(places, first.shape)
    said = [mask[where] for mask in masks]
    agreed -= np.bincount(said[0], minlength=agreed.size)
    values = np.unique(np.concatenate([np.flatnonzero(agreed), [0], *(np.unique(votes) for votes in said)]))
    values = values.astype(np.intp)
    unanimous = np.flatnonzero(agreed[values])
    patterns, pattern_counts, inverse = _distinct(said, values)
    unanimous_pattern = np.full(len(values), -1, np.intp)
    unanimous_pattern[unanimous] = np.arange(len(unanimous))
    return VotePatterns(
        values=values,
        votes=np.concatenate([np.repeat(unanimous[:, None], len(masks), axis=1), patterns]).astype(np.intp),
        counts=np.concatenate([agreed[values][unanimous], pattern_counts]).astype(np.int64),
        first=first,
        disputed_index=places,
        disputed_pattern=inverse + len(unanimous),
        unanimous_pattern=unanimous_pattern,
    )


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _SLAB // max(1, shape[1] * shape[2]))
    return (slice(k, k + step) for k in range(0, shape[0], step))


def _unequal_places(masks: Sequence[LabelArray]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return where masks differ, and how often each value occurs in the first."""
    first = masks[0]
    found = [np.zeros(0, np.intp)]
    counts = np.zeros(1 << (8 * first.dtype.itemsize), np.int64)
    for slab in _slabs(first.shape):
        mine = first[slab]
        unequal = np.zeros(mine.shape, np.bool_)
        for other in masks[1:]:
            unequal |= mine != other[slab]
        found.append(np.flatnonzero(unequal) + slab.start * first.shape[1] * first.shape[2])
        counts += value_counts(mine)
    return np.concatenate(found), counts


def _distinct(
    said: Sequence[LabelArray], values: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.intp]]:
    """Return the distinct tuples of votes, their counts, and the tuple of each voxel, by one code a voxel."""
    n_classes = len(values)
    place = np.zeros(int(values[-1]) + 1, np.intp)
    place[values] = np.arange(n_classes)
    code, span = np.zeros(len(said[0]), np.intp), 1
    for votes in said:
        # Codes are made dense on the way: 65536 classes and many raters never overflow.
        if span * n_classes > _DENSE:
            code, span = _dense(code, span)
        code, span = code * n_classes + place[votes], span * n_classes
    code, span = _dense(code, span)
    example = np.zeros(span, np.intp)
    example[code[::-1]] = np.arange(len(code))[::-1]
    rows = np.stack([place[votes[example]] for votes in said], axis=1)
    return rows, np.bincount(code, minlength=span), code


def _dense(code: NDArray[np.intp], span: int) -> tuple[NDArray[np.intp], int]:
    """Renumber codes below `span` without gaps, in their order."""
    if span > max(_DENSE, 4 * code.size):
        found, dense = np.unique(code, return_inverse=True)
        return dense, len(found)
    occupied = np.bincount(code, minlength=span) > 0
    return (np.cumsum(occupied) - 1)[code], int(np.count_nonzero(occupied))
