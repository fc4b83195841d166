"""Window and level by preset and number, and what the image is."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.volume import Window
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role

_OWN = "Your own"
NAME_WIDTH_PX = 288


class WindowPanel(QWidget):
    """The display window of the open case.

    Parameters
    ----------
    views : ViewSet
        Holds the window and its presets.
    """

    def __init__(self, views: ViewSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._views = views
        self.preset = QComboBox()
        self.preset.setAccessibleName("Window preset")
        for number, window in enumerate(views.presets, 1):
            self.preset.addItem(f"{number}  {window.name}" if number < 10 else window.name)
        self.preset.addItem(_OWN)
        self.preset.activated.connect(self._take_preset)
        self.centre, self.width_box = self._spin("Window centre"), self._spin("Window width")
        self.width_box.setMinimum(0)
        numbers = QHBoxLayout()
        numbers.setSpacing(GRID_PX)
        numbers.addWidget(self.centre, 1)
        numbers.addWidget(self.width_box, 1)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID_PX)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Window", self.preset)
        form.addRow("C / W", numbers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addLayout(form)
        column.addWidget(
            wrapped("Drag in a view: right widens, up brightens. Keys 1 to 9 take the presets.", Role.MUTED)
        )
        self.setEnabled(not views.volume.is_rgb)
        views.window.changed.connect(self._show)
        self._show(views.window.value)

    def let_go(self) -> None:
        """Stop listening before deletion."""
        self._views.window.changed.disconnect(self._show)

    def _spin(self, name: str) -> QDoubleSpinBox:
        spin = QDoubleSpinBox()
        spin.setRange(-1e9, 1e9)
        spin.setKeyboardTracking(False)
        # Its own wish is as wide as the longest number in range; two of them share the row instead.
        spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        spin.setAccessibleName(name)
        spin.setToolTip(name)
        spin.valueChanged.connect(self._take_numbers)
        return spin

    def _show(self, window: Window) -> None:
        decimals = 0 if window.width >= 50 else 2 if window.width >= 0.5 else 5
        for spin, value in ((self.centre, window.centre), (self.width_box, window.width)):
            spin.blockSignals(True)
            spin.setDecimals(decimals)
            spin.setValue(value)
            spin.blockSignals(False)
        presets = list(self._views.presets)
        self.preset.setCurrentIndex(presets.index(window) if window in presets else len(presets))

    def _take_preset(self, row: int) -> None:
        if row < len(self._views.presets):
            self._views.window.value = self._views.presets[row]

    def _take_numbers(self) -> None:
        self._views.window.value = Window(self.centre.value(), self.width_box.value())


class CaseCard(QWidget):
    """What the open image is: name, kind, size, spacing, where the geometry came from, warnings."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name, self._facts = QLabel(), wrapped("", Role.MUTED)
        set_role(self._name, Role.TITLE)
        self._warnings = wrapped("", Role.WARNING)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        for label in (self._name, self._facts, self._warnings):
            column.addWidget(label)

    def show_case(self, name: str, views: ViewSet) -> None:
        """Show another image."""
        metrics = self._name.fontMetrics()
        self._name.setText(metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, NAME_WIDTH_PX))
        self._name.setToolTip(name)
        self._facts.setText(facts_of(views))
        messages = [warning.message for warning in views.volume.warnings]
        self._warnings.setText("\n".join(messages[:2]))
        self._warnings.setToolTip("\n".join(messages))
        self._warnings.setVisible(bool(messages))


def facts_of(views: ViewSet) -> str:
    """Return one or two lines on an image: modality, size, spacing, orientation."""
    volume = views.volume
    k, j, i = volume.geometry.shape_kji
    size = f"{i} × {j}" if k == 1 else f"{i} × {j} × {k}"
    height, width = views.slices[0].plane.pixel_spacing_mm
    parts = [volume.modality or "Image", size]
    if views.has_mm:
        spacing = getattr(volume.geometry, "spacing_kji_mm", None)
        steps = (spacing[2], spacing[1], spacing[0]) if spacing and k > 1 else (width, height)
        parts.append(" × ".join(f"{step:.3g}" for step in steps) + " mm")
    else:
        parts.append("no pixel size")
    if not volume.geometry.orientation_known:
        parts.append("left/right unknown")
    return "  ·  ".join(parts)
