"""Cases that wait for a model: one runs at a time, an error stops none of the others."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from segdesk.core.box import Box
from segdesk.core.events import Change, Signal
from segdesk.core.inside import Insight
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Cancelled, Lane, Progress, Task, silent
from segdesk.errors import SegdeskError, WorkerError
from segdesk.session.drafting import Drafting
from segdesk.session.model_choice import resolve_model
from segdesk.session.queue_estimate import CaseEstimate, Estimator
from segdesk.session.queue_run import Outcome, compare, compared, run_queued
from segdesk.session.queued_case import QueuedCase, QueueState
from segdesk.session.state import SessionState


class Queue:
    """The queue of a project; it knows nothing of threads: whoever runs its tasks calls `next_task` until None.

    Attributes
    ----------
    changed : Signal
        Rows changed.
    """

    changed = Signal()

    def __init__(self, state: SessionState, drafting: Drafting | None, insight: Insight | None = None) -> None:
        self._state = state
        self._drafting = drafting
        self._insight = insight
        self._estimated: set[int] = set()
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
        """Queue cases of the project for a model; those it does not fit are listed with the reason, and do not run.

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
        project = self._state.require_project()
        if self._drafting is None:
            raise WorkerError("This session cannot run models; start it with a predictor.")
        cases = {row.case.id: row.case for row in self._state.view.summaries}
        names = {case_id: case.name for case_id, case in cases.items()}
        waiting = {(row.case_id, row.model) for row in self._rows.values() if row.is_open}
        options = PredictOptions(device=device, roi=roi)
        added = tuple(
            QueuedCase(next(self._numbers), case_id, names.get(case_id, case_id), model, model_name, options, again)
            for case_id in case_ids
            if (case_id, model) not in waiting
        )
        fits = compare(project, model, [cases[row.case_id] for row in added if row.case_id in cases], roi)
        added = tuple(compared(row, fits.get(row.case_id)) for row in added)
        self._rows |= {row.number: row for row in added}
        self.changed.emit()
        return added

    def estimate_task(self) -> Task[Mapping[int, CaseEstimate]] | None:
        """Return the task that tells what waiting cases will take; None when that is known, or nothing can tell it.

        Each case is asked for once. The task never fails: what cannot be estimated stays without.
        """
        rows = [row for row in self._rows.values() if row.state is QueueState.WAITING]
        rows = [row for row in rows if row.number not in self._estimated]
        drafting, project, insight = self._drafting, self._state.project, self._insight
        if not rows or drafting is None or project is None or insight is None:
            return None
        self._estimated |= {row.number for row in rows}
        grids = {row.case.id: row.case.grid for row in self._state.view.summaries}
        estimator = Estimator(insight, drafting.times)

        def work(report: Progress) -> Mapping[int, CaseEstimate]:
            found: dict[int, CaseEstimate] = {}
            for row in rows:
                grid = grids.get(row.case_id)
                if grid is not None:
                    with suppress(SegdeskError):
                        folder = resolve_model(project, row.model)
                        found[row.number] = estimator.estimate(folder, grid, row.options, report)
            return found

        return Task("Estimating how long the queue takes", Lane.INFERENCE, work, self._take_estimates)

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

            return run_queued(chosen, project, drafting, reporting)

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
        """Put a paused, failed or cancelled entry back in line; one that does not fit then runs anyway."""
        row = self._rows[number]
        if row.state in (QueueState.PAUSED, QueueState.FAILED, QueueState.CANCELLED, QueueState.UNFIT):
            anyway = row.anyway or row.state is QueueState.UNFIT
            self._put(replace(row, state=QueueState.WAITING, done=0, total=0, text="", anyway=anyway))

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
            fit = outcome.fit or present.fit
            self._put(replace(present, state=outcome.state, text=outcome.text, record=outcome.record, fit=fit))
        if outcome.record is not None:
            self._state.emit(Change.CANDIDATE | Change.CASES, self)

    def _take_estimates(self, found: Mapping[int, CaseEstimate]) -> None:
        for number, estimate in found.items():
            if number in self._rows:
                self._rows[number] = replace(self._rows[number], estimate=estimate)
        self.changed.emit()

    def _put(self, row: QueuedCase) -> None:
        self._rows[row.number] = row
        self.changed.emit()
