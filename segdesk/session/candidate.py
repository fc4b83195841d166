"""A proposal for a case, and how large its labels are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.counting import value_counts
from segdesk.core.geometry import Grid, SliceStackGeometry
from segdesk.core.labels import LabelMap, drawn_box
from segdesk.store.records import MaskRecord


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A proposal for the open case, stored with its origin, not yet accepted.

    Parameters
    ----------
    case_id : str
        The case it belongs to.
    model : str
        Name of the model, or of the file it came from.
    record : MaskRecord
        The stored mask.
    labels : LabelMap
        The proposal, on the case's grid.
    roi : Box
        What was predicted; outside of it the proposal says nothing.
    manifest : mapping
        The run manifest of CONTRACT; empty where no model ran here.
    drawn : Box or None
        Where the proposal has labels: found off the owner's thread, so that accepting is quick.
    volumes_mm3 : mapping of int to float
        Volume of each label of its table, 0.0 for what was not drawn; in voxels where the spacing is not known.
    folder : Path or None
        The model's folder, where a model ran here.
    """

    case_id: str
    model: str
    record: MaskRecord
    labels: LabelMap
    roi: Box
    manifest: Mapping[str, Any]
    drawn: Box | None
    volumes_mm3: Mapping[int, float]
    folder: Path | None = None

    @classmethod
    def of(
        cls,
        model: str,
        record: MaskRecord,
        labels: LabelMap,
        roi: Box,
        manifest: Mapping[str, Any],
        folder: Path | None = None,
    ) -> Candidate:
        """Measure a proposal; slow, for a task."""
        drawn = drawn_box(labels.array)
        return cls(record.case_id, model, record, labels, roi, manifest, drawn, label_volumes_mm3(labels), folder)

    @property
    def values(self) -> tuple[int, ...]:
        """Values of the labels it draws."""
        return tuple(value for value, volume in self.volumes_mm3.items() if volume > 0)


def label_volumes_mm3(labels: LabelMap) -> dict[int, float]:
    """Return the volume of each label of the table and of each drawn one; voxels where the spacing is not known."""
    grid = labels.geometry
    counts_k = [value_counts(np.ascontiguousarray(each)) for each in labels.array]
    per_slice = np.stack(counts_k) if counts_k else np.zeros((0, 256), np.int64)
    found = _voxel_volumes_k_mm3(grid) @ per_slice
    values = sorted({*labels.table.values, *(int(value) for value in np.flatnonzero(found) if value)})
    return {value: float(found[value]) if value < len(found) else 0.0 for value in values}


def _voxel_volumes_k_mm3(grid: Grid) -> NDArray[np.float64]:
    """Return the volume of a voxel of each slice; 1 where the spacing is not known."""
    slices = grid.shape_kji[0]
    if not grid.spacing_known:
        return np.ones(slices)
    if isinstance(grid, SliceStackGeometry):
        return grid.voxel_volumes_k_mm3
    return np.full(slices, grid.voxel_volume_mm3)
