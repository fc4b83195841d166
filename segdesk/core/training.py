"""The seam between the program and whatever trains a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

TrainingEvent = Mapping[str, Any]
"""One JSON event of CONTRACT: ``{"event": "progress|validation|checkpoint|result", ...}``."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What a training child is asked to do; plain values only, so that it can be a JSON file.

    Parameters
    ----------
    folder : Path
        The job's own folder: job.json, events, log and checkpoints live there.
    dataset : Path
        nnU-Net layout (dataset.json, imagesTr, labelsTr, patients.csv).
    out : Path
        Model folder to write; it must not exist.
    base : Path, optional
        Model folder to start from; None trains from scratch.
    seconds, steps : number, optional
        Budget of the training loop; one of the two is given.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    seed : int
        Seed of every random choice.
    """

    folder: Path
    dataset: Path
    out: Path
    base: Path | None = None
    seconds: float | None = None
    steps: int | None = None
    device: str = "auto"
    seed: int = 0


class TrainingRun(Protocol):
    """A training child that may outlive the window."""

    @property
    def folder(self) -> Path:
        """The job's folder."""

    @property
    def is_alive(self) -> bool:
        """Whether the child still runs."""

    @property
    def result(self) -> TrainingEvent | None:
        """The final ``result`` event, None before it came."""

    def poll(self) -> Sequence[TrainingEvent]:
        """Return the events that came since the last call; never waits."""

    def stop(self) -> None:
        """Ask the child to end; returns at once."""


class Trainer(Protocol):
    """Starts training children.

    Contract: `start` returns as soon as the child runs; errors are `SegdeskError`.
    """

    def start(self, job: TrainingJob) -> TrainingRun:
        """Start the job in a detached child process."""
