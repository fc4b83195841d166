"""Score: readers and model drafts against the reference of the open case."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Index3
from segdesk.core.events import Change
from segdesk.errors import UsageError
from segdesk.session import Session
from segdesk.ui.bind import bind_spin
from segdesk.ui.jobs import Jobs, error_text
from segdesk.ui.models.score_model import ScoreModel
from segdesk.ui.models.score_rows import SCORE_COLUMNS, ScoreRow
from segdesk.ui.panels.empty_state import EmptyState
from segdesk.ui.panels.score_overview import ScoreOverview
from segdesk.ui.panels.section import Notes, Section
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.views.row_table import RowTable


class ScoreWorkspace(QWidget):
    """Summary and plot above, the full table below; a row leads to its worst slice.

    Parameters
    ----------
    session : Session
        Whose open case is scored.
    jobs : Jobs
        Runs what is slow.
    """

    place_asked = QtSignal(object)
    """(k, j, i) of a voxel of the open case to look at: the window shows it in Read."""

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self.model = ScoreModel(session)
        self.table: RowTable[ScoreRow] = RowTable(SCORE_COLUMNS, lambda row: QColor(*row.rater.colour_rgb))
        self.table.activated_row.connect(self.show_worst)
        self.overview = ScoreOverview(self.model)
        self.notes, self.problems = Notes(Role.WARNING), Notes(Role.ERROR)
        self._title, self._reference = QLabel(), QLabel()
        self.empty = EmptyState("", "", (("Score now", self.evaluate), ("Import a reference…", self.ask_reference)))
        self._build()
        self.model.changed.connect(self.refresh)
        session.changed.connect(self._on_session_changed)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says."""
        case = self._session.case
        self._title.setText("" if case is None else case.record.name)
        self._reference.setText(self.model.reference_text())
        self.table.set_rows(self.model.rows)
        self.notes.set_texts(self.model.notes())
        self._pages.setCurrentIndex(0 if self.model.sheet is None else 1)
        self._say_why_empty()

    def evaluate(self) -> None:
        """Score every visible read and every draft."""
        self.problems.set_texts(())
        self._jobs.start(self.model.evaluate(), on_error=self._on_error)

    def show_worst(self, row: ScoreRow) -> None:
        """Find the slice with most errors of a row and ask the window to show it."""
        job = self._jobs.start(self.model.find_worst_place(row), on_error=self._on_error)
        job.succeeded.connect(self._on_place)

    def ask_reference(self) -> None:
        """Ask for a mask file that becomes the case's reference, then score."""
        file, _ = QFileDialog.getOpenFileName(self, "Import a reference mask")
        if file:
            job = self._jobs.start(self._session.scores.import_reference(Path(file)), on_error=self._on_error)
            job.succeeded.connect(self._on_reference)

    def ask_export(self) -> None:
        """Ask for a file, then write the scores."""
        file, _ = QFileDialog.getSaveFileName(self, "Export the scores", "scores.csv", "Table (*.csv);;JSON (*.json)")
        if file:
            self.export(Path(file))

    def export(self, path: Path) -> None:
        """Write the scores as .csv or .json."""
        self.problems.set_texts(())
        try:
            task = self.model.export(path)
        except UsageError as error:
            self._on_error(error)
        else:
            self._jobs.start(task, on_error=self._on_error)

    def _say_why_empty(self) -> None:
        why_not = self.model.why_not_score()
        for button in self.empty.buttons:
            button.setVisible(not why_not)
        if why_not:
            self.empty.say("Nothing to score", f"{why_not} Cases are listed in Cases (F1).")
        else:
            self.empty.say(
                "Not scored yet",
                "Every read you may see and every model draft is compared with the reference of this case: the "
                "recorded consensus, or a mask you import.",
            )

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & (Change.PROJECT | Change.VOLUME):
            self.problems.set_texts(())

    def _on_place(self, index_kji: Index3) -> None:
        self.place_asked.emit(index_kji)

    def _on_reference(self, record: object) -> None:
        self.evaluate()

    def _on_error(self, error: Exception) -> None:
        self.problems.set_texts((error_text(error),))

    def _build(self) -> None:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(3 * GRID_PX, 2 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        layout.addLayout(self._head())
        layout.addWidget(self.notes)
        layout.addWidget(self.overview)
        layout.addWidget(Section("Every label, worst first. Double-click shows the worst slice", self.table), 1)
        holder = QWidget()
        self._pages = QStackedLayout(holder)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(page)
        self.problems.setContentsMargins(3 * GRID_PX, GRID_PX, 3 * GRID_PX, 0)
        self.problems.hide()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.problems)
        whole.addWidget(holder, 1)

    def _head(self) -> QHBoxLayout:
        set_role(self._title, Role.TITLE)
        set_role(self._reference, Role.MUTED)
        tolerance = QDoubleSpinBox()
        tolerance.setDecimals(1)
        tolerance.setSingleStep(0.5)
        tolerance.setPrefix("Tolerance ")
        tolerance.setToolTip("Surface tolerance of the NSD; takes effect with “Score again”")
        bind_spin(tolerance, self.model.tolerance_mm)
        head = QHBoxLayout()
        head.setSpacing(GRID_PX)
        head.addWidget(self._title)
        head.addWidget(self._reference, 1)
        head.addWidget(tolerance)
        for text, run in (
            ("Score again", self.evaluate),
            ("Import a reference…", self.ask_reference),
            ("Export…", self.ask_export),
        ):
            button = QPushButton(text)
            button.clicked.connect(run)
            head.addWidget(button)
        return head
