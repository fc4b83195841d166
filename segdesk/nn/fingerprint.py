"""What a data set is like: sizes, spacings, intensities under the labels, how rare each label is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume
from segdesk.nn.dataset import LoadedCase
from segdesk.nn.losses import IGNORE
from segdesk.nn.normalise import LUMINANCE
from segdesk.nn.preprocess import axis_map

_SAMPLES_PER_CASE = 10_000
"""Voxels under the labels that each case gives to the intensity statistics, as in nnU-Net."""


@dataclass(frozen=True, slots=True)
class Intensities:
    """Statistics of a channel under the labels of all cases, in the image's own units (HU for CT)."""

    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Statistics of the training cases.

    Parameters
    ----------
    shapes_kji : ndarray of int, shape (n, 3)
        Of each case, axes turned as the model's.
    spacings_kji_mm : ndarray of float64, shape (n, 3), optional
        None unless every case has a regular grid of known spacing.
    intensities : mapping of str to Intensities
        By channel; `low` and `high` are the 0.5 and 99.5 percentiles. Empty without any labelled voxel.
    class_shares : tuple of float
        Part of all voxels, background first; voxels that do not train are left out.
    cases_with_class : tuple of int
        Number of cases in which each class is.

    References
    ----------
    Isensee et al., Nat Methods 18:203, 2021, supplementary note 2 ("dataset fingerprint").
    """

    shapes_kji: NDArray[np.int64]
    spacings_kji_mm: NDArray[np.float64] | None
    intensities: Mapping[str, Intensities]
    class_shares: tuple[float, ...]
    cases_with_class: tuple[int, ...]

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len(self.shapes_kji)

    @property
    def extent_kji_mm(self) -> tuple[float, float, float] | None:
        """Length of the longest case along each axis of the model; None where spacings are not known."""
        if self.spacings_kji_mm is None:
            return None
        k, j, i = (round(float(x), 1) for x in (self.shapes_kji * self.spacings_kji_mm).max(axis=0))
        return k, j, i


def fingerprint(cases: Sequence[LoadedCase], classes: int, orientation: str | None) -> Fingerprint:
    """Measure the training cases; `classes` counts the background, `orientation` is the model's."""
    counts = np.array([_class_counts(case, classes) for case in cases])
    grids = [next(iter(case.channels.values())).geometry for case in cases]
    orders = [axis_map(grid, orientation, None)[0].order for grid in grids]
    spacings = [
        [grid.spacing_kji_mm[axis] for axis in order]
        for grid, order in zip(grids, orders, strict=True)
        if isinstance(grid, Geometry) and grid.spacing_known
    ]
    total = counts.sum(axis=0)
    return Fingerprint(
        shapes_kji=np.array(
            [[grid.shape_kji[axis] for axis in order] for grid, order in zip(grids, orders, strict=True)]
        ),
        spacings_kji_mm=np.array(spacings) if len(spacings) == len(grids) else None,
        intensities={name: found for name in cases[0].channels if (found := _intensities(cases, name)) is not None},
        class_shares=tuple(float(n) for n in total / max(1, total.sum())),
        cases_with_class=tuple(int(n) for n in (counts > 0).sum(axis=0)),
    )


def _class_counts(case: LoadedCase, classes: int) -> NDArray[np.int64]:
    return np.bincount(case.classes[case.classes != IGNORE], minlength=classes)


def _intensities(cases: Sequence[LoadedCase], name: str) -> Intensities | None:
    samples = [_under_labels(case.channels[name], case) for case in cases]
    values = np.concatenate(samples)
    if values.size == 0:
        return None
    low, high = np.percentile(values, (0.5, 99.5))
    return Intensities(float(values.mean()), float(values.std()), float(low), float(high))


def _under_labels(volume: Volume, case: LoadedCase) -> NDArray[np.float64]:
    inside = (case.classes > 0) & (case.classes != IGNORE)
    values = volume.array[inside]
    if volume.is_rgb:
        values = values @ LUMINANCE
    values = values[:: max(1, len(values) // _SAMPLES_PER_CASE)].astype(np.float64)
    return values[np.isfinite(values)]
