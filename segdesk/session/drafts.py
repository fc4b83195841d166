"""Model drafts: predict, look, accept or reject."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from segdesk.core.box import Box
from segdesk.core.events import Change, Property
from segdesk.core.labels import Label, LabelArray, LabelMap, LabelTable, drawn_box
from segdesk.core.prediction import PredictOptions, Predictor
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.provenance import Origin, OriginKind, Scalar
from segdesk.edit.delta import LabelDelta
from segdesk.edit.editor import Editor
from segdesk.errors import EditError, UsageError, WorkerError
from segdesk.session.lineage import Lineage
from segdesk.session.model_choice import resolve_model
from segdesk.session.roi import roi_text
from segdesk.session.state import OpenCase, SessionState
from segdesk.store.records import MaskRecord, MaskRole

if TYPE_CHECKING:
    from segdesk.zoo.model_folder import ModelFolder


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model's proposal for the open case, stored with its origin, not yet accepted.

    Parameters
    ----------
    case_id : str
        The case it belongs to.
    model : str
        Name of the model.
    record : MaskRecord
        The stored mask.
    labels : LabelMap
        The proposal, on the case's grid.
    roi : Box
        What was predicted; outside of it the proposal says nothing.
    manifest : mapping
        The run manifest of CONTRACT.
    drawn : Box or None
        Where the proposal has labels: found off the owner's thread, so that accepting is quick.
    """

    case_id: str
    model: str
    record: MaskRecord
    labels: LabelMap
    roi: Box
    manifest: Mapping[str, Any]
    drawn: Box | None


class Drafts:
    """Predictions for the open case.

    Attributes
    ----------
    candidate : Property of Candidate or None
        What the model proposes now; None when there is nothing to accept.
    """

    def __init__(self, state: SessionState, editor: Editor, lineage: Lineage, predictor: Predictor | None) -> None:
        self._state = state
        self._editor = editor
        self._lineage = lineage
        self._predictor = predictor
        self.candidate: Property[Candidate | None] = Property(None)

    @property
    def is_available(self) -> bool:
        """Whether anything can run models here."""
        return self._predictor is not None

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
        predictor = self._predictor
        if predictor is None:
            raise WorkerError("This session cannot run models; start it with a predictor.")
        box = (roi or Box.whole(case.labels.geometry.shape_kji)).clip(case.labels.geometry.shape_kji)
        if box.is_empty:
            raise UsageError("The region of interest lies outside the image; move it.")
        options = PredictOptions(device=device, roi=None if roi is None else box)

        def work(report: Progress) -> Candidate:
            folder = resolve_model(project, model)
            prediction = predictor(case.channels, folder.path, options, report)
            labels = _with_origin(prediction.labels, folder, box)
            record = project.masks.save(labels, case.record.id, MaskRole.CANDIDATE, None)
            return Candidate(
                case.record.id, folder.spec.name, record, labels, box, prediction.manifest, drawn_box(labels.array)
            )

        def apply(candidate: Candidate) -> None:
            if self._state.is_current(case.serial):
                self.propose(candidate)
            else:
                self._state.emit(Change.CANDIDATE | Change.CASES, self)

        return self._state.refreshing(f"Predicting {Path(str(model)).name}", Lane.INFERENCE, work, apply)

    def propose(self, candidate: Candidate) -> None:
        """Show a stored mask of the open case as something to accept or reject."""
        self.candidate.value = candidate
        self._state.emit(Change.CANDIDATE | Change.CASES, self)

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
        self._take_names(case, candidate)
        self._lineage.add(candidate.record.sha256)
        delta = self._editor.apply_labels(f"Accept {candidate.model}", new, box)
        self._drop()
        return delta

    def reject(self) -> None:
        """Put the candidate away; it stays stored with the case."""
        self._require()
        self._drop()

    def forget(self) -> None:
        """Clear the proposal without a word: another case is on the desk."""
        self.candidate.value = None

    def _require(self) -> Candidate:
        candidate = self.candidate.value
        if candidate is None:
            raise UsageError("There is no draft to accept or reject; run a model first.")
        return candidate

    def _take_names(self, case: OpenCase, candidate: Candidate) -> None:
        """Give labels the model's names, unless the reader has named them."""
        own = case.labels.table
        named = LabelTable(label for label in own if label != Label.default(label.value))
        merged = named.merged(candidate.labels.table).merged(own)
        if merged != own:
            case.labels.table = merged
            self._state.emit(Change.TABLE, self)

    def _drop(self) -> None:
        self.candidate.value = None
        self._state.emit(Change.CANDIDATE, self)


def _with_origin(labels: LabelMap, folder: ModelFolder, roi: Box) -> LabelMap:
    """Return the prediction with the model and the region of interest in its origin."""
    parameters: dict[str, Scalar] = {**labels.origin.parameters, "roi": roi_text(roi), "model": folder.spec.name}
    origin = Origin(OriginKind.MODEL, folder.spec.identity, (), parameters, folder.sha256)
    return replace(labels, origin=origin)


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
