"""What is drawn over a slice: letters, crosshair, scale bar, brush, region."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen

from segdesk.core.box import Box
from segdesk.core.reslice import Edges
from segdesk.ui.models.heat_overlay import HeatOverlay
from segdesk.ui.models.roi_drag import rect_px
from segdesk.ui.models.slice_model import SliceModel
from segdesk.ui.models.viewport import Viewport, scale_bar

INK = QColor("#e4e7ec")
SHADOW = QColor(0, 0, 0, 190)
CROSSHAIR = QColor(75, 160, 240, 170)
REGION = QColor("#4ba0f0")
NOTICE = QColor("#ee7268")
MARGIN_PX = 8.0
_CROSSHAIR_GAP_PX = 10.0
_HANDLE_PX = 7.0
_LEGEND_PX = 140
_LEGEND_LEAST_PX = 48
_LEGEND_WIDTH_PX = 10.0


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where decorations are drawn: an open painter, the view's rectangle and its viewport."""

    painter: QPainter
    rect: QRectF
    viewport: Viewport


def draw_text(sheet: Sheet, text: str, place: QPointF, *, bold: bool = False, colour: QColor = INK) -> None:
    """Draw text with a dark rim so that it is read on any grey; `place` is the left end of its baseline."""
    painter = sheet.painter
    font = QFont(painter.font())
    font.setBold(bold)
    path = QPainterPath()
    path.addText(place, font, text)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.strokePath(path, QPen(SHADOW, 3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.fillPath(path, colour)


def draw_letters(sheet: Sheet, edges: Edges) -> None:
    """Draw the orientation letters in the middle of the four edges."""
    metrics = QFontMetricsF(sheet.painter.font())
    rect = sheet.rect
    middle_y = rect.center().y() + metrics.capHeight() / 2
    top, bottom = rect.top() + MARGIN_PX + metrics.capHeight(), rect.bottom() - MARGIN_PX
    for letter, place in (
        (edges.left, QPointF(rect.left() + MARGIN_PX, middle_y)),
        (edges.right, QPointF(rect.right() - MARGIN_PX - metrics.horizontalAdvance(edges.right), middle_y)),
        (edges.top, QPointF(rect.center().x() - metrics.horizontalAdvance(edges.top) / 2, top)),
        (edges.bottom, QPointF(rect.center().x() - metrics.horizontalAdvance(edges.bottom) / 2, bottom)),
    ):
        draw_text(sheet, letter, place, bold=True)


def draw_crosshair(sheet: Sheet, row: float, column: float) -> None:
    """Draw the cursor's lines with a gap around it, so that it hides nothing."""
    x, y = sheet.viewport.to_screen(row, column)
    painter, rect, gap = sheet.painter, sheet.rect, _CROSSHAIR_GAP_PX
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    painter.setPen(QPen(CROSSHAIR, 1))
    painter.drawLine(QPointF(rect.left(), y), QPointF(x - gap, y))
    painter.drawLine(QPointF(x + gap, y), QPointF(rect.right(), y))
    painter.drawLine(QPointF(x, rect.top()), QPointF(x, y - gap))
    painter.drawLine(QPointF(x, y + gap), QPointF(x, rect.bottom()))


def draw_scale_bar(sheet: Sheet, unit: str) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten at the lower left."""
    length, width = scale_bar(sheet.viewport.scale, min(120.0, sheet.rect.width() / 4))
    text = f"{length / 10:g} cm" if unit == "mm" and length >= 10 else f"{length:g} {unit}"
    left, bottom = sheet.rect.left() + MARGIN_PX + 2, sheet.rect.bottom() - MARGIN_PX - 2
    path = QPainterPath(QPointF(left, bottom - 5))
    path.lineTo(left, bottom)
    path.lineTo(left + width, bottom)
    path.lineTo(left + width, bottom - 5)
    sheet.painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    sheet.painter.strokePath(path, QPen(SHADOW, 4))
    sheet.painter.strokePath(path, QPen(INK, 1.5))
    draw_text(sheet, text, QPointF(left + 2, bottom - 9))


def draw_brush(sheet: Sheet, at: QPointF, radius_mm: float, colour: QColor, *, erasing: bool) -> None:
    """Draw the brush at its true size; a dashed ring erases."""
    radius_px = radius_mm * sheet.viewport.scale
    painter = sheet.painter
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(SHADOW, 3))
    painter.drawEllipse(at, radius_px, radius_px)
    painter.setPen(QPen(INK if erasing else colour, 1.5, Qt.PenStyle.DashLine if erasing else Qt.PenStyle.SolidLine))
    painter.drawEllipse(at, radius_px, radius_px)
    painter.setPen(QPen(INK, 1))
    painter.drawLine(at - QPointF(3, 0), at + QPointF(3, 0))
    painter.drawLine(at - QPointF(0, 3), at + QPointF(0, 3))


def draw_region(sheet: Sheet, model: SliceModel, roi: Box, *, with_handles: bool) -> None:
    """Draw the region of interest; faint where the shown slice lies outside it."""
    row0, column0, row1, column1 = rect_px(model.plane, roi)
    axis = model.plane.normal_axis
    inside = roi.start_kji[axis] <= model.slice_index < roi.stop_kji[axis]
    rect = QRectF(QPointF(*sheet.viewport.to_screen(row0, column0)), QPointF(*sheet.viewport.to_screen(row1, column1)))
    painter = sheet.painter
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if inside:
        painter.setPen(QPen(SHADOW, 3))
        painter.drawRect(rect)
    colour = QColor(REGION)
    colour.setAlpha(255 if inside else 110)
    painter.setPen(QPen(colour, 1.5, Qt.PenStyle.SolidLine if inside else Qt.PenStyle.DashLine))
    painter.drawRect(rect)
    if with_handles and inside:
        painter.setBrush(colour)
        for corner in (rect.topLeft(), rect.topRight(), rect.bottomLeft(), rect.bottomRight()):
            half = _HANDLE_PX / 2
            painter.drawRect(QRectF(corner - QPointF(half, half), corner + QPointF(half, half)))


def draw_heat_legend(sheet: Sheet, overlay: HeatOverlay) -> None:
    """Draw the colour bar of a heat map with its numbers, and what it is."""
    painter, metrics = sheet.painter, QFontMetricsF(sheet.painter.font())
    name = metrics.elidedText(overlay.heat_map.title, Qt.TextElideMode.ElideRight, sheet.rect.width() - 2 * MARGIN_PX)
    top = sheet.rect.top() + MARGIN_PX + 2 * metrics.height()
    draw_text(sheet, name, QPointF(sheet.rect.left() + MARGIN_PX, top - metrics.height() / 2))
    # It ends above the letter in the middle of the left edge.
    height = min(_LEGEND_PX, sheet.rect.center().y() - top - 2 * metrics.height())
    if height < _LEGEND_LEAST_PX:
        return
    bar = QRectF(sheet.rect.left() + MARGIN_PX, top + metrics.height() / 2, _LEGEND_WIDTH_PX, height)
    colours = overlay.bar(_LEGEND_PX)
    image = QImage(colours.data, 1, _LEGEND_PX, 4, QImage.Format.Format_ARGB32)
    painter.fillRect(bar, SHADOW)
    painter.drawImage(bar, image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(INK, 1))
    painter.drawRect(bar)
    (low, low_text), (high, high_text), (middle, middle_text) = overlay.legend

    def write(number: float, text: str) -> None:
        y = bar.bottom() - (number - low) / (high - low) * height
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
        painter.setPen(QPen(INK, 1))
        painter.drawLine(QPointF(bar.right(), y), QPointF(bar.right() + 3, y))
        draw_text(sheet, text, QPointF(bar.right() + 6, y + metrics.capHeight() / 2))

    write(low, low_text)
    write(high, high_text)
    # A threshold near an end would be written over it.
    if min(middle - low, high - middle) / (high - low) * height > metrics.height():
        write(middle, middle_text)


def draw_notice(sheet: Sheet, text: str) -> None:
    """Draw why an action was not possible, at the top of the view, wrapped."""
    painter, rect = sheet.painter, sheet.rect.adjusted(24, 28, -24, 0)
    flags = int(Qt.TextFlag.TextWordWrap) | int(Qt.AlignmentFlag.AlignHCenter)
    bounds = QFontMetricsF(painter.font()).boundingRect(rect, flags, text)
    plate = bounds.adjusted(-10, -6, 10, 6)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(NOTICE, 1))
    painter.setBrush(QColor(20, 22, 28, 235))
    painter.drawRoundedRect(plate, 4, 4)
    painter.setPen(INK)
    painter.drawText(bounds, flags, text)
