"""The Teach workspace without its widgets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from segdesk.core.events import Change, Property, Signal
from segdesk.core.progress import Lane, Task
from segdesk.core.training import TrainingRun
from segdesk.session import Budget, Session
from segdesk.store.records import ModelRecord, PromotionRecord
from segdesk.ui.models.model_listing import LineageRow, ModelChoice, ModelListing, list_models
from segdesk.ui.models.number_text import count
from segdesk.ui.models.training_curves import TrainingStory
from segdesk.ui.models.training_data import TrainingData
from segdesk.ui.models.training_events import Told, Verdict

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
        self._models = ModelListing()
        self._story = TrainingStory()
        self._state = RunState.IDLE
        self._taken = 0
        self._is_promoted = False
        self.minutes: Property[float] = Property(10.0, minimum=0.1, maximum=1440.0, unit="min")
        self.chosen: Property[str] = Property("")
        self.chosen.changed.connect(self._announce)
        session.changed.connect(self._on_session_changed)
        self._catch_up()

    @property
    def data(self) -> TrainingData:
        """What there is to learn from."""
        return TrainingData.of(self._session.cases, self._models.imported)

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
            return "No case has a reference yet."
        return "" if self.chosen.value else "Choose a model to start from."

    def why_not_promote(self) -> str:
        """Return why the challenger may not become champion; "" when it may."""
        result = self._story.result
        if result is None or self.is_running:
            return "There is no finished challenger."
        if result.promoted or self._is_promoted:
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
        task = self._session.teaching.start(Path(self.chosen.value), Budget(seconds=60.0 * self.minutes.value))
        self._story = TrainingStory(log=[Told("Freezing the data and starting the training process.")])
        self._taken, self._is_promoted = 0, False
        self._set_state(RunState.STARTING)
        return task

    def failed_to_start(self, message: str) -> None:
        """Tell in the log that a start failed."""
        self._story.log.append(Told(message, is_problem=True))
        self._set_state(RunState.DIED)

    def poll(self) -> None:
        """Take the news of the child; a timer of the window calls it while `is_running`."""
        self._session.teaching.poll()
        self._catch_up()

    def stop(self) -> None:
        """Ask the child to end; it keeps its best state."""
        if self._state is RunState.RUNNING:
            self._session.teaching.stop()
            self._story.log.append(Told("Asked to stop."))
            self._set_state(RunState.STOPPING)

    def record_result(self) -> Task[ModelRecord]:
        """Return the task that notes the challenger in the project; nothing is promoted."""
        return self._session.teaching.record_result()

    def promote(self) -> Task[PromotionRecord]:
        """Return the task that makes the challenger champion."""
        result = self._story.result
        task = self._session.teaching.promote("" if result is None else result.reason)
        return self._noting(task, is_promoted=True)

    def roll_back(self) -> Task[PromotionRecord]:
        """Return the task that makes the champion before champion again."""
        return self._noting(self._session.teaching.rollback("Rolled back in the window."), is_promoted=False)

    def _noting(self, task: Task[PromotionRecord], *, is_promoted: bool) -> Task[PromotionRecord]:
        """Return the task that also notes whether the challenger is champion now."""

        def apply(record: PromotionRecord) -> None:
            self._is_promoted = is_promoted
            task.apply(record)

        return Task(task.title, task.lane, task.work, apply)

    def list_models(self) -> Task[ModelListing]:
        """Return the task that looks for models on disk and reads the project's lineage."""
        project = self._session.project

        def apply(models: ModelListing) -> None:
            self._models = models
            if self.chosen.value not in {choice.reference for choice in models.choices}:
                self.chosen.value = models.choices[0].reference if models.choices else ""
            self.changed.emit()

        return Task("Listing models", Lane.DISK, lambda report: list_models(project, report), apply)

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & Change.PROJECT:
            self._story, self._taken, self._is_promoted = TrainingStory(), 0, False
            self._state = RunState.IDLE
        if change & (Change.PROJECT | Change.MODEL):
            self._catch_up()
        if change & (Change.PROJECT | Change.CASES | Change.CONSENSUS | Change.MODEL):
            self.changed.emit()

    def _catch_up(self) -> None:
        """Bring story and state to where the session's run is, whoever polled it."""
        teaching = self._session.teaching
        if teaching.run.value is None:
            return
        before = (self._state, self._taken, len(self._story.log))
        self._story.add(teaching.events[self._taken :])
        self._taken = len(teaching.events)
        if self._state in (RunState.IDLE, RunState.STARTING):
            self._state = RunState.RUNNING
            self._tell_left_out()
        if teaching.verdict.value is not None and self.is_running:
            if self._story.result is None:
                self._story.add([teaching.verdict.value])
            self._state = RunState.DONE
        elif teaching.failure.value and self.is_running:
            was_stopped = self._state is RunState.STOPPING
            text = "Stopped." if was_stopped else teaching.failure.value
            self._story.log.append(Told(text, is_problem=not was_stopped))
            self._state = RunState.DONE if was_stopped else RunState.DIED
        if before != (self._state, self._taken, len(self._story.log)):
            self.changed.emit()

    def _tell_left_out(self) -> None:
        dataset = self._session.teaching.dataset
        if dataset is not None:
            self._story.log.append(Told(f"{count(len(dataset.items), 'item')} to learn from."))
            self._story.log.extend(Told(f"Left out: {each}") for each in dataset.left_out)

    def _set_state(self, state: RunState) -> None:
        self._state = state
        self.changed.emit()

    def _announce(self, value: object) -> None:
        self.changed.emit()
