"""The windows round models: the browser, the queue, the inside of a network."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QDialog, QWidget

from segdesk.session import Session
from segdesk.ui.actions import Act
from segdesk.ui.context import Ui
from segdesk.ui.dialogs.inside_network import InsideNetwork
from segdesk.ui.dialogs.model_browser import ModelBrowser
from segdesk.ui.dialogs.queue_window import QueueWindow
from segdesk.ui.queue_runner import QueueRunner
from segdesk.ui.workspaces.read import ReadWorkspace


class ModelRoom(QObject):
    """Opens them, and runs the queue whatever is on the desk.

    Parameters
    ----------
    session : Session
        Its models.
    ui : Ui
        Of the window.
    read : ReadWorkspace
        Whose model, region and cursor they start from.
    window : QWidget
        Owner of the dialogs.

    Signals
    -------
    case_asked : str
        Open this case and show its newest draft.
    """

    case_asked = QtSignal(str)

    def __init__(self, session: Session, ui: Ui, read: ReadWorkspace, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._ui, self._read, self._window = session, ui, read, window
        self._queue: QueueWindow | None = None
        self.runner = QueueRunner(session, ui.jobs, self)
        read.predict.queued.connect(self.show_queue)
        ui.actions.bind(Act.MODELS, self.show_models)
        ui.actions.bind(Act.QUEUE, self.show_queue)
        ui.actions.bind(Act.INSIDE, self.show_inside, read.has_case)

    def let_go(self) -> None:
        """Close what is open and stop the queue's next case."""
        self.runner.let_go()
        if self._queue is not None:
            self._queue.close()

    def show_models(self) -> ModelBrowser:
        """Open the browser on the chosen model."""
        roi, device = self._read.predict.region_and_device
        browser = ModelBrowser(self._session, self._ui.jobs, roi=roi, device=device, parent=self._window)
        folder = self._read.predict.model_folder
        if folder is not None:
            browser.choose(folder)
        browser.chosen.connect(self._use)
        browser.changed.connect(self._read.predict.find_models)
        _open(browser)
        return browser

    def show_queue(self) -> QueueWindow:
        """Open the queue beside the window, or bring it to the front."""
        if self._queue is None:
            self._queue = QueueWindow(self._session, self._ui.theme, self._window)
            self._queue.case_asked.connect(self.case_asked)
            self._queue.finished.connect(self._forget_queue)
            self._queue.show()
        self._queue.activateWindow()
        return self._queue

    def show_inside(self) -> InsideNetwork | None:
        """Open the chosen network at the cursor."""
        folder, desk = self._read.predict.model_folder, self._read.desk
        if folder is None or desk is None:
            return None
        roi, device = self._read.predict.region_and_device
        dialog = InsideNetwork(self._session, self._ui.jobs, folder, desk, roi=roi, device=device, parent=self._window)
        _open(dialog)
        return dialog

    def _use(self, folder: Path) -> None:
        self._read.predict.choose(folder)

    def _forget_queue(self) -> None:
        if self._queue is not None:
            self._queue.deleteLater()
        self._queue = None


def _open(dialog: QDialog) -> None:
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
