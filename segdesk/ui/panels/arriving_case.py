"""A case on its way: its middle slice, how far the reading is, and nothing to work with."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from segdesk.core.labels import LabelMap
from segdesk.core.reslice import Plane, planes_of
from segdesk.session import FirstSlice
from segdesk.ui.jobs import Job
from segdesk.ui.models.job_text import progress_text
from segdesk.ui.models.layout_model import LayoutModel
from segdesk.ui.models.slice_model import SliceModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.models.viewport import Viewport
from segdesk.ui.panels.section import wrapped
from segdesk.ui.panels.tool_strip import STRIP_WIDTH_PX
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role
from segdesk.ui.views import decorations
from segdesk.ui.views.slice_canvas import SliceCanvas
from segdesk.ui.views.view_frame import SlimBar

_OVERVIEW = "Overview"


class ArrivingCase(QWidget):
    """Laid out like the reading desk, so that nothing moves when the case is there.

    Parameters
    ----------
    first : FirstSlice
        What can be looked at.
    job : Job or None
        What reads the rest.
    theme : Theme
        Of the window.
    side_px : int
        Width of the desk's side panel.
    """

    def __init__(self, first: FirstSlice, job: Job | None, theme: Theme, side_px: int) -> None:
        super().__init__()
        self.view = OnlySliceView(first)
        self.progress = set_role(QLabel("Reading"), Role.MUTED)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setEnabled(job is not None)
        if job is not None:
            job.progressed.connect(self.show_progress)
            self.cancel_button.clicked.connect(job.cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(1)
        strip = set_role(QFrame(), Role.PANEL)
        strip.setFixedWidth(STRIP_WIDTH_PX)
        row.addWidget(strip)
        row.addLayout(self._views(first, theme), 1)
        row.addWidget(self._side(first.name, side_px))

    def show_progress(self, done: int, total: int, text: str) -> None:
        """Show how far the reading is."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.progress.setText(progress_text(text or "Reading", done, total, None))

    def _views(self, first: FirstSlice, theme: Theme) -> QGridLayout:
        planes = planes_of(first.grid)
        names = [each.plane.value for each in planes]
        if len(names) > 1:
            names.append(_OVERVIEW)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(1)
        places = LayoutModel(len(names))
        for number, name in enumerate(names):
            is_slice = number < len(planes) and planes[number].normal_axis == 0
            view = self.view if is_slice else _Blank()
            text = f"{first.k + 1}/{first.grid.shape_kji[0]}" if is_slice else ""
            line, column = places.place(number)
            grid.addWidget(_framed(view, name, text, theme), line, column)
            grid.setRowStretch(line, 1)
            grid.setColumnStretch(column, 1)
        return grid

    def _side(self, name: str, width_px: int) -> QWidget:
        side = set_role(QFrame(), Role.PANEL)
        side.setFixedWidth(width_px)
        column = QVBoxLayout(side)
        column.setContentsMargins(2 * GRID_PX, 12, 2 * GRID_PX, 2 * GRID_PX)
        column.setSpacing(GRID_PX)
        column.addWidget(wrapped(name, Role.TITLE))
        column.addWidget(self.progress)
        column.addWidget(self.bar)
        column.addWidget(self.cancel_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(wrapped("One slice to look at. Tools come with the whole image.", Role.MUTED))
        column.addStretch(1)
        return side


class OnlySliceView(QWidget):
    """The slice as the desk will show it; takes no mouse and no keys."""

    def __init__(self, first: FirstSlice) -> None:
        super().__init__()
        # No mask and no editor: what is shown here cannot be drawn on.
        views = ViewSet(first.volume, LabelMap.empty(first.volume.geometry))
        self.model: SliceModel = views.slices[0]
        self._canvas = SliceCanvas(self.model)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(f"{_plane_name(first)} view, still loading")

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the slice with letters and scale bar."""
        plane = self.model.plane
        viewport = Viewport.fitted(plane.shape_px, plane.pixel_spacing_mm, (self.width(), self.height()))
        painter = QPainter(self)
        picture = self._canvas.picture(viewport, self.size(), self.devicePixelRatioF(), smooth=True)
        painter.drawImage(0, 0, picture)
        sheet = decorations.Sheet(painter, QRectF(self.rect()), viewport)
        decorations.draw_letters(sheet, plane.edges)
        decorations.draw_scale_bar(sheet, "mm" if self.model.views.has_mm else "px")
        painter.end()


class _Blank(QWidget):
    """A view that has nothing to show yet."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Fill it with the black of the views."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        painter.end()


def _framed(view: QWidget, name: str, text: str, theme: Theme) -> QWidget:
    bar = SlimBar(name, theme)
    bar.row.insertStretch(1, 1)
    bar.add_middle(set_role(QLabel(text), Role.MUTED))
    bar.setEnabled(False)
    frame = QWidget()
    column = QVBoxLayout(frame)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(bar)
    column.addWidget(view, 1)
    return frame


def _plane_name(first: FirstSlice) -> str:
    return next((each.plane for each in planes_of(first.grid) if each.normal_axis == 0), Plane.NATIVE).value
