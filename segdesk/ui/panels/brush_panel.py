"""Options of the brush and the eraser."""

from __future__ import annotations

from math import log

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.events import Property
from segdesk.edit.editor import Editor
from segdesk.edit.paint import DrawOver, Overwrite
from segdesk.ui.bind import bind_check, bind_spin
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role

_SLIDER_STEPS = 100


class RadiusRow(QWidget):
    """The brush radius as number and slider; the slider is logarithmic, so that small radii can be set well."""

    def __init__(self, radius_mm: Property[float], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._radius = radius_mm
        self.spin = QDoubleSpinBox()
        self.spin.setDecimals(1)
        self.spin.setSingleStep(0.5)
        self.spin.setAccessibleName("Brush radius")
        bind_spin(self.spin, radius_mm)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _SLIDER_STEPS)
        self.slider.setAccessibleName("Brush radius")
        self.slider.valueChanged.connect(self._take)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(self.slider, 1)
        row.addWidget(self.spin)
        radius_mm.changed.connect(self._show)
        self._show(radius_mm.value)

    @property
    def _span(self) -> float:
        return float(self._radius.maximum or 1.0) / self._least

    @property
    def _least(self) -> float:
        return float(self._radius.minimum or 0.1)

    def _show(self, radius: float) -> None:
        self.slider.blockSignals(True)
        fraction = _log(radius / self._least) / _log(self._span)
        self.slider.setValue(round(fraction * _SLIDER_STEPS))
        self.slider.blockSignals(False)

    def _take(self, step: int) -> None:
        self._radius.value = round(self._least * self._span ** (step / _SLIDER_STEPS), 1)


class BrushPanel(QWidget):
    """Radius, disc or ball, and what may be drawn over.

    Parameters
    ----------
    editor : Editor
        Holds the options.
    """

    def __init__(self, editor: Editor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._editor = editor
        self.radius = RadiusRow(editor.brush_radius_mm)
        self.ball = QCheckBox("Ball: draw through the slices (3D)")
        bind_check(self.ball, editor.brush_is_3d)
        self.over = QComboBox()
        self.over.setAccessibleName("Draw over")
        for text, rule in (("Everything", Overwrite.ALL), ("Background only", Overwrite.BACKGROUND_ONLY)):
            self.over.addItem(text, rule.value)
        self.over.currentIndexChanged.connect(self._take_rule)
        self.any_label = QCheckBox("Eraser takes every label")
        bind_check(self.any_label, editor.erases_any_label)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID_PX)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Radius", self.radius)
        form.addRow("Draw over", self.over)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addLayout(form)
        column.addWidget(self.ball)
        column.addWidget(self.any_label)
        column.addWidget(
            wrapped("Hold Ctrl to swap brush and eraser; [ and ] change the size; locked labels stay.", Role.MUTED)
        )
        editor.draw_over.changed.connect(self._show_rule)
        self._show_rule(editor.draw_over.value)

    def _take_rule(self, row: int) -> None:
        self._editor.draw_over.value = DrawOver(Overwrite(self.over.itemData(row)))

    def _show_rule(self, rule: DrawOver) -> None:
        self.over.blockSignals(True)
        self.over.setCurrentIndex(max(0, self.over.findData(rule.rule.value)))
        self.over.blockSignals(False)


def _log(ratio: float) -> float:
    return log(max(ratio, 1.0))
