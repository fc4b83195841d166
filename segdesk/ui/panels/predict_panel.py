"""Draft with a model: choose, run, look, accept or reject."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Box
from segdesk.core.events import Change
from segdesk.errors import SegdeskError
from segdesk.session import Candidate, HeatMap, Session
from segdesk.session.cached_predictor import cached_text
from segdesk.session.model_fit import best_fitting, size_advice
from segdesk.ui.actions import Act
from segdesk.ui.context import Ui
from segdesk.ui.icons import Glyph
from segdesk.ui.jobs import Job, error_text
from segdesk.ui.models.job_text import progress_text
from segdesk.ui.models.model_choice import ModelChoice, find_choices
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.panels.heat_panel import HeatPanel
from segdesk.ui.panels.judge_draft import JudgeDraft
from segdesk.ui.panels.roi_row import RoiRow
from segdesk.ui.panels.section import wrapped
from segdesk.ui.panels.stored_drafts import StoredDrafts
from segdesk.ui.theme import GRID_PX, Role, set_role

DEVICES = (("Automatic", "auto"), ("Processor (CPU)", "cpu"), ("Graphics card (CUDA)", "cuda"))


class PredictPanel(QWidget):
    """Model, region, device and the run; then the judgement of the draft.

    Parameters
    ----------
    session : Session
        Drafts.
    tools : ToolModel
        Holds the region of interest.
    ui : Ui
        Of the window.

    Signals
    -------
    queued
        Cases were put in the queue.
    unfolded : QWidget
        This part came into view below the others.
    """

    queued = QtSignal()
    unfolded = QtSignal(QWidget)

    def __init__(self, session: Session, tools: ToolModel, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._tools, self._jobs, self._settings = session, tools, ui.jobs, ui.settings
        self._theme = ui.theme
        self._job: Job | None = None
        self._wanted: Path | None = None
        self.model = QComboBox()
        self.model.setAccessibleName("Model")
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._is_users_choice = False
        self.model.currentIndexChanged.connect(self._show_choice)
        self.model.activated.connect(self._take_model)
        self.about = wrapped("", Role.MUTED)
        self.roi = RoiRow(tools.roi, ui.theme)
        self.device = QComboBox()
        self.device.setAccessibleName("Device")
        for text, value in DEVICES:
            self.device.addItem(text, value)
        self.device.setCurrentIndex(max(0, self.device.findData(ui.settings.of("model.device").value)))
        self.device.activated.connect(self._take_device)
        self.problem = wrapped("", Role.ERROR)
        self.problem.hide()
        # Shown one at a time; a stack would give each the height of the highest.
        self.judge = JudgeDraft(session, ui.actions)
        self._pages = (self._run_page(), self._progress_page(), self.judge)
        self.stored = StoredDrafts(session, ui.jobs)
        self.browse = QToolButton()
        self.browse.setToolTip("All models: what they draw, whether they fit, how long they take")
        self.browse.setAccessibleName("Browse models")
        self.browse.clicked.connect(ui.actions[Act.MODELS].trigger)
        ui.theme.put_icon(self.browse, Glyph.MODEL)
        self.heat = HeatPanel(session, ui.jobs, self._asked)
        self.heat.visible.setToolTip(f"Show or hide the map ({ui.actions[Act.HEAT].shortcut().toString()})")
        self.fold = QToolButton()
        self.fold.setText("How sure, and why")
        self.fold.setCheckable(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        ui.theme.put_icon(self.fold, Glyph.ARROW_RIGHT)
        self.fold.toggled.connect(self._unfold)
        self.heat.hide()
        self._lay_out()
        tools.roi.changed.connect(self._show_hint)
        session.drafts.candidate.changed.connect(self._on_candidate)
        session.heat.shown.changed.connect(self._on_heat)
        session.changed.connect(self._on_session)
        self._on_candidate(session.drafts.candidate.value)
        self.find_models()

    @property
    def is_running(self) -> bool:
        """Whether a prediction is on its way."""
        return self._job is not None

    def find_models(self) -> None:
        """Look for models again."""
        project = self._session.project
        task = find_choices(None if project is None else project.folder / "models")
        self._jobs.start(task, on_error=self._show_error).succeeded.connect(self._on_models)

    def run_model(self) -> None:
        """Start the prediction."""
        choice = self.model.currentData()
        self.problem.hide()
        if not isinstance(choice, ModelChoice):
            return
        try:
            task = self._session.drafts.predict(
                choice.path, roi=self._tools.roi.value, device=str(self.device.currentData())
            )
        except SegdeskError as error:
            self._show_error(error)
            return
        self._job = self._jobs.start(task, on_error=self._show_error)
        self._job.progressed.connect(self._on_progress)
        self._job.finished.connect(self._on_finished)
        self.bar.setRange(0, 0)
        self.state.setText("Starting the model…")
        self._show_page(1)

    def cancel(self) -> None:
        """Stop the prediction."""
        if self._job is not None:
            self._job.cancel()
            self.state.setText("Stopping…")

    def choose(self, folder: Path) -> None:
        """Take a model; one that is not listed yet is taken when it is found."""
        self._wanted, self._is_users_choice = folder, True
        self.find_models()

    def queue_all(self) -> None:
        """Queue every case of the project for the chosen model, on the whole image."""
        choice = self.model.currentData()
        self.problem.hide()
        if not isinstance(choice, ModelChoice):
            return
        case_ids = [row.case.id for row in self._session.cases]
        try:
            self._session.queue.add(case_ids, choice.path, choice.name, device=str(self.device.currentData()))
        except SegdeskError as error:
            self._show_error(error)
        else:
            self.queued.emit()

    @property
    def region_and_device(self) -> tuple[Box | None, str]:
        """What the panel would run a model on, and where."""
        return self._tools.roi.value, str(self.device.currentData())

    @property
    def model_folder(self) -> Path | None:
        """The chosen model; that of the draft while there is one made here."""
        candidate, choice = self._session.drafts.candidate.value, self.model.currentData()
        if candidate is not None and candidate.folder is not None:
            return candidate.folder
        return choice.path if isinstance(choice, ModelChoice) else None

    def _asked(self) -> tuple[Path, Box | None, str] | None:
        """Return what heat is to be made with: the draft's own model and region while there is one."""
        folder, (roi, device) = self.model_folder, self.region_and_device
        candidate = self._session.drafts.candidate.value
        if candidate is not None and candidate.roi != Box.whole(candidate.labels.geometry.shape_kji):
            roi = candidate.roi
        return None if folder is None else (folder, roi, device)

    def _heat_choice(self) -> ModelChoice | None:
        """Return the model that heat is made with, as the list knows it."""
        choices = (self.model.itemData(row) for row in range(self.model.count()))
        return next((choice for choice in choices if choice.path == self.model_folder), None)

    def _on_heat(self, heat: HeatMap | None) -> None:
        self._show_hint()
        if heat is not None and self.fold.isChecked():
            self.unfolded.emit(self.heat)

    def _unfold(self, is_open: bool) -> None:
        self.heat.setVisible(is_open)
        if is_open:
            self.unfolded.emit(self.heat)
        self._theme.put_icon(self.fold, Glyph.CHEVRON_DOWN if is_open else Glyph.ARROW_RIGHT)

    def _show_page(self, number: int) -> None:
        for place, page in enumerate(self._pages):
            page.setVisible(place == number)

    def _run_page(self) -> QWidget:
        self.run_button = set_role(QPushButton("Draft with this model"), Role.PRIMARY)
        self.run_button.clicked.connect(self.run_model)
        self.queue_button = QPushButton("All cases")
        self.queue_button.setToolTip(
            "Draft every case that this model fits and has not drafted, on the whole image, in a queue"
        )
        self.queue_button.clicked.connect(self.queue_all)
        page = QWidget()
        line = QHBoxLayout(page)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(GRID_PX)
        line.addWidget(self.run_button, 1)
        line.addWidget(self.queue_button)
        return page

    def _progress_page(self) -> QWidget:
        self.bar, self.state = QProgressBar(), wrapped("", Role.MUTED)
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        line = QHBoxLayout()
        line.addWidget(self.state, 1)
        line.addWidget(self.cancel_button)
        column.addWidget(self.bar)
        column.addLayout(line)
        return page

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID_PX)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        model = QHBoxLayout()
        model.setSpacing(4)
        model.addWidget(self.model, 1)
        model.addWidget(self.browse)
        form.addRow("Model", model)
        form.addRow(self.about)
        form.addRow("Region", self.roi)
        form.addRow("Device", self.device)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addLayout(form)
        self.hint = wrapped("", Role.MUTED)
        column.addWidget(self.hint)
        for page in self._pages:
            column.addWidget(page)
        for widget in (self.stored, self.problem, self.fold, self.heat):
            column.addWidget(widget)

    def _on_models(self, choices: tuple[ModelChoice, ...]) -> None:
        before = self.model.currentData()
        wanted = self._wanted or (before.path if isinstance(before, ModelChoice) else None)
        paths = [choice.path for choice in choices]
        self._wanted = None
        self.model.clear()
        for choice in choices:
            self.model.addItem(choice.name, choice)
        self.model.setCurrentIndex(paths.index(wanted) if wanted in paths else 0 if paths else -1)
        if wanted not in paths:
            self._offer_what_fits()
        self._show_choice(self.model.currentIndex())

    def _offer_what_fits(self) -> None:
        """Choose the model that suits the open case, until the user has chosen one."""
        case = self._session.case
        if case is None or self._is_users_choice or not self.model.count():
            return
        specs = [self.model.itemData(row).spec for row in range(self.model.count())]
        self.model.setCurrentIndex(best_fitting(specs, case.channels))

    def _take_model(self, row: int) -> None:
        self._is_users_choice = True

    def _show_choice(self, row: int) -> None:
        choice = self.model.itemData(row)
        has_choice = isinstance(choice, ModelChoice)
        text = f"{choice.title}. {choice.facts}." if has_choice else "No model is installed; import one in Models."
        self.about.setText(text)
        self.run_button.setEnabled(has_choice and self._session.case is not None)
        self.queue_button.setEnabled(has_choice and bool(self._session.cases))
        self.heat.take_model(self._heat_choice())
        self._show_hint()

    def _take_device(self, row: int) -> None:
        self._settings.set("model.device", self.device.itemData(row))

    def _on_progress(self, done: int, total: int, text: str) -> None:
        if self._job is None:
            return
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.state.setText(progress_text(text, done, total, self._job.remaining_s))

    def _on_finished(self) -> None:
        self._job = None
        self._on_candidate(self._session.drafts.candidate.value)

    def _on_candidate(self, candidate: Candidate | None) -> None:
        if self._job is None:
            self._show_page(0 if candidate is None else 2)
        if candidate is not None:
            self.judge.show_candidate(candidate)
        self.heat.take_model(self._heat_choice())
        self._show_hint()

    def _show_hint(self, roi: Box | None = None) -> None:
        candidate = self._session.drafts.candidate.value
        advice = self._advice_on_size() if candidate is None else ""
        if candidate is not None:
            is_under_heat = self._session.heat.shown.value is not None
            how = "outlined below the map." if is_under_heat else "filled, your mask dotted below it."
            known = cached_text(candidate.manifest)
            self.hint.setText(f"Draft by {candidate.model}: {how}{f' {known}.' if known else ''}")
        else:
            self.hint.setText(advice or "Drag a box in a view to draft only there; drag its edges to change it.")
        set_role(self.hint, Role.WARNING if advice else Role.MUTED)

    def _advice_on_size(self) -> str:
        """Return what to do about an image of very many windows, "" where the run is short."""
        choice, case = self.model.currentData(), self._session.case
        if not isinstance(choice, ModelChoice) or case is None:
            return ""
        return size_advice(choice.spec, case.labels.geometry, self._tools.roi.value)

    def _on_session(self, change: Change, source: object) -> None:
        if change & (Change.VOLUME | Change.PROJECT):
            self.problem.hide()
            self._offer_what_fits()
            self._show_choice(self.model.currentIndex())
        if change & (Change.MODEL | Change.PROJECT):
            self.find_models()

    def _show_error(self, error: Exception) -> None:
        self.problem.setText(error_text(error))
        self.problem.show()
