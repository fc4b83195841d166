"""The label list: eye, colour, name, volume, lock."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QSize, Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Box
from segdesk.core.events import Change
from segdesk.session import Session
from segdesk.ui.icons import Glyph
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.label_list_model import LabelListModel
from segdesk.ui.models.layers import layers_text
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.label_table import Column, LabelTableModel
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role

ROW_HEIGHT_PX = 28
_SEARCH_FROM = 10
_COUNT_WAIT_MS = 300
_WIDTHS = {Column.EYE: 24, Column.COLOUR: 22, Column.LOCK: 24}


class LabelListPanel(QWidget):
    """The label list with its heading, a search field when it is long, and a button to add a label.

    Parameters
    ----------
    session : Session
        Holds the labels.
    views : ViewSet
        Of the open case.
    jobs, theme
        Of the window.
    """

    def __init__(self, session: Session, views: ViewSet, jobs: Jobs, theme: Theme) -> None:
        super().__init__()
        self._session, self._views, self._jobs = session, views, jobs
        self.model = LabelListModel(session, views)
        self.items = LabelTableModel(self.model, theme, self)
        self.view = _table(self.items)
        self.view.clicked.connect(self._on_clicked)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search labels")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.items.search)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._count)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._head(theme, views.volume.geometry.source))
        column.addWidget(self.search)
        column.addWidget(self.view, 1)
        self.layers_note = wrapped("", Role.WARNING)
        column.addWidget(self.layers_note)
        self._ties = (
            (self.model.changed, self._reload), (views.style.changed, self._reload),
            (session.editor.active_value.changed, self._reload), (session.editor.locked.changed, self._reload),
            (views.labels_changed, self._on_labels), (session.changed, self._on_session),
        )  # fmt: skip
        for signal, slot in self._ties:
            signal.connect(slot)
        self._reload()
        self._timer.start(0)

    def let_go(self) -> None:
        """Stop listening before deletion."""
        self._timer.stop()
        for signal, slot in self._ties:
            signal.disconnect(slot)

    def _head(self, theme: Theme, geometry_source: str) -> QHBoxLayout:
        heading = QLabel("Labels")
        heading.setToolTip(f"Volumes by the geometry from {geometry_source}")
        set_role(heading, Role.HEADING)
        add = QToolButton()
        add.setToolTip("Add a label")
        add.setAccessibleName("Add a label")
        theme.put_icon(add, Glyph.ADD)
        add.clicked.connect(self._add)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(heading, 1)
        row.addWidget(add)
        return row

    def _add(self) -> None:
        self.search.clear()
        self.model.add()
        self.view.edit(self.items.index(len(self.items.rows) - 1, Column.NAME))

    def _on_clicked(self, index: QModelIndex) -> None:
        value = self.items.rows[index.row()].label.value
        if index.column() == Column.EYE:
            self.model.toggle_visible(value)
        elif index.column() == Column.LOCK:
            self.model.toggle_locked(value)
        elif index.column() == Column.COLOUR:
            self._ask_colour(value)
        else:
            self.model.activate(value)
        self._reload()

    def _ask_colour(self, value: int) -> None:
        dialog = QColorDialog(QColor(*self._views.colour_of(value)), self)
        dialog.setWindowTitle(f"Colour of {self.model.table.name_of(value)}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(
            lambda colour: self.model.recolour(value, (colour.red(), colour.green(), colour.blue()))
        )
        dialog.open()

    def _reload(self, value: object = None) -> None:
        self.items.reload()
        self.search.setVisible(len(self.model.table) >= _SEARCH_FROM)
        self.layers_note.setText(layers_text(len(self._views.labels.layers)))
        self.layers_note.setVisible(bool(self.layers_note.text()))
        active = [number for number, row in enumerate(self.items.rows) if row.is_active]
        if active:
            self.view.selectRow(active[0])
        else:
            self.view.clearSelection()

    def _on_labels(self, box: Box) -> None:
        self.model.touch(box)
        if not self._timer.isActive():
            self._timer.start(_COUNT_WAIT_MS)

    def _on_session(self, change: Change, source: object) -> None:
        if change & Change.TABLE:
            self._reload()

    def _count(self) -> None:
        task = self.model.count()
        if task is not None:
            self._jobs.start(task).succeeded.connect(self._on_counted)

    def _on_counted(self, counts: object) -> None:
        self._timer.start(0)


def _table(items: LabelTableModel) -> QTableView:
    view = QTableView()
    view.setModel(items)
    view.setAccessibleName("Labels")
    view.setObjectName("labelList")
    view.horizontalHeader().hide()
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(ROW_HEIGHT_PX)
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setWordWrap(False)
    view.setIconSize(QSize(16, 16))
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    header = view.horizontalHeader()
    header.setMinimumSectionSize(20)
    for column in Column:
        fixed = column in _WIDTHS
        header.setSectionResizeMode(
            column, QHeaderView.ResizeMode.Fixed if fixed else QHeaderView.ResizeMode.ResizeToContents
        )
        if fixed:
            view.setColumnWidth(column, _WIDTHS[column])
    header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)
    return view
