"""Teach: fine-tune on what was agreed, and let the gate decide."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedLayout, QWidget

from segdesk.core.events import Change
from segdesk.core.progress import Task
from segdesk.session import Session
from segdesk.ui.jobs import Jobs, error_text
from segdesk.ui.models.training_model import POLL_INTERVAL_MS, TrainingModel
from segdesk.ui.panels.empty_state import EmptyState
from segdesk.ui.panels.teach_setup import TeachSetup
from segdesk.ui.panels.training_progress import TrainingProgress
from segdesk.ui.panels.verdict_card import VerdictCard


class TeachWorkspace(QWidget):
    """Data and budget on the left, the run in the middle, the verdict on the right.

    Parameters
    ----------
    session : Session
        Whose project is taught from.
    jobs : Jobs
        Runs what is slow.
    """

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._is_stale = True
        self.model = TrainingModel(session)
        self.setup = TeachSetup(self.model)
        self.progress = TrainingProgress(self.model)
        self.verdict = VerdictCard(self.model)
        self.empty = EmptyState(
            "No project is open", "Open a project in Cases (F1); agreed cases are what a model is taught with."
        )
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self._page())
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self.model.poll)
        self.setup.start_asked.connect(self._start)
        self.setup.stop_asked.connect(self.model.stop)
        self.verdict.promote_asked.connect(self._promote)
        self.verdict.roll_back_asked.connect(self._roll_back)
        self.model.changed.connect(self._follow_run)
        session.changed.connect(self._on_session_changed)
        self._show_page()

    def _page(self) -> QWidget:
        page = QWidget()
        layout = QHBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.setup)
        layout.addWidget(self.progress, 1)
        layout.addWidget(self.verdict)
        return page

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & (Change.PROJECT | Change.MODEL | Change.SCORES):
            self._show_page()
            self._is_stale = True
            self._catch_up()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what changed while nobody looked."""
        super().showEvent(event)
        self._catch_up()

    def _catch_up(self) -> None:
        if self._is_stale and self.isVisible() and self._session.project is not None:
            self._list_models()

    def _show_page(self) -> None:
        self._pages.setCurrentIndex(0 if self._session.project is None else 1)

    def _follow_run(self) -> None:
        if self.model.is_running and not self._timer.isActive():
            self._timer.start()
        elif not self.model.is_running and self._timer.isActive():
            self._timer.stop()
            if self.model.story.result is not None:
                self._start_and_list(self.model.record_result())

    def _start(self) -> None:
        self._jobs.start(self.model.start(), on_error=self._on_start_failed)

    def _on_start_failed(self, error: Exception) -> None:
        self.model.failed_to_start(error_text(error))

    def _promote(self) -> None:
        self._start_and_list(self.model.promote())

    def _roll_back(self) -> None:
        self._start_and_list(self.model.roll_back())

    def _start_and_list(self, task: Task[Any]) -> None:
        self._is_stale = True
        self._jobs.start(task).succeeded.connect(self._catch_up)

    def _list_models(self) -> None:
        self._is_stale = False
        self._jobs.start(self.model.list_models())
