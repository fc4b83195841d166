"""A candidate mask against a reference: every label, every measure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap, LabelTable
from segdesk.core.resample import resample_labels
from segdesk.errors import GeometryMismatch, ShapeMismatch, Warn
from segdesk.metrics.overlap import Counts, count_masks, count_overlap, pixel_accuracy
from segdesk.metrics.surface import UNDEFINED, SurfaceScores, surface_scores
from segdesk.metrics.table import CaseScores, CohortScores, LabelScores, Status
from segdesk.metrics.volumetry import volume_mm3

DEFAULT_TOLERANCE_MM = 1.0
"""Tolerance of the NSD where no expert-expert distance is known (NUMBERS)."""


def evaluate(
    candidate: LabelMap, reference: LabelMap, *, tolerance_mm: float = DEFAULT_TOLERANCE_MM, resample: bool = False
) -> CaseScores:
    """Score a candidate against a reference.

    Parameters
    ----------
    candidate, reference : LabelMap
        On one grid. Label values match by number; names come from the reference.
        Labels are those named in or present in either. Overlapping layers are merged per label.
    tolerance_mm : float
        Of the normalised surface Dice.
    resample : bool
        Bring the candidate to the reference's grid by nearest neighbour, with a warning,
        instead of refusing.

    Returns
    -------
    CaseScores
        Both empty: undefined. Reference empty: Dice 0, false positive. Candidate empty:
        Dice 0, missed, surface distances undefined.

    Raises
    ------
    ShapeMismatch
        If the shapes differ and `resample` is False.
    GeometryMismatch
        If the shapes agree and the grids do not, and `resample` is False.
    """
    warnings: list[Warn] = []
    if not candidate.geometry.matches(reference.geometry):
        candidate = _on_grid_of(reference, candidate, resample)
        warnings.append(Warn("resampled", "The candidate was resampled to the reference's grid (nearest neighbour)."))
    if not isinstance(reference.geometry, Geometry):
        warnings.append(Warn("irregular_spacing", "Surface distances are undefined: the slices are not evenly spaced."))
    table = reference.table.merged(candidate.table)
    counts = _counts(candidate, reference)
    values = sorted({*table.values, *counts})
    size = int(np.prod(reference.geometry.shape_kji))
    labels = tuple(
        _score(_Pair(candidate, reference, value, counts.get(value, Counts(0, 0, 0, size))), table, tolerance_mm)
        for value in values
    )
    return CaseScores(labels, pixel_accuracy(reference.array, candidate.array), tolerance_mm, tuple(warnings))


def evaluate_cases(
    pairs: Iterable[tuple[str, LabelMap, LabelMap]],
    *,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    resample: bool = False,
) -> CohortScores:
    """Score (case name, candidate, reference) triples one after the other."""
    return CohortScores(
        tuple(
            (name, evaluate(candidate, reference, tolerance_mm=tolerance_mm, resample=resample))
            for name, candidate, reference in pairs
        )
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """One label in both maps."""

    candidate: LabelMap
    reference: LabelMap
    value: int
    counts: Counts

    @property
    def status(self) -> Status:
        if self.counts.reference == 0:
            return Status.FALSE_POSITIVE if self.counts.candidate else Status.BOTH_EMPTY
        return Status.OK if self.counts.candidate else Status.MISSED

    def volume_mm3(self, labels: LabelMap, count: int) -> float:
        """Return a volume; counted voxels suffice on a regular grid."""
        if isinstance(labels.geometry, Geometry):
            return count * labels.geometry.voxel_volume_mm3
        return volume_mm3(_mask(labels, self.value), labels.geometry)

    def surfaces(self, tolerance_mm: float) -> SurfaceScores:
        grid = self.reference.geometry
        if self.status is not Status.OK or not isinstance(grid, Geometry):
            return UNDEFINED
        return surface_scores(_mask(self.reference, self.value), _mask(self.candidate, self.value), grid, tolerance_mm)


def _score(pair: _Pair, table: LabelTable, tolerance_mm: float) -> LabelScores:
    counts, surfaces = pair.counts, pair.surfaces(tolerance_mm)
    return LabelScores(
        value=pair.value,
        name=table.name_of(pair.value),
        status=pair.status,
        dice=counts.dice,
        iou=counts.iou,
        precision=counts.precision,
        recall=counts.recall,
        hd95_mm=surfaces.hd95_mm,
        assd_mm=surfaces.assd_mm,
        nsd=surfaces.nsd,
        volume_reference_mm3=pair.volume_mm3(pair.reference, counts.reference),
        volume_candidate_mm3=pair.volume_mm3(pair.candidate, counts.candidate),
    )


def _mask(labels: LabelMap, value: int) -> NDArray[np.bool_]:
    mask = labels.array == value
    for layer in labels.layers[1:]:
        mask |= layer == value
    return np.asarray(mask, dtype=np.bool_)


def _counts(candidate: LabelMap, reference: LabelMap) -> dict[int, Counts]:
    if len(candidate.layers) == len(reference.layers) == 1:
        return count_overlap(reference.array, candidate.array)
    values = sorted({*candidate.values(), *reference.values()})
    return {value: count_masks(_mask(reference, value), _mask(candidate, value)) for value in values}


def _on_grid_of(reference: LabelMap, candidate: LabelMap, resample: bool) -> LabelMap:
    if resample and isinstance(reference.geometry, Geometry):
        return resample_labels(candidate, reference.geometry)
    here, there = candidate.geometry.shape_kji, reference.geometry.shape_kji
    if here != there:
        raise ShapeMismatch(f"The candidate has shape {here}, the reference {there}; resample it (--resample).")
    raise GeometryMismatch(
        "Candidate and reference have one shape but lie at different places in the patient; resample it (--resample)."
    )
