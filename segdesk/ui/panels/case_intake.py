"""How projects and images come in: dialogs, drops, scans; no drawing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QFileDialog, QWidget

from segdesk.core.progress import Task
from segdesk.errors import NeedsConsent
from segdesk.io.series import ScanResult
from segdesk.session import Session
from segdesk.session.consent import allowing_large
from segdesk.ui.dialogs.consent import ConsentingJobs, ask_consent
from segdesk.ui.dialogs.new_project import NewProject, NewProjectDialog
from segdesk.ui.dialogs.series_browser import SeriesBrowserDialog
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.series_choice import SeriesChoice, SeriesRow
from segdesk.ui.models.series_tasks import Added, add_series, look_through
from segdesk.ui.theme import Theme

PATIENCE_MS = 300
"""A scan that takes longer shows its progress; a quick one of a single image shows nothing."""

Result = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class _Visit:
    """A path to look through, and whether what is there shall be opened or added."""

    path: Path
    is_opening: bool


class CaseIntake(QObject):
    """Turns paths into cases of the open project.

    A project folder is opened. Anything else is scanned; a single series goes in without a
    question, for everything else the series browser asks.

    Parameters
    ----------
    session : Session
        Takes the cases.
    jobs : Jobs
        Runs what is slow.
    theme : Theme
        For the browser.
    window : QWidget
        Above which dialogs stand.

    Signals
    -------
    told : list of str
        What went wrong, a sentence each; an empty list takes earlier ones away.
    opened : OpenCase or None
        A case was opened; None for a project.
    mask_asked : Path
        A mask was chosen in the browser: it belongs to an image.
    """

    told = QtSignal(list)
    opened = QtSignal(object)
    mask_asked = QtSignal(object)

    def __init__(self, session: Session, jobs: Jobs, theme: Theme, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._jobs, self._theme, self._window = session, jobs, theme, window
        self._reading = ConsentingJobs(jobs, window)
        self._waiting: deque[_Visit] = deque()
        self._dialog: SeriesBrowserDialog | None = None
        self._is_busy = False

    @property
    def dialog(self) -> SeriesBrowserDialog | None:
        """The series browser, while it is there."""
        return self._dialog

    def open_path(self, path: Path) -> None:
        """Open what was named, dropped or chosen: a project, an image, or one series of a folder."""
        self._visit([_Visit(path, True)])

    def take_paths(self, paths: Sequence[Path]) -> None:
        """Add what was dropped, chosen or named on the command line as cases."""
        self._visit([_Visit(path, False) for path in paths])

    def ask_new_project(self) -> None:
        """Ask for a name and a folder, then make the project."""
        dialog = NewProjectDialog(Path.home(), self._window)
        dialog.accepted.connect(lambda: self.create_project(dialog.entered))
        dialog.open()

    def create_project(self, entered: NewProject) -> None:
        """Make and open a project."""
        self._run(lambda: self._session.create_project(entered.folder, entered.name, entered.required_reads))

    def ask_open_project(self) -> None:
        """Ask for a project folder, then open it."""
        folder = QFileDialog.getExistingDirectory(self._window, "Open a project")
        if folder:
            self._run(lambda: self._session.open_project(Path(folder)))

    def ask_add_files(self) -> None:
        """Ask for image files, then add them."""
        files, _ = QFileDialog.getOpenFileNames(self._window, "Add images")
        if files:
            self.take_paths([Path(file) for file in files])

    def ask_add_folder(self) -> None:
        """Ask for a folder of images, then add what is chosen of it."""
        folder = QFileDialog.getExistingDirectory(self._window, "Add a folder of images")
        if folder:
            self.take_paths([Path(folder)])

    def tell_error(self, error: Exception) -> None:
        """Show why something failed."""
        self.told.emit([error_text(error)])

    def _visit(self, visits: Sequence[_Visit]) -> None:
        self.told.emit([])
        self._waiting.extend(visits)
        if not self._is_busy:
            self._take_next()

    def _take_next(self, result: object = None) -> None:
        self._is_busy = bool(self._waiting)
        if not self._waiting:
            return
        visit = self._waiting.popleft()
        job = self._run(lambda: look_through(visit.path), lambda result: self._on_scanned(visit, result))
        dialog = self._dialog = self._browser(visit, job)
        job.progressed.connect(dialog.show_progress)
        dialog.show_later(PATIENCE_MS)

    def _browser(self, visit: _Visit, scan: Job) -> SeriesBrowserDialog:
        dialog = SeriesBrowserDialog(visit.path, self._jobs, self._theme, self._window)
        dialog.stopped.connect(scan.cancel)
        dialog.opened.connect(self._open)
        dialog.added.connect(self._add)
        dialog.rejected.connect(self._take_next)
        dialog.finished.connect(lambda result: self._forget(dialog))
        return dialog

    def _forget(self, dialog: SeriesBrowserDialog) -> None:
        """Let go of a browser that was closed; the next path may have one of its own by now."""
        dialog.deleteLater()
        if self._dialog is dialog:
            self._dialog = None

    def _on_scanned(self, visit: _Visit, result: ScanResult | None) -> None:
        dialog = self._dialog
        if dialog is None:
            return
        if result is None:
            self._waiting.clear()
            self._close_waiting()
            self._run(lambda: self._session.open_project(visit.path), self._on_opened)
            return
        choice = SeriesChoice(result, (summary.case.name for summary in self._session.cases))
        lone = _lone_row(choice, visit)
        if lone is None:
            dialog.show_choice(choice)
            dialog.open()
            return
        self._close_waiting()
        if visit.is_opening:
            self._open(lone)
        else:
            self._add((lone,))

    def _open(self, row: SeriesRow) -> None:
        if row.entry.is_mask:
            self.mask_asked.emit(row.entry.paths[0] if row.entry.paths else row.path)
            self._take_next()
            return
        self._run(lambda: self._opening(row), self._on_opened)

    def _opening(self, row: SeriesRow) -> Task[Any]:
        return self._session.open_path(row.path, row.series_uid, as_stack=row.is_stack, name=row.name, entry=row.entry)

    def _add(self, rows: Sequence[SeriesRow]) -> None:
        project = self._session.project
        if project is not None:
            self._run(lambda: add_series(project, rows), self._on_added)
            return
        # The first image opens the user's own project; the others are then added to it.
        first, rest = rows[0], rows[1:]

        def add_rest(case: object) -> None:
            self._on_opened(case)
            if rest:
                self._add(rest)

        self._run(lambda: self._opening(first), add_rest)

    def _on_added(self, added: Added) -> None:
        if added.problems:
            self.told.emit(list(added.problems))
        if added.consent is not None:
            self._ask_for(added.too_large, added.consent)
        else:
            self._run(self._session.refresh, self._take_next)

    def _ask_for(self, rows: tuple[SeriesRow, ...], error: NeedsConsent) -> None:
        project = self._session.project
        if project is None:
            return

        def agreed() -> None:
            self._run(lambda: allowing_large(add_series(project, rows)), self._on_added)

        ask_consent(error, self._window, agreed, lambda: self._run(self._session.refresh, self._take_next))

    def _on_opened(self, case: object) -> None:
        self.opened.emit(case)
        self._take_next()

    def _run(self, make: Callable[[], Task[Any]], done: Result | None = None) -> Job:
        return self._reading.start(make, done, self._on_error, self._give_up)

    def _give_up(self) -> None:
        self._close_waiting()
        self._take_next()

    def _on_error(self, error: Exception) -> None:
        dialog = self._dialog
        if dialog is not None and dialog.isVisible() and dialog.choice is None:
            dialog.show_error(error_text(error))
            return
        self._close_waiting()
        self.tell_error(error)
        self._take_next()

    def _close_waiting(self) -> None:
        """Put a browser away that has nothing to list."""
        if self._dialog is not None:
            self._dialog.dismiss()
            self._dialog = None


def _lone_row(choice: SeriesChoice, visit: _Visit) -> SeriesRow | None:
    """Return the one series that goes in without a question; its warnings are shown beside the image."""
    if len(choice.rows) != 1 or choice.refused or choice.rows[0].is_stack:
        return None
    return choice.rows[0] if visit.is_opening or choice.is_simple else None
