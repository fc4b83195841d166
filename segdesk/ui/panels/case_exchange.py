"""Masks in, masks and images out: the dialogs around the open case."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QFileDialog, QWidget

from segdesk.errors import SegdeskError
from segdesk.session import Session
from segdesk.session.mask_import import FoundMask
from segdesk.ui.dialogs.add_mask import AddMaskDialog
from segdesk.ui.dialogs.consent import ConsentingJobs
from segdesk.ui.dialogs.export import ExportDialog
from segdesk.ui.jobs import Jobs, error_text
from segdesk.ui.models.export_model import ExportModel
from segdesk.ui.models.mask_choice import MaskChoice
from segdesk.ui.theme import Theme


class CaseExchange(QObject):
    """Opens the dialogs that add a mask to the open case and export it.

    Parameters
    ----------
    session : Session
        With the case.
    jobs : Jobs
        Reads and writes.
    theme : Theme
        For the dialogs.
    window : QWidget
        Above which they stand.

    Signals
    -------
    told : str
        Why something failed.
    """

    told = QtSignal(str)

    def __init__(self, session: Session, jobs: Jobs, theme: Theme, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._jobs, self._theme, self._window = session, jobs, theme, window
        self._reading = ConsentingJobs(jobs, window)
        self._folder = Path.home()
        self.dialog: AddMaskDialog | ExportDialog | None = None

    def ask_mask(self) -> None:
        """Ask for a mask file, then look at it."""
        file, _ = QFileDialog.getOpenFileName(self._window, "Add a mask to the case", str(self._folder))
        if file:
            self.add_mask(Path(file))

    def add_mask(self, path: Path) -> None:
        """Look at a mask file, then ask whose it becomes."""
        if self._session.case is None:
            self.told.emit(f"{path.name} is a mask; open the image it was drawn on first, then add it.")
            return
        self._folder = path.parent
        self._reading.start(lambda: self._session.masks.look_at(path), self._on_found, self._on_error, lambda: None)

    def export(self) -> None:
        """Ask what of the open case is exported where to."""
        if self._session.case is None:
            return
        model = ExportModel(self._session, self._folder)
        dialog = ExportDialog(self._session, self._jobs, model, self._window)
        dialog.finished.connect(lambda result: self._remember(model.path.parent))
        self._show(dialog)

    def _on_found(self, found: FoundMask) -> None:
        choice = MaskChoice(self._session, found)
        dialog = AddMaskDialog(choice, self._theme, self._window)
        dialog.accepted.connect(lambda: self._attach(choice))
        self._show(dialog)

    def _attach(self, choice: MaskChoice) -> None:
        try:
            task = self._session.masks.attach(choice.found, choice.target, choice.name, agreed=choice.agreed)
        except SegdeskError as error:
            self._on_error(error)
            return
        self._jobs.start(task, on_error=self._on_error)

    def _show(self, dialog: AddMaskDialog | ExportDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._forget)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _forget(self) -> None:
        self.dialog = None

    def _remember(self, folder: Path) -> None:
        self._folder = folder

    def _on_error(self, error: Exception) -> None:
        self.told.emit(error_text(error))
