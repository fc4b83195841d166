"""The case table with its small pictures."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QWidget

from segdesk.ui.jobs import Jobs
from segdesk.ui.models.case_list_model import CASE_COLUMNS, CaseListModel, CaseRow
from segdesk.ui.models.thumbnails import SIDE_PX, Thumbnails
from segdesk.ui.pixmaps import pixmap_of
from segdesk.ui.views.row_table import RowTable

_ROW_HEIGHT_PX = 40
_PICTURE_PX = 32


class CaseTable(RowTable[CaseRow]):
    """Shows the visible rows of the model; pictures are asked for when a row is painted.

    Parameters
    ----------
    model : CaseListModel
        Rows, search, filter.
    jobs : Jobs
        Makes the pictures, one at a time.
    """

    def __init__(self, model: CaseListModel, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(CASE_COLUMNS, self._picture_of, parent=parent)
        self._model, self._jobs = model, jobs
        self._pictures: dict[str, QPixmap] = {}
        self._is_making = False
        self.thumbnails = Thumbnails()
        self.thumbnails.wanted.connect(self._make_next)
        self.setIconSize(QSize(_PICTURE_PX, _PICTURE_PX))
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT_PX)
        model.changed.connect(self.refresh_rows)
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Show what search and filter let through; the selected case stays selected."""
        selected = self.selected_row()
        self.set_rows(self._model.visible_rows)
        for position, row in enumerate(self.rows):
            if selected is not None and row.case.id == selected.case.id:
                self.select_position(position)

    def forget_pictures(self) -> None:
        """Drop all pictures: another project is open."""
        self._pictures.clear()
        self.thumbnails.forget()

    def _picture_of(self, row: CaseRow) -> QPixmap:
        if row.case.id not in self._pictures:
            picture = self.thumbnails.of(row.case)
            if picture is None:
                return _blank()
            self._pictures[row.case.id] = pixmap_of(picture, SIDE_PX / _PICTURE_PX)
        return self._pictures[row.case.id]

    def _make_next(self) -> None:
        task = None if self._is_making else self.thumbnails.next_task()
        if task is not None:
            self._is_making = True
            self._jobs.start(task, on_error=self._ignore).finished.connect(self._on_made)

    def _on_made(self) -> None:
        self._is_making = False
        self.refresh()
        self._make_next()

    def _ignore(self, error: Exception) -> None:
        """Say nothing: opening the case will say why it cannot be read."""


def _blank() -> QPixmap:
    pixmap = QPixmap(SIDE_PX, SIDE_PX)
    pixmap.setDevicePixelRatio(SIDE_PX / _PICTURE_PX)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap
