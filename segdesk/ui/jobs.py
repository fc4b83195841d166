"""Tasks run off the GUI thread; the only place where threads and Qt meet.

A `segdesk.core.progress.Task` knows nothing of Qt. `Jobs.start` queues its
work on a lane and applies the result in the GUI thread.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool
from PySide6.QtCore import Signal as QtSignal

from segdesk.core.progress import Cancelled, Lane, Task
from segdesk.errors import SegdeskError

_LOG = logging.getLogger(__name__)

REPORT_INTERVAL_S = 0.05
"""Progress is passed on at most this often: a tight loop must not flood the event queue."""


class Job(QObject):
    """One task on its way; lives in the GUI thread.

    Parameters
    ----------
    task : Task
        What to do.
    parent : QObject, optional
        Owner.
    """

    progressed = QtSignal(int, int, str)
    succeeded = QtSignal(object)
    failed = QtSignal(object)
    cancelled = QtSignal()
    finished = QtSignal()
    _concluded = QtSignal(object)

    def __init__(self, task: Task[Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.task = task
        self.done, self.total, self.text = 0, 0, ""
        self.started_s: float | None = None
        self._stop = threading.Event()
        self._last_report_s = 0.0
        self._concluded.connect(self._conclude, Qt.ConnectionType.QueuedConnection)
        self.progressed.connect(self._note, Qt.ConnectionType.QueuedConnection)

    @property
    def title(self) -> str:
        """Name for the job bar."""
        return self.task.title

    @property
    def is_cancelling(self) -> bool:
        """Whether `cancel` was called."""
        return self._stop.is_set()

    @property
    def remaining_s(self) -> float | None:
        """Seconds left if the pace stays, None while it cannot be told."""
        if self.started_s is None or self.done <= 0 or self.total <= 0:
            return None
        elapsed_s = time.monotonic() - self.started_s
        return elapsed_s * max(0, self.total - self.done) / self.done if elapsed_s >= 1.0 else None

    def cancel(self) -> None:
        """Ask the work to stop at its next report; a queued job never starts."""
        self._stop.set()

    def work_in_thread(self) -> None:
        """Do the slow half; called once, by a worker thread."""
        self.started_s = time.monotonic()
        outcome: _Outcome
        try:
            if self._stop.is_set():
                raise Cancelled  # noqa: TRY301
            outcome = _Outcome(result=self.task.work(self._report))
        except Cancelled:
            outcome = _Outcome(was_cancelled=True)
        except Exception as error:  # noqa: BLE001  the program's only blind except: a worker must always conclude
            outcome = _Outcome(error=error)
        self._concluded.emit(outcome)

    def _report(self, done: int, total: int, text: str = "") -> None:
        if self._stop.is_set():
            raise Cancelled
        now_s = time.monotonic()
        if done >= total > 0 or now_s - self._last_report_s >= REPORT_INTERVAL_S:
            self._last_report_s = now_s
            self.progressed.emit(done, total, text)

    def _note(self, done: int, total: int, text: str) -> None:
        self.done, self.total, self.text = done, total, text

    def _conclude(self, outcome: _Outcome) -> None:
        if outcome.was_cancelled or (self._stop.is_set() and outcome.error is None):
            self.cancelled.emit()
        elif outcome.error is not None:
            self._fail(outcome.error)
        else:
            self._apply(outcome.result)
        self.finished.emit()

    def _apply(self, result: object) -> None:
        try:
            self.task.apply(result)
        except SegdeskError as error:
            self._fail(error)
        else:
            self.succeeded.emit(result)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, SegdeskError):
            _LOG.error("%s failed", self.title, exc_info=error)
        self.failed.emit(error)


class Jobs(QObject):
    """Queues of work by lane: disk and inference one wide, CPU as wide as the machine.

    Signals
    -------
    started, finished : Job
        A job was queued, a job ended in whatever way.
    failed : Job, Exception
        A job failed and its starter gave no `on_error`.
    """

    started = QtSignal(object)
    finished = QtSignal(object)
    failed = QtSignal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pools = {lane: self._pool(lane) for lane in Lane}
        self._running: dict[Job, Callable[[Exception], None] | None] = {}

    @property
    def running(self) -> tuple[Job, ...]:
        """Jobs queued or at work, oldest first."""
        return tuple(self._running)

    def start(self, task: Task[Any], on_error: Callable[[Exception], None] | None = None) -> Job:
        """Queue a task on its lane.

        Parameters
        ----------
        task : Task
            Its `work` runs in a worker thread, its `apply` in this one.
        on_error : callable, optional
            Shows a failure where it happened; without it the window's message bar does.

        Returns
        -------
        Job
            With signals for progress, success, failure and cancellation.
        """
        job = Job(task, self)
        self._running[job] = on_error
        job.failed.connect(self._on_failed)
        job.finished.connect(self._on_finished)
        self.started.emit(job)
        self._pools[task.lane].start(_Runner(job))
        return job

    def shut_down(self, timeout_ms: int = 10_000) -> bool:
        """Cancel everything and wait for the threads; False when some did not stop in time."""
        for job in self._running:
            job.cancel()
        stopped = [pool.waitForDone(timeout_ms) for pool in self._pools.values()]
        return all(stopped)

    def _pool(self, lane: Lane) -> QThreadPool:
        pool = QThreadPool(self)
        pool.setMaxThreadCount(max(2, os.cpu_count() or 2) if lane is Lane.CPU else 1)
        return pool

    def _on_failed(self, error: Exception) -> None:
        job = self.sender()
        if not isinstance(job, Job):
            return
        shown_by = self._running.get(job)
        if shown_by is not None:
            shown_by(error)
        else:
            self.failed.emit(job, error)

    def _on_finished(self) -> None:
        job = self.sender()
        if isinstance(job, Job):
            self._running.pop(job, None)
            self.finished.emit(job)
            job.deleteLater()


class _Outcome:
    """How the slow half ended."""

    def __init__(self, result: object = None, error: Exception | None = None, *, was_cancelled: bool = False) -> None:
        self.result = result
        self.error = error
        self.was_cancelled = was_cancelled


class _Runner(QRunnable):
    """Carries a job into a pool thread."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def run(self) -> None:
        """Do the job's slow half."""
        self._job.work_in_thread()


def error_text(error: Exception) -> str:
    """Return one line for the user: the message of our errors, a plain admission for others."""
    if isinstance(error, SegdeskError):
        return error.message
    kind = type(error).__name__
    return f"Something failed that should not ({kind}: {error}). The details are in the log; please report it."
