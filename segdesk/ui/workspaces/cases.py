"""Cases: what there is, what to do next, and how images come in."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from segdesk.core.events import Change
from segdesk.session import Session
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.case_list_model import CASE_COLUMNS, CaseListModel, CaseRow
from segdesk.ui.panels.case_intake import CaseIntake
from segdesk.ui.panels.case_table import CaseTable
from segdesk.ui.panels.empty_state import EmptyState
from segdesk.ui.panels.filter_bar import FilterBar
from segdesk.ui.panels.section import Notes
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role


class CasesWorkspace(QWidget):
    """The case table of the open project, or what to do without one.

    Parameters
    ----------
    session : Session
        Whose cases are shown.
    jobs : Jobs
        Runs what is slow.
    theme : Theme
        Of the window.
    """

    case_opened = QtSignal()
    """A case was opened from the list: the window shows it in Read."""

    def __init__(self, session: Session, jobs: Jobs, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self.setAcceptDrops(True)
        self.model = CaseListModel()
        self.intake = CaseIntake(session, jobs, theme, self)
        self.intake.told.connect(self._tell)
        self.intake.opened.connect(self._on_taken)
        self.table = CaseTable(self.model, jobs)
        self.table.activated_row.connect(self._open_row)
        self.filters = FilterBar(self.model)
        self.messages = Notes(Role.ERROR)
        self._title, self._summary, self._next_text = QLabel(), QLabel(), QLabel()
        self.next_button = QPushButton("Open it")
        self.next_button.clicked.connect(self._open_next)
        self._build()
        self.setFocusProxy(self.table)
        self.model.changed.connect(self._show_texts)
        session.changed.connect(self._on_session_changed)
        self._reload()

    def open_case(self, case_id: str) -> None:
        """Open a case and announce it when it is there."""
        job = self._jobs.start(self._session.open_case(case_id), on_error=self.intake.tell_error)
        job.succeeded.connect(self._on_opened)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open or add what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        self.intake.take_paths(paths)

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & Change.PROJECT:
            self.table.forget_pictures()
        if change & (Change.PROJECT | Change.CASES | Change.VOTES | Change.CONSENSUS | Change.CANDIDATE):
            self._reload()

    def _reload(self) -> None:
        self.model.set_summaries(self._session.cases, self._session.decisions)
        page = (
            self.no_project if self._session.project is None else self.no_cases if not self.model.rows else self._page
        )
        self._pages.setCurrentWidget(page)

    def _show_texts(self) -> None:
        project = self._session.project
        self._title.setText("" if project is None else project.name)
        self._summary.setText(self.model.summary_text())
        following = self.model.next_row
        self._next_text.setText(
            "Nothing is left to do here." if following is None else f"Next: {following.case.name}. {following.reason}."
        )
        self.next_button.setVisible(following is not None)

    def _open_row(self, row: CaseRow) -> None:
        self.open_case(row.case.id)

    def _open_next(self) -> None:
        following = self.model.next_row
        if following is not None:
            self.open_case(following.case.id)

    def _on_opened(self, case: object) -> None:
        self.case_opened.emit()

    def _on_taken(self, case: object) -> None:
        if case is not None:
            self.case_opened.emit()

    def _tell(self, problems: list[str]) -> None:
        self.messages.set_texts(problems)

    def _build(self) -> None:
        self.no_project = EmptyState(
            "No project is open",
            "Drop a folder of scans or a project here. A project keeps the cases, the reads and the models together; "
            "your images stay where they are.",
            (("New project…", self.intake.ask_new_project), ("Open project…", self.intake.ask_open_project)),
        )
        self.no_cases = EmptyState(
            "This project has no cases yet",
            "Drop DICOM folders or NIfTI, NRRD, MHA, PNG and TIFF files here.",
            (("Add folder…", self.intake.ask_add_folder), ("Add files…", self.intake.ask_add_files)),
        )
        self._page = self._list_page()
        holder = QWidget()
        self._pages = QStackedLayout(holder)
        for page in (self.no_project, self.no_cases, self._page):
            self._pages.addWidget(page)
        self.messages.setContentsMargins(3 * GRID_PX, GRID_PX, 3 * GRID_PX, 0)
        self.messages.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.messages)
        layout.addWidget(holder, 1)

    def _list_page(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(3 * GRID_PX, 2 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        layout.addLayout(self._head())
        layout.addWidget(self.filters)
        layout.addWidget(self.table, 1)
        foot = QHBoxLayout()
        foot.addWidget(self._next_text, 1)
        foot.addWidget(self.next_button)
        layout.addLayout(foot)
        self.table.sort_by(len(CASE_COLUMNS) - 1)
        return page

    def _head(self) -> QHBoxLayout:
        set_role(self._title, Role.TITLE)
        set_role(self._summary, Role.MUTED)
        set_role(self.next_button, Role.PRIMARY)
        head = QHBoxLayout()
        head.setSpacing(GRID_PX)
        head.addWidget(self._title)
        head.addWidget(self._summary)
        head.addStretch()
        for text, ask in (
            ("Add folder…", self.intake.ask_add_folder),
            ("Add files…", self.intake.ask_add_files),
            ("Open project…", self.intake.ask_open_project),
            ("New project…", self.intake.ask_new_project),
        ):
            button = QPushButton(text)
            button.clicked.connect(ask)
            head.addWidget(button)
        return head
