"""First-layer filters and activation maps of the chosen model on the current slice."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Box
from segdesk.core.inside import Inside
from segdesk.core.reslice import SlicePlane
from segdesk.errors import SegdeskError
from segdesk.session import Session
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.heat_overlay import colour_rows
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.workspaces.desk import Desk

_SIZE_PX = (880, 760)
_TILE_PX = 92
_FILTER_PX = 44
_GAP_PX = 6


class InsideNetwork(QDialog):
    """The network's first filters, and what a layer finds in the slice through the crosshair.

    Parameters
    ----------
    session : Session
        Of the open case.
    jobs : Jobs
        Runs the network.
    model : Path
        Model folder.
    desk : Desk
        Its cursor says where, its active view which way.
    roi : Box, optional
        Region the model is run on.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        model: Path,
        desk: Desk,
        *,
        roi: Box | None = None,
        device: str = "auto",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Inside {model.name}")
        self.resize(*_SIZE_PX)
        self._session, self._jobs, self._model, self._roi, self._device = session, jobs, model, roi, device
        self._planes = [each.plane for each in desk.views.slices]
        self._point_kji = desk.views.cursor_kji.value
        self._axis = desk.grid.active_view.model.plane.normal_axis
        self._job: Job | None = None
        self.layer = QComboBox()
        self.layer.setAccessibleName("Layer")
        self.layer.activated.connect(self._ask)
        self.state = wrapped("", Role.MUTED)
        self.problem = wrapped("", Role.ERROR)
        self.problem.hide()
        self.filters, self.maps = TileSheet(_FILTER_PX, is_signed=True), TileSheet(_TILE_PX, is_signed=False)
        self._filter_title = set_role(QLabel("First-layer filters"), Role.HEADING)
        self._map_title = set_role(QLabel("Activation maps"), Role.HEADING)
        self._lay_out()
        self.finished.connect(self._end)
        self._ask()

    def _lay_out(self) -> None:
        inner = QWidget()
        sheets = QVBoxLayout(inner)
        sheets.setContentsMargins(0, 0, GRID_PX, 0)
        sheets.setSpacing(GRID_PX)
        for widget in (self._map_title, self.maps, self._filter_title, self.filters):
            sheets.addWidget(widget)
        sheets.addStretch()
        area = QScrollArea()
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        form = QFormLayout()
        form.addRow("Layer", self.layer)
        close = QPushButton("Close")
        close.clicked.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        column.setSpacing(GRID_PX)
        column.addLayout(form)
        column.addWidget(self.state)
        column.addWidget(self.problem)
        column.addWidget(area, 1)
        column.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)

    def _ask(self) -> None:
        layer = self.layer.currentData() or ""
        self.problem.hide()
        try:
            task = self._session.heat.look_inside(
                self._model, self._point_kji, self._axis, layer=layer, roi=self._roi, device=self._device
            )
        except SegdeskError as error:
            self._show_problem(error)
            return
        self._end()
        self.state.setText("Running one window of the network…")
        self._job = self._jobs.start(task, on_error=self._on_error)
        self._job.succeeded.connect(self._on_found)

    def _on_found(self, found: Inside) -> None:
        self._job = None
        if not self.layer.count():
            for layer in found.layers:
                size = " × ".join(str(n) for n in reversed(layer.size))
                self.layer.addItem(f"{layer.name}   ({layer.channels} maps, {size})", layer.name)
        self.layer.setCurrentIndex(self.layer.findData(found.layer.name))
        plane = next((each for each in self._planes if each.normal_axis == found.axis), self._planes[0])
        where = f"{plane.plane.value} slice {self._point_kji[found.axis] + 1}"
        self.state.setText(
            f"{where}: one window round the crosshair, as the network sees it. Each map has its own grey scale, "
            "from its smallest to its largest value."
        )
        count = len(found.maps)
        more = f", the first {count} of {found.layer.channels}" if count < found.layer.channels else ""
        self._map_title.setText(f"The slice, then the activation maps of {found.layer.name}{more}")
        pictures = [_grey(_laid(found.image, plane)), *(_grey(_laid(each, plane)) for each in found.maps)]
        maps = (f"Map {n} of {found.layer.channels}: {_range(each)}" for n, each in enumerate(found.maps, start=1))
        self.maps.show_tiles(pictures, [f"The slice as the network sees it: {_range(found.image)}", *maps])
        flat = found.filters.reshape(len(found.filters), -1, *found.filters.shape[-2:])
        middle = flat[:, flat.shape[1] // 2]
        shown = f"{len(middle)} of {found.filter_count}" if len(middle) < found.filter_count else f"{len(middle)}"
        largest = float(np.abs(middle).max()) or 1.0
        self._filter_title.setText(
            f"First-layer filters: {shown}, middle slice; from blue, −{largest:.2g}, to red, {largest:.2g}"
        )
        texts = [f"Filter {n} of {found.filter_count}: {_range(each)}" for n, each in enumerate(middle, start=1)]
        self.filters.show_tiles([_signed(each / largest) for each in middle], texts)

    def _on_error(self, error: Exception) -> None:
        self._job = None
        self.state.setText("")
        self._show_problem(error)

    def _show_problem(self, error: Exception) -> None:
        self.problem.setText(error_text(error))
        self.problem.show()

    def _end(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._job = None


class TileSheet(QWidget):
    """Small pictures in rows, as many as the width takes.

    Parameters
    ----------
    tile_px : int
        Edge of a tile.
    is_signed : bool
        For the accessible name.
    """

    def __init__(self, tile_px: int, *, is_signed: bool) -> None:
        super().__init__()
        self._tile_px = tile_px
        self._tiles: list[QImage] = []
        self._texts: list[str] = []
        self.setAccessibleName("Filters" if is_signed else "Activation maps")

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self._tiles)

    def show_tiles(self, tiles: list[NDArray[np.uint32]], texts: list[str]) -> None:
        """Show other pictures, and what each is when the mouse rests on it."""
        self._texts = texts
        self._tiles = [
            QImage(tile.data, tile.shape[1], tile.shape[0], tile.shape[1] * 4, QImage.Format.Format_RGB32).copy()
            for tile in tiles
        ]
        self.updateGeometry()
        self.update()

    def text_at(self, x: float, y: float) -> str:
        """Return what the tile at a place of the sheet is, "" between tiles."""
        step = self._tile_px + _GAP_PX
        columns = max(1, self.width() // step)
        (column, dx), (row, dy) = divmod(x, step), divmod(y, step)
        number = int(row) * columns + int(column)
        is_on_tile = max(dx, dy) < self._tile_px and column < columns and number < len(self._texts)
        return self._texts[number] if is_on_tile else ""

    def event(self, event: QEvent) -> bool:
        """Tell what is under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.text_at(event.x(), event.y()), self)
            return True
        return super().event(event)

    def hasHeightForWidth(self) -> bool:
        """Return True: rows break."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of all rows."""
        step = self._tile_px + _GAP_PX
        return math.ceil(len(self._tiles) / max(1, width // step)) * step

    def sizeHint(self) -> QSize:
        """Return the size in a common width."""
        return QSize(_SIZE_PX[0], self.heightForWidth(_SIZE_PX[0]))

    def resizeEvent(self, event: object) -> None:
        """Take the height the rows need."""
        self.setMinimumHeight(self.heightForWidth(self.width()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the tiles, each in its own proportions."""
        painter = QPainter(self)
        step = self._tile_px + _GAP_PX
        columns = max(1, self.width() // step)
        for number, tile in enumerate(self._tiles):
            scale = self._tile_px / max(tile.width(), tile.height())
            width, height = tile.width() * scale, tile.height() * scale
            left, top = number % columns * step, number // columns * step
            place = QRectF(left + (self._tile_px - width) / 2, top + (self._tile_px - height) / 2, width, height)
            painter.fillRect(QRectF(left, top, self._tile_px, self._tile_px), QColor(0, 0, 0))
            painter.drawImage(place, tile)
        painter.end()


def _laid(array: NDArray[np.float32], plane: SlicePlane) -> NDArray[np.float32]:
    """Return a cut (in the order of the image's axes) as it lies on the screen."""
    turned = array if plane.row_axis < plane.column_axis else array.T
    return turned[:: -1 if plane.row_flipped else 1, :: -1 if plane.column_flipped else 1]


def _grey(array: NDArray[np.float32]) -> NDArray[np.uint32]:
    low, high = float(array.min()), float(array.max())
    grey = ((array - low) / (high - low if high > low else 1.0) * 255).astype(np.uint32)
    return np.ascontiguousarray(0xFF000000 | (grey << 16) | (grey << 8) | grey, dtype=np.uint32)


def _range(array: NDArray[np.float32]) -> str:
    return f"{float(array.min()):.3g} to {float(array.max()):.3g}".replace("-", "\N{MINUS SIGN}")


def _signed(array: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the colours of numbers from -1 to 1."""
    red, green, blue = np.moveaxis(colour_rows(is_signed=True)[((array + 1) / 2 * 255 + 0.5).astype(np.intp)], -1, 0)
    return np.ascontiguousarray(0xFF000000 | (red << 16) | (green << 8) | blue, dtype=np.uint32)
