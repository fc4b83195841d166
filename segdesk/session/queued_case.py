"""An entry of the queue, as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from segdesk.core.prediction import PredictOptions
from segdesk.session.model_fit import ModelFit
from segdesk.session.queue_estimate import CaseEstimate
from segdesk.store.records import MaskRecord


class QueueState(StrEnum):
    """How a queued case stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNFIT = "unfit"


_OPEN = (QueueState.WAITING, QueueState.RUNNING, QueueState.PAUSED)


@dataclass(frozen=True, slots=True)
class QueuedCase:
    """A case in the queue, as it stands.

    Parameters
    ----------
    number : int
        Of this entry; the same case may be queued twice.
    case_id, name : str
        Which case.
    model : str or Path
        What runs on it.
    model_name : str
        For people.
    options : PredictOptions
        How it runs.
    again : bool
        Run although these weights have drafted the case before.
    state : QueueState
        How it stands.
    done, total : int
        Windows; total 0 before the first.
    text : str
        What is going on, or why it failed.
    record : MaskRecord or None
        The stored draft, once it is done.
    fit : ModelFit or None
        How the model suits the case, as far as its record tells; None for one that cannot be opened.
    estimate : CaseEstimate or None
        What it will take, once that was measured.
    anyway : bool
        Run although the model was trained on another field of view.
    """

    number: int
    case_id: str
    name: str
    model: str | Path
    model_name: str
    options: PredictOptions
    again: bool = False
    state: QueueState = QueueState.WAITING
    done: int = 0
    total: int = 0
    text: str = ""
    record: MaskRecord | None = None
    fit: ModelFit | None = None
    estimate: CaseEstimate | None = None
    anyway: bool = False

    @property
    def is_open(self) -> bool:
        """Whether something is still to happen with it."""
        return self.state in _OPEN
