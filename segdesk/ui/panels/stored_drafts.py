"""Drafts of the open case that wait to be looked at: made by the queue, or put away before."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from segdesk.core.events import Change
from segdesk.session import Candidate, Session, StoredDraft
from segdesk.store.records import MaskRecord
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.draft_text import draft_text, draft_tip
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

    def _on_drafts(self, drafts: tuple[StoredDraft, ...]) -> None:
        case, rater = self._session.case, self._session.rater.value
        self.choice.clear()
        for draft in drafts:
            if case is not None and rater is not None and draft.record.case_id == case.record.id:
                self.choice.addItem(draft_text(draft, rater.id), draft.record)
                self.choice.setItemData(self.choice.count() - 1, draft_tip(draft), Qt.ItemDataRole.ToolTipRole)
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
