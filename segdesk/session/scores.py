"""Scores of readers and model drafts against the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.events import Change, Property
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.provenance import Origin, OriginKind
from segdesk.errors import GeometryMismatch, UsageError
from segdesk.io import read_labels
from segdesk.session.draft_union import ModelDraft, drafts_by_model
from segdesk.session.state import SessionState
from segdesk.store.ballots import standing
from segdesk.store.records import MaskRecord, MaskRole, RaterKind, RaterRecord

if TYPE_CHECKING:
    from segdesk.metrics import CaseScores
    from segdesk.store.project import Project

BEGAN_AS_DRAFT = "The reference began as this model's own draft: the score flatters it."
HELPED_REFERENCE = "This read is part of the reference."
SIMULATED = "Simulated reader, not a person."
ONLY_INSIDE = "Scored only inside the regions the model was run on."


@dataclass(frozen=True, slots=True, eq=False)
class ScoreEntry:
    """One candidate's scores.

    Parameters
    ----------
    name : str
        Reader's name, or model and version.
    kind : RaterKind
        Person, simulated reader or model.
    mask_sha256 : str
        The mask that was scored; the last one where a model drafted several regions.
    scores : CaseScores
        Per label and mean.
    notes : tuple of str
        What must be shown beside the numbers.
    """

    name: str
    kind: RaterKind
    mask_sha256: str
    scores: CaseScores
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSheet:
    """All scores of a case against one reference mask: models first, then readers by name."""

    case_id: str
    reference: MaskRecord
    reference_name: str
    entries: tuple[ScoreEntry, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    """A reference mask with what it was made from."""

    record: MaskRecord
    labels: LabelMap
    ancestors: tuple[MaskRecord, ...]


class Scores:
    """Evaluation of the open case.

    Attributes
    ----------
    sheet : Property of ScoreSheet or None
        The last evaluation of the open case.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self.sheet: Property[ScoreSheet | None] = Property(None)

    def import_reference(self, path: Path) -> Task[MaskRecord]:
        """Return the task that stores a mask file as the open case's reference.

        Raises
        ------
        GeometryMismatch
            From the task: when the file lies on another grid than the case.
        """
        case, project = self._state.require_case(), self._state.require_project()
        grid = case.labels.geometry

        def work(report: Progress) -> MaskRecord:
            labels = read_labels(path)
            if not labels.geometry.matches(grid):
                raise GeometryMismatch(
                    f"{path.name} lies on another grid than {case.record.name!r}; resample it first.", path=path
                )
            origin = Origin(OriginKind.IMPORT, parameters={"file": path.name})
            return project.masks.save(replace(labels, geometry=grid, origin=origin), case.record.id, MaskRole.REFERENCE)

        return Task("Importing the reference", Lane.DISK, work, lambda record: self._state.emit(Change.SCORES, self))

    def evaluate_against_reference(self, tolerance_mm: float = 1.0) -> Task[ScoreSheet]:
        """Return the task that scores every visible standing read and every model that drafted the case.

        The reference is the one imported last, else the consensus recorded last. A
        consensus gives the reads away, so it is a reference only for who may see them.

        Parameters
        ----------
        tolerance_mm : float
            Of the surface Dice.

        Raises
        ------
        UsageError
            From the task: when there is no reference, or the reads are still blind.
        """
        case, rater, project = self._state.require_case(), self._state.require_rater(), self._state.require_project()

        def work(report: Progress) -> ScoreSheet:
            report(0, 0, "Scoring")
            reference = _reference(project, case.record.id, rater)
            models = _score_models(project, case.record.id, reference, tolerance_mm)
            readers = _score_readers(project, (case.record.id, rater), reference, tolerance_mm)
            name = "consensus" if reference.record.role is MaskRole.CONSENSUS else "imported reference"
            return ScoreSheet(case.record.id, reference.record, name, (*models, *readers))

        def apply(sheet: ScoreSheet) -> None:
            if self._state.is_current(case.serial):
                self.sheet.value = sheet
                self._state.emit(Change.SCORES, self)

        return Task("Scoring readers and model", Lane.CPU, work, apply)

    def forget(self) -> None:
        """Clear the sheet: another case is on the desk."""
        self.sheet.value = None


def _reference(project: Project, case_id: str, rater: RaterRecord) -> _Reference:
    imported = project.masks.of_case(case_id, MaskRole.REFERENCE)
    agreed = project.consensuses.of_case(case_id)
    if imported:
        record = imported[-1]
    elif not agreed:
        raise UsageError("The case has no reference yet; record a consensus or import a reference mask.")
    elif not project.votes.may_see(case_id, rater.id):
        raise UsageError("The consensus shows what the others drew; submit your own read first.")
    else:
        record = project.masks.record(agreed[-1].mask_sha256)
    return _Reference(record, project.masks.load(record.sha256), project.masks.ancestors(record.sha256))


def _score_readers(
    project: Project, viewer: tuple[str, RaterRecord], reference: _Reference, tolerance_mm: float
) -> list[ScoreEntry]:
    # Loaded when needed: the window shows before scipy is there.
    from segdesk.metrics import evaluate

    case_id, rater = viewer
    ancestors = {record.sha256 for record in reference.ancestors}
    entries = []
    for vote in standing(project.votes.visible_to(case_id, rater.id)):
        sha256 = str(vote.mask_sha256)
        scores = evaluate(project.masks.load(sha256), reference.labels, tolerance_mm=tolerance_mm)
        notes = [SIMULATED] if vote.rater.kind is RaterKind.SIMULATED else []
        notes += [HELPED_REFERENCE] if sha256 in ancestors else []
        entries.append(ScoreEntry(vote.rater.name, vote.rater.kind, sha256, scores, tuple(notes)))
    return entries


def _score_models(project: Project, case_id: str, reference: _Reference, tolerance_mm: float) -> list[ScoreEntry]:
    from segdesk.metrics import evaluate

    return [
        ScoreEntry(
            draft.name,
            RaterKind.MODEL,
            draft.last.sha256,
            evaluate(draft.labels, draft.inside(reference.labels), tolerance_mm=tolerance_mm),
            _model_notes(draft, reference),
        )
        for draft in drafts_by_model(project, case_id)
    ]


def _model_notes(draft: ModelDraft, reference: _Reference) -> tuple[str, ...]:
    began = any(record.weights_sha256 == draft.last.weights_sha256 for record in _models(reference.ancestors))
    notes = [BEGAN_AS_DRAFT] if began else []
    return tuple(notes if draft.is_whole else [*notes, ONLY_INSIDE])


def _models(records: tuple[MaskRecord, ...]) -> list[MaskRecord]:
    return [record for record in records if record.origin_kind is OriginKind.MODEL]
