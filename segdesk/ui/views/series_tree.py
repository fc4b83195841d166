"""The list of series in the browser: grouped, with pictures and ticks; what cannot be opened comes last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QColor, QFont, QIcon, QKeyEvent, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTreeView, QWidget

from segdesk.io.series import Refusal
from segdesk.ui.icons import Glyph, glyph_pixmap
from segdesk.ui.models.number_text import UNDEFINED, count
from segdesk.ui.models.series_choice import SeriesChoice, SeriesRow, refusal_remark
from segdesk.ui.models.series_facts import spacing_text, voxels_text
from segdesk.ui.models.series_previews import SMALL_PX, SeriesPreviews
from segdesk.ui.pixmaps import pixmap_of
from segdesk.ui.theme import GRID_PX, Theme
from segdesk.ui.views.two_line_delegate import SECOND_ROLE, TwoLineDelegate

_AnyIndex = QModelIndex | QPersistentModelIndex
_PICTURE_PX = 48
_ROW_PX = _PICTURE_PX + GRID_PX
_GROUP_PX = 28
_ICON_PX = 18


@dataclass(frozen=True, slots=True)
class _SeriesColumn:
    """A column of two lines: what stands above, and what below in small."""

    title: str
    first: Callable[[SeriesRow], str]
    second: Callable[[SeriesRow], str]
    width_px: int
    help: str = ""
    is_number: bool = False


def _nothing(row: SeriesRow) -> str:
    return ""


def _what(row: SeriesRow) -> str:
    return " · ".join(part for part in (row.entry.modality, row.kind_text) if part)


def _spacing(row: SeriesRow) -> str:
    text = spacing_text(row.entry)
    return "spacing not known" if text == UNDEFINED else f"{text} mm"


def _first_remark(row: SeriesRow) -> str:
    return row.remarks[0].code.replace("_", " ") if row.remarks else ""


def _more_remarks(row: SeriesRow) -> str:
    more = len(row.remarks) - 1
    return f"and {more} more" if more > 0 else ""


COLUMNS = (
    _SeriesColumn("Series", lambda row: row.name, _what, 0),
    _SeriesColumn(
        "Voxels, spacing", lambda row: voxels_text(row.entry), _spacing, 176,
        "Columns × rows × slices, and the distance of voxel centres", is_number=True,
    ),
    _SeriesColumn("Files", lambda row: str(row.entry.files), _nothing, 64, is_number=True),
    _SeriesColumn("Remarks", _first_remark, _more_remarks, 0, "What one must know before opening it"),
)  # fmt: skip
"""From left to right."""

_REMARKS = len(COLUMNS) - 1


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """A heading with its rows; no heading is shown for an empty title."""

    title: str
    rows: tuple[SeriesRow | Refusal, ...]


class SeriesTreeModel(QAbstractItemModel):
    """Groups and rows of a choice for Qt; all decisions are the choice's.

    Parameters
    ----------
    choice : SeriesChoice
        What is listed.
    previews : SeriesPreviews
        The small pictures.
    theme : Theme
        Colours of the icons.
    """

    def __init__(self, choice: SeriesChoice, previews: SeriesPreviews, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._choice, self._previews, self._theme = choice, previews, theme
        self._groups: tuple[_Group, ...] = ()
        self._icons: dict[str, QIcon] = {}
        self.reload()

    def reload(self) -> None:
        """Take the groups anew: other words are searched for."""
        self.beginResetModel()
        groups = [_Group(group.title, group.rows) for group in self._choice.groups]
        if self._choice.refused:
            groups.append(_Group(f"Cannot be opened ({len(self._choice.refused)})", self._choice.refused))
        self._groups = tuple(groups)
        self.endResetModel()

    def refresh(self) -> None:
        """Ask the view to paint every cell again: ticks or pictures changed."""
        for number in range(len(self._groups)):
            parent = self.index(number, 0)
            last = self.rowCount(parent) - 1
            if last >= 0:
                self.dataChanged.emit(self.index(0, 0, parent), self.index(last, len(COLUMNS) - 1, parent))

    def value(self, index: _AnyIndex) -> SeriesRow | Refusal | None:
        """Return what a row stands for; None for a heading."""
        if not index.isValid() or index.internalId() == 0:
            return None
        return self._groups[index.internalId() - 1].rows[index.row()]

    def index(self, row: int, column: int, parent: _AnyIndex = QModelIndex()) -> QModelIndex:  # noqa: B008
        """Return an index; its id is 0 for headings, else 1 + the number of the group."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def parent(self, index: _AnyIndex = QModelIndex()) -> Any:  # noqa: B008
        """Return the heading of a row."""
        if not index.isValid() or index.internalId() == 0:
            return QModelIndex()
        return self.createIndex(index.internalId() - 1, 0, 0)

    def rowCount(self, parent: _AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of headings, or of the rows below one."""
        if not parent.isValid():
            return len(self._groups)
        return len(self._groups[parent.row()].rows) if parent.internalId() == 0 and parent.column() == 0 else 0

    def columnCount(self, parent: _AnyIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return len(COLUMNS)

    def flags(self, index: _AnyIndex) -> Qt.ItemFlag:
        """Let series be selected and ticked, refusals be selected, headings neither."""
        value = self.value(index)
        if value is None:
            return Qt.ItemFlag.ItemIsEnabled
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        is_tick = isinstance(value, SeriesRow) and index.column() == 0
        return flags | Qt.ItemFlag.ItemIsUserCheckable if is_tick else flags

    def data(self, index: _AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        value = self.value(index)
        if value is None:
            return self._heading(index, role)
        if isinstance(value, Refusal):
            return self._refusal(value, index.column(), role)
        return self._series(value, index.column(), role)

    def setData(self, index: _AnyIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Pass a tick on to the choice, which announces it."""
        row = self.value(index)
        if role != Qt.ItemDataRole.CheckStateRole or not isinstance(row, SeriesRow):
            return False
        self._choice.choose(row, Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return title, definition and alignment of a column."""
        column = COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.help or column.title
        return _alignment(column) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def _heading(self, index: _AnyIndex, role: int) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and index.column() == 0:
            return self._groups[index.row()].title
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._theme.tokens.colour("muted")
        if role == Qt.ItemDataRole.FontRole:
            font = QFont()
            font.setPointSize(9)
            font.setWeight(QFont.Weight.DemiBold)
            return font
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(0, _GROUP_PX if self._groups[index.row()].title else 1)
        return None

    def _refusal(self, refusal: Refusal, column: int, role: int) -> Any:
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(0, _GROUP_PX + GRID_PX)
        if column != 0:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{refusal.code.replace('_', ' ')}: {refusal_remark(refusal).text}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return refusal_remark(refusal).what_to_do
        if role == Qt.ItemDataRole.DecorationRole:
            return glyph_pixmap(Glyph.ALERT, self._theme.tokens.colour("error"), _ICON_PX, 2.0)
        return None

    def _series(self, row: SeriesRow, column: int, role: int) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[column].first(row)
        if role == SECOND_ROLE:
            return COLUMNS[column].second(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row) if column == _REMARKS else COLUMNS[column].first(row)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(COLUMNS[column])
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(0, _ROW_PX)
        if column == 0 and role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if self._choice.is_chosen(row) else Qt.CheckState.Unchecked
        if column == 0 and role == Qt.ItemDataRole.DecorationRole:
            return self._picture(row)
        return self._remark(row, role) if column == _REMARKS else None

    def _remark(self, row: SeriesRow, role: int) -> Any:
        """Return icon and colour of the remarks: an error's for what is no volume, else a warning's."""
        if not row.remarks:
            return None
        colour = self._theme.tokens.colour("error" if row.is_stack else "warning")
        if role == Qt.ItemDataRole.ForegroundRole:
            return colour
        if role == Qt.ItemDataRole.DecorationRole:
            return glyph_pixmap(Glyph.ALERT if row.is_stack else Glyph.WARNING, colour, _ICON_PX, 2.0)
        return None

    def _picture(self, row: SeriesRow) -> QIcon:
        uid = row.entry.uid
        if uid not in self._icons:
            picture = self._previews.small(row)
            if picture is None:
                return QIcon(_blank(self._theme.tokens.colour("raised")))
            self._icons[uid] = _plain_icon(pixmap_of(picture, SMALL_PX / _PICTURE_PX))
        return self._icons[uid]


class SeriesTree(QTreeView):
    """Shows a choice; keys: arrows, Space ticks, Enter opens, Ctrl+A ticks all.

    Signals
    -------
    current : SeriesRow, Refusal or None
        Another row is selected.
    opened : SeriesRow
        Enter or a double click on a series.
    """

    current = QtSignal(object)
    opened = QtSignal(object)

    def __init__(self, choice: SeriesChoice, previews: SeriesPreviews, theme: Theme) -> None:
        super().__init__()
        self._choice = choice
        self._source = SeriesTreeModel(choice, previews, theme, self)
        self.setModel(self._source)
        self.setObjectName("seriesTree")
        self.setAccessibleName("Series")
        self.setItemDelegate(TwoLineDelegate(theme, self))
        self._style()
        self._take_rows()
        self._source.modelReset.connect(self._take_rows)
        self.selectionModel().currentRowChanged.connect(self._emit_current)
        self.doubleClicked.connect(self._emit_opened)
        theme.changed.connect(self._source.refresh)

    @property
    def source(self) -> SeriesTreeModel:
        """The rows for Qt."""
        return self._source

    def selected(self) -> SeriesRow | Refusal | None:
        """Return the selected row."""
        return self._source.value(self.currentIndex())

    def select_first(self, wanted: Callable[[SeriesRow | Refusal], bool] = lambda value: True) -> None:
        """Select the first row that is wanted, if there is one."""
        for group in range(self._source.rowCount()):
            parent = self._source.index(group, 0)
            for number in range(self._source.rowCount(parent)):
                index = self._source.index(number, 0, parent)
                value = self._source.value(index)
                if value is not None and wanted(value):
                    self.setCurrentIndex(index)
                    return

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Open with Enter; tick all with Ctrl+A; the rest is Qt's."""
        if (
            event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            and not event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            self._emit_opened(self.currentIndex())
        elif event.key() == Qt.Key.Key_A and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._choice.choose_shown(True)
        elif event.key() == Qt.Key.Key_Space:
            self._toggle()
        else:
            super().keyPressEvent(event)

    def _toggle(self) -> None:
        value = self.selected()
        if isinstance(value, SeriesRow):
            self._choice.choose(value, not self._choice.is_chosen(value))

    def _emit_current(self, index: QModelIndex, previous: QModelIndex) -> None:
        self.current.emit(self._source.value(index))

    def _emit_opened(self, index: QModelIndex) -> None:
        value = self._source.value(index)
        if isinstance(value, SeriesRow):
            self.opened.emit(value)

    def _take_rows(self) -> None:
        for group in range(self._source.rowCount()):
            parent = self._source.index(group, 0)
            self.setFirstColumnSpanned(group, QModelIndex(), True)
            for number in range(self._source.rowCount(parent)):
                if isinstance(self._source.value(self._source.index(number, 0, parent)), Refusal):
                    self.setFirstColumnSpanned(number, parent, True)
        self.expandAll()

    def _style(self) -> None:
        self.setRootIsDecorated(False)
        self.setItemsExpandable(False)
        self.setIndentation(0)
        self.setIconSize(QSize(_PICTURE_PX, _PICTURE_PX))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        for position, column in enumerate(COLUMNS):
            mode = QHeaderView.ResizeMode.Interactive if column.width_px else QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(position, mode)
            if column.width_px:
                needed = header.fontMetrics().horizontalAdvance(column.title) + 3 * GRID_PX
                header.resizeSection(position, max(column.width_px, needed))


def summary_text(choice: SeriesChoice) -> str:
    """Return what was found in one line: "12 series · 2 cannot be opened · 3 files skipped"."""
    parts = [count(len(choice.rows), "series", "series")]
    slices = sum(row.is_stack for row in choice.rows)
    if slices:
        parts.append(f"{slices} only as separate slices")
    if choice.refused:
        parts.append(f"{len(choice.refused)} cannot be opened")
    if choice.result.skipped:
        parts.append(f"{count(choice.result.skipped, 'file')} skipped")
    return " · ".join(parts)


def _tip(row: SeriesRow) -> str:
    return "\n".join(f"{each.text} {each.what_to_do}" for each in row.remarks)


def _plain_icon(pixmap: QPixmap) -> QIcon:
    """Return an icon that a selection does not tint: the grey values are the image's."""
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _blank(colour: QColor) -> QPixmap:
    pixmap = QPixmap(_PICTURE_PX, _PICTURE_PX)
    pixmap.fill(colour)
    return pixmap


def _alignment(column: _SeriesColumn) -> int:
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
