"""The training loop: steps, validations, checkpoints, until the budget is used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from segdesk.core.progress import Progress
from segdesk.errors import ModelError, UsageError
from segdesk.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from segdesk.nn.learner import Learner, part
from segdesk.nn.recipe import TrainingNumbers
from segdesk.nn.sampler import TrainingCase
from segdesk.nn.validation import FoldScore, score_fold
from segdesk.zoo.spec import ModelSpec

Emit = Callable[[Mapping[str, Any]], None]
"""Takes one JSON event."""

_STEPS_PER_LOOK, _SECONDS_PER_LOOK = 25, 20.0
"""A validation and a checkpoint take a few seconds; runs shorter than this have one, at the end."""

_PROGRESS_S = 1.0
"""Progress events come no faster than this."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long the loop runs: `steps` (reproducible) or `seconds` of wall-clock time; exactly one."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse none, both, and what is not positive."""
        if (self.steps is None) == (self.seconds is None):
            raise UsageError("Give either a number of steps or a time budget in seconds.")
        if not 0 < (self.steps or self.seconds or 0) < math.inf:
            raise UsageError("The budget of the training must be above 0.")

    def progress(self, step: int, seconds: float) -> float:
        """Return the used part, 1 or more at the end."""
        return step / self.steps if self.steps else seconds / (self.seconds or 1.0)

    def steps_expected(self, step: int, seconds: float) -> int:
        """Return the number of steps of the whole run, as far as it is known."""
        if self.steps:
            return self.steps
        return max(step, round(step / max(self.progress(step, seconds), 1e-9))) if step else 0

    def looks(self, wanted: int) -> int:
        """Return how often the state is validated and kept: no more than a short run can afford."""
        affordable = self.steps // _STEPS_PER_LOOK if self.steps else int((self.seconds or 0.0) / _SECONDS_PER_LOOK)
        return max(1, min(wanted, affordable))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its states; `run_id` is the hash of everything it depends on."""

    folder: Path
    run_id: str


@dataclass(slots=True)
class History:
    """What happened so far; JSON-able, part of every checkpoint."""

    seconds: float = 0.0
    best_dice: float = -1.0
    best_step: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    scores: list[tuple[int, float, dict[str, float]]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "seconds": self.seconds, "best_dice": self.best_dice, "best_step": self.best_step,
            "losses": self.losses, "scores": self.scores,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fitted:
    """The outcome: the averaged weights of the best validation, and the way there.

    Parameters
    ----------
    weights : mapping of str to Tensor
        On the CPU.
    history : History
        What happened.
    steps : int
        Steps done.
    stopped_early : bool
        The fold had shown no better state for as long as the recipe waits.
    """

    weights: Mapping[str, Tensor]
    history: History
    steps: int
    stopped_early: bool = False


class Fit:
    """Runs a `Learner` until its budget is used; resumes where a checkpoint of the same run is.

    Parameters
    ----------
    learner : Learner
        At its start.
    fold : sequence of TrainingCase
        Chooses the best state; with none the last state is taken.
    spec : ModelSpec
        Patch and label values.
    budget : Budget
        Steps or seconds.
    place : Place
        For checkpoints.
    """

    def __init__(
        self, learner: Learner, fold: Sequence[TrainingCase], spec: ModelSpec, budget: Budget, place: Place
    ) -> None:
        self._learner = learner
        self._fold = fold
        self._spec = spec
        self._budget = budget
        self._place = place
        self._history = History()
        self._best: dict[str, Tensor] = {}
        self._recent: list[float] = []

    def run(self, numbers: TrainingNumbers, emit: Emit, report: Progress) -> Fitted:
        """Train; emits progress, validation and checkpoint events, calls `report` at every step.

        Parameters
        ----------
        numbers : TrainingNumbers
            How often the fold is looked at, in which precision, and for how long in vain.
        emit : callable
            Takes each event.
        report : Progress
            May raise `Cancelled`.

        Raises
        ------
        ModelError
            If the loss is no number (code ``diverged``); the last checkpoint stays.
        """
        looks = self._budget.looks(numbers.validations)
        step = self._resume(emit)
        before, started = self._history.seconds, time.monotonic()
        last_told = -math.inf
        looked = int(looks * min(1.0, self._budget.progress(step, before)))
        while not self._is_stuck(numbers.patience):
            progress = self._budget.progress(step, before + time.monotonic() - started)
            if progress >= 1:
                break
            report(min(999, int(progress * 1000)), 1000, f"Training, step {step}")
            self._recent.append(self._finite(self._learner.step(step, progress), step))
            step += 1
            self._history.seconds = before + time.monotonic() - started
            if time.monotonic() - last_told >= _PROGRESS_S:
                last_told = time.monotonic()
                self._tell(step, emit)
            due = int(looks * min(1.0, self._budget.progress(step, self._history.seconds)))
            if due > looked:
                looked = due
                self._look(step, numbers.bf16, emit)
        if not self._best:
            self._look(step, numbers.bf16, emit)
        is_stuck = self._is_stuck(numbers.patience)
        if is_stuck:
            text = f"Stopped at step {step}: no better state since step {self._history.best_step}."
            emit({"event": "progress", "step": step, "text": text})
        return Fitted(self._best, self._history, step, stopped_early=is_stuck)

    def _is_stuck(self, patience: int) -> bool:
        """Whether the last `patience` looks showed nothing better."""
        since = sum(step > self._history.best_step for step, _, _ in self._history.scores)
        return bool(self._fold) and 0 < patience <= since

    def _resume(self, emit: Emit) -> int:
        found = load_checkpoint(self._place.folder, self._place.run_id)
        if found is None:
            return 0
        self._learner.restore(found.tensors)
        self._best = part(found.tensors, "best")
        self._history = History(**found.numbers)
        emit({"event": "progress", "step": found.step, "text": f"Resumed at step {found.step}."})
        return found.step

    def _tell(self, step: int, emit: Emit) -> None:
        seconds = self._history.seconds
        steps = self._budget.steps_expected(step, seconds)
        rate = step / max(seconds, 1e-9)
        emit(
            {
                "event": "progress", "step": step, "steps": steps, "loss": round(_mean(self._recent[-20:]), 5),
                "seconds": round(seconds, 2), "steps_per_s": round(rate, 3),
                "seconds_left": round(max(0.0, (steps - step) / max(rate, 1e-9)), 1),
            }
        )  # fmt: skip

    def _look(self, step: int, bf16: bool, emit: Emit) -> None:
        """Score the averaged weights, keep them if they are the best, and write a checkpoint."""
        self._history.losses.append((step, round(_mean(self._recent), 5)))
        self._recent.clear()
        score = score_fold(self._learner.average, self._spec, self._fold, bf16=bf16)
        self._note(step, score, emit)
        if score.mean_dice >= self._history.best_dice or not self._fold:
            self._history.best_dice, self._history.best_step = score.mean_dice, step
            weights = self._learner.average.state_dict()
            self._best = {name: value.detach().cpu().clone() for name, value in weights.items()}
        tensors = self._learner.tensors() | {f"best.{name}": value for name, value in self._best.items()}
        state = Checkpoint(step, tensors, self._history.to_json())
        save_checkpoint(self._place.folder, state, self._place.run_id)
        emit({"event": "checkpoint", "step": step, "best_step": self._history.best_step})

    def _note(self, step: int, score: FoldScore, emit: Emit) -> None:
        if not self._fold:
            return
        by_label = {str(self._spec.label_values[c]): round(d, 5) for c, d in score.dice_by_class.items()}
        self._history.scores.append((step, round(score.mean_dice, 5), by_label))
        emit(
            {
                "event": "validation", "step": step, "mean_dice": round(score.mean_dice, 5), "labels": by_label,
                "n_cases": score.cases,
            }
        )  # fmt: skip

    def _finite(self, loss: float, step: int) -> float:
        if math.isfinite(loss):
            return loss
        raise ModelError(
            f"The training diverged at step {step} (the loss is no number); the state before it is kept. "
            "Start again with a smaller learning rate.",
            code="diverged",
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
