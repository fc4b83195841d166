"""Who reads: the present reader and the way to another."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QInputDialog, QMenu, QToolButton, QWidget

from segdesk.core.events import Change
from segdesk.session import Session
from segdesk.store.records import RaterKind, RaterRecord
from segdesk.ui.context import Ui
from segdesk.ui.icons import Glyph


class ReaderButton(QToolButton):
    """Shows the reader's name; its menu switches.

    Parameters
    ----------
    session : Session
        Whose reader it is.
    ui : Ui
        Of the window.
    """

    def __init__(self, session: Session, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._ui = session, ui
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolTip("The reader who works here; each has a mask of their own")
        ui.theme.put_icon(self, Glyph.READER)
        self._menu = QMenu(self)
        self._menu.aboutToShow.connect(self._fill)
        self.setMenu(self._menu)
        session.rater.changed.connect(self._show)
        session.changed.connect(self._on_session)
        self._show(session.rater.value)

    def use(self, name: str) -> None:
        """Make a reader the present one; a new name makes a new reader."""
        self._ui.settings.set("reader.name", name)
        self._ui.jobs.start(self._session.use_rater(name))

    def _fill(self) -> None:
        self._menu.clear()
        present = self._session.rater.value
        for rater in self._session.raters:
            if rater.kind is RaterKind.MODEL:
                continue
            text = f"{rater.name} (simulated)" if rater.kind is RaterKind.SIMULATED else rater.name
            action = self._menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(present is not None and rater.id == present.id)
            action.triggered.connect(partial(self.use, rater.name))
        self._menu.addSeparator()
        self._menu.addAction("New reader…").triggered.connect(self._ask)

    def _ask(self) -> None:
        dialog = QInputDialog(self)
        dialog.setWindowTitle("New reader")
        dialog.setLabelText("Name or initials; it is shown to the others with your read:")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(self._take)
        dialog.open()

    def _take(self, name: str) -> None:
        if name.strip():
            self.use(name.strip())

    def _show(self, rater: RaterRecord | None) -> None:
        self.setText("No reader" if rater is None else rater.name)
        self.setEnabled(self._session.project is not None)

    def _on_session(self, change: Change, source: object) -> None:
        if change & Change.PROJECT:
            self._show(self._session.rater.value)
