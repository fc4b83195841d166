"""Model drafts: predict, look, accept or reject."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from segdesk.core.box import Box
from segdesk.core.events import Change, Property
from segdesk.core.labels import Label, LabelArray, LabelTable, drawn_box
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Lane, Progress, Task
from segdesk.edit.delta import LabelDelta
from segdesk.edit.editor import Editor
from segdesk.errors import EditError, UsageError, WorkerError
from segdesk.session.candidate import Candidate
from segdesk.session.drafting import Drafting, stored_candidate
from segdesk.session.judging import Judging
from segdesk.session.lineage import Lineage
from segdesk.session.model_choice import resolve_model
from segdesk.session.state import OpenCase, SessionState
from segdesk.store.records import JudgementRecord, MaskRecord, MaskRole, Verdict


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """A stored draft, and what was decided on it, oldest first, as far as the present reader may know."""

    record: MaskRecord
    judgements: tuple[JudgementRecord, ...]


class Drafts:
    """Predictions for the open case.

    Attributes
    ----------
    candidate : Property of Candidate or None
        What the model proposes now; None when there is nothing to accept.
    ticked : Property of frozenset of int
        Labels of the candidate that `accept_ticked` takes: all it draws, until somebody chooses.
    """

    def __init__(
        self, state: SessionState, editor: Editor, lineage: Lineage, drafting: Drafting | None, judging: Judging
    ) -> None:
        self._state = state
        self._judging = judging
        self._editor = editor
        self._lineage = lineage
        self._drafting = drafting
        self.ticked: Property[frozenset[int]] = Property(frozenset())
        self.candidate: Property[Candidate | None] = Property(None)

    @property
    def is_available(self) -> bool:
        """Whether anything can run models here."""
        return self._drafting is not None

    def predict(self, model: str | Path, *, roi: Box | None = None, device: str = "auto") -> Task[Candidate]:
        """Return the task that drafts the open case.

        Parameters
        ----------
        model : str or Path
            Name of a known model, or a model folder.
        roi : Box, optional
            Predict only here; recorded with the mask.
        device : str
            "auto", "cpu", "cuda" or "cuda:N".

        Raises
        ------
        UsageError
            If no case is open or the roi misses it.
        WorkerError
            If the session has nothing that runs models.
        """
        case, project = self._state.require_case(), self._state.require_project()
        drafting = self._drafting
        if drafting is None:
            raise WorkerError("This session cannot run models; start it with a predictor.")
        box = (roi or Box.whole(case.labels.geometry.shape_kji)).clip(case.labels.geometry.shape_kji)
        if box.is_empty:
            raise UsageError("The region of interest lies outside the image; move it.")
        options = PredictOptions(device=device, roi=None if roi is None else box)

        def work(report: Progress) -> Candidate:
            folder = resolve_model(project, model)
            return drafting.draft(project, case.record.id, case.channels, folder, options, report)

        title = f"Predicting {Path(str(model)).name}"
        return self._state.refreshing(title, Lane.INFERENCE, work, self._proposing(case))

    def stored(self) -> Task[tuple[StoredDraft, ...]]:
        """Return the task that lists the stored drafts of the open case, newest first.

        With what the present reader decided on them, and others as far as the reader may know.
        """
        case, project, rater = self._state.require_case(), self._state.require_project(), self._state.require_rater()

        def work(report: Progress) -> tuple[StoredDraft, ...]:
            told = project.judgements.visible_to(case.record.id, rater.id)
            records = project.masks.of_case(case.record.id, MaskRole.CANDIDATE)
            return tuple(
                StoredDraft(record, tuple(each for each in told if each.draft.sha256 == record.sha256))
                for record in reversed(records)
            )

        return Task("", Lane.DISK, work)

    def recall(self, record: MaskRecord) -> Task[Candidate]:
        """Return the task that proposes a stored draft of the open case again.

        Raises
        ------
        UsageError
            If it is a draft of another case.
        """
        case, project = self._state.require_case(), self._state.require_project()
        if record.case_id != case.record.id:
            raise UsageError("This draft belongs to another case; open that case first.")

        def work(report: Progress) -> Candidate:
            return stored_candidate(project, record, case.labels)

        return Task(f"Fetching the draft by {record.author}", Lane.DISK, work, self._proposing(case))

    def propose(self, candidate: Candidate) -> None:
        """Show a stored mask of the open case as something to accept or reject."""
        self.ticked.value = frozenset(candidate.values)
        self.candidate.value = candidate
        self._state.emit(Change.CANDIDATE | Change.CASES, self)

    def accept_ticked(self) -> LabelDelta | None:
        """Accept what is ticked: everything as `accept` does by default, or only some labels.

        Raises
        ------
        UsageError
            If there is no candidate, or it draws labels and none is ticked.
        EditError
            If a stroke is in progress; nothing was changed.
        """
        drawn, ticked = frozenset(self._require().values), self.ticked.value
        if drawn and not ticked:
            raise UsageError("No label of the draft is ticked; tick those to accept, or reject the draft.")
        return self.accept(None if ticked >= drawn else ticked)

    def accept(self, values: Collection[int] | None = None) -> LabelDelta | None:
        """Write the candidate into the working mask as one undoable edit.

        Parameters
        ----------
        values : collection of int, optional
            Only these labels of the proposal: voxels of other labels keep what they have.
            By default the proposal replaces everything inside its region of interest.

        Returns
        -------
        LabelDelta or None
            What changed.

        Raises
        ------
        UsageError
            If there is no candidate for the open case.
        EditError
            If a stroke is in progress; nothing was changed.
        """
        candidate, case = self._require(), self._state.require_case()
        if self._editor.is_stroking:
            raise EditError("A stroke is in progress; finish it, then accept the draft.")
        box = _labelled(case, candidate)
        proposal = candidate.labels.array[box.slices]
        new = proposal if values is None else _chosen(case.labels.array[box.slices], proposal, values)
        # Before the edit: who saves as soon as it is announced saves its names and its parent too.
        self._take_names(case, candidate, values)
        self._lineage.add(candidate.record.sha256)
        delta = self._editor.apply_labels(f"Accept {candidate.model}", new, box)
        self._judging.note(candidate, Verdict.ACCEPTED, candidate.values if values is None else values)
        self._drop()
        return delta

    def reject(self) -> None:
        """Put the candidate away; it stays stored with the case, and that it was rejected is recorded."""
        self._judging.note(self._require(), Verdict.REJECTED, ())
        self._drop()

    def forget(self) -> None:
        """Clear the proposal without a word: another case is on the desk."""
        self.candidate.value = None

    def _require(self) -> Candidate:
        candidate = self.candidate.value
        if candidate is None:
            raise UsageError("There is no draft to accept or reject; run a model first.")
        return candidate

    def _proposing(self, case: OpenCase) -> Callable[[Candidate], None]:
        """Return what shows a candidate if its case is still the open one, and else tells that there is one."""

        def apply(candidate: Candidate) -> None:
            if self._state.is_current(case.serial):
                self.propose(candidate)
            else:
                self._state.emit(Change.CANDIDATE | Change.CASES, self)

        return apply

    def _take_names(self, case: OpenCase, candidate: Candidate, values: Collection[int] | None) -> None:
        """Give accepted labels the model's names, unless the reader has named them."""
        own, proposed = case.labels.table, candidate.labels.table
        named = LabelTable(label for label in own if label != Label.default(label.value))
        taken = LabelTable(label for label in proposed if values is None or label.value in values)
        merged = named.merged(taken).merged(own)
        if merged != own:
            case.labels.table = merged
            self._state.emit(Change.TABLE, self)

    def _drop(self) -> None:
        self.candidate.value = None
        self._state.emit(Change.CANDIDATE, self)


def _labelled(case: OpenCase, candidate: Candidate) -> Box:
    """Return the part of the region that holds labels now or in the proposal: all else stays background."""
    start_kji = candidate.roi.start_kji
    drawn, present = candidate.drawn, drawn_box(case.labels.array[candidate.roi.slices])
    boxes = [drawn] if drawn is not None else []
    boxes += [present.shifted(start_kji)] if present is not None else []
    return functools.reduce(Box.union, boxes, Box(start_kji, start_kji)).intersection(candidate.roi)


def _chosen(present: LabelArray, proposal: LabelArray, values: Collection[int]) -> LabelArray:
    """Return the present labels with only the chosen ones replaced by the proposal's."""
    wanted = list(values)
    kept = np.where(np.isin(present, wanted), 0, present)
    return cast(LabelArray, np.where(np.isin(proposal, wanted), proposal, kept))
