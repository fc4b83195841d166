"""The Teach workspace without its widgets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from segdesk.core.events import Change, Property, Signal
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.training import TrainingRun
from segdesk.session import Budget, Session
from segdesk.store.project import Project
from segdesk.store.records import ModelRecord, PromotionRecord
from segdesk.ui.models.training_curves import TrainingStory
from segdesk.ui.models.training_data import TrainingData
from segdesk.ui.models.training_events import Told, Verdict
from segdesk.zoo.catalogue import scan_models

POLL_INTERVAL_MS = 500
"""How often the window asks the training child for news."""


class RunState(StrEnum):
    """Where a training run stands."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model one can start from.

    Parameters
    ----------
    reference : str
        What `Teaching.start` is told: a folder.
    name : str
        Shown: "hippocampus-unet3d@1".
    title : str
        One line about it.
    is_champion : bool
        Whether the project uses it now.
    weights_sha256 : str
        What identifies it.
    """

    reference: str
    name: str
    title: str
    is_champion: bool
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class LineageRow:
    """One model the project has made or used."""

    name: str
    created: datetime
    verdict: str
    parent: str
    is_champion: bool
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class _Models:
    """What is known of models on disk and in the project."""

    choices: tuple[ModelChoice, ...] = ()
    lineage: tuple[LineageRow, ...] = ()
    can_roll_back: bool = False


class TrainingModel:
    """Data summary, choice, run, verdict and lineage.

    Attributes
    ----------
    minutes : Property of float
        Time budget of the training loop.
    chosen : Property of str
        Reference of the model to start from, "" before the models were listed.
    changed : Signal
        Something to show changed.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self._session = session
        self._models = _Models()
        self._story = TrainingStory()
        self._state = RunState.IDLE
        self.minutes: Property[float] = Property(10.0, minimum=0.1, maximum=1440.0, unit="min")
        self.chosen: Property[str] = Property("")
        self.chosen.changed.connect(self._announce)
        session.changed.connect(self._on_session_changed)

    @property
    def data(self) -> TrainingData:
        """What there is to learn from."""
        return TrainingData.of(self._session.cases)

    @property
    def story(self) -> TrainingStory:
        """Curves, log and result of the present run."""
        return self._story

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        return self._state

    @property
    def choices(self) -> tuple[ModelChoice, ...]:
        """Models one can start from, the champion first."""
        return self._models.choices

    @property
    def lineage(self) -> tuple[LineageRow, ...]:
        """Models of the project, newest first."""
        return self._models.lineage

    @property
    def is_running(self) -> bool:
        """Whether a child is at work."""
        return self._state in (RunState.STARTING, RunState.RUNNING, RunState.STOPPING)

    def why_not_start(self) -> str:
        """Return why training cannot start now; "" when it can."""
        if self._session.project is None:
            return "Open a project first."
        if not self._session.teaching.is_available:
            return "This session cannot train models."
        if self.is_running:
            return "A training run is at work."
        if not self.data.can_train:
            return "No case has an agreed reference yet."
        return "" if self.chosen.value else "Choose a model to start from."

    def why_not_promote(self) -> str:
        """Return why the challenger may not become champion; "" when it may."""
        result = self._story.result
        if result is None or self.is_running:
            return "There is no finished challenger."
        if result.promoted:
            return "The challenger is the champion already."
        if result.verdict is Verdict.WORSE:
            return "The challenger is worse on the test patients."
        if result.verdict is Verdict.CANNOT_JUDGE:
            return "Without a judgement the champion stays."
        return ""

    def why_not_roll_back(self) -> str:
        """Return why there is no going back; "" when there is."""
        if self.is_running:
            return "Wait for the training run to end."
        return "" if self._models.can_roll_back else "There is no earlier champion."

    def start(self) -> Task[TrainingRun]:
        """Return the task that starts training from the chosen model with the budget."""
        budget = Budget(seconds=60.0 * self.minutes.value)
        task = self._session.teaching.start(self.chosen.value, budget)
        self._story = TrainingStory(log=[Told("Freezing the data and starting the training process.")])
        self._set_state(RunState.STARTING)

        def apply(run: TrainingRun) -> None:
            task.apply(run)
            self._set_state(RunState.RUNNING)

        return Task(task.title, task.lane, task.work, apply)

    def failed_to_start(self, message: str) -> None:
        """Tell in the log that a start failed."""
        self._story.log.append(Told(message, is_problem=True))
        self._set_state(RunState.DIED)

    def poll(self) -> None:
        """Take the news of the child; a timer of the window calls it while `is_running`."""
        run = self._session.teaching.run.value
        if run is None:
            return
        alive = run.is_alive
        before = (len(self._story.losses), len(self._story.dice), len(self._story.log))
        self._story.add(self._session.teaching.poll())
        if self._story.result is not None:
            self._set_state(RunState.DONE)
        elif not alive:
            stopped = self._state is RunState.STOPPING
            text = "Stopped." if stopped else f"The training process ended early; its log is in {run.folder.name}."
            self._story.log.append(Told(text, is_problem=not stopped))
            self._set_state(RunState.DONE if stopped else RunState.DIED)
        elif before != (len(self._story.losses), len(self._story.dice), len(self._story.log)):
            self.changed.emit()

    def stop(self) -> None:
        """Ask the child to end; it keeps its best state."""
        if self._state is RunState.RUNNING:
            self._session.teaching.stop()
            self._story.log.append(Told("Asked to stop."))
            self._set_state(RunState.STOPPING)

    def promote(self) -> Task[PromotionRecord]:
        """Return the task that makes the challenger champion."""
        result = self._story.result
        return self._session.teaching.promote("" if result is None else result.reason)

    def roll_back(self) -> Task[PromotionRecord]:
        """Return the task that makes the champion before champion again."""
        return self._session.teaching.rollback("Rolled back in the window.")

    def list_models(self) -> Task[_Models]:
        """Return the task that looks for models on disk and reads the project's lineage."""
        project = self._session.project

        def apply(models: _Models) -> None:
            self._models = models
            if self.chosen.value not in {choice.reference for choice in models.choices}:
                self.chosen.value = models.choices[0].reference if models.choices else ""
            self.changed.emit()

        return Task("Listing models", Lane.DISK, lambda report: _listed(project, report), apply)

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & (Change.PROJECT | Change.CASES | Change.CONSENSUS | Change.MODEL):
            if change & Change.PROJECT and not self.is_running:
                self._story, self._state = TrainingStory(), RunState.IDLE
            self.changed.emit()

    def _set_state(self, state: RunState) -> None:
        self._state = state
        self.changed.emit()

    def _announce(self, value: object) -> None:
        self.changed.emit()


def _listed(project: Project | None, report: Progress) -> _Models:
    report(0, 2, "Looking for models")
    found = scan_models(() if project is None else (project.models_folder,)).models
    report(1, 2, "Reading the lineage")
    records = () if project is None else project.models.all()
    champions, can_roll_back = _champions(project, records)
    choices = (
        ModelChoice(
            str(model.path), f"{model.spec.name}@{model.spec.version}", model.spec.title, model.sha256 in champions,
            model.sha256,
        )
        for model in found
    )  # fmt: skip
    ordered = sorted(choices, key=lambda choice: not choice.is_champion)
    return _Models(tuple(ordered), _lineage(records, champions), can_roll_back)


def _champions(project: Project | None, records: tuple[ModelRecord, ...]) -> tuple[set[str], bool]:
    """Return the weights of the champions, and whether one of them has a predecessor."""
    champions: set[str] = set()
    can_roll_back = False
    for name in {record.name for record in records}:
        history = project.models.promotions(name) if project else ()
        if history:
            champions.add(history[-1].model.weights_sha256)
            can_roll_back = can_roll_back or len({entry.model.id for entry in history}) > 1
    return champions, can_roll_back


def _lineage(records: tuple[ModelRecord, ...], champions: set[str]) -> tuple[LineageRow, ...]:
    names = {record.weights_sha256: record.name for record in records}
    return tuple(
        LineageRow(
            record.folder.name,
            record.created,
            record.verdict,
            names.get(record.parent_sha256 or "", ""),
            record.weights_sha256 in champions,
            record.weights_sha256,
        )
        for record in reversed(records)
    )
