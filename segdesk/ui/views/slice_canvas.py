"""A slice scaled to the screen, kept until something about it changes."""

from __future__ import annotations

import math

from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from segdesk.ui.models.outline import Runs
from segdesk.ui.models.overlay import Packed
from segdesk.ui.models.slice_model import PixelRect, SliceModel
from segdesk.ui.models.viewport import Viewport

OUTLINE_PX = 1.6
_BEYOND_PX = 2
"""Smoothing and outlines reach so far beyond a changed rectangle."""


class SliceCanvas:
    """Composes a slice once and scales it once; small changes repaint small rectangles.

    Parameters
    ----------
    model : SliceModel
        The slice.
    """

    def __init__(self, model: SliceModel) -> None:
        self._model = model
        self._frame: Packed | None = None
        self._image = QImage()
        self._reduction = 1
        self._lines: tuple[dict[int, Runs], dict[int, Runs]] = ({}, {})
        self._canvas = QImage()
        self._key: tuple[Viewport, QSize, float, bool] | None = None
        self._stale: list[PixelRect] = []
        self.composed_frames = 0
        self.composed_rects = 0

    def invalidate(self) -> None:
        """Compose the whole slice anew at the next paint."""
        self._frame = None

    def invalidate_rect(self, rect: PixelRect) -> None:
        """Compose a rectangle of the slice anew at the next paint."""
        self._stale.append(rect)

    def picture(self, viewport: Viewport, size: QSize, pixel_ratio: float, *, smooth: bool) -> QImage:
        """Return the view's picture without decorations.

        Parameters
        ----------
        viewport : Viewport
            In logical screen pixels.
        size : QSize
            Of the view, logical.
        pixel_ratio : float
            Device pixels per logical pixel.
        smooth : bool
            Interpolate between voxels.
        """
        key = (viewport, size, pixel_ratio, smooth)
        reduction = self._model.reduction(min(viewport.pixel_wh) * pixel_ratio)
        if reduction != self._reduction:
            self._reduction, self._frame = reduction, None
        fresh_frame = self._frame is None
        if fresh_frame:
            self._compose()
        elif self._stale:
            self._compose_stale()
        if fresh_frame or key != self._key:
            if self._canvas.size() != size * pixel_ratio:
                self._canvas = QImage(size * pixel_ratio, QImage.Format.Format_RGB32)
            self._canvas.setDevicePixelRatio(pixel_ratio)
            self._draw(viewport, None, smooth=smooth)
        else:
            for rect in self._stale:
                self._draw(viewport, rect, smooth=smooth)
        self._key = key
        self._stale.clear()
        return self._canvas

    def _compose(self) -> None:
        self._stale.clear()
        self._keep(self._model.compose(reduction=self._reduction))
        self._lines = self._model.outlines(), self._model.working_outlines()
        self.composed_frames += 1

    def _compose_stale(self) -> None:
        self._lines = self._model.outlines(), self._model.working_outlines()
        if self._reduction > 1 or self._frame is None:
            self._keep(self._model.compose(reduction=self._reduction))
            return
        for rect in self._stale:
            self._frame[rect[0] : rect[2], rect[1] : rect[3]] = self._model.compose(rect)
        self.composed_rects += len(self._stale)

    def _keep(self, frame: Packed) -> None:
        rows, columns = frame.shape
        # The image shares the array's memory, so a rectangle written there needs no new image.
        self._frame = frame
        self._image = QImage(frame.data, columns, rows, columns * 4, QImage.Format.Format_RGB32)

    def _draw(self, viewport: Viewport, rect: PixelRect | None, *, smooth: bool) -> None:
        painter = QPainter(self._canvas)
        covered = self._image.height() * self._reduction, self._image.width() * self._reduction
        target = _on_screen(viewport, (0, 0, *covered), 0)
        view = QRectF(painter.window())
        if rect is not None:
            painter.setClipRect(_on_screen(viewport, rect, _BEYOND_PX))
        elif not target.contains(view):
            painter.fillRect(view, Qt.GlobalColor.black)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth or self._reduction > 1)
        painter.drawImage(target, self._image, QRectF(self._image.rect()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        filled, working = self._lines
        for value, runs in working.items():
            _draw_runs(painter, viewport, runs, self._pen(value, Qt.PenStyle.DotLine))
        style = Qt.PenStyle.SolidLine if self._model.views.proposal is None else Qt.PenStyle.DashLine
        for value, runs in filled.items():
            _draw_runs(painter, viewport, runs, self._pen(value, style))
        painter.end()

    def _pen(self, value: int, style: Qt.PenStyle) -> QPen:
        pen = QPen(QColor(*self._model.views.colour_of(value)), OUTLINE_PX, style)
        pen.setCapStyle(Qt.PenCapStyle.SquareCap if style is Qt.PenStyle.SolidLine else Qt.PenCapStyle.FlatCap)
        return pen


def _on_screen(viewport: Viewport, rect: PixelRect, beyond_px: float) -> QRectF:
    """Return the screen rectangle of slice pixels, outer edges, grown by `beyond_px` and a pixel of smoothing."""
    left, top = viewport.to_screen(rect[0] - 0.5, rect[1] - 0.5)
    right, bottom = viewport.to_screen(rect[2] - 0.5, rect[3] - 0.5)
    if not beyond_px:
        return QRectF(QPointF(left, top), QPointF(right, bottom))
    width, height = viewport.pixel_wh
    dx, dy = width + beyond_px, height + beyond_px
    return QRectF(
        QPointF(math.floor(left - dx), math.floor(top - dy)), QPointF(math.ceil(right + dx), math.ceil(bottom + dy))
    )


def _draw_runs(painter: QPainter, viewport: Viewport, runs: Runs, pen: QPen) -> None:
    width, height = viewport.pixel_wh
    x, y = viewport.offset_xy
    painter.setPen(pen)
    screen = runs * (width, height, width, height) + (x, y, x, y)
    painter.drawLines([QLineF(*line) for line in screen.tolist()])
