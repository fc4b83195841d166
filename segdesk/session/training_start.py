"""From a wish to a running training child."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.progress import Progress
from segdesk.core.training import Trainer, TrainingJob, TrainingRun
from segdesk.errors import SegdeskError, UsageError
from segdesk.session.dataset import ExportedDataset, export_dataset
from segdesk.session.model_choice import resolve_model
from segdesk.store.records import JobRecord, ModelRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: seconds of the training loop or a number of steps; one of the two."""

    seconds: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse none or both."""
        if (self.seconds is None) == (self.steps is None):
            raise UsageError("A training budget is seconds or steps: give one of the two.")


@dataclass(frozen=True, slots=True)
class TrainingWish:
    """What `Teaching.start` was asked for."""

    model: str | Path
    budget: Budget
    device: str
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class StartedRun:
    """A run with what is needed to record how it ended."""

    run: TrainingRun
    job: JobRecord
    base: ModelRecord
    out: Path
    dataset: ExportedDataset


def start_training(project: Project, trainer: Trainer, wish: TrainingWish, report: Progress) -> StartedRun:
    """Freeze the data in a new job folder and start the child."""
    folder = resolve_model(project, wish.model)
    base = project.models.register(folder.path)
    job = project.jobs.add("finetune")
    try:
        dataset = export_dataset(project, job.folder / "dataset", report)
        project.models_folder.mkdir(exist_ok=True)
        out = project.models_folder / f"{base.name}-{job.id:04d}"
        order = TrainingJob(
            job.folder, dataset.folder, out, folder.path, wish.budget.seconds, wish.budget.steps, wish.device, wish.seed
        )
        run = trainer.start(order)
    except SegdeskError as error:
        project.jobs.update(job.id, "failed", error.message)
        raise
    return StartedRun(run, project.jobs.update(job.id, "running"), base, out, dataset)
