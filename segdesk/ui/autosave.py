"""Saves the working mask soon after each edit, and what is decided on drafts at once."""

from __future__ import annotations

from contextlib import suppress

from PySide6.QtCore import QObject, QTimer

from segdesk.errors import SegdeskError
from segdesk.session import Session
from segdesk.ui.jobs import Jobs

WAIT_MS = 400
"""Strokes that follow each other within this time make one save."""

RETRY_MS = 5_000
"""After a failure (a full disk) the save is tried again."""


class Autosave(QObject):
    """Queues a save whenever the mask is dirty; the status bar tells how it went.

    Parameters
    ----------
    session : Session
        Whose mask is saved.
    jobs : Jobs
        The disk lane keeps the order of saves.
    """

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._saving = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._save)
        session.editor.edited.connect(self._on_edited)
        session.judging.noted.connect(self._save_decisions)

    def flush(self) -> None:
        """Save now, here, before the window closes; a failure leaves the mask dirty, a decision waiting."""
        self._timer.stop()
        if self._session.is_dirty.value and self._session.case is not None:
            self._session.save_labels().run()
        if self._session.judging.waiting and self._session.project is not None:
            with suppress(SegdeskError):
                self._session.judging.save().run()

    def _save_decisions(self) -> None:
        self._jobs.start(self._session.judging.save())

    def _on_edited(self, name: str) -> None:
        self._timer.start(WAIT_MS)

    def _save(self) -> None:
        if self._saving or not self._session.is_dirty.value:
            return
        try:
            task = self._session.save_labels()
        except SegdeskError:
            # Another case is being opened; opening saves what is unsaved first.
            return
        self._saving = True
        self._jobs.start(task).finished.connect(self._on_finished)

    def _on_finished(self) -> None:
        self._saving = False
        if self._session.is_dirty.value:
            self._timer.start(RETRY_MS if self._session.save_error.value else WAIT_MS)
