"""Runs the session's queue, one case after the other, whatever is on the desk."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject

from segdesk.session import Session
from segdesk.ui.jobs import Job, Jobs


class QueueRunner(QObject):
    """Starts the next case as soon as the lane is free.

    Parameters
    ----------
    session : Session
        Its queue.
    jobs : Jobs
        Runs the models.
    """

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue, self._jobs = session.queue, jobs
        self._job: Job | None = None
        self._is_estimating = False
        self._queue.changed.connect(self._begin)

    def let_go(self) -> None:
        """Stop listening before deletion."""
        self._queue.changed.disconnect(self._begin)

    def _begin(self) -> None:
        self._estimate()
        task = None if self._job is not None else self._queue.next_task()
        running = self._queue.running
        # Asking for the task announced a change, which may have begun it already.
        if task is None or running is None:
            return
        job = self._job = self._jobs.start(task)
        job.progressed.connect(partial(self._queue.note_progress, running.number))
        job.finished.connect(partial(self._end, running.number))

    def _estimate(self) -> None:
        """Ask what new cases will take, ahead of them on the same lane."""
        task = None if self._is_estimating else self._queue.estimate_task()
        if task is not None:
            self._is_estimating = True
            self._jobs.start(task).finished.connect(self._on_estimated)

    def _on_estimated(self) -> None:
        self._is_estimating = False
        self._begin()

    def _end(self, number: int) -> None:
        self._job = None
        self._queue.give_up(number)
        self._begin()
