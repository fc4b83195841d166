"""A candidate against a reference: every label, every measure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Progress, silent
from segdesk.core.resample import resample_labels
from segdesk.errors import GeometryMismatch, ShapeMismatch, UsageError, Warn
from segdesk.metrics.cells import CellScores, cell_scores
from segdesk.metrics.cohort import CohortScores
from segdesk.metrics.overlap import LabelCounts, confusion, mask_counts
from segdesk.metrics.regions import label_boxes, label_mask
from segdesk.metrics.surface import surface_distances
from segdesk.metrics.table import REASONS, CaseScores, LabelScores, Status
from segdesk.metrics.volumetry import volumes_mm3

IRREGULAR = "no surface distances: the slices are irregular"


def evaluate(
    candidate: LabelMap,
    reference: LabelMap,
    *,
    tolerance_mm: float = 1.0,
    resample: bool = False,
    wall: int | None = None,
) -> CaseScores:
    """Score a candidate against a reference, label by label.

    Labels match by value; every value in either table or either array is scored, each
    as a binary mask over all layers.

    Parameters
    ----------
    candidate, reference : LabelMap
        On one grid, unless `resample`.
    tolerance_mm : float
        Of the NSD, >= 0.
    resample : bool
        Bring a candidate on another grid to the reference's, nearest neighbour; the
        result carries the warning ``resampled``.
    wall : int, optional
        Value of the label that is the wall between cells (a membrane): the cells it
        separates are scored, too (`cell_scores`).

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    GeometryMismatch
        If the shapes are equal but the voxels lie elsewhere, or a stack of slices is to be resampled.
    UsageError
        If the tolerance is negative or not a number.
    """
    if not (tolerance_mm >= 0 and math.isfinite(tolerance_mm)):
        raise UsageError(f"The surface tolerance must be 0 mm or more, not {tolerance_mm}.")
    warnings: list[Warn] = []
    if not candidate.geometry.matches(reference.geometry):
        if not resample:
            raise _mismatch(candidate, reference)
        candidate = _resampled(candidate, reference)
        warnings.append(Warn("resampled", "The candidate was resampled to the reference's grid, nearest neighbour."))
    if not reference.geometry.spacing_known:
        warnings.append(Warn("spacing_unknown", "Pixel size is not known: distances and volumes are in pixels."))
    labels, accuracy = _score_labels(candidate, reference, tolerance_mm)
    cells = None if wall is None else _cells(candidate, reference, wall)
    return CaseScores(labels, accuracy, tolerance_mm, tuple(warnings), cells, reference.geometry.source)


def evaluate_cases(
    cases: Iterable[tuple[str, LabelMap, LabelMap]],
    *,
    tolerance_mm: float = 1.0,
    resample: bool = False,
    report: Progress = silent,
) -> CohortScores:
    """Score many cases.

    Parameters
    ----------
    cases : iterable of (name, candidate, reference)
        Names are unique; one case at a time is held, so a generator may read files.
    tolerance_mm, resample
        See `evaluate`.
    report : Progress
        Called before each case.

    Raises
    ------
    UsageError
        If a name is there twice.
    """
    scores: dict[str, CaseScores] = {}
    for name, candidate, reference in cases:
        if name in scores:
            raise UsageError(f"Case {name} is there twice; give every case a name of its own.")
        report(len(scores), 0, f"Scoring {name}")
        scores[name] = evaluate(candidate, reference, tolerance_mm=tolerance_mm, resample=resample)
    return CohortScores(tuple(scores.items()))


def _cells(candidate: LabelMap, reference: LabelMap, wall: int) -> CellScores:
    whole = Box((0, 0, 0), reference.geometry.shape_kji)
    return cell_scores(label_mask(candidate, wall, whole), label_mask(reference, wall, whole))


def _mismatch(candidate: LabelMap, reference: LabelMap) -> ShapeMismatch | GeometryMismatch:
    ours, theirs = candidate.geometry.shape_kji, reference.geometry.shape_kji
    if ours != theirs:
        return ShapeMismatch(f"The candidate is {ours}, the reference {theirs} voxels; resample it to compare them.")
    return GeometryMismatch(
        "Candidate and reference have one shape but lie at different places; resample the candidate to compare them."
    )


def _resampled(candidate: LabelMap, reference: LabelMap) -> LabelMap:
    if not isinstance(reference.geometry, Geometry):
        raise GeometryMismatch("The reference is a stack of irregular slices; nothing can be resampled to it.")
    return resample_labels(candidate, reference.geometry)


@dataclass(frozen=True, slots=True)
class _Pair:
    candidate: LabelMap
    reference: LabelMap

    @property
    def is_layered(self) -> bool:
        return len(self.candidate.layers) > 1 or len(self.reference.layers) > 1


def _score_labels(
    candidate: LabelMap, reference: LabelMap, tolerance_mm: float
) -> tuple[tuple[LabelScores, ...], float]:
    pair = _Pair(candidate, reference)
    boxes, candidate_boxes = label_boxes(reference), label_boxes(candidate)
    for value, box in candidate_boxes.items():
        boxes[value] = box.union(boxes[value]) if value in boxes else box
    values = sorted({*boxes, *reference.table.values, *candidate.table.values})
    counts, accuracy = (_layered_counts if pair.is_layered else _plain_counts)(pair, values)
    volumes = volumes_mm3(reference), volumes_mm3(candidate)
    rows = []
    for value in values:
        hd95_mm, assd_mm, nsd, reason = _surface(pair, value, boxes.get(value), counts[value], tolerance_mm)
        name = (reference.table if value in reference.table else candidate.table).name_of(value)
        reference_mm3, candidate_mm3 = (side.get(value, 0.0) for side in volumes)
        rows.append(
            LabelScores(value, name, counts[value], hd95_mm, assd_mm, nsd, reference_mm3, candidate_mm3, reason)
        )
    return tuple(rows), accuracy


def _plain_counts(pair: _Pair, values: list[int]) -> tuple[dict[int, LabelCounts], float]:
    pairs = confusion(pair.reference.array, pair.candidate.array)
    return {value: pairs.of(value) for value in values}, pairs.pixel_accuracy


def _layered_counts(pair: _Pair, values: list[int]) -> tuple[dict[int, LabelCounts], float]:
    """Count overlapping labels: a voxel is right when it carries the same set of labels on both sides."""
    shape = pair.reference.geometry.shape_kji
    counts = {value: LabelCounts(0, 0, 0, 0) for value in values}
    right = 0
    for k in range(shape[0]):
        slab = Box((k, 0, 0), (k + 1, shape[1], shape[2]))
        wrong = np.zeros(slab.shape_kji, dtype=np.bool_)
        for value in values:
            real, drawn = (label_mask(side, value, slab) for side in (pair.reference, pair.candidate))
            counts[value] += mask_counts(real, drawn)
            wrong |= real != drawn
        right += wrong.size - int(np.count_nonzero(wrong))
    total = math.prod(shape)
    return counts, right / total if total else math.nan


def _surface(
    pair: _Pair, value: int, box: Box | None, counts: LabelCounts, tolerance_mm: float
) -> tuple[float, float, float, str]:
    """Return HD95, ASSD, NSD and why they are undefined."""
    status = Status.of(counts)
    grid = pair.reference.geometry
    if status is Status.BOTH_EMPTY or box is None:
        return math.nan, math.nan, math.nan, REASONS[Status.BOTH_EMPTY]
    if not isinstance(grid, Geometry):
        return math.nan, math.nan, math.nan, IRREGULAR if status is Status.OK else REASONS[status]
    if status is not Status.OK:
        # Nothing lies within any tolerance of an empty surface: the NSD is 0 by its definition.
        return math.nan, math.nan, 0.0, REASONS[status]
    masks = [label_mask(side, value, box) for side in (pair.reference, pair.candidate)]
    distances = surface_distances(masks[0], masks[1], grid)
    return distances.hd95_mm, distances.assd_mm, distances.nsd(tolerance_mm), ""
