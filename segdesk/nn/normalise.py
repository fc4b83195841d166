"""Intensities: from any scanner's numbers to a scale a network can use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segdesk.core.volume import Volume
from segdesk.zoo.spec import Normalisation

FloatArray = NDArray[np.float32]

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 weights of red, green, blue."""

_SAMPLE = 2_000_000
"""Voxels that percentiles are taken from; more change them by less than the noise."""


def normalise(volume: Volume, how: Normalisation) -> FloatArray:
    """Return a channel's voxels on the network's scale.

    Parameters
    ----------
    volume : Volume
        One time point; RGB becomes luminance. NaN and infinity become the smallest
        finite value; they and ``volume.padding_range`` do not enter any statistics.
    how : Normalisation
        "zscore" and "zscore_nonzero" with `low` and `high` clip to these percentiles
        of the tissue before mean and standard deviation are taken, so that a few bright
        vessels or a foreign scale do not matter.

    Returns
    -------
    ndarray of float32, shape (K, J, I)
        0 everywhere for a constant image.

    References
    ----------
    Isensee et al., Nat Methods 18:203, 2021 (clipping to the 0.5 and 99.5 percentiles).
    """
    grey = volume.array @ LUMINANCE if volume.is_rgb else volume.array
    values = np.array(grey, dtype=np.float32, order="C")
    tissue = np.isfinite(values)
    if not tissue.all():
        values[~tissue] = values[tissue].min() if tissue.any() else 0.0
    if volume.padding_range is not None:
        low, high = volume.padding_range
        tissue &= (values < low) | (values > high)
    return _METHODS[how.kind](values, tissue, how)


def _zscore(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    sample = values[tissue]
    if sample.size == 0:
        return np.zeros_like(values)
    if how.low is not None and how.high is not None:
        low, high = np.percentile(_thinned(sample), (how.low, how.high))
        sample, values = sample.clip(low, high), values.clip(low, high)
    mean, spread = float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64))
    if spread <= 1e-6 * max(abs(mean), 1e-30):
        return np.zeros_like(values)
    return np.asarray((values - mean) / spread, dtype=np.float32)


def _zscore_nonzero(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    return _zscore(values, tissue & (values != 0), how)


def _zscore_inside(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    inside = values != 0
    return np.where(inside, _zscore(values, tissue & inside, how), np.float32(0))


def _zscore_cropped(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    box = np.zeros_like(tissue)
    places = [np.flatnonzero(np.any(values != 0, axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if all(place.size for place in places):
        box[tuple(slice(place[0], place[-1] + 1) for place in places)] = True
    return _zscore(values, tissue & box, how)


def _percentiles(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    sample = values[tissue]
    if sample.size == 0:
        return np.zeros_like(values)
    low, high = np.percentile(_thinned(sample), (how.low or 0.0, 100.0 if how.high is None else how.high))
    if high <= low:
        return np.zeros_like(values)
    return np.asarray((values.clip(low, high) - low) / (high - low), dtype=np.float32)


def _window(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    # The spec guarantees the four numbers of a window; the words behind "or" satisfy the type checker.
    clipped = values.clip(how.low or 0.0, how.high or 0.0)
    return np.asarray((clipped - (how.mean or 0.0)) / (how.std or 1.0), dtype=np.float32)


def _none(values: FloatArray, tissue: NDArray[np.bool_], how: Normalisation) -> FloatArray:
    return values


def _thinned(sample: FloatArray) -> FloatArray:
    return sample[:: max(1, sample.size // _SAMPLE)]


_METHODS: dict[str, Callable[[FloatArray, NDArray[np.bool_], Normalisation], FloatArray]] = {
    "none": _none,
    "zscore": _zscore,
    "zscore_nonzero": _zscore_nonzero,
    "zscore_inside": _zscore_inside,
    "zscore_cropped": _zscore_cropped,
    "percentiles": _percentiles,
    "window": _window,
}
