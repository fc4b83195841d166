"""How often each label value occurs, without temporaries of the volume's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from segdesk.core.labels import LabelArray

_CHUNK = 1 << 18
"""Voxels counted at once: the copies that `bincount` makes stay in the processor's cache."""


def value_counts(labels: LabelArray) -> NDArray[np.int64]:
    """Count how often each value occurs.

    Label maps are mostly background and flat regions, so eight bytes are looked
    at together: words that hold one value only are counted as a whole.

    Parameters
    ----------
    labels : ndarray of uint8 or uint16, any shape
        A C-contiguous array is read in place; another one is copied.

    Returns
    -------
    ndarray of int64, shape (256,) or (65536,)
        Number of voxels per value; all zero for an empty array.
    """
    flat = labels.reshape(-1)
    counts = np.zeros(1 << (8 * flat.dtype.itemsize), np.int64)
    for start in range(0, flat.size, _CHUNK):
        _add_chunk(counts, flat[start : start + _CHUNK])
    return counts


def _add_chunk(counts: NDArray[np.int64], chunk: LabelArray) -> None:
    size = chunk.dtype.itemsize
    per_word = 8 // size
    body = chunk.size - chunk.size % per_word
    words = chunk[:body].view(np.uint64)
    first = words & np.uint64((1 << (8 * size)) - 1)
    repeated = np.uint64(sum(1 << (8 * size * place) for place in range(per_word)))
    mixed = np.flatnonzero(first * repeated != words)
    _add(counts, first.view(np.int64), per_word)
    _add(counts, first[mixed].view(np.int64), -per_word)
    _add(counts, words[mixed].view(chunk.dtype), 1)
    _add(counts, chunk[body:], 1)


def _add(counts: NDArray[np.int64], values: NDArray[np.int64] | LabelArray, weight: int) -> None:
    part = np.bincount(values)
    counts[: part.size] += part * weight
