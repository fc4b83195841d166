"""Shows what a folder holds; one opens a series, or adds several as cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from segdesk.io.series import Refusal
from segdesk.ui.jobs import Job, Jobs
from segdesk.ui.models.number_text import count
from segdesk.ui.models.series_choice import SeriesChoice, SeriesRow
from segdesk.ui.models.series_previews import SeriesPreviews
from segdesk.ui.panels.empty_state import EmptyState
from segdesk.ui.panels.series_preview import SeriesPreview
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role
from segdesk.ui.views.series_tree import SeriesTree, summary_text

_SIZE_PX = (1216, 720)
_SCREEN_SHARE = 0.92
_SMALLEST_PX = (960, 560)
_SEARCH_PX = 240


class SeriesBrowserDialog(QDialog):
    """Waits for a scan, then lists its series beside a look at the selected one.

    Parameters
    ----------
    path : Path
        What is being looked through.
    jobs : Jobs
        Reads the pictures.
    theme : Theme
        Colours of the icons.

    Signals
    -------
    opened : SeriesRow
        This series shall be opened.
    added : tuple of SeriesRow
        These series shall become cases.
    stopped
        Closed before the scan was done.
    """

    opened = QtSignal(object)
    added = QtSignal(object)
    stopped = QtSignal()

    def __init__(self, path: Path, jobs: Jobs, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Open {path.name}")
        self.resize(QSize(*_SIZE_PX).boundedTo(self.screen().availableSize() * _SCREEN_SHARE))
        self.setMinimumSize(*_SMALLEST_PX)
        self._path, self._jobs, self._theme = path, jobs, theme
        self._choice: SeriesChoice | None = None
        self._reading: Job | None = None
        self._is_over = False
        self.previews = SeriesPreviews()
        self.tree: SeriesTree | None = None
        self.message = EmptyState("", "")
        self._pages = QStackedWidget()
        self._pages.addWidget(self._waiting_page())
        self._pages.addWidget(self.message)
        self._buttons = self._button_row()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * GRID_PX, 2 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        layout.addWidget(self._pages, 1)
        layout.addLayout(self._buttons)
        self.finished.connect(self._end)

    def show_progress(self, done: int, total: int, text: str) -> None:
        """Show how far the scan is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self._progress.setText(f"{text} · {done} of {total}" if total else text)

    def show_later(self, patience_ms: int) -> None:
        """Appear if the scan is still running then: it takes longer than anybody waits in silence."""
        # A child of the dialog, not a single shot: that would hold the dialog until it fires.
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(self._show_if_waiting)
        timer.start(patience_ms)

    def _show_if_waiting(self) -> None:
        if self._choice is None and not self._is_over:
            self.open()

    def dismiss(self) -> None:
        """Go away without a word: there was nothing to ask."""
        self._is_over = True
        self.hide()
        self.deleteLater()

    def show_error(self, text: str) -> None:
        """Show why nothing can be listed."""
        self.message.say(f"{self._path.name} cannot be opened", text)
        self._pages.setCurrentWidget(self.message)

    def show_choice(self, choice: SeriesChoice) -> None:
        """List what was found."""
        self._choice = choice
        choice.changed.connect(self._refresh)
        choice.filtered.connect(self._filter)
        self.previews.wanted.connect(self._read_next)
        self.previews.arrived.connect(self._on_picture)
        self.tree = SeriesTree(choice, self.previews, self._theme)
        self.preview = SeriesPreview(self.previews, self._theme)
        self.tree.current.connect(self._on_current)
        self.tree.opened.connect(self._open)
        self._pages.addWidget(self._list_page(choice, self.tree))
        self._pages.setCurrentIndex(self._pages.count() - 1)
        self._refresh()
        self.tree.select_first()
        self.tree.setFocus()

    @property
    def choice(self) -> SeriesChoice | None:
        """What is listed; None while the scan runs."""
        return self._choice

    def _open(self, row: SeriesRow) -> None:
        self.opened.emit(row)
        self.accept()

    def _open_current(self) -> None:
        value = None if self.tree is None else self.tree.selected()
        if isinstance(value, SeriesRow):
            self._open(value)

    def _add(self) -> None:
        if self._choice is not None and self._choice.chosen:
            self.added.emit(self._choice.chosen)
            self.accept()

    def _on_current(self, value: SeriesRow | Refusal | None) -> None:
        self.preview.show_value(value)
        self.open_button.setEnabled(isinstance(value, SeriesRow))
        self.open_button.setText(_verb(value))

    def _filter(self) -> None:
        if self.tree is not None:
            self.tree.source.reload()
            self.tree.select_first()
            self._refresh()

    def _refresh(self) -> None:
        if self._choice is None or self.tree is None:
            return
        number = len(self._choice.chosen)
        self.add_button.setText(f"Add {count(number, 'case')}" if number else "Add as cases")
        self.add_button.setEnabled(number > 0)
        self.all.setChecked(number == len(self._choice.rows) > 0)
        self.tree.source.refresh()
        self._nothing.setVisible(not self._choice.groups)

    def _read_next(self) -> None:
        task = None if self._reading is not None else self.previews.next_task()
        if task is not None:
            self._reading = self._jobs.start(task)
            self._reading.finished.connect(self._on_read)

    def _on_read(self) -> None:
        self._reading = None
        self._read_next()

    def _on_picture(self) -> None:
        if self.tree is not None:
            self.tree.source.refresh()
            self.preview.take_picture()

    def _end(self, result: int) -> None:
        """Leave nothing running: what is opened next must not wait for pictures."""
        self._is_over = True
        self.previews.forget_queue()
        if self._reading is not None:
            self._reading.cancel()
        if self._choice is None:
            self.stopped.emit()

    def _waiting_page(self) -> QWidget:
        title = set_role(QLabel(f"Looking through {self._path.name}"), Role.TITLE)
        self._progress = set_role(QLabel("Reading headers"), Role.MUTED)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(2 * _SEARCH_PX)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setSpacing(GRID_PX)
        column.addStretch(2)
        for widget in (title, self.bar, self._progress):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        return page

    def _list_page(self, choice: SeriesChoice, tree: SeriesTree) -> QWidget:
        title = set_role(QLabel(self._path.name), Role.TITLE)
        summary = set_role(QLabel(summary_text(choice)), Role.MUTED)
        summary.setToolTip(choice.skipped_text())
        self.all = QCheckBox("All")
        self.all.setToolTip("Tick all series that are listed (Ctrl+A)")
        self.all.clicked.connect(choice.choose_shown)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Filter (Ctrl+F)")
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(_SEARCH_PX)
        self.search.textChanged.connect(self._take_words)
        QShortcut(QKeySequence.StandardKey.Find, self, self.search.setFocus)
        head = QHBoxLayout()
        head.setSpacing(2 * GRID_PX)
        head.addWidget(title)
        head.addWidget(summary, 1)
        head.addWidget(self.all)
        head.addWidget(self.search)
        self._nothing = set_role(QLabel("No series matches; clear the filter to see all."), Role.MUTED)
        left = QVBoxLayout()
        left.setSpacing(GRID_PX)
        left.addWidget(tree, 1)
        left.addWidget(self._nothing)
        body = QHBoxLayout()
        body.setSpacing(2 * GRID_PX)
        body.addLayout(left, 1)
        body.addWidget(self.preview)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2 * GRID_PX)
        column.addLayout(head)
        column.addLayout(body, 1)
        return page

    def _button_row(self) -> QHBoxLayout:
        self.open_button = set_role(
            _button("Open", self._open_current, "Open the selected series (Enter)"), Role.PRIMARY
        )
        self.add_button = _button("Add as cases", self._add, "Add every ticked series to the project (Ctrl+Enter)")
        QShortcut(QKeySequence("Ctrl+Return"), self, self._add)
        self.close_button = _button("Cancel", self.reject, "Open nothing (Esc)")
        for button in (self.open_button, self.add_button):
            button.setEnabled(False)
        row = QHBoxLayout()
        row.setSpacing(GRID_PX)
        row.addStretch()
        for button in (self.close_button, self.add_button, self.open_button):
            row.addWidget(button)
        return row

    def _take_words(self, words: str) -> None:
        if self._choice is not None:
            self._choice.words = words


def _verb(value: SeriesRow | Refusal | None) -> str:
    if not isinstance(value, SeriesRow):
        return "Open"
    return "Add to the open case" if value.entry.is_mask else "Open as slices" if value.is_stack else "Open"


def _button(text: str, run: Callable[[], object], tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    button.clicked.connect(lambda checked=False: run())
    return button
