"""Drafts of the open case that wait to be looked at: made by the queue, or put away before."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from segdesk.core.events import Change
from segdesk.session import Candidate, Session
from segdesk.store.records import MaskRecord
from segdesk.ui.jobs import Jobs
from segdesk.ui.theme import GRID_PX


class StoredDrafts(QWidget):
    """A choice of stored drafts, newest first, and a button that previews one.

    Hidden while there are none, or while one is being judged.

    Parameters
    ----------
    session : Session
        Its drafts.
    jobs : Jobs
        Reads them.
    """

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._is_wanted = False
        self.choice = QComboBox()
        self.choice.setAccessibleName("Stored drafts")
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.button = QPushButton("Preview")
        self.button.setToolTip("Show this stored draft to accept or reject it")
        self.button.clicked.connect(self._recall)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(GRID_PX)
        line.addWidget(self.choice, 1)
        line.addWidget(self.button)
        self.hide()
        session.changed.connect(self._on_session)
        session.drafts.candidate.changed.connect(self._show)
        self.reload()

    def reload(self) -> None:
        """Look for drafts again."""
        if self._session.case is None:
            self._on_drafts(())
        else:
            self._jobs.start(self._session.drafts.stored()).succeeded.connect(self._on_drafts)

    def preview_newest(self) -> None:
        """Propose the newest draft, as soon as the drafts are listed."""
        self._is_wanted = True
        self.reload()

    def _on_session(self, change: Change, source: object) -> None:
        if change & (Change.CANDIDATE | Change.VOLUME | Change.PROJECT):
            self.reload()

    def _on_drafts(self, records: tuple[MaskRecord, ...]) -> None:
        case = self._session.case
        self.choice.clear()
        for record in records:
            if case is not None and record.case_id == case.record.id:
                self.choice.addItem(f"{record.created.astimezone():%d %b %H:%M}  {record.author}", record)
        self._show(self._session.drafts.candidate.value)
        if self._is_wanted and self.choice.count():
            self._is_wanted = False
            self._recall()

    def _show(self, candidate: Candidate | None) -> None:
        self.setVisible(candidate is None and self.choice.count() > 0)

    def _recall(self) -> None:
        record = self.choice.currentData()
        if isinstance(record, MaskRecord) and self._session.case is not None:
            self._jobs.start(self._session.drafts.recall(record))
