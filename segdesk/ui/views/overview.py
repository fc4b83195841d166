"""The fourth view: the whole case from the front, the left or the feet."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QButtonGroup, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.reslice import Plane
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.overview_model import SIDES, OverviewModel, OverviewPicture
from segdesk.ui.models.viewport import Viewport
from segdesk.ui.theme import Theme
from segdesk.ui.views import decorations
from segdesk.ui.views.view_frame import SlimBar

WAIT_MS = 250
"""Edits that follow each other within this time make one picture."""


class OverviewView(QWidget):
    """Paints the projection; a click goes to the surface under it.

    Parameters
    ----------
    model : OverviewModel
        The case and the side.
    jobs : Jobs
        Makes the projections.

    Signals
    -------
    maximise_asked
        Double-click.
    """

    maximise_asked = QtSignal()

    def __init__(self, model: OverviewModel, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._jobs = jobs
        self._image = QImage()
        self._is_gone = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Overview")
        views = model.views
        self._ties = (
            (views.labels_changed, self._on_change),
            (views.repaint, self._on_change),
            (views.cursor_kji.changed, self._on_cursor),
        )
        for signal, slot in self._ties:
            signal.connect(slot)

    def let_go(self) -> None:
        """Stop listening before deletion."""
        self._is_gone = True
        self._timer.stop()
        for signal, slot in self._ties:
            signal.disconnect(slot)

    def minimumSizeHint(self) -> QSize:
        """Return a size below which a view is of no use."""
        return QSize(120, 96)

    def look_from(self, side: Plane) -> None:
        """Look from another side."""
        self.model.look_from(side)
        self.update()
        self._timer.start(0)

    def showEvent(self, event: QShowEvent) -> None:
        """Make the picture when somebody looks; hidden views cost nothing."""
        self._timer.start(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the projection with the cursor and the letters."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        sheet = decorations.Sheet(painter, QRectF(self.rect()), self._viewport())
        picture = self.model.picture
        if picture is not None:
            self._draw_picture(sheet, picture)
        decorations.draw_crosshair(sheet, *self.model.plane.to_pixel(self.model.views.cursor_kji.value))
        decorations.draw_letters(sheet, self.model.plane.edges)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to what is under the mouse."""
        self._go_to(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on while the button is down."""
        self._go_to(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Maximise or restore."""
        self.maximise_asked.emit()

    def _go_to(self, event: QMouseEvent) -> None:
        picture = self.model.picture
        if picture is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        row, column = self._viewport().to_pixel(event.position().x(), event.position().y())
        coarse = self._to_coarse(picture, row, column)
        here = self.model.views.cursor_kji.value[picture.plane.normal_axis]
        self.model.views.go_to(picture.index_at(*coarse, here))

    def _draw_picture(self, sheet: decorations.Sheet, picture: OverviewPicture) -> None:
        rows, columns = picture.colours.shape
        corner = QPointF(*sheet.viewport.to_screen(*self._to_full(picture, -0.5, -0.5)))
        far = QPointF(*sheet.viewport.to_screen(*self._to_full(picture, rows - 0.5, columns - 0.5)))
        sheet.painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        sheet.painter.drawImage(QRectF(corner, far), self._image, QRectF(self._image.rect()))

    def _to_full(self, picture: OverviewPicture, row: float, column: float) -> tuple[float, float]:
        """Return the full-resolution slice position of a picture position: coarse voxel n is full voxel n * stride."""
        k, j, i = picture.plane.to_index(row, column, 0)
        return self.model.plane.to_pixel((k * picture.stride, j * picture.stride, i * picture.stride))

    def _to_coarse(self, picture: OverviewPicture, row: float, column: float) -> tuple[float, float]:
        k, j, i = self.model.plane.to_index(row, column, 0)
        return picture.plane.to_pixel((k / picture.stride, j / picture.stride, i / picture.stride))

    def _viewport(self) -> Viewport:
        plane = self.model.plane
        return Viewport.fitted(plane.shape_px, plane.pixel_spacing_mm, (self.width(), self.height()))

    def _ask(self) -> None:
        if not self.isVisible():
            return
        request = self.model.request()

        def work(report: Progress) -> OverviewPicture:
            return request.picture()

        self._jobs.start(Task("", Lane.CPU, work, self._take))

    def _take(self, picture: OverviewPicture) -> None:
        # A projection may outlast its case.
        if not self._is_gone and self.model.take(picture):
            rows, columns = picture.colours.shape
            self._image = QImage(picture.colours.data, columns, rows, columns * 4, QImage.Format.Format_RGB32)
            self.update()

    def _on_change(self, box: object = None) -> None:
        self._timer.start(WAIT_MS)

    def _on_cursor(self, cursor: object) -> None:
        self.update()


class OverviewFrame(QWidget):
    """The overview under its bar with the sides to look from."""

    def __init__(self, view: OverviewView, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.bar = SlimBar("Overview", theme)
        self._group = QButtonGroup(self)
        self.bar.row.insertStretch(1, 1)
        for side, name in SIDES.items():
            button = QToolButton()
            button.setText(name)
            button.setCheckable(True)
            button.setChecked(side is view.model.side)
            button.setToolTip(f"Look from the {name.lower()}")
            button.setProperty("side", side)
            self._group.addButton(button)
            self.bar.add_middle(button)
        self._group.buttonClicked.connect(self._on_side)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.bar)
        column.addWidget(view, 1)

    def let_go(self) -> None:
        """Stop listening before deletion."""
        self.view.let_go()

    def _on_side(self, button: QToolButton) -> None:
        self.view.look_from(Plane(button.property("side")))
