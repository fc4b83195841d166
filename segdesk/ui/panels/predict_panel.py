"""Draft with a model: choose, run, look, accept or reject."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.events import Change
from segdesk.errors import SegdeskError
from segdesk.session import Candidate, Session
from segdesk.ui.actions import Act, Actions
from segdesk.ui.context import Ui
from segdesk.ui.jobs import Job, error_text
from segdesk.ui.models.job_text import progress_text
from segdesk.ui.models.model_choice import ModelChoice, find_choices
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.panels.roi_row import RoiRow
from segdesk.ui.panels.section import wrapped
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
    """

    def __init__(self, session: Session, tools: ToolModel, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._tools, self._jobs, self._settings = session, tools, ui.jobs, ui.settings
        self._job: Job | None = None
        self.model = QComboBox()
        self.model.setAccessibleName("Model")
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.model.currentIndexChanged.connect(self._show_choice)
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
        self._pages = (self._run_page(), self._progress_page(), self._judge_page(ui.actions))
        self._lay_out()
        session.drafts.candidate.changed.connect(self._on_candidate)
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

    def _show_page(self, number: int) -> None:
        for place, page in enumerate(self._pages):
            page.setVisible(place == number)

    def _run_page(self) -> QWidget:
        self.run_button = set_role(QPushButton("Draft with this model"), Role.PRIMARY)
        self.run_button.clicked.connect(self.run_model)
        return _row(self.run_button)

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

    def _judge_page(self, actions: Actions) -> QWidget:
        accept = set_role(QPushButton("Accept  (Enter)"), Role.PRIMARY)
        accept.clicked.connect(actions[Act.ACCEPT_DRAFT].trigger)
        reject = QPushButton("Reject  (Esc)")
        reject.clicked.connect(actions[Act.REJECT_DRAFT].trigger)
        return _row(accept, reject)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(GRID_PX)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.model)
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
        column.addWidget(self.problem)

    def _on_models(self, choices: tuple[ModelChoice, ...]) -> None:
        before = self.model.currentText()
        self.model.clear()
        for choice in choices:
            self.model.addItem(choice.name, choice)
        self.model.setCurrentIndex(max(0, self.model.findText(before)) if choices else -1)
        self._show_choice(self.model.currentIndex())

    def _show_choice(self, row: int) -> None:
        choice = self.model.itemData(row)
        has_choice = isinstance(choice, ModelChoice)
        text = f"{choice.title}. {choice.facts}." if has_choice else "No model is installed; import one in Teach."
        self.about.setText(text)
        self.run_button.setEnabled(has_choice and self._session.case is not None)

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
        self._show_page(0 if candidate is None else 2)
        self.hint.setText(
            "Drag a box in a view to draft only there; drag its edges to change it."
            if candidate is None
            else f"Draft by {candidate.model}: filled, your mask dotted below it. Accepting is one undo step."
        )

    def _on_session(self, change: Change, source: object) -> None:
        if change & (Change.VOLUME | Change.PROJECT):
            self.problem.hide()
            self._show_choice(self.model.currentIndex())
        if change & (Change.MODEL | Change.PROJECT):
            self.find_models()

    def _show_error(self, error: Exception) -> None:
        self.problem.setText(error_text(error))
        self.problem.show()


def _row(*buttons: QPushButton) -> QWidget:
    page = QWidget()
    line = QHBoxLayout(page)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(GRID_PX)
    for button in buttons:
        line.addWidget(button, 1)
    return page
