"""Agree: all reads on one image, merged, with the disputes to walk through."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QStackedLayout, QTabWidget, QVBoxLayout, QWidget

from segdesk.core.events import Change
from segdesk.core.progress import Task
from segdesk.session import Session
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.agree_model import AgreeModel, Phase
from segdesk.ui.models.dispute_row import DISPUTE_COLUMNS, DisputeRow
from segdesk.ui.panels.consensus_controls import ConsensusControls
from segdesk.ui.panels.empty_state import EmptyState
from segdesk.ui.panels.reader_views import ReaderViews
from segdesk.ui.panels.section import Notes, ScrollColumn, Section, wrapped
from segdesk.ui.panels.what_if import WhatIf
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.views.row_table import RowTable

INSPECTOR_WIDTH_PX = 376
SETTLE_MS = 250
"""A changed setting is merged when it has stood still for this long: a quorum is typed letter by letter."""


class AgreeWorkspace(QWidget):
    """Views with all outlines on the left; settings, what-if and disputes on the right.

    Parameters
    ----------
    session : Session
        Whose open case is merged.
    jobs : Jobs
        Runs what is slow.
    """

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._merging: Job | None = None
        self._is_comparing = False
        self.model = AgreeModel(session)
        self.views = ReaderViews(self.model)
        self.controls = ConsensusControls(self.model.settings)
        self.what_if = WhatIf(self.model)
        self.disputes: RowTable[DisputeRow] = RowTable(DISPUTE_COLUMNS)
        self.disputes.current_row.connect(self._on_row)
        self.problems = Notes(Role.ERROR)
        self.record_button = QPushButton("Record this consensus")
        self.record_button.clicked.connect(self.record)
        self.empty = EmptyState("", "")
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self.merge)
        for keys, run in (("N", self.next_dispute), ("Shift+N", self.previous_dispute)):
            QShortcut(QKeySequence(keys), self).activated.connect(run)
        self._build()
        self.model.changed.connect(self.refresh)
        self.model.settings.changed.connect(self._on_settings)
        self.model.disputes.changed.connect(self._show_disputes)
        self.model.disputes.moved.connect(self._on_moved)
        session.changed.connect(self._on_session_changed)
        self.views.show_case(session.case)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says; while reads are blind, nothing of them."""
        phase = self.model.phase
        self._pages.setCurrentIndex(1 if phase is Phase.OPEN else 0)
        if phase is Phase.NO_CASE:
            self.empty.say("No case is open", "Open a case in Cases (F1); its reads are compared and merged here.")
        elif phase is Phase.BLIND:
            self.empty.say(*self.model.blind_text)
        why_not = self.model.why_not_record()
        self.record_button.setEnabled(not why_not)
        self.record_button.setText("Recorded" if self.model.is_recorded else "Record this consensus")
        self.record_button.setToolTip(why_not or self.model.status_text())
        self._catch_up()

    def merge(self) -> None:
        """Merge with the present settings; a merge under way is given up."""
        self._settle.stop()
        if self.model.phase is not Phase.OPEN or self.model.settings.problem():
            return
        if self._merging is not None:
            self._merging.cancel()
        self.problems.set_texts(())
        self._merging = self._start(self.model.merge())
        self._merging.finished.connect(self._on_merge_finished)

    def record(self) -> None:
        """Store the merge as the case's consensus."""
        self.problems.set_texts(())
        self._start(self.model.record())

    def next_dispute(self) -> None:
        """Go to the next dispute (N)."""
        self.model.go_to_next(1)

    def previous_dispute(self) -> None:
        """Go to the dispute before (Shift+N)."""
        self.model.go_to_next(-1)

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what changed while nobody looked."""
        super().showEvent(event)
        self._catch_up()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop waiting for settings: nobody looks."""
        self._settle.stop()
        super().hideEvent(event)

    def _catch_up(self) -> None:
        """Merge and compare what is not yet, but only for somebody who looks."""
        if not self.isVisible():
            return
        is_waiting = self._settle.isActive() or self._merging is not None
        if self.model.needs_merge and not self.model.is_asked_for and not is_waiting:
            self._settle.start(0 if self.model.view is None else SETTLE_MS)
        if self.model.needs_reading and not self._is_comparing:
            self._is_comparing = True
            self._start(self.model.read_out()).finished.connect(self._on_compared)

    def _on_settings(self) -> None:
        if self.isVisible() and self.model.needs_merge:
            self._settle.start(SETTLE_MS)

    def _on_merge_finished(self) -> None:
        if self.sender() is self._merging:
            self._merging = None
            self._catch_up()

    def _on_compared(self) -> None:
        self._is_comparing = False
        self._catch_up()

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & (Change.VOLUME | Change.PROJECT):
            self.problems.set_texts(())
            self.views.show_case(self._session.case)

    def _show_disputes(self) -> None:
        items = self.model.disputes.items
        self.disputes.set_rows(items)
        self._tabs.setTabText(1, f"Disputes  {len(items)}")

    def _on_moved(self, row: DisputeRow) -> None:
        self.views.go_to(row.centre_kji)
        if self.disputes.selected_row() is not row:
            self.disputes.select_position(row.number - 1)

    def _on_row(self, row: DisputeRow | None) -> None:
        if row is not None and row is not self.model.disputes.current:
            self.model.disputes.go_to(row.number - 1)

    def _start(self, task: Task[Any]) -> Job:
        return self._jobs.start(task, on_error=self._on_error)

    def _on_error(self, error: Exception) -> None:
        self.problems.set_texts((error_text(error),))

    def _build(self) -> None:
        merge = ScrollColumn(INSPECTOR_WIDTH_PX)
        merge.set_sections(Section("How the reads are merged", self.controls), self.what_if)
        self._tabs = QTabWidget()
        self._tabs.setDocumentMode(True)
        self._tabs.tabBar().setDrawBase(False)
        self._tabs.addTab(merge, "Merge")
        self._tabs.addTab(self._dispute_page(), "Disputes")
        set_role(self.record_button, Role.PRIMARY)
        foot = QVBoxLayout()
        foot.setContentsMargins(2 * GRID_PX, GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        foot.setSpacing(GRID_PX)
        foot.addWidget(self.problems)
        foot.addWidget(self.record_button)
        inspector = QFrame()
        set_role(inspector, Role.PANEL)
        inspector.setFixedWidth(INSPECTOR_WIDTH_PX)
        column = QVBoxLayout(inspector)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._tabs, 1)
        column.addLayout(foot)
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.views, 1)
        row.addWidget(inspector)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(page)

    def _dispute_page(self) -> QWidget:
        page = QWidget()
        keys = wrapped("N goes to the next dispute, Shift+N to the one before.", Role.MUTED)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, GRID_PX, 0, 0)
        layout.setSpacing(GRID_PX)
        keys.setContentsMargins(2 * GRID_PX, 0, 2 * GRID_PX, 0)
        layout.addWidget(keys)
        layout.addWidget(self.disputes, 1)
        return page
