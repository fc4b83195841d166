"""Keeping the working mask on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from segdesk.core.events import Change, Property
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.edit.editor import Editor
from segdesk.errors import EditError, SegdeskError
from segdesk.session.judging import Judging
from segdesk.session.lineage import Lineage
from segdesk.session.state import SessionState
from segdesk.store.records import MaskRecord, MaskRole, RaterRecord


@dataclass(frozen=True, slots=True)
class SaveOutcome:
    """What came of a save: a record, or the error that kept the work in memory."""

    record: MaskRecord | None
    error: SegdeskError | None = None


class Saving:
    """Saves snapshots of the working mask and says how it went.

    Attributes
    ----------
    is_dirty : Property of bool
        The mask in memory is newer than the one on disk.
    last_saved : Property of datetime or None
        When the mask on disk was made.
    save_error : Property of str
        Why the last save failed, "" when it did not.
    """

    def __init__(self, state: SessionState, editor: Editor, lineage: Lineage, judging: Judging) -> None:
        self._state = state
        self._judging = judging
        self._lineage = lineage
        self._editor = editor
        self._edits = 0
        self.is_dirty = Property(False)
        self.last_saved: Property[datetime | None] = Property(None)
        self.save_error = Property("")
        editor.edited.connect(self._on_edited)

    def save(self) -> Task[SaveOutcome]:
        """Return the task that writes a snapshot taken now; its outcome tells, it does not raise.

        A failure leaves the mask dirty and puts its message into `save_error`.
        """
        case = self._state.require_case()
        write = self._writer()
        edits = self._edits

        def work(report: Progress) -> SaveOutcome:
            try:
                return SaveOutcome(write())
            except SegdeskError as error:
                return SaveOutcome(None, error)

        def apply(outcome: SaveOutcome) -> None:
            if self._state.is_current(case.serial):
                self._tell(outcome, edits)

        return Task("Saving the mask", Lane.DISK, work, apply)

    def before_leaving(self) -> tuple[Callable[[], object], Callable[[], None]]:
        """Return what must happen before another mask comes onto the desk.

        Returns
        -------
        save, check : callable
            `save` runs off-thread and writes what is unsaved now, decisions on drafts too;
            `check` runs at home and raises EditError if somebody drew in the meantime.
        """
        edits = self._edits
        write: Callable[[], object] = self._writer() if self.is_dirty.value else _nothing

        def save() -> None:
            write()
            # One that cannot be written stays in memory, and keeps no case shut.
            with suppress(SegdeskError):
                self._judging.write()

        def check() -> None:
            if self._edits != edits or self._editor.is_stroking:
                raise EditError("The mask was edited while the next case was loading; open it again.")

        return save, check

    def note_saved(self, record: MaskRecord, edits: int) -> None:
        """Note that a snapshot taken at `edits` is on disk."""
        self._tell(SaveOutcome(record), edits)

    @property
    def edits(self) -> int:
        """Counts edits, to tell whether a snapshot is still the present state."""
        return self._edits

    def snapshot(self, rater: RaterRecord) -> LabelMap:
        """Return a copy of the mask as the reader's own work, without the stroke in progress."""
        return self._lineage.stamped(self._editor.snapshot(), rater)

    def forget(self, last_saved: datetime | None) -> None:
        """Start clean: another mask, saved then, is on the desk."""
        self.is_dirty.value = False
        self.last_saved.value = last_saved
        self.save_error.value = ""

    def _writer(self) -> Callable[[], MaskRecord]:
        """Return what writes the mask as it is now."""
        case, rater, project = self._state.require_case(), self._state.require_rater(), self._state.require_project()
        snapshot = self.snapshot(rater)
        return lambda: project.masks.save(snapshot, case.record.id, MaskRole.WORKING, rater.id)

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


def _nothing() -> None:
    """Write nothing: all is saved."""
