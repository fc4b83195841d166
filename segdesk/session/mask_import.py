"""Bringing a mask file to the open case: look at how it lies first, then attach it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from segdesk.core.box import Box
from segdesk.core.counting import value_counts
from segdesk.core.events import Change
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.provenance import Origin, OriginKind, Scalar
from segdesk.core.resample import resample_labels
from segdesk.errors import GeometryMismatch, UsageError
from segdesk.io import read_labels
from segdesk.session.candidate import Candidate
from segdesk.session.drafts import Drafts
from segdesk.session.lineage import origin_kind_of
from segdesk.session.mask_fit import MaskFit, Relation, fit_of
from segdesk.session.state import OpenCase, SessionState
from segdesk.store.records import MaskRecord, MaskRole, RaterKind

if TYPE_CHECKING:
    from segdesk.store.project import Project


class MaskTarget(StrEnum):
    """Whose mask an imported file becomes."""

    MINE = "mine"
    """A proposal to the present reader: shown first, accepted as one undoable edit."""
    READER = "reader"
    """The working mask of another reader, who has none on this case yet."""
    MODEL = "model"
    """What a model drafted: stored under its name, shown as a proposal."""
    REFERENCE = "reference"
    """What readers and models are scored against."""


@dataclass(frozen=True, slots=True)
class FoundLabel:
    """One label of the file: voxels as read, and as they would lie on the image."""

    value: int
    name: str
    voxels_in_file: int
    voxels_on_image: int


@dataclass(frozen=True, slots=True, eq=False)
class FoundMask:
    """A mask file that was read and compared with the open case; nothing is changed yet.

    Parameters
    ----------
    path : Path
        The file.
    case : OpenCase
        The case it was compared with.
    source : LabelMap
        As read, on its own grid.
    fit : MaskFit
        How the grids lie to each other.
    on_image : LabelMap or None
        On the image's grid, resampled by nearest neighbour where it had to be; None where
        no way leads there.
    labels : tuple of FoundLabel
        Every label that the file names or holds.
    overlap_voxels : int
        Voxels of the image that carry more than one label.
    voxel_mm3_in_file : float or None
        Volume of a voxel of the file; None where it is not known or differs between slices.
    """

    path: Path
    case: OpenCase
    source: LabelMap
    fit: MaskFit
    on_image: LabelMap | None
    labels: tuple[FoundLabel, ...]
    overlap_voxels: int
    voxel_mm3_in_file: float | None

    @property
    def renamed(self) -> tuple[tuple[int, str, str], ...]:
        """Value, name here and name in the file, where the reader's own names differ from the file's."""
        own = self.case.labels.table
        return tuple(
            (label.value, own.name_of(label.value), label.name)
            for label in self.labels
            if label.value in own and own.name_of(label.value) not in (label.name, f"Label {label.value}")
        )


class MaskImport:
    """Imports of masks to the open case.

    Parameters
    ----------
    state : SessionState
        Holds project, case and reader.
    drafts : Drafts
        Shows proposals.
    """

    def __init__(self, state: SessionState, drafts: Drafts) -> None:
        self._state = state
        self._drafts = drafts

    def look_at(self, path: Path) -> Task[FoundMask]:
        """Return the task that reads a mask file and compares it with the open case.

        Raises
        ------
        UsageError
            If no case is open.
        ReadError, InvalidMask
            From the task: when the file cannot be read or holds no labels.
        """
        case = self._state.require_case()
        return Task(f"Reading {path.name}", Lane.CPU, lambda report: _found(path, case, report))

    def attach(
        self, found: FoundMask, target: MaskTarget, name: str = "", *, agreed: bool = False
    ) -> Task[Candidate] | Task[MaskRecord]:
        """Return the task that stores a mask that was looked at.

        Parameters
        ----------
        found : FoundMask
            Compared with the case that is open now.
        target : MaskTarget
            Whose it becomes.
        name : str
            Of the reader or model, for those targets.
        agreed : bool
            The user has seen that the grids differ and wants it brought onto the image's.

        Raises
        ------
        UsageError
            If another case is open meanwhile, a name is missing, or (from the task, code
            ``exists``) the reader has a mask of this case already.
        GeometryMismatch
            If the grids differ and nobody agreed, or no way leads to the image's grid.
        """
        project, case = self._state.require_project(), self._state.require_case()
        labels = _ready(found, case, agreed=agreed)
        if target in (MaskTarget.READER, MaskTarget.MODEL) and not name.strip():
            raise UsageError(f"Give the {target.value} a name.")
        if target is MaskTarget.READER:
            return self._reading(project, found, labels, name.strip())
        if target is MaskTarget.REFERENCE:
            return self._reference(project, found, labels)
        return self._proposal(project, found, labels, name.strip())

    def _proposal(self, project: Project, found: FoundMask, labels: LabelMap, model: str) -> Task[Candidate]:
        """Store the mask as an import, or as a model's draft, and show it to be accepted."""
        case = found.case
        kind, role = (OriginKind.MODEL, MaskRole.CANDIDATE) if model else (OriginKind.IMPORT, MaskRole.IMPORT)
        author = model or found.path.name

        def work(report: Progress) -> Candidate:
            flat = replace(flattened(labels), origin=Origin(kind, author, (), _parameters(found)))
            record = project.masks.save(flat, case.record.id, role)
            whole = Box.whole(flat.geometry.shape_kji)
            return Candidate.of(author, record, flat, whole, {})

        def apply(candidate: Candidate) -> None:
            if self._state.is_current(case.serial):
                self._drafts.propose(candidate)

        return self._state.refreshing(f"Adding {found.path.name}", Lane.DISK, work, apply)

    def _reading(self, project: Project, found: FoundMask, labels: LabelMap, name: str) -> Task[MaskRecord]:
        case_id = found.case.record.id

        def work(report: Progress) -> MaskRecord:
            known = {rater.name: rater for rater in project.raters.all()}
            rater = known.get(name) or project.raters.get_or_add(name)
            if rater.kind is RaterKind.MODEL:
                raise UsageError(f"{name} is a model; add the mask as a model's draft.")
            if project.masks.working(case_id, rater.id) is not None:
                raise UsageError(f"{name} has a mask of this case already; it stays as it is.", code="exists")
            origin = Origin(origin_kind_of(rater), rater.name, (), _parameters(found))
            return project.masks.save(replace(labels, origin=origin), case_id, MaskRole.WORKING, rater.id)

        title = f"Adding {found.path.name}"
        return self._state.refreshing(title, Lane.DISK, work, lambda record: self._tell(Change.CASES))

    def _reference(self, project: Project, found: FoundMask, labels: LabelMap) -> Task[MaskRecord]:
        origin = Origin(OriginKind.IMPORT, "", (), _parameters(found))

        def work(report: Progress) -> MaskRecord:
            return project.masks.save(replace(labels, origin=origin), found.case.record.id, MaskRole.REFERENCE)

        return Task(f"Adding {found.path.name}", Lane.DISK, work, lambda record: self._tell(Change.SCORES))

    def _tell(self, change: Change) -> None:
        self._state.emit(change, self)


def flattened(labels: LabelMap) -> LabelMap:
    """Return the map in one layer; where segments overlap, that of the earlier layer stays."""
    if len(labels.layers) == 1:
        return labels
    array = labels.layers[-1]
    for layer in reversed(labels.layers[:-1]):
        array = cast(LabelArray, np.where(layer != 0, layer, array))
    return replace(labels, layers=(array,))


def _found(path: Path, case: OpenCase, report: Progress) -> FoundMask:
    report(0, 3, "Reading the mask")
    grid = case.labels.geometry
    source = _read(path, grid, report)
    report(1, 3, "Comparing the grids")
    fit = fit_of(source.geometry, grid)
    on_image = _brought(source, fit, case)
    report(2, 3, "Counting")
    before = _counts(source)
    after = _counts(source if on_image is None else on_image)
    labels = tuple(
        FoundLabel(value, source.table.name_of(value), int(before[value]), int(after[value]))
        for value in sorted({*source.table.values, *source.values()})
    )
    shared = source if on_image is None else on_image
    regular = source.geometry if isinstance(source.geometry, Geometry) and source.geometry.spacing_known else None
    voxel_mm3 = None if regular is None else regular.voxel_volume_mm3
    return FoundMask(path, case, source, fit, on_image, labels, _overlap(shared), voxel_mm3)


def _read(path: Path, grid: Grid, report: Progress) -> LabelMap:
    """Read a mask onto the image's grid where it is made of the image's voxels, else onto its own.

    Contours have no grid of their own, and a DICOM segmentation may hold some slices only.
    """
    try:
        return read_labels(path, reference=grid, report=report)
    except GeometryMismatch:
        return read_labels(path, report=report)


def _brought(source: LabelMap, fit: MaskFit, case: OpenCase) -> LabelMap | None:
    """Return the mask on the case's own grid object, which is what tools compare with."""
    grid = case.labels.geometry
    if fit.needs_resampling and isinstance(grid, Geometry):
        return resample_labels(source, grid)
    return None if fit.relation is Relation.IMPOSSIBLE else replace(source, geometry=grid)


def _ready(found: FoundMask, case: OpenCase, *, agreed: bool) -> LabelMap:
    if case.serial != found.case.serial:
        raise UsageError(f"Another case is open now; add {found.path.name} again.")
    if found.on_image is None:
        raise GeometryMismatch(f"{found.path.name} cannot be added: {found.fit.reason}", path=found.path)
    if found.fit.relation is not Relation.SAME and not agreed:
        raise GeometryMismatch(f"{found.path.name} lies on another grid than the image; resample it.", path=found.path)
    return found.on_image


def _parameters(found: FoundMask) -> dict[str, Scalar]:
    resampled = found.fit.relation is not Relation.SAME
    return {"file": found.path.name, "fit": found.fit.relation.value, "resampled": resampled}


def _counts(labels: LabelMap) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    totals = np.zeros(1 << 16, np.int64)
    for layer in labels.layers:
        counts = value_counts(layer)
        totals[: counts.size] += counts
    return totals


def _overlap(labels: LabelMap) -> int:
    if len(labels.layers) == 1:
        return 0
    held = np.zeros(labels.geometry.shape_kji, np.uint8)
    for layer in labels.layers:
        held += layer != 0
    return int(np.count_nonzero(held > 1))
