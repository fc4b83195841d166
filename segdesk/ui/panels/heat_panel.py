"""Where the model is unsure, and what spoke for a label: asked for, shown over the image, taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod
from segdesk.core.labels import Label
from segdesk.core.prediction import Uncertainty
from segdesk.core.progress import Task
from segdesk.errors import SegdeskError
from segdesk.session import HeatMap, Session
from segdesk.session.heat import METHOD_TITLES, UNCERTAINTY_TITLES
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.heat_overlay import HeatStyle
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role

_HELP = {
    Uncertainty.ENTROPY: "0: the model is sure. 1: every label is as likely as any other.",
    Uncertainty.FLIPS: "Variance of the probabilities over mirrored copies of the image; 0: all copies agree.",
    ExplainMethod.GRADCAM: "Where the deepest layer saw what spoke for the label; coarse. 1 is the strongest place.",
    ExplainMethod.GUIDED_BACKPROP: "Which edges spoke for the label: red if brighter is more, blue if darker is.",
    ExplainMethod.GUIDED_GRADCAM: "Guided backpropagation, only where Grad-CAM is strong.",
}
_KINDS: tuple[Uncertainty | ExplainMethod, ...] = (*UNCERTAINTY_TITLES, *METHOD_TITLES)


class HeatPanel(QWidget):
    """Asks for heat with the model, region and device of the predict panel.

    Parameters
    ----------
    session : Session
        Its heat.
    jobs : Jobs
        Runs the models.
    ask : callable
        Returns model folder, region and device; None when no model is chosen.
    """

    def __init__(self, session: Session, jobs: Jobs, ask: Callable[[], tuple[Path, Box | None, str] | None]) -> None:
        super().__init__()
        self._session, self._jobs, self._ask = session, jobs, ask
        self._views: ViewSet | None = None
        self._job: Job | None = None
        self.kind, self.label = QComboBox(), QComboBox()
        self.kind.setAccessibleName("Heat")
        self.label.setAccessibleName("Label to explain")
        self.kind.addItems([*UNCERTAINTY_TITLES.values(), *METHOD_TITLES.values()])
        self.help = wrapped("", Role.MUTED)
        self.problem = wrapped("", Role.ERROR)
        self.problem.hide()
        self.button = QPushButton("Show it")
        self.button.clicked.connect(self._run_or_stop)
        self.visible = QCheckBox("Show over the image")
        self.opacity, self.threshold = _slider("Opacity", 100), _slider("Hide below", 95)
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(session.heat.forget)
        self._shown = QWidget()
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.visible.toggled.connect(self._restyle)
        for slider in (self.opacity, self.threshold):
            slider.valueChanged.connect(self._restyle)
        session.heat.shown.changed.connect(self._on_heat)
        self._on_kind()
        self._on_heat(None)

    def take_views(self, views: ViewSet) -> None:
        """Another case is on the desk."""
        self._views = views
        self.problem.hide()

    def take_labels(self, labels: tuple[Label, ...]) -> None:
        """Another model is chosen: offer its labels."""
        self.label.clear()
        for label in labels:
            self.label.addItem(label.name, label.value)
        self.button.setEnabled(bool(labels))

    def toggle(self) -> None:
        """Show or hide the heat there is."""
        if self._session.heat.shown.value is not None:
            self.visible.toggle()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID_PX)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Show", self.kind)
        form.addRow("Label", self.label)
        self._form = form
        shown = QFormLayout(self._shown)
        shown.setContentsMargins(0, 0, 0, 0)
        shown.setSpacing(GRID_PX)
        line = QHBoxLayout()
        line.addWidget(self.visible, 1)
        line.addWidget(self.remove)
        shown.addRow(line)
        shown.addRow("Opacity", self.opacity)
        shown.addRow("Hide below", self.threshold)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addLayout(form)
        for widget in (self.help, self.button, self._shown, self.problem):
            column.addWidget(widget)

    def _on_kind(self) -> None:
        kind = _KINDS[self.kind.currentIndex()]
        self.help.setText(_HELP[kind])
        self._form.setRowVisible(self.label, isinstance(kind, ExplainMethod))

    def _run_or_stop(self) -> None:
        if self._job is not None:
            self._job.cancel()
            return
        asked = self._ask()
        if asked is None:
            return
        self.problem.hide()
        try:
            task = self._task(*asked)
        except SegdeskError as error:
            self._show_error(error)
            return
        self._job = self._jobs.start(task, on_error=self._show_error)
        self._job.finished.connect(self._on_finished)
        self.button.setText("Cancel")

    def _task(self, model: Path, roi: Box | None, device: str) -> Task[HeatMap]:
        kind, heat = _KINDS[self.kind.currentIndex()], self._session.heat
        if isinstance(kind, ExplainMethod):
            return heat.explain(model, int(self.label.currentData()), kind, roi=roi, device=device)
        return heat.uncertainty(model, kind, roi=roi, device=device)

    def _on_finished(self) -> None:
        self._job = None
        self.button.setText("Show it")

    def _on_heat(self, heat: HeatMap | None) -> None:
        self._shown.setVisible(heat is not None)
        overlay = None if self._views is None else self._views.heat.value
        style = HeatStyle() if overlay is None else overlay.style
        self._set(replace(style, visible=True))

    def _set(self, style: HeatStyle) -> None:
        for widget in (self.visible, self.opacity, self.threshold):
            widget.blockSignals(True)
        self.visible.setChecked(style.visible)
        self.opacity.setValue(round(style.opacity * 100))
        self.threshold.setValue(round(style.threshold * 100))
        for widget in (self.visible, self.opacity, self.threshold):
            widget.blockSignals(False)

    def _restyle(self) -> None:
        overlay = None if self._views is None else self._views.heat.value
        if self._views is not None and overlay is not None:
            style = HeatStyle(self.visible.isChecked(), self.opacity.value() / 100, self.threshold.value() / 100)
            self._views.heat.value = overlay.restyled(style)

    def _show_error(self, error: Exception) -> None:
        self.problem.setText(error_text(error))
        self.problem.show()


def _slider(name: str, largest: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, largest)
    slider.setAccessibleName(f"Heat: {name}")
    slider.setToolTip(name)
    return slider
