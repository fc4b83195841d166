"""The label list for Qt: rows and columns of one table."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from segdesk.core.labels import Colour
from segdesk.ui.icons import Glyph, glyph_pixmap
from segdesk.ui.models.label_list_model import LabelListModel, LabelRow
from segdesk.ui.theme import Theme

_SWATCH_PX = 14
_AnyIndex = QModelIndex | QPersistentModelIndex


class Column(IntEnum):
    """The columns."""

    EYE = 0
    COLOUR = 1
    NAME = 2
    VOLUME = 3
    LOCK = 4


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
