"""The label list: eye, colour, name, volume, lock."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
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
from segdesk.core.labels import Colour
from segdesk.session import Session
from segdesk.ui.icons import Glyph, glyph_pixmap
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.label_list_model import LabelListModel, LabelRow
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role

ROW_HEIGHT_PX = 28
_SWATCH_PX = 14
_SEARCH_FROM = 10
_COUNT_WAIT_MS = 300
_AnyIndex = QModelIndex | QPersistentModelIndex


class Column(IntEnum):
    """The columns."""

    EYE = 0
    COLOUR = 1
    NAME = 2
    VOLUME = 3
    LOCK = 4


_WIDTHS = {Column.EYE: 28, Column.COLOUR: 26, Column.LOCK: 32}


class LabelTableModel(QAbstractTableModel):
    """The label list for Qt; all decisions are the model's behind it."""

    def __init__(self, model: LabelListModel, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._theme = theme
        self._words = ""
        self._rows: list[LabelRow] = []
        self._icons: dict[tuple[Glyph, bool], QIcon] = {}
        theme.changed.connect(self._on_theme)
        self.reload()

    @property
    def rows(self) -> list[LabelRow]:
        """The rows shown."""
        return self._rows

    def search(self, words: str) -> None:
        """Show only labels whose name or value holds the words."""
        self._words = words.strip().lower()
        self.reload()

    def reload(self) -> None:
        """Take the rows anew; the selection survives when their number stays."""
        rows = [row for row in self._model.rows() if self._words in f"{row.label.value} {row.label.name}".lower()]
        if [row.label.value for row in rows] != [row.label.value for row in self._rows]:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
        elif rows:
            self._rows = rows
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(Column) - 1))

    def rowCount(self, parent: _AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return 0 if parent.isValid() else len(Column)

    def flags(self, index: _AnyIndex) -> Qt.ItemFlag:
        """Let names be edited."""
        base = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return base | Qt.ItemFlag.ItemIsEditable if index.column() == Column.NAME else base

    def data(self, index: _AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        row, column = self._rows[index.row()], Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return {Column.NAME: row.label.name, Column.VOLUME: row.volume}.get(column)
        if role == Qt.ItemDataRole.EditRole and column is Column.NAME:
            return row.label.name
        if role == Qt.ItemDataRole.DecorationRole:
            return self._decoration(row, column)
        if role == Qt.ItemDataRole.ForegroundRole and column is Column.VOLUME:
            return self._theme.tokens.colour("muted")
        if role == Qt.ItemDataRole.TextAlignmentRole and column is Column.VOLUME:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return _tip(row, column) if role == Qt.ItemDataRole.ToolTipRole else None

    def setData(self, index: _AnyIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Rename a label."""
        self._model.rename(self._rows[index.row()].label.value, str(value))
        return True

    def _decoration(self, row: LabelRow, column: Column) -> QIcon | None:
        if column is Column.EYE:
            return self._icon(Glyph.EYE if row.is_visible else Glyph.EYE_OFF, strong=row.is_visible)
        if column is Column.LOCK:
            return self._icon(Glyph.LOCK if row.is_locked else Glyph.LOCK_OPEN, strong=row.is_locked)
        return _swatch(row.label.colour_rgb) if column is Column.COLOUR else None

    def _icon(self, glyph: Glyph, *, strong: bool) -> QIcon:
        key = glyph, strong
        if key not in self._icons:
            colour = self._theme.tokens.colour("text" if strong else "faint")
            self._icons[key] = _untinted(glyph_pixmap(glyph, colour, 16, 3))
        return self._icons[key]

    def _on_theme(self) -> None:
        self._icons.clear()
        self.reload()


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
        column.addLayout(self._head(theme))
        column.addWidget(self.search)
        column.addWidget(self.view, 1)
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

    def _head(self, theme: Theme) -> QHBoxLayout:
        heading = QLabel("Labels")
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


def _swatch(colour_rgb: Colour) -> QIcon:
    pixmap = QPixmap(_SWATCH_PX * 3, _SWATCH_PX * 3)
    pixmap.setDevicePixelRatio(3)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*colour_rgb))
    painter.drawRoundedRect(0, 0, _SWATCH_PX, _SWATCH_PX, 3, 3)
    painter.end()
    return _untinted(pixmap)


def _untinted(pixmap: QPixmap) -> QIcon:
    """Return an icon that keeps its colours in a selected row: a label's colour must be true."""
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _tip(row: LabelRow, column: Column) -> str:
    tips = {
        Column.EYE: "Hide" if row.is_visible else "Show", Column.COLOUR: "Choose a colour",
        Column.NAME: f"{row.label.name} (value {row.label.value}); click to draw with it, double-click to rename",
        Column.VOLUME: "Volume", Column.LOCK: "Unlock" if row.is_locked else "Lock: no tool changes it",
    }  # fmt: skip
    return tips[column]
