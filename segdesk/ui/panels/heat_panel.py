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
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod
from segdesk.core.prediction import Uncertainty
from segdesk.core.progress import Task
from segdesk.errors import SegdeskError
from segdesk.session import HeatMap, Session
from segdesk.session.heat import METHOD_TITLES, UNCERTAINTY_TITLES, HeatKind, mirror_problem
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.heat_overlay import HeatStyle
from segdesk.ui.models.model_choice import ModelChoice
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role

_HELP: dict[HeatKind, str] = {
    Uncertainty.ENTROPY: "How undecided the model is: 0 where it is sure, 1 where all labels are as likely.",
    Uncertainty.FLIPS: "How much the answers to mirrored copies of the image differ (variance); 0 where they agree.",
    ExplainMethod.GRADCAM: "Where the deepest layer saw what spoke for the label; coarse. 1 is the strongest place.",
    ExplainMethod.GUIDED_BACKPROP: "Which edges spoke for the label: red if brighter is more of it, blue if darker is.",
    ExplainMethod.GUIDED_GRADCAM: "Guided backpropagation, only where Grad-CAM is strong; the same colours.",
}
_KINDS: tuple[HeatKind, ...] = (*UNCERTAINTY_TITLES, *METHOD_TITLES)
_RUN_TEXT = "Show over the image"
_PERCENT_PX = 40


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
        self._choice: ModelChoice | None = None
        self._is_setting = False
        self.kind, self.label = QComboBox(), QComboBox()
        self.kind.setAccessibleName("Heat")
        self.label.setAccessibleName("Label to explain")
        self.kind.addItems([*UNCERTAINTY_TITLES.values(), *METHOD_TITLES.values()])
        self.help = wrapped("", Role.MUTED)
        self.problem = wrapped("", Role.ERROR)
        self.problem.hide()
        self.button = QPushButton(_RUN_TEXT)
        self.button.clicked.connect(self._run_or_stop)
        self.visible = QCheckBox("Visible")
        self.opacity = _slider("Opacity", "How much the colours cover the image", 100)
        self.threshold = _slider("Hide below", "Part of the scale below which nothing is coloured", 95)
        self.peak = QPushButton("Go to the peak")
        self.peak.setToolTip("Put the crosshair where the map is strongest")
        self.peak.clicked.connect(self._go_to_peak)
        self.remove = QPushButton("Remove")
        self.remove.setToolTip("Take the map off the image; it is made again in a moment")
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

    def take_model(self, choice: ModelChoice | None) -> None:
        """Another model would be asked: offer its labels."""
        if choice == self._choice:
            return
        self._choice = choice
        self.label.clear()
        for label in () if choice is None else choice.labels:
            self.label.addItem(label.name, label.value)
        self._on_kind()

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
        line.setSpacing(GRID_PX)
        line.addWidget(self.visible, 1)
        line.addWidget(self.peak)
        line.addWidget(self.remove)
        shown.addRow(line)
        shown.addRow("Opacity", _with_percent(self.opacity))
        shown.addRow("Hide below", _with_percent(self.threshold))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addLayout(form)
        for widget in (self.help, self.button, self._shown, self.problem):
            column.addWidget(widget)

    def _on_kind(self) -> None:
        kind, choice = _KINDS[self.kind.currentIndex()], self._choice
        problem = mirror_problem(choice.spec) if choice is not None and kind is Uncertainty.FLIPS else ""
        self.help.setText(problem or _HELP[kind])
        set_role(self.help, Role.WARNING if problem else Role.MUTED)
        self._form.setRowVisible(self.label, isinstance(kind, ExplainMethod))
        self.button.setEnabled(self._job is not None or (choice is not None and not problem))

    def _run_or_stop(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self.button.setText("Stopping…")
            self.button.setEnabled(False)
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
        self.button.setText(_RUN_TEXT)
        self._on_kind()

    def _go_to_peak(self) -> None:
        heat = self._session.heat.shown.value
        if heat is not None and heat.peak_kji is not None and self._views is not None:
            self._views.go_to(heat.peak_kji)

    def _on_heat(self, heat: HeatMap | None) -> None:
        self._shown.setVisible(heat is not None)
        self.peak.setEnabled(heat is not None and heat.peak_kji is not None)
        overlay = None if self._views is None else self._views.heat.value
        style = HeatStyle() if overlay is None else overlay.style
        self._set(replace(style, visible=True))

    def _set(self, style: HeatStyle) -> None:
        self._is_setting = True
        self.visible.setChecked(style.visible)
        self.opacity.setValue(round(style.opacity * 100))
        self.threshold.setValue(round(style.threshold * 100))
        self._is_setting = False

    def _restyle(self) -> None:
        overlay = None if self._views is None else self._views.heat.value
        if self._views is not None and overlay is not None and not self._is_setting:
            style = HeatStyle(self.visible.isChecked(), self.opacity.value() / 100, self.threshold.value() / 100)
            self._views.heat.value = overlay.restyled(style)

    def _show_error(self, error: Exception) -> None:
        self.problem.setText(error_text(error))
        self.problem.show()


def _slider(name: str, tip: str, largest: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, largest)
    slider.setAccessibleName(f"Heat: {name}")
    slider.setToolTip(tip)
    return slider


def _with_percent(slider: QSlider) -> QHBoxLayout:
    """Return a slider with its number beside it."""
    number = QLabel()
    number.setFixedWidth(_PERCENT_PX)
    number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    slider.valueChanged.connect(lambda percent: number.setText(f"{percent} %"))
    number.setText(f"{slider.value()} %")
    line = QHBoxLayout()
    line.setSpacing(GRID_PX)
    line.addWidget(slider, 1)
    line.addWidget(number)
    return line
