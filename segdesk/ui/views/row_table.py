"""A sortable table view over rows that are plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from segdesk.ui.models.columns import Column

Row = TypeVar("Row")
AnyIndex = QModelIndex | QPersistentModelIndex
SORT_ROLE = int(Qt.ItemDataRole.UserRole)
ROW_HEIGHT_PX = 32
_PADDING_PX = 24


class RowTableModel(QAbstractTableModel, Generic[Row]):
    """Shows rows by columns; the rows are frozen values made elsewhere.

    Parameters
    ----------
    columns : sequence of Column
        What is shown.
    decoration : callable, optional
        Picture or colour of a row's first cell (QPixmap, QIcon or QColor), None for none.
    is_ticked : callable, optional
        Whether a row's tick is set; without it rows have none.
    """

    ticked = QtSignal(object, bool)
    """The user ticked or unticked a row."""

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        decoration: Callable[[Row], Any] | None = None,
        is_ticked: Callable[[Row], bool] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._columns = tuple(columns)
        self._decoration = decoration
        self._is_ticked = is_ticked
        self._rows: tuple[Row, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows in the order they were given."""
        return self._rows

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows; a table of equal length keeps its selection and scroll place."""
        new = tuple(rows)
        if len(new) != len(self._rows):
            self.beginResetModel()
            self._rows = new
            self.endResetModel()
        elif new:
            self._rows = new
            self.refresh()

    def refresh(self) -> None:
        """Ask the view to paint every cell again (a thumbnail arrived)."""
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(self._columns) - 1))

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return text, tooltip, alignment, sort key or decoration of a cell."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(row)
        if role == SORT_ROLE:
            return column.sort_key(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.tip(row) or column.text(row)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        return self._first_cell(row, role) if index.column() == 0 else None

    def flags(self, index: AnyIndex) -> Qt.ItemFlag:
        """Let the first column be ticked where rows have ticks."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if self._is_ticked and index.column() == 0 else flags

    def setData(self, index: AnyIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Announce a tick; whoever listens changes the rows."""
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid():
            return False
        self.ticked.emit(self._rows[index.row()], Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def _first_cell(self, row: Row, role: int) -> Any:
        if role == Qt.ItemDataRole.DecorationRole and self._decoration:
            return self._decoration(row)
        if role == Qt.ItemDataRole.CheckStateRole and self._is_ticked:
            return Qt.CheckState.Checked if self._is_ticked(row) else Qt.CheckState.Unchecked
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return title, definition and alignment of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = self._columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.help or column.title
        return _alignment(column) if role == Qt.ItemDataRole.TextAlignmentRole else None


class RowTable(QTableView, Generic[Row]):
    """A calm table: no grid, whole rows, sortable headers, the last free width to one column.

    Parameters
    ----------
    columns : sequence of Column
        What is shown; a `width_px` of 0 takes the room that is left.
    decoration, is_ticked : callable, optional
        See `RowTableModel`.
    """

    ticked = QtSignal(object, bool)
    """The user ticked or unticked a row."""

    activated_row = QtSignal(object)
    """A row was double-clicked, or Enter was pressed on it."""
    current_row = QtSignal(object)
    """The selected row changed; None when there is none."""

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        decoration: Callable[[Row], Any] | None = None,
        is_ticked: Callable[[Row], bool] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._source: RowTableModel[Row] = RowTableModel(columns, decoration, is_ticked, self)
        self._source.ticked.connect(self.ticked)
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSourceModel(self._source)
        self._sorted.setSortRole(SORT_ROLE)
        self.setModel(self._sorted)
        self._style()
        self._size_columns(columns)
        self.activated.connect(self._emit_activated)
        self.selectionModel().currentRowChanged.connect(self._emit_current)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows in the order they were given."""
        return self._source.rows

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows."""
        self._source.set_rows(rows)

    def refresh(self) -> None:
        """Paint every cell again."""
        self._source.refresh()

    def shown_rows(self) -> list[Row]:
        """Return the rows in the order on screen."""
        proxies = (self._sorted.index(n, 0) for n in range(self._sorted.rowCount()))
        return [self._source.rows[self._sorted.mapToSource(index).row()] for index in proxies]

    def selected_row(self) -> Row | None:
        """Return the selected row, None when there is none."""
        return self._row_at(self.currentIndex())

    def select_position(self, position: int) -> None:
        """Select a row by its place in the rows given; scrolls to it."""
        index = self._sorted.mapFromSource(self._source.index(position, 0))
        self.setCurrentIndex(index)
        self.scrollTo(index)

    def _row_at(self, index: AnyIndex) -> Row | None:
        source = self._sorted.mapToSource(index)
        return self._source.rows[source.row()] if source.isValid() else None

    def _emit_activated(self, index: QModelIndex) -> None:
        row = self._row_at(index)
        if row is not None:
            self.activated_row.emit(row)

    def _emit_current(self, current: QModelIndex, previous: QModelIndex) -> None:
        self.current_row.emit(self._row_at(current))

    def _style(self) -> None:
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT_PX)

    def _size_columns(self, columns: Sequence[Column[Row]]) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(40)
        for position, column in enumerate(columns):
            if column.width_px == 0:
                header.setSectionResizeMode(position, QHeaderView.ResizeMode.Stretch)
                continue
            title_px = header.fontMetrics().horizontalAdvance(column.title) + _PADDING_PX
            header.resizeSection(position, max(column.width_px, title_px))

    def sort_by(self, column: int, *, descending: bool = False) -> None:
        """Make the headers sort on click and start with this column."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self.sortByColumn(column, order)
        self.setSortingEnabled(True)


def _alignment(column: Column[Any]) -> int:
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
