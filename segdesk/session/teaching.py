"""Teaching: freeze a data set, fine-tune in a child process, promote or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.events import Change, Property
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.training import Trainer, TrainingEvent, TrainingRun
from segdesk.errors import UsageError, WorkerError
from segdesk.session.dataset import ExportedDataset, export_dataset
from segdesk.session.state import SessionState
from segdesk.session.training_start import Budget, StartedRun, TrainingWish, start_training
from segdesk.store.records import ModelRecord, PromotionRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project


class Teaching:
    """Fine-tuning on the project's reference masks.

    Attributes
    ----------
    run : Property of TrainingRun or None
        The training child, while there is one to look at.
    verdict : Property of mapping or None
        The final ``result`` event: "verdict", "reason", "champion", "challenger", ...
    failure : Property of str
        Why there will be no verdict, "" as long as there may be one.
    """

    def __init__(self, state: SessionState, trainer: Trainer | None) -> None:
        self._state = state
        self._trainer = trainer
        self._started: StartedRun | None = None
        self._events: list[TrainingEvent] = []
        self.run: Property[TrainingRun | None] = Property(None)
        self.verdict: Property[TrainingEvent | None] = Property(None)
        self.failure = Property("")

    @property
    def is_available(self) -> bool:
        """Whether anything can train here."""
        return self._trainer is not None

    @property
    def events(self) -> tuple[TrainingEvent, ...]:
        """All events of the present run so far, for the curves."""
        return tuple(self._events)

    @property
    def dataset(self) -> ExportedDataset | None:
        """What the present run learns from."""
        return None if self._started is None else self._started.dataset

    def models(self) -> tuple[ModelRecord, ...]:
        """Return the models the project has made or used, as last read from it."""
        return self._state.view.models

    def export_dataset(self, folder: Path) -> Task[ExportedDataset]:
        """Return the task that writes the cases with a reference in nnU-Net layout; see `dataset`."""
        project = self._state.require_project()
        return Task("Exporting the training set", Lane.CPU, lambda report: export_dataset(project, folder, report))

    def start(self, model: str | Path, budget: Budget, *, device: str = "auto", seed: int = 0) -> Task[TrainingRun]:
        """Return the task that freezes the data and starts the training child.

        Parameters
        ----------
        model : str or Path
            What to start from: a name (the project's champion of it) or a folder.
        budget : Budget
            Seconds or steps.
        device : str
            "auto", "cpu", "cuda" or "cuda:N".
        seed : int
            Seed of every random choice.

        Raises
        ------
        WorkerError
            If the session has nothing that trains.
        UsageError
            If a run is alive; from the task: when there is nothing to train on.
        """
        project, trainer = self._state.require_project(), self._trainer
        if trainer is None:
            raise WorkerError("This session cannot train models; start it with a trainer.")
        if self.run.value is not None and self.run.value.is_alive:
            raise UsageError("A training is running; stop it first or wait for it.")
        started: list[StartedRun] = []

        def work(report: Progress) -> TrainingRun:
            started.append(start_training(project, trainer, TrainingWish(model, budget, device, seed), report))
            return started[-1].run

        def apply(run: TrainingRun) -> None:
            self._started = started.pop()
            self._events.clear()
            self.verdict.value, self.failure.value = None, ""
            self.run.value = run
            self._state.emit(Change.MODEL, self)

        return self._state.refreshing("Preparing the training", Lane.CPU, work, apply)

    def poll(self) -> tuple[TrainingEvent, ...]:
        """Return the new events; a timer of the window calls it. Emits MODEL when the run has ended."""
        run = self.run.value
        if run is None or self.verdict.value is not None or self.failure.value:
            return ()
        # Asked before polling: what a child wrote before it ended is read by this poll.
        is_alive = run.is_alive
        news = tuple(run.poll())
        self._events.extend(news)
        result = next((event for event in news if event.get("event") == "result"), None)
        if result is None and not is_alive:
            result = run.result
        if result is not None:
            self.verdict.value = result
            self._state.emit(Change.MODEL, self)
        elif not is_alive:
            self.failure.value = _last_words(self._events) or (
                f"The training ended without a result; read the log in {run.folder}."
            )
            self._state.emit(Change.MODEL, self)
        return news

    def stop(self) -> None:
        """Ask the training child to end; nothing happens when none runs."""
        if self.run.value is not None:
            self.run.value.stop()

    def record_result(self) -> Task[ModelRecord]:
        """Return the task that notes the challenger with its verdict and closes the job; nothing is promoted."""
        record = self._recorder()
        return self._state.refreshing(
            "Recording the challenger", Lane.DISK, lambda report: record(), lambda model: self._told()
        )

    def promote(self, reason: str = "") -> Task[PromotionRecord]:
        """Return the task that makes the challenger of the last run the champion of its line.

        Raises
        ------
        UsageError
            If no run has ended with a result.
        """
        project, record = self._state.require_project(), self._recorder()
        base = None if self._started is None else self._started.base

        def work(report: Progress) -> PromotionRecord:
            challenger = record()
            if base is not None and project.models.champion(base.name) is None:
                # So that a rollback has somewhere to go.
                project.models.promote(base.id, "What the first challenger was trained from.")
            return project.models.promote(challenger.id, reason)

        return self._state.refreshing("Promoting the challenger", Lane.DISK, work, lambda promotion: self._told())

    def rollback(self, reason: str = "") -> Task[PromotionRecord]:
        """Return the task that makes the champion before the present one champion again.

        The line is that of the last run, else the one promoted last in the project.
        """
        project = self._state.require_project()
        line = None if self._started is None else self._started.base.name

        def work(report: Progress) -> PromotionRecord:
            return project.models.rollback(line or _last_line(project), reason)

        return self._state.refreshing("Rolling back", Lane.DISK, work, lambda promotion: self._told())

    def forget(self) -> None:
        """Look away from the run: another project is open. The child goes on."""
        self._started = None
        self._events.clear()
        self.run.value, self.verdict.value, self.failure.value = None, None, ""

    def _told(self) -> None:
        self._state.emit(Change.MODEL, self)

    def _recorder(self) -> Callable[[], ModelRecord]:
        """Return what registers the challenger, to be run off-thread."""
        project, started, result = self._state.require_project(), self._started, self.verdict.value
        if started is None or result is None:
            raise UsageError("No training has ended with a result; train first.")
        verdict = str(result.get("verdict", ""))

        def record() -> ModelRecord:
            project.jobs.update(started.job.id, "done", verdict)
            return project.models.register(
                started.out, line=started.base.name, parent_sha256=started.base.weights_sha256, verdict=verdict
            )

        return record


def _last_line(project: Project) -> str:
    last = project.models.last_promotion()
    if last is None:
        raise UsageError("No model was promoted in this project; there is nothing to roll back.")
    return last.model.name


def _last_words(events: Sequence[TrainingEvent]) -> str:
    """Return why the child says it ended, "" when it did not say."""
    for event in reversed(events):
        if event.get("event") == "error":
            return str(event.get("error", {}).get("message", ""))
        if event.get("event") == "stopped":
            return str(event.get("text", ""))
    return ""
