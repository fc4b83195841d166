"""Teaching: freeze a data set, fine-tune in a child process, promote or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdesk.core.events import Property
from segdesk.core.progress import Task
from segdesk.core.training import Trainer, TrainingEvent, TrainingRun
from segdesk.session.state import SessionState
from segdesk.store.records import ModelRecord, PromotionRecord


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: seconds of the training loop or a number of steps; one of the two."""

    seconds: float | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class ExportedDataset:
    """A frozen training set: where, which items, which cases were left out and why."""

    folder: Path
    items: tuple[str, ...]
    left_out: tuple[str, ...]


class Teaching:
    """Fine-tuning on the project's reference masks.

    Attributes
    ----------
    run : Property of TrainingRun or None
        The training child, while there is one to look at.
    verdict : Property of mapping or None
        The final ``result`` event: "verdict", "reason", "champion", "challenger", ...
    """

    def __init__(self, state: SessionState, trainer: Trainer | None) -> None:
        self._state = state
        self._trainer = trainer
        self.run: Property[TrainingRun | None] = Property(None)
        self.verdict: Property[TrainingEvent | None] = Property(None)

    @property
    def is_available(self) -> bool:
        """Whether anything can train here."""
        return self._trainer is not None

    @property
    def events(self) -> tuple[TrainingEvent, ...]:
        """All events of the present run so far, for the curves."""
        raise NotImplementedError

    def export_dataset(self, folder: Path) -> Task[ExportedDataset]:
        """Return the task that writes the cases with a reference in nnU-Net layout."""
        raise NotImplementedError

    def start(self, model: str | Path, budget: Budget, *, device: str = "auto", seed: int = 0) -> Task[TrainingRun]:
        """Return the task that freezes the data and starts the training child."""
        raise NotImplementedError

    def poll(self) -> tuple[TrainingEvent, ...]:
        """Return the new events; a timer of the window calls it. Emits MODEL when the verdict is there."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the training child to end."""
        raise NotImplementedError

    def promote(self, reason: str = "") -> Task[PromotionRecord]:
        """Return the task that makes the challenger of the last run the project's champion."""
        raise NotImplementedError

    def rollback(self, reason: str = "") -> Task[PromotionRecord]:
        """Return the task that makes the champion before the present one champion again."""
        raise NotImplementedError

    def models(self) -> tuple[ModelRecord, ...]:
        """Return the models the project has made or used; read when the project was opened."""
        raise NotImplementedError
