"""Where the windows of a sliding-window run lie and how much each voxel of them counts.

A window is what the network answers for; what it looks at is larger by the
margin that valid convolutions lose (overlap-tile, Ronneberger et al. 2015), and
by the neighbouring slices of a 2.5D model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3

FloatArray = NDArray[np.float32]

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian weight over the window's length, as in nnU-Net and MONAI."""

WEIGHT_FLOOR = 0.01
"""Smallest weight along one axis: below it, a corner seen by one window alone would lose digits."""


Profiles = tuple[FloatArray, FloatArray, FloatArray]
"""One factor per axis; the weight of a voxel is their product."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of the padded image: where it starts and how much its voxels count."""

    corner: Index3
    profiles: Profiles


@dataclass(frozen=True)
class WindowPlan:
    """How an image is cut into windows.

    Parameters
    ----------
    shape : tuple of int
        Image on the model's grid, (k, j, i).
    window : tuple of int
        What the network answers for at once.
    margin : tuple of int
        Voxels the network needs around it on each side; 0 for padded networks. Beside windows of one slice they
        are its neighbours.
    overlap : float
        Overlap of neighbouring windows as a fraction of their length, in [0, 0.9].
    divisor : tuple of int
        Windows start at multiples of it where they can: a network that pools sees pairs of
        voxels, and the same pairs in every window only then.
    """

    shape: Index3
    window: Index3
    margin: Index3 = (0, 0, 0)
    overlap: float = 0.5
    divisor: Index3 = (1, 1, 1)

    @cached_property
    def padded_shape(self) -> Index3:
        """The shape enlarged to one window where it is smaller, and so that tiles of mirrored images start even."""
        k, j, i = (
            w + -(-max(0, n - w) // d) * d if m else max(n, w)
            for n, w, m, d in zip(self.shape, self.window, self.margin, self.divisor, strict=True)
        )
        return k, j, i

    @cached_property
    def before(self) -> Index3:
        """Voxels added before the image along each axis: one smaller than a window lies in its middle."""
        k, j, i = (max(0, w - n) // 2 for w, n in zip(self.window, self.shape, strict=True))
        return k, j, i

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Where windows start along each axis of the padded image, ascending."""
        k, j, i = (
            _starts(n, w, self.overlap if m == 0 else 0.0, d)
            for n, w, m, d in zip(self.padded_shape, self.window, self.margin, self.divisor, strict=True)
        )
        return k, j, i

    @property
    def count(self) -> int:
        """Number of windows."""
        return math.prod(len(each) for each in self.starts)

    def windows(self) -> Iterator[Window]:
        """Yield every window; k ascends slowest."""
        places = [list(zip(starts, rows, strict=True)) for starts, rows in zip(self.starts, self._rows, strict=True)]
        for (k, at_k), (j, at_j), (i, at_i) in itertools.product(*places):
            yield Window((k, j, i), (at_k, at_j, at_i))

    @cached_property
    def totals(self) -> Profiles:
        """Sum of the weights along each axis of the padded image; the sum at a voxel is their product.

        Windows form a grid and weights a product, so the sum over windows is a product of sums.
        """
        k, j, i = (
            _total(n, starts, rows) for n, starts, rows in zip(self.padded_shape, self.starts, self._rows, strict=True)
        )
        return k, j, i

    @cached_property
    def _rows(self) -> list[list[FloatArray]]:
        """Weights along each axis, of each window."""
        # Tiles of a network with a margin are exact to their edge: they all count the same.
        return [
            _profiles(starts, w, is_even=m > 0 or w == 1)
            for starts, w, m in zip(self.starts, self.window, self.margin, strict=True)
        ]

    def pad(self, image: FloatArray) -> FloatArray:
        """Return the image (C, k, j, i) with what the windows need around it.

        Zeros (the mean, as in training) where it is smaller than a window; mirrored
        along axes with a margin, as the overlap-tile strategy asks for. Beside windows of
        one slice the end slices repeat.
        """
        result = image
        for axis, margin in enumerate(self.margin):
            extra = self.padded_shape[axis] - self.shape[axis]
            first = self.before[axis] + margin
            widths = [(0, 0)] * 4
            widths[1 + axis] = (first, extra - self.before[axis] + margin)
            if margin and self.window[axis] == 1:
                result = np.pad(result, widths, mode="edge")
            elif margin:
                result = _mirrored(result, 1 + axis, widths[1 + axis])
            elif extra:
                result = np.pad(result, widths)
        return result

    def view(self, corner: Index3) -> Box:
        """Return what the network looks at for the window at `corner`, in the padded image."""
        k, j, i = (c + w + 2 * m for c, w, m in zip(corner, self.window, self.margin, strict=True))
        return Box(corner, (k, j, i))


def _starts(length: int, window: int, overlap: float, divisor: int) -> tuple[int, ...]:
    """Return evenly spread starts: as few as the overlap allows, at multiples of `divisor`, the last one flush."""
    last = length - window
    if last <= 0:
        return (0,)
    divisor = divisor if divisor <= window else 1
    step = max(1, int(window * (1.0 - overlap) / divisor + 1e-9)) * divisor
    gaps = math.ceil(last / step)
    return *(math.ceil(n * last / gaps / divisor - 1e-9) * divisor for n in range(gaps)), last


def _profiles(starts: tuple[int, ...], window: int, *, is_even: bool) -> list[FloatArray]:
    """Return the weights of each window along one axis.

    A Gaussian, cut to 0 just before the middle of each overlap: there the neighbour sees
    further. What a window gets wrong at its edge for want of context is thus never used, and
    a network that reaches less than half the overlap is stitched exactly.
    """
    bell = np.ones(window, np.float32) if is_even else _gaussian(window)
    rows = [bell.copy() for _ in starts]
    for n, (here, following) in enumerate(itertools.pairwise(starts)):
        unused = max(0, (here + window - following - 2) // 2)
        rows[n][window - unused :] = 0
        rows[n + 1][:unused] = 0
    return rows


def _gaussian(length: int) -> FloatArray:
    position = (np.arange(length) - (length - 1) / 2) / (SIGMA_SCALE * length)
    return np.maximum(np.exp(-0.5 * position**2), WEIGHT_FLOOR).astype(np.float32)


def _total(length: int, starts: tuple[int, ...], rows: list[FloatArray]) -> FloatArray:
    total = np.zeros(length, np.float32)
    for start, row in zip(starts, rows, strict=True):
        total[start : start + len(row)] += row
    return total


def _mirrored(array: FloatArray, axis: int, widths: tuple[int, int]) -> FloatArray:
    """Reflect an axis about its end voxels, as often as needed; one voxel alone is repeated."""
    length = array.shape[axis]
    index = np.arange(-widths[0], length + widths[1])
    period = max(1, 2 * (length - 1))
    folded = index % period
    source = np.where(folded < length, folded, period - folded)
    return np.ascontiguousarray(array.take(source, axis=axis))
