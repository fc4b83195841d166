"""All drafts one model made of a case, put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.session.roi import parse_roi
from segdesk.store.records import MaskRecord, MaskRole

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True, eq=False)
class ModelDraft:
    """What one set of weights says about a case, where it was asked.

    Parameters
    ----------
    last : MaskRecord
        The newest draft.
    labels : LabelMap
        All its drafts, newer over older; background where it was not asked.
    asked : ndarray of bool, shape (K, J, I)
        Union of the regions of interest.
    """

    last: MaskRecord
    labels: LabelMap
    asked: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return self.last.author

    @property
    def is_whole(self) -> bool:
        """Whether the model was asked about every voxel."""
        return bool(self.asked.all())

    def inside(self, labels: LabelMap) -> LabelMap:
        """Return a mask on the same grid with background where the model was not asked."""
        array = np.where(self.asked, labels.array, labels.array.dtype.type(0))
        return replace(labels, layers=(cast(LabelArray, array),))


def roi_of(record: MaskRecord) -> Box | None:
    """Return the recorded region of interest of a draft, None when there is none."""
    text = record.parameters.get("roi")
    return parse_roi(text) if isinstance(text, str) else None


def drafts_by_model(project: Project, case_id: str) -> list[ModelDraft]:
    """Return the drafts of a case, one per set of weights, in the order of their first use.

    Drafts that came as files have no weights; their model's name keeps them apart.
    """
    groups: dict[str, list[MaskRecord]] = {}
    for record in project.masks.of_case(case_id, MaskRole.CANDIDATE):
        groups.setdefault(record.weights_sha256 or f"name {record.author}", []).append(record)
    return [_united(project, records) for records in groups.values()]


def _united(project: Project, records: list[MaskRecord]) -> ModelDraft:
    first = project.masks.load(records[0].sha256)
    shape_kji = first.geometry.shape_kji
    united = np.zeros(shape_kji, np.uint16)
    asked = np.zeros(shape_kji, np.bool_)
    table = first.table
    for record in records:
        draft = project.masks.load(record.sha256)
        box = (roi_of(record) or Box.whole(shape_kji)).clip(shape_kji)
        united[box.slices] = draft.array[box.slices]
        asked[box.slices] = True
        table = table.merged(draft.table)
    return ModelDraft(records[-1], LabelMap((united,), first.geometry, table, first.origin), asked)
