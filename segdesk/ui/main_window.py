"""The window: header, pages, status bar. It is shown before the session is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMainWindow, QMessageBox, QStackedWidget, QVBoxLayout, QWidget

from segdesk.core.settings import Settings
from segdesk.ui.actions import GO_ACTS, Act, Actions, Place
from segdesk.ui.context import Ui
from segdesk.ui.dialogs.keys_sheet import KeysSheet
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.panels.header import Header
from segdesk.ui.panels.message_bar import MessageBar
from segdesk.ui.panels.start_page import StartPage
from segdesk.ui.panels.status_bar import StatusBar
from segdesk.ui.theme import Theme
from segdesk.ui.views.drop_zones import DropZones

if TYPE_CHECKING:
    from segdesk.session import Session
    from segdesk.ui.desktop import Desktop

START_SIZE = (1440, 900)
SMALLEST = (1024, 640)


class MainWindow(QMainWindow):
    """The frame around the workspaces.

    Parameters
    ----------
    theme : Theme
        Of the application.
    settings : Settings
        Of the user.

    Signals
    -------
    closing
        The window is about to close; settings can be saved.
    """

    closing = QtSignal()

    def __init__(self, theme: Theme, settings: Settings) -> None:
        super().__init__()
        self.setWindowTitle("segdesk")
        self.resize(*START_SIZE)
        self.setMinimumSize(*SMALLEST)
        self.setAcceptDrops(True)
        self.ui = Ui(Jobs(self), theme, settings, Actions(self, theme))
        self.desktop: Desktop | None = None
        self._waiting: list[Path] = []
        self.messages = MessageBar(theme)
        self.header = Header(self.ui)
        self.status = StatusBar(self.ui.jobs, theme)
        self.pages = QStackedWidget()
        self.first_page = StartPage(self.ui.actions)
        self.pages.addWidget(self.first_page)
        self._build()
        self.zones = DropZones(theme, self)
        self.zones.image_dropped.connect(self.open_paths)
        self.zones.mask_dropped.connect(self._add_mask)
        self._bind()
        self.ui.jobs.failed.connect(self._on_job_failed)
        theme.changed.connect(self._remember_theme)

    def attach(self, session: Session) -> None:
        """Work with a session from now on; what was dropped meanwhile is opened."""
        # Not at the top: it brings the database and the readers of images, and the window is to be shown first.
        from segdesk.ui.desktop import Desktop

        self.desktop = Desktop(self, session)
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.desktop.open_paths(waiting)

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Open files, folders or projects; kept until there is a session."""
        if self.desktop is None:
            self._waiting.extend(paths)
        else:
            self.desktop.open_paths(paths)

    def go_to(self, place: Place) -> None:
        """Show a workspace."""
        if self.desktop is not None:
            self.desktop.go_to(place)

    def tell(self, error: Exception | str) -> None:
        """Show an error that belongs to no other place."""
        self.messages.tell(error if isinstance(error, str) else error_text(error))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders; with a case open, ask by two zones what they are."""
        if not any(url.isLocalFile() for url in event.mimeData().urls()):
            return
        event.acceptProposedAction()
        case = None if self.desktop is None else self.desktop.session.case
        if case is not None:
            self.zones.appear(case.record.name)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        event.acceptProposedAction()
        self.open_paths([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Save, stop the jobs, then close; unsaved work keeps the window open."""
        if self.desktop is not None and not self.desktop.put_away():
            event.ignore()
            return
        self.closing.emit()
        self.ui.jobs.shut_down()
        super().closeEvent(event)

    def _build(self) -> None:
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.header, self.messages):
            column.addWidget(widget)
        column.addWidget(self.pages, 1)
        column.addWidget(self.status)
        self.setCentralWidget(whole)
        self.header.show_place(Place.READ)

    def _bind(self) -> None:
        actions = self.ui.actions
        for place, act in GO_ACTS.items():
            actions.bind(act, partial(self.go_to, place))
        actions.bind(Act.THEME, self.ui.theme.toggle)
        actions.bind(Act.HELP_KEYS, self._show_keys)
        actions.bind(Act.ABOUT, self._show_about)
        actions.bind(Act.QUIT, self.close)

    def _add_mask(self, path: Path) -> None:
        if self.desktop is not None:
            self.desktop.exchange.add_mask(path)

    def _show_keys(self) -> None:
        sheet = KeysSheet(self)
        sheet.finished.connect(sheet.deleteLater)
        sheet.open()

    def _show_about(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle("About segdesk")
        box.setText("segdesk")
        box.setInformativeText(
            "Draft, correct, vote on, merge and score segmentations, and teach the model that drafts them.\n\n"
            "Research use only, not a medical device. Apache License 2.0."
        )
        box.finished.connect(box.deleteLater)
        box.open()

    def _remember_theme(self) -> None:
        self.ui.settings.set("window.theme", self.ui.theme.name.value)

    def _on_job_failed(self, job: Job, error: Exception) -> None:
        self.tell(error)
