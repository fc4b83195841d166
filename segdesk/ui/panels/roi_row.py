"""The region of interest, drawn or typed."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from segdesk.core.box import Box, Index3
from segdesk.core.events import Property
from segdesk.errors import UsageError
from segdesk.session.roi import parse_roi, roi_text
from segdesk.ui.icons import Glyph
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import Role, Theme


class RoiRow(QWidget):
    """A text field ``k0:k1,j0:j1,i0:i1``; empty means the whole image.

    Parameters
    ----------
    roi : Property of Box or None
        The region.
    theme : Theme
        For the icon.
    """

    def __init__(self, roi: Property[Box | None], theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._roi = roi
        self._shape: Index3 | None = None
        self.field = QLineEdit()
        self.field.setPlaceholderText("Whole image")
        self.field.setToolTip("Box as k0:k1,j0:j1,i0:i1 in voxels, or drag one in a view")
        self.field.setAccessibleName("Region of interest")
        self.field.editingFinished.connect(self._take)
        self.clear = QToolButton()
        self.clear.setToolTip("Use the whole image")
        self.clear.setAccessibleName("Use the whole image")
        theme.put_icon(self.clear, Glyph.CLOSE)
        self.clear.clicked.connect(self._clear)
        self.problem = wrapped("", Role.ERROR)
        self.problem.hide()
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.field, 1)
        row.addWidget(self.clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.problem)
        roi.changed.connect(self._show)
        self._show(roi.value)

    def set_shape(self, shape_kji: Index3) -> None:
        """Tell the size of the image: a region outside it is refused."""
        self._shape = shape_kji

    def _show(self, roi: Box | None) -> None:
        self.field.setText("" if roi is None else roi_text(roi))
        self.clear.setEnabled(roi is not None)
        self.problem.hide()

    def _take(self) -> None:
        text = self.field.text().strip()
        try:
            roi = self._parsed(text) if text else None
        except UsageError as error:
            self.problem.setText(error.message)
            self.problem.show()
        else:
            self._roi.value = roi
            self._show(roi)

    def _parsed(self, text: str) -> Box:
        roi = parse_roi(text)
        inside = roi if self._shape is None else roi.clip(self._shape)
        if inside.is_empty:
            raise UsageError(f"The region {text} lies outside the image or is empty.")
        return inside

    def _clear(self) -> None:
        self._roi.value = None
