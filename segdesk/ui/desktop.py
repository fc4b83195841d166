"""The working parts of the window, once a session is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QObject
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QFileDialog, QWidget

from segdesk.core.box import Index3
from segdesk.core.events import Change
from segdesk.core.progress import Lane
from segdesk.errors import SegdeskError
from segdesk.session import FirstSlice, Session
from segdesk.ui.actions import Act, Place
from segdesk.ui.autosave import Autosave
from segdesk.ui.jobs import Job
from segdesk.ui.model_room import ModelRoom
from segdesk.ui.models.case_walk import neighbour
from segdesk.ui.models.sample import sample_image
from segdesk.ui.panels.case_exchange import CaseExchange
from segdesk.ui.panels.case_intake import CaseIntake
from segdesk.ui.panels.reader_menu import ReaderButton
from segdesk.ui.workspaces.read import ReadWorkspace

if TYPE_CHECKING:
    from segdesk.ui.main_window import MainWindow
    from segdesk.ui.workspaces.agree import AgreeWorkspace


class Desktop(QObject):
    """Workspaces (made when they are first shown), opening, saving.

    Parameters
    ----------
    window : MainWindow
        Owner.
    session : Session
        The program.
    """

    _first_slice = QtSignal(object)

    def __init__(self, window: MainWindow, session: Session) -> None:
        super().__init__(window)
        self._window, self.session = window, session
        self._jobs = window.ui.jobs
        self._pages: dict[Place, QWidget] = {}
        self._place = Place.READ
        session.editor.brush_radius_mm.value = float(window.ui.settings.of("brush.radius_mm").value)
        session.editor.brush_radius_mm.changed.connect(self._remember_brush)
        self._autosave = Autosave(session, self._jobs, self)
        self._intake = CaseIntake(session, self._jobs, window.ui.theme, window)
        self._intake.told.connect(self._on_told)
        self._intake.opened.connect(self._on_opened)
        self.exchange = CaseExchange(session, self._jobs, window.ui.theme, window)
        self.exchange.told.connect(window.tell)
        self._intake.mask_asked.connect(self.exchange.add_mask)
        window.header.add_right(ReaderButton(session, window.ui))
        window.status.follow(session)
        self.read = ReadWorkspace(session, window.ui)
        self._pages[Place.READ] = self.read
        self.models = ModelRoom(session, window.ui, self.read, window)
        self.models.case_asked.connect(self._open_case)
        self.read.probed.connect(window.status.show_voxel)
        self._makers: dict[Place, Callable[[], QWidget]] = {
            Place.CASES: self._make_cases,
            Place.AGREE: self._make_agree,
            Place.SCORE: self._make_score,
            Place.TEACH: self._make_teach,
        }
        window.pages.addWidget(self.read)
        self.go_to(Place.READ)
        window.pages.removeWidget(window.first_page)
        window.first_page.deleteLater()
        self._bind()
        session.changed.connect(self._on_session)
        self._place_before: Place | None = None
        self._first_slice.connect(self._on_first_slice)
        session.first_slice.connect(self._pass_on)
        self._jobs.finished.connect(self._on_job_finished)

    def page(self, place: Place) -> QWidget:
        """Return a workspace, made now if nobody has seen it yet."""
        if place not in self._pages:
            page = self._makers[place]()
            self._pages[place] = page
            self._window.pages.addWidget(page)
        return self._pages[place]

    def go_to(self, place: Place) -> None:
        """Show a workspace; the case and the crosshair stay."""
        page = self.page(place)
        if place is Place.AGREE and self.read.desk is not None:
            cast("AgreeWorkspace", page).views.go_to(self.read.desk.views.cursor_kji.value)
        self._place = place
        self._window.pages.setCurrentWidget(page)
        self._window.header.show_place(place)
        # While a case is on its way, no key may reach the one that lies behind it.
        is_covered = place is Place.READ and self.read.is_waiting
        self._window.ui.actions.enter(None if is_covered else place)
        page.setFocus()

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open one image or project and show it; several become cases."""
        self._window.messages.hide()
        if len(paths) == 1:
            self._intake.open_path(paths[0])
        else:
            self.go_to(Place.CASES)
            self._intake.take_paths(paths)

    def put_away(self) -> bool:
        """Save and let the case go; False when saving failed and nothing was closed."""
        self._autosave.flush()
        if self.session.is_dirty.value:
            self._window.tell(f"Not closed, the mask is not saved. {self.session.save_error.value}")
            return False
        if self.session.judging.waiting:
            self._window.tell("Not closed, what you decided on a draft is not saved. Can the project be written to?")
            return False
        self.models.let_go()
        self.read.let_go()
        return True

    def _pass_on(self, first: FirstSlice) -> None:
        """Take a slice from the thread that reads to the window's."""
        self._first_slice.emit(first)

    def _on_first_slice(self, first: FirstSlice) -> None:
        self._place_before = self._place
        # Jobs on the disk's lane run one by one: the oldest is the one that reads.
        reading = next((job for job in self._jobs.running if job.task.lane is Lane.DISK), None)
        self.read.show_first_slice(first, reading)
        self.go_to(Place.READ)

    def _on_job_finished(self, job: Job) -> None:
        # What a disk job showed of its case goes with it, however it ended; the case itself is there by now.
        if job.task.lane is not Lane.DISK or self._place_before is None:
            return
        place, self._place_before = self._place_before, None
        was_waiting = self.read.is_waiting
        self.read.forget_first_slice()
        if self._place is Place.READ:
            self.go_to(place if was_waiting else Place.READ)

    def _on_opened(self, case: object) -> None:
        self.go_to(Place.CASES if case is None else Place.READ)

    def _bind(self) -> None:
        actions = self._window.ui.actions
        actions.bind(Act.OPEN_FILE, self._ask_file)
        actions.bind(Act.OPEN_FOLDER, self._ask_folder)
        actions.bind(Act.OPEN_SAMPLE, self._open_sample)
        actions.bind(Act.NEW_PROJECT, self._intake.ask_new_project)
        actions.bind(Act.OPEN_PROJECT, self._intake.ask_open_project)
        actions.bind(Act.ADD_MASK, self.exchange.ask_mask, self.read.has_case)
        actions.bind(Act.EXPORT, self.exchange.export, self.read.has_case)
        actions.bind(Act.PREVIOUS_CASE, lambda: self._walk(-1))
        actions.bind(Act.NEXT_CASE, lambda: self._walk(1))

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self._window, "Open an image or a mask")
        if name:
            self.open_paths([Path(name)])

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self._window, "Open a DICOM folder or a project")
        if name:
            self.open_paths([Path(name)])

    def _open_sample(self) -> None:
        try:
            self.open_paths([sample_image()])
        except SegdeskError as error:
            self._window.tell(error)

    def _walk(self, steps: int) -> None:
        case = self.session.case
        found = neighbour([row.case.id for row in self.session.cases], None if case is None else case.record.id, steps)
        if found is not None:
            self._jobs.start(self.session.open_case(found)).succeeded.connect(self._on_opened)

    def _open_case(self, case_id: str) -> None:
        self._jobs.start(self.session.open_case(case_id)).succeeded.connect(self._on_drafted_case)

    def _on_drafted_case(self, case: object) -> None:
        self.go_to(Place.READ)
        self.read.preview_newest()

    # The imports below wait until a workspace is wanted: the plotting library alone takes 0.3 s.

    def _make_cases(self) -> QWidget:
        from segdesk.ui.workspaces.cases import CasesWorkspace

        cases = CasesWorkspace(self.session, self._jobs, self._window.ui.theme)
        cases.case_opened.connect(lambda: self.go_to(Place.READ))
        cases.intake.mask_asked.connect(self.exchange.add_mask)
        return cases

    def _make_agree(self) -> QWidget:
        from segdesk.ui.workspaces.agree import AgreeWorkspace

        agree = AgreeWorkspace(self.session, self._jobs)
        agree.views.place_changed.connect(self.read.look_at)
        return agree

    def _make_score(self) -> QWidget:
        from segdesk.ui.workspaces.score import ScoreWorkspace

        score = ScoreWorkspace(self.session, self._jobs)
        score.place_asked.connect(self._look_at)
        return score

    def _make_teach(self) -> QWidget:
        from segdesk.ui.workspaces.teach import TeachWorkspace

        return TeachWorkspace(self.session, self._jobs)

    def _look_at(self, index_kji: Index3) -> None:
        self.go_to(Place.READ)
        self.read.look_at(index_kji)

    def _remember_brush(self, radius_mm: float) -> None:
        self._window.ui.settings.set("brush.radius_mm", radius_mm)

    def _on_told(self, problems: list[str]) -> None:
        if problems:
            self._window.tell("  ".join(problems))

    def _on_session(self, change: Change, source: object) -> None:
        if change & Change.PROJECT:
            project = self.session.project
            name = "" if project is None else project.name
            self._window.header.project.set_text(name)
            self._window.setWindowTitle(f"{name} – segdesk" if name else "segdesk")
