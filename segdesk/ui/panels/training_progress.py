"""How a training run goes: key figures, live curves, a log one can read."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.labels import Colour
from segdesk.ui.models.number_text import UNDEFINED, duration, fixed
from segdesk.ui.models.training_curves import TrainingStory
from segdesk.ui.models.training_events import Told
from segdesk.ui.models.training_model import RunState, TrainingModel
from segdesk.ui.panels.empty_state import EmptyState
from segdesk.ui.panels.figures import Figure, FigureStrip
from segdesk.ui.panels.section import Section
from segdesk.ui.theme import GRID_PX
from segdesk.ui.views.curve_view import Curve, CurveView

_STATE_WORDS = {
    RunState.IDLE: "Not started",
    RunState.STARTING: "Starting",
    RunState.RUNNING: "Training",
    RunState.STOPPING: "Stopping",
    RunState.DONE: "Finished",
    RunState.DIED: "Ended early",
}

_LABEL_COLOURS: tuple[Colour, ...] = ((230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (187, 204, 51))
"""Colour-blind safe and far from the accent, which is the mean's."""


class TrainingProgress(QWidget):
    """Figures, loss and Dice curves, and the event log of the present run."""

    def __init__(self, model: TrainingModel) -> None:
        super().__init__()
        self._model = model
        self._figures = FigureStrip()
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.loss_view = CurveView("Training loss", "step")
        self.dice_view = CurveView("Dice on the validation cases", "step", (0.0, 1.0), legend_at_bottom=True)
        self.log = QListWidget()
        self.log.setWordWrap(True)
        self.log.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.log.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        curves = QHBoxLayout()
        curves.setSpacing(2 * GRID_PX)
        curves.addWidget(self.loss_view, 1)
        curves.addWidget(self.dice_view, 1)
        self.empty = EmptyState(
            "No training run yet",
            "Choose a model and a time budget on the left, then start. Curves and a log of what happens appear here.",
        )
        page = QWidget()
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.empty)
        self._pages.addWidget(page)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        layout.addWidget(self._figures)
        layout.addWidget(self._bar)
        layout.addLayout(curves, 3)
        layout.addWidget(Section("What happened", self.log), 2)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says."""
        story, state = self._model.story, self._model.state
        self._pages.setCurrentIndex(0 if state is RunState.IDLE else 1)
        self._figures.set_figures(_figures(story, state))
        self._bar.setVisible(self._model.is_running)
        last = story.last_loss
        known = last is not None and last.steps > 0
        self._bar.setRange(0, last.steps if last is not None and known else 0)
        self._bar.setValue(last.step if last is not None else 0)
        self.loss_view.set_curves([_loss_curve(story)] if story.losses else [])
        self.dice_view.set_curves(_dice_curves(story))
        self._show_log(story.log)

    def _show_log(self, lines: list[Told]) -> None:
        if self.log.count() > len(lines):
            self.log.clear()
        for line in lines[self.log.count() :]:
            item = QListWidgetItem(("! " if line.is_problem else "") + line.text)
            if line.is_problem:
                font = item.font()
                font.setBold(True)
                item.setFont(font)
            self.log.addItem(item)
            self.log.scrollToBottom()


def _figures(story: TrainingStory, state: RunState) -> list[Figure]:
    last, best = story.last_loss, story.best_dice
    step = UNDEFINED if last is None else f"{last.step} / {last.steps}" if last.steps else str(last.step)
    left = UNDEFINED if last is None or state is not RunState.RUNNING else duration(last.seconds_left)
    return [
        Figure(_STATE_WORDS[state], "state"),
        Figure(step, "step"),
        Figure(left, "time left"),
        Figure(UNDEFINED if last is None else fixed(last.loss), "loss", "Mean of the last 20 steps"),
        Figure(
            UNDEFINED if best is None else fixed(best.dice),
            "best validation Dice",
            "Mean over labels and validation cases; this state is the one that is kept",
        ),
    ]


def _loss_curve(story: TrainingStory) -> Curve:
    return Curve("loss", [p.step for p in story.losses], [p.loss for p in story.losses])


def _dice_curves(story: TrainingStory) -> list[Curve]:
    if not story.dice:
        return []
    steps = [point.step for point in story.dice]
    names = story.label_names()
    labels = [
        Curve(
            f"label {name}" if name.isdigit() else name,
            steps,
            [point.by_label.get(name, float("nan")) for point in story.dice],
            _LABEL_COLOURS[position % len(_LABEL_COLOURS)],
        )
        for position, name in enumerate(names if len(names) > 1 else ())
    ]
    return [Curve("mean", steps, [point.dice for point in story.dice], has_points=True), *labels]
