"""Keeping the working mask on disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from segdesk.core.events import Change, Property
from segdesk.core.progress import Lane, Progress, Task
from segdesk.edit.editor import Editor
from segdesk.errors import SegdeskError
from segdesk.session.lineage import Lineage
from segdesk.session.state import SessionState
from segdesk.store.records import MaskRecord, MaskRole


@dataclass(frozen=True, slots=True)
class SaveOutcome:
    """What came of a save: a record, or the error that kept the work in memory."""

    record: MaskRecord | None
    error: SegdeskError | None = None


class Saving:
    """Saves snapshots of the working mask and says how it went."""

    def __init__(self, state: SessionState, editor: Editor, lineage: Lineage) -> None:
        self._state = state
        self._lineage = lineage
        self._edits = 0
        self.is_dirty = Property(False)
        self.last_saved: Property[datetime | None] = Property(None)
        self.save_error = Property("")
        editor.edited.connect(self._on_edited)

    def save(self) -> Task[SaveOutcome]:
        """Return the task that writes a snapshot taken now; its outcome tells, it does not raise.

        A failure leaves the mask dirty and puts its message into `save_error`.
        """
        case, rater, project = self._state.require_case(), self._state.require_rater(), self._state.require_project()
        snapshot = self._lineage.stamped(case.labels.copy(), rater)
        edits = self._edits

        def work(report: Progress) -> SaveOutcome:
            try:
                return SaveOutcome(project.masks.save(snapshot, case.record.id, MaskRole.WORKING, rater.id))
            except SegdeskError as error:
                return SaveOutcome(None, error)

        def apply(outcome: SaveOutcome) -> None:
            if self._state.is_current(case.serial):
                self._tell(outcome, edits)

        return Task("Saving the mask", Lane.DISK, work, apply)

    def forget(self) -> None:
        """Start clean: another mask is on the desk."""
        self.is_dirty.value = False
        self.last_saved.value = None
        self.save_error.value = ""

    def _on_edited(self, name: str) -> None:
        self._edits += 1
        self.is_dirty.value = True
        self._state.emit(Change.LABELS | Change.HISTORY, self)

    def _tell(self, outcome: SaveOutcome, edits: int) -> None:
        if outcome.record is None:
            self.save_error.value = "" if outcome.error is None else outcome.error.message
        else:
            self.save_error.value = ""
            self.last_saved.value = outcome.record.created
            self.is_dirty.value = self._edits != edits
        self._state.emit(Change.SAVED, self)
