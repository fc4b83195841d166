"""Cases that wait for a model: one runs at a time, an error stops none of the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.box import Box
from segdesk.core.events import Change, Signal
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Cancelled, Lane, Progress, Task, silent
from segdesk.errors import SegdeskError, WorkerError
from segdesk.io.limits import allow_large
from segdesk.session.drafting import Drafting
from segdesk.session.model_choice import resolve_model
from segdesk.session.state import SessionState
from segdesk.store.records import MaskRecord, MaskRole

if TYPE_CHECKING:
    from segdesk.store.project import Project
    from segdesk.zoo.model_folder import ModelFolder


class QueueState(StrEnum):
    """How a queued case stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OPEN = (QueueState.WAITING, QueueState.RUNNING, QueueState.PAUSED)


@dataclass(frozen=True, slots=True)
class QueuedCase:
    """A case in the queue, as it stands.

    Parameters
    ----------
    number : int
        Of this entry; the same case may be queued twice.
    case_id, name : str
        Which case.
    model : str or Path
        What runs on it.
    model_name : str
        For people.
    options : PredictOptions
        How it runs.
    again : bool
        Run although these weights have drafted the case before.
    state : QueueState
        How it stands.
    done, total : int
        Windows; total 0 before the first.
    text : str
        What is going on, or why it failed.
    record : MaskRecord or None
        The stored draft, once it is done.
    """

    number: int
    case_id: str
    name: str
    model: str | Path
    model_name: str
    options: PredictOptions
    again: bool = False
    state: QueueState = QueueState.WAITING
    done: int = 0
    total: int = 0
    text: str = ""
    record: MaskRecord | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is still to happen with it."""
        return self.state in _OPEN


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run of a case ended; errors are outcomes here, so that the queue goes on."""

    state: QueueState
    text: str = ""
    record: MaskRecord | None = None


class Queue:
    """The queue of a project; it knows nothing of threads: whoever runs its tasks calls `next_task` until None.

    Attributes
    ----------
    changed : Signal
        Rows changed.
    """

    changed = Signal()

    def __init__(self, state: SessionState, drafting: Drafting | None) -> None:
        self._state = state
        self._drafting = drafting
        self._numbers = count(1)
        self._rows: dict[int, QueuedCase] = {}
        self._stop: threading.Event | None = None
        self._is_held = False

    @property
    def rows(self) -> tuple[QueuedCase, ...]:
        """All entries, in the order they run in."""
        return tuple(self._rows.values())

    @property
    def running(self) -> QueuedCase | None:
        """The entry that runs now."""
        return next((row for row in self._rows.values() if row.state is QueueState.RUNNING), None)

    @property
    def is_held(self) -> bool:
        """Whether no further case is begun until `go_on`."""
        return self._is_held

    def add(
        self,
        case_ids: Sequence[str],
        model: str | Path,
        model_name: str,
        *,
        roi: Box | None = None,
        device: str = "auto",
        again: bool = False,
    ) -> tuple[QueuedCase, ...]:
        """Queue cases of the project for a model.

        Parameters
        ----------
        case_ids : sequence of str
            In the order they are to run in; a case that waits for the same model already is not queued twice.
        model : str or Path
            Name or folder.
        model_name : str
            For people.
        roi : Box, optional
            Predict only here; for a single case.
        device : str
            "auto", "cpu", "cuda" or "cuda:N".
        again : bool
            Also cases that these weights have drafted before.

        Raises
        ------
        UsageError
            If no project is open.
        WorkerError
            If the session has nothing that runs models.
        """
        self._state.require_project()
        if self._drafting is None:
            raise WorkerError("This session cannot run models; start it with a predictor.")
        names = {row.case.id: row.case.name for row in self._state.view.summaries}
        waiting = {(row.case_id, row.model) for row in self._rows.values() if row.is_open}
        options = PredictOptions(device=device, roi=roi)
        added = tuple(
            QueuedCase(next(self._numbers), case_id, names.get(case_id, case_id), model, model_name, options, again)
            for case_id in case_ids
            if (case_id, model) not in waiting
        )
        self._rows |= {row.number: row for row in added}
        self.changed.emit()
        return added

    def next_task(self) -> Task[Outcome] | None:
        """Return the task of the next waiting case, which counts as running from now on; None when there is none.

        The task never fails and never raises `Cancelled`: what happened is in the row when it is applied.
        """
        row = next((row for row in self._rows.values() if row.state is QueueState.WAITING), None)
        drafting, project = self._drafting, self._state.project
        if row is None or self._is_held or self.running is not None or drafting is None or project is None:
            return None
        chosen, stop = row, threading.Event()
        self._stop = stop
        self._put(replace(chosen, state=QueueState.RUNNING, text="Reading the images"))

        def work(report: Progress) -> Outcome:
            def reporting(done: int, total: int, text: str = "") -> None:
                if stop.is_set():
                    raise Cancelled
                report(done, total, text)

            return _outcome(chosen, project, drafting, reporting)

        title = f"Predicting {chosen.name}"
        return self._state.refreshing(title, Lane.INFERENCE, work, lambda outcome: self._settle(chosen, outcome))

    def note_progress(self, number: int, done: int, total: int, text: str) -> None:
        """Take the progress of the running entry."""
        row = self._rows.get(number)
        if row is not None and row.state is QueueState.RUNNING:
            self._put(replace(row, done=done, total=total, text=text))

    def give_up(self, number: int) -> None:
        """Note that the task of an entry ended without being applied: somebody cancelled it elsewhere."""
        row = self._rows.get(number)
        if row is not None and row.state is QueueState.RUNNING:
            self._put(replace(row, state=QueueState.CANCELLED, text=""))

    def pause(self, number: int) -> None:
        """Let an entry wait; a running one stops, and begins anew when it is resumed."""
        row = self._rows[number]
        if row.is_open:
            self._put(replace(row, state=QueueState.PAUSED, done=0, total=0, text=""))
            self._stop_if_running(row)

    def resume(self, number: int) -> None:
        """Put a paused, failed or cancelled entry back in line."""
        row = self._rows[number]
        if row.state in (QueueState.PAUSED, QueueState.FAILED, QueueState.CANCELLED):
            self._put(replace(row, state=QueueState.WAITING, done=0, total=0, text=""))

    def cancel(self, number: int) -> None:
        """Give up an entry."""
        row = self._rows[number]
        if row.is_open:
            self._put(replace(row, state=QueueState.CANCELLED, text=""))
            self._stop_if_running(row)

    def hold(self) -> None:
        """Begin no further case; the running one goes on to its end."""
        self._is_held = True
        self.changed.emit()

    def go_on(self) -> None:
        """Begin cases again."""
        self._is_held = False
        self.changed.emit()

    def cancel_all(self) -> None:
        """Give up every entry that is not finished."""
        for number in tuple(self._rows):
            self.cancel(number)

    def clear_finished(self) -> None:
        """Take finished entries off the list; their drafts stay stored."""
        self._rows = {number: row for number, row in self._rows.items() if row.is_open}
        self.changed.emit()

    def run_all(self, report: Progress = silent) -> None:
        """Run what waits, here and now: for scripts and tests."""
        while (task := self.next_task()) is not None:
            task.run(report)

    def forget(self) -> None:
        """Empty the queue: its project is closed."""
        if self._stop is not None:
            self._stop.set()
        self._rows.clear()
        self._is_held = False
        self.changed.emit()

    def _stop_if_running(self, row: QueuedCase) -> None:
        if row.state is QueueState.RUNNING and self._stop is not None:
            self._stop.set()

    def _settle(self, row: QueuedCase, outcome: Outcome) -> None:
        present = self._rows.get(row.number)
        # Paused or cancelled meanwhile: what was asked last stands, unless the draft is there all the same.
        if present is not None and (present.state is QueueState.RUNNING or outcome.record is not None):
            self._put(replace(present, state=outcome.state, text=outcome.text, record=outcome.record))
        if outcome.record is not None:
            self._state.emit(Change.CANDIDATE | Change.CASES, self)

    def _put(self, row: QueuedCase) -> None:
        self._rows[row.number] = row
        self.changed.emit()


def _outcome(row: QueuedCase, project: Project, drafting: Drafting, report: Progress) -> Outcome:
    """Draft a case; errors of ours become its outcome."""
    try:
        folder = resolve_model(project, row.model)
        if not row.again and _has_draft(project, row, folder):
            return Outcome(QueueState.SKIPPED, "These weights have drafted it before.")
        # How large the images are was agreed to when they were added.
        with allow_large():
            channels = project.images.read_channels(row.case_id, report)
        candidate = drafting.draft(project, row.case_id, channels, folder, row.options, report)
    except Cancelled:
        return Outcome(QueueState.CANCELLED)
    except SegdeskError as error:
        return Outcome(QueueState.FAILED, error.message)
    return Outcome(QueueState.DONE, _seconds_text(candidate.manifest.get("seconds")), candidate.record)


def _has_draft(project: Project, row: QueuedCase, folder: ModelFolder) -> bool:
    drafts = project.masks.of_case(row.case_id, MaskRole.CANDIDATE)
    return any(draft.weights_sha256 == folder.sha256 for draft in drafts)


def _seconds_text(seconds: object) -> str:
    total = seconds.get("total") if isinstance(seconds, dict) else None
    return f"{total:.1f} s" if isinstance(total, float) else ""
