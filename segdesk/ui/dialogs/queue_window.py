"""The queue of cases that wait for a model; stays open beside the work."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from segdesk.session import Session
from segdesk.ui.icons import Glyph
from segdesk.ui.models.queue_rows import QueueRow, queue_summary
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role

_SIZE_PX = (560, 480)
_BAR_PX = 4


class QueueWindow(QDialog):
    """Rows with state, progress, and what can be done with each.

    Parameters
    ----------
    session : Session
        Its queue.
    theme : Theme
        For the icons.

    Signals
    -------
    case_asked : str
        Open this case and show its stored draft.
    """

    case_asked = QtSignal(str)

    def __init__(self, session: Session, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Draft queue")
        self.resize(*_SIZE_PX)
        self._session, self._queue, self._theme = session, session.queue, theme
        self.summary = wrapped("", Role.MUTED)
        self.hold = QPushButton("Hold")
        self.hold.setToolTip("Begin no further case; the running one goes on to its end")
        self.hold.clicked.connect(self._toggle_hold)
        self.cancel_all = QPushButton("Cancel all")
        self.cancel_all.clicked.connect(self._queue.cancel_all)
        self.clear = QPushButton("Clear finished")
        self.clear.setToolTip("Take finished rows off the list; their drafts stay stored with the cases")
        self.clear.clicked.connect(self._queue.clear_finished)
        self.rows: dict[int, QueueRowView] = {}
        self._list = QVBoxLayout()
        self._lay_out()
        self._queue.changed.connect(self._refresh)
        self.finished.connect(self._let_go)
        self._refresh()

    def _lay_out(self) -> None:
        inner = QWidget()
        self._list.setContentsMargins(0, 0, GRID_PX, 0)
        self._list.setSpacing(GRID_PX)
        self._list.addStretch()
        inner.setLayout(self._list)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        buttons = QHBoxLayout()
        buttons.setSpacing(GRID_PX)
        for button in (self.hold, self.cancel_all):
            buttons.addWidget(button)
        buttons.addStretch()
        buttons.addWidget(self.clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        column.setSpacing(2 * GRID_PX)
        column.addWidget(self.summary)
        column.addWidget(area, 1)
        column.addLayout(buttons)

    def _refresh(self) -> None:
        rows = [QueueRow.of(row) for row in self._queue.rows]
        for number in set(self.rows) - {row.number for row in rows}:
            self.rows.pop(number).deleteLater()
        for place, row in enumerate(rows):
            if row.number not in self.rows:
                view = QueueRowView(row.number, self._theme)
                view.pause.clicked.connect(partial(self._pause, row.number))
                view.cancel.clicked.connect(partial(self._cancel, row.number))
                view.open.clicked.connect(partial(self._open, row.number))
                self._list.insertWidget(place, view)
                self.rows[row.number] = view
            self.rows[row.number].show_row(row)
        self.summary.setText(queue_summary(self._queue))
        self.hold.setText("Go on" if self._queue.is_held else "Hold")
        self.cancel_all.setEnabled(any(row.can_cancel for row in rows))
        self.clear.setEnabled(any(not row.can_cancel for row in rows))

    def _toggle_hold(self) -> None:
        if self._queue.is_held:
            self._queue.go_on()
        else:
            self._queue.hold()

    def _pause(self, number: int, _: bool = False) -> None:
        view = self.rows[number]
        if view.row is not None and view.row.can_pause:
            self._queue.pause(number)
        else:
            self._queue.resume(number)

    def _cancel(self, number: int, _: bool = False) -> None:
        self._queue.cancel(number)

    def _open(self, number: int, _: bool = False) -> None:
        self.case_asked.emit(next(row.case_id for row in self._queue.rows if row.number == number))

    def _let_go(self) -> None:
        self._queue.changed.disconnect(self._refresh)


class QueueRowView(QFrame):
    """One entry.

    Parameters
    ----------
    number : int
        Of the entry.
    theme : Theme
        For the icons.
    """

    def __init__(self, number: int, theme: Theme) -> None:
        super().__init__()
        set_role(self, Role.CARD)
        self.number = number
        self.row: QueueRow | None = None
        self._theme = theme
        self._name, self._state, self._detail = QLabel(), QLabel(), wrapped("", Role.MUTED)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(_BAR_PX)
        self.open = QPushButton()
        self.pause, self.cancel = QToolButton(), QToolButton()
        self.cancel.setToolTip("Cancel")
        self.cancel.setAccessibleName("Cancel")
        theme.put_icon(self.cancel, Glyph.CLOSE)
        grid = QGridLayout(self)
        grid.setContentsMargins(12, GRID_PX, GRID_PX, GRID_PX)
        grid.setHorizontalSpacing(GRID_PX)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(0, 1)
        grid.addWidget(self._name, 0, 0)
        grid.addWidget(self._state, 0, 1)
        grid.addWidget(self.open, 0, 2, 2, 1)
        grid.addWidget(self.pause, 0, 3, 2, 1)
        grid.addWidget(self.cancel, 0, 4, 2, 1)
        grid.addWidget(self._detail, 1, 0, 1, 2)
        grid.addWidget(self.bar, 2, 0, 1, 5)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Be as high as the wrapped reason is at the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        layout = self.layout()
        if layout is not None:
            self.setMinimumHeight(layout.totalHeightForWidth(self.width()))

    def show_row(self, row: QueueRow) -> None:
        """Show how the entry stands."""
        self.row = row
        self._name.setText(row.name)
        self._state.setText(row.state)
        set_role(self._state, Role.ERROR if row.is_bad else Role.WARNING if row.is_doubtful else Role.MUTED)
        self._detail.setText(f"{row.model} · {row.detail}" if row.detail else row.model)
        self.bar.setVisible(row.part is not None)
        self.bar.setValue(round(1000 * (row.part or 0.0)))
        self.open.setVisible(row.can_open)
        self.open.setText("Open" if row.is_doubtful else "Preview")
        self.open.setToolTip(
            "Open the case and draw a box" if row.is_doubtful else "Open the case and look at the draft"
        )
        self.cancel.setVisible(row.can_cancel)
        self.pause.setVisible(row.can_pause or row.can_resume)
        self._theme.put_icon(self.pause, Glyph.PAUSE if row.can_pause else Glyph.PLAY)
        tip = "Pause; a running case begins anew when it goes on" if row.can_pause else "Put it back in line"
        if row.is_doubtful and row.can_resume:
            tip = "Draft the whole image all the same"
        self.pause.setToolTip(tip)
        self.pause.setAccessibleName(tip)
        self._fit()
