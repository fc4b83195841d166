"""How projects and images come in: dialogs, drops, scans; no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QFileDialog, QWidget

from segdesk.core.progress import Task
from segdesk.io.series import ScanResult
from segdesk.session import Session
from segdesk.ui.dialogs.new_project import NewProject, NewProjectDialog
from segdesk.ui.dialogs.series_browser import SeriesBrowserDialog
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.series_choice import Added, SeriesChoice, SeriesRow, add_series, look_through


class CaseIntake(QObject):
    """Turns paths into cases of the open project.

    A project folder is opened. Anything else is scanned; one plain series is added without
    a question, for everything else the series browser asks.

    Signals
    -------
    told : list of str
        What went wrong, a sentence each; an empty list takes earlier ones away.
    """

    told = QtSignal(list)

    def __init__(self, session: Session, jobs: Jobs, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._jobs, self._window = session, jobs, window
        self._waiting: list[Path] = []

    def take_paths(self, paths: Sequence[Path]) -> None:
        """Open or add what was dropped, chosen or named on the command line."""
        self.told.emit([])
        self._waiting.extend(paths)
        self._take_next()

    def ask_new_project(self) -> None:
        """Ask for a name and a folder, then make the project."""
        dialog = NewProjectDialog(Path.home(), self._window)
        dialog.accepted.connect(lambda: self.create_project(dialog.entered))
        dialog.open()

    def create_project(self, entered: NewProject) -> None:
        """Make and open a project."""
        self._start(self._session.create_project(entered.folder, entered.name, entered.required_reads))

    def ask_open_project(self) -> None:
        """Ask for a project folder, then open it."""
        folder = QFileDialog.getExistingDirectory(self._window, "Open a project")
        if folder:
            self._start(self._session.open_project(Path(folder)))

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

    def _take_next(self) -> None:
        if not self._waiting:
            return
        path = self._waiting.pop(0)
        if self._session.project is None:
            self._start(self._session.open_path(path)).succeeded.connect(self._on_step_done)
        else:
            self._start(look_through(path)).succeeded.connect(lambda result: self._on_scanned(path, result))

    def _on_scanned(self, path: Path, result: ScanResult | None) -> None:
        if result is None:
            self._waiting.clear()
            self._start(self._session.open_project(path))
            return
        choice = SeriesChoice(result, (summary.case.name for summary in self._session.cases))
        if choice.is_simple:
            self._add(choice.chosen)
            return
        dialog = SeriesBrowserDialog(choice, self._window)
        dialog.accepted.connect(lambda: self._add(choice.chosen))
        dialog.rejected.connect(self._take_next)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _add(self, rows: Sequence[SeriesRow]) -> None:
        project = self._session.project
        if project is not None and rows:
            self._start(add_series(project, rows)).succeeded.connect(self._on_added)

    def _on_added(self, added: Added) -> None:
        if added.problems:
            self.told.emit(list(added.problems))
        self._start(self._session.refresh()).succeeded.connect(self._on_step_done)

    def _on_step_done(self, result: object) -> None:
        self._take_next()

    def _start(self, task: Task[Any]) -> Job:
        return self._jobs.start(task, on_error=self._on_error)

    def tell_error(self, error: Exception) -> None:
        """Show why something failed."""
        self.told.emit([error_text(error)])

    def _on_error(self, error: Exception) -> None:
        self.tell_error(error)
        self._take_next()
