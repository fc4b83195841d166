"""Cells with a line and a quieter one below it."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from segdesk.ui.theme import GRID_PX, Theme

SECOND_ROLE = int(Qt.ItemDataRole.UserRole) + 1
"""Role of the lower line, "" for a cell with one line; a cell without the role is drawn as usual."""

_GAP_PX = 2
_SMALL_POINT = 9


class TwoLineDelegate(QStyledItemDelegate):
    """Draws the text in two lines, the lower one small and muted.

    Parameters
    ----------
    theme : Theme
        Colour of the lower line.
    """

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw background, tick and icon by the style, the two lines here."""
        second = index.data(SECOND_ROLE)
        if second is None:
            super().paint(painter, option, index)
            return
        self.initStyleOption(option, index)
        # Selected rows are filled; the style's focus frame would tint the pictures.
        option.state &= ~QStyle.StateFlag.State_HasFocus
        first, option.text = option.text, ""
        option.widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        colour = index.data(Qt.ItemDataRole.ForegroundRole) or self._theme.tokens.colour("text")
        self._draw(painter, option, _text_place(option), (first, colour), str(second))

    def _draw(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        place: QRect,
        first: tuple[str, QColor],
        second: str,
    ) -> None:
        small = QFont(option.font)
        small.setPointSize(_SMALL_POINT)
        upper, lower = QRect(place), QRect(place)
        edge = Qt.AlignmentFlag.AlignVCenter
        if second:
            edge = Qt.AlignmentFlag.AlignBottom
            upper.setBottom(place.center().y() - _GAP_PX // 2)
            lower.setTop(place.center().y() + _GAP_PX // 2)
        side = option.displayAlignment & Qt.AlignmentFlag.AlignHorizontal_Mask
        muted = self._theme.tokens.colour("muted")
        painter.save()
        for text, pen, font, line, at in (
            (*first, option.font, upper, edge),
            (second, muted, small, lower, Qt.AlignmentFlag.AlignTop),
        ):
            painter.setFont(font)
            painter.setPen(pen)
            shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, line.width())
            painter.drawText(line, int(side | at), shown)
        painter.restore()


def _text_place(option: QStyleOptionViewItem) -> QRect:
    """Return where the text goes: right of tick and icon, as far from the edges as in the header."""
    place = QRect(option.rect).adjusted(GRID_PX, 0, -GRID_PX, 0)
    if option.features & QStyleOptionViewItem.ViewItemFeature.HasDecoration:
        icon = option.widget.style().subElementRect(QStyle.SubElement.SE_ItemViewItemDecoration, option, option.widget)
        place.setLeft(icon.right() + GRID_PX)
    return place
