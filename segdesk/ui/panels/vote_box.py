"""Submit a read: how sure, a comment, and who will see it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.events import Change
from segdesk.errors import SegdeskError
from segdesk.session import Session
from segdesk.ui.jobs import Jobs, error_text
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role

SURENESS = ("Guessing", "Unsure", "Fairly sure", "Sure", "Certain")
"""Words for confidences of 0, 0.25, 0.5, 0.75 and 1."""


class VoteBox(QWidget):
    """The reader's vote on the open case.

    Parameters
    ----------
    session : Session
        Whose panel takes the vote.
    jobs : Jobs
        Stores it.
    """

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self.visible = wrapped("", Role.MUTED)
        self.sureness = QSlider(Qt.Orientation.Horizontal)
        self.sureness.setRange(0, len(SURENESS) - 1)
        self.sureness.setValue(3)
        self.sureness.setPageStep(1)
        self.sureness.setAccessibleName("Confidence")
        self._word = QLabel()
        self._word.setMinimumWidth(self._word.fontMetrics().horizontalAdvance(max(SURENESS, key=len)) + GRID_PX)
        self.sureness.valueChanged.connect(self._show_word)
        self.comment = QPlainTextEdit()
        self.comment.setPlaceholderText("Comment for the panel (optional)")
        self.comment.setTabChangesFocus(True)
        self.comment.setFixedHeight(2 * self.comment.fontMetrics().lineSpacing() + 18)
        self.comment.setAccessibleName("Comment")
        self.button = set_role(QPushButton("Submit my read"), Role.PRIMARY)
        self.button.setToolTip("Store the mask as it is now as your vote (Ctrl+Return)")
        self.button.clicked.connect(self.submit)
        self.problem = wrapped("", Role.ERROR)
        self.problem.hide()
        self._lay_out()
        self._show_word(self.sureness.value())
        session.changed.connect(self._on_session)
        self._reload()

    @property
    def confidence(self) -> float:
        """How sure the reader is, in [0, 1]."""
        return self.sureness.value() / (len(SURENESS) - 1)

    def submit(self) -> None:
        """Submit the read."""
        self.problem.hide()
        try:
            task = self._session.panel.submit_read(self.confidence, self.comment.toPlainText().strip())
        except SegdeskError as error:
            self._show_error(error)
            return
        self.button.setEnabled(False)
        job = self._jobs.start(task, on_error=self._show_error)
        job.succeeded.connect(self._on_submitted)
        job.finished.connect(self._reload)

    def _lay_out(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(GRID_PX)
        line.addWidget(self.sureness, 1)
        line.addWidget(self._word)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Confidence", line)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addWidget(self.visible)
        column.addLayout(form)
        column.addWidget(self.comment)
        column.addWidget(self.button)
        column.addWidget(self.problem)

    def _show_word(self, step: int) -> None:
        self._word.setText(SURENESS[step])

    def _on_submitted(self, vote: object) -> None:
        self.comment.clear()

    def _on_session(self, change: Change, source: object) -> None:
        if change & (Change.VOLUME | Change.VOTES | Change.PROJECT | Change.CONSENSUS):
            self.problem.hide()
            self._reload()

    def _reload(self) -> None:
        panel = self._session.panel
        self.visible.setText(panel.what_is_visible())
        self.button.setText("Submit again" if panel.has_submitted else "Submit my read")
        self.button.setEnabled(self._session.case is not None)

    def _show_error(self, error: Exception) -> None:
        self.problem.setText(error_text(error))
        self.problem.show()
