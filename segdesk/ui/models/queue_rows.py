"""What the queue window says; without Qt."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.session import Queue, QueuedCase, QueueState
from segdesk.session.model_fit import Fit

_STATE_TEXTS = {
    QueueState.WAITING: "Waiting",
    QueueState.RUNNING: "Running",
    QueueState.PAUSED: "Paused",
    QueueState.DONE: "Draft stored",
    QueueState.SKIPPED: "Skipped",
    QueueState.FAILED: "Failed",
    QueueState.CANCELLED: "Cancelled",
    QueueState.UNFIT: "Does not fit",
}


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One entry as it is shown.

    Parameters
    ----------
    number : int
        Of the entry.
    name, model, state, detail : str
        Texts.
    part : float or None
        Done of it, in [0, 1]; None where no bar is shown.
    can_pause, can_resume, can_cancel, can_open : bool
        What can be done with it.
    is_bad : bool
        Whether it failed.
    is_doubtful : bool
        Whether the model does not fit the case, or not well.
    """

    number: int
    name: str
    model: str
    state: str
    detail: str
    part: float | None
    can_pause: bool
    can_resume: bool
    can_cancel: bool
    can_open: bool
    is_bad: bool
    is_doubtful: bool

    @classmethod
    def of(cls, row: QueuedCase) -> QueueRow:
        """Describe an entry."""
        is_running = row.state is QueueState.RUNNING
        part = (row.done / row.total if row.total else 0.0) if is_running else None
        return cls(
            row.number,
            row.name,
            row.model_name,
            _state_text(row),
            _detail(row),
            part,
            row.state in (QueueState.WAITING, QueueState.RUNNING),
            row.state in (QueueState.PAUSED, QueueState.FAILED, QueueState.CANCELLED) or _can_run_anyway(row),
            row.is_open,
            row.state in (QueueState.DONE, QueueState.SKIPPED) or _can_run_anyway(row),
            row.state is QueueState.FAILED,
            row.state is QueueState.UNFIT or (row.is_open and row.fit is not None and row.fit.fit is Fit.REMARK),
        )


def _state_text(row: QueuedCase) -> str:
    return "Fits a part" if _can_run_anyway(row) else _STATE_TEXTS[row.state]


def _can_run_anyway(row: QueuedCase) -> bool:
    """Whether a case that is left out could be drafted: the model fits a part of it."""
    return row.state is QueueState.UNFIT and (row.fit is None or row.fit.fit is not Fit.NOT)


def _detail(row: QueuedCase) -> str:
    """Return what is going on; of a waiting case what it will take, and what speaks against it."""
    if row.state is not QueueState.WAITING:
        return row.text
    time = "" if row.estimate is None else f"about {seconds_text(row.estimate.seconds)}"
    reasons = () if row.fit is None else row.fit.reasons
    return " · ".join(part for part in (time, *reasons) if part)


def seconds_text(seconds: float) -> str:
    """Return a rough time: "8.3 s", "40 s", "12 min"."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def queue_summary(queue: Queue) -> str:
    """Return one line on the whole queue."""
    rows = queue.rows
    if not rows:
        return "Nothing is queued. Choose a model in Read and draft all cases with it."
    counts = {state: sum(row.state is state for row in rows) for state in QueueState}
    parts = [f"{counts[QueueState.DONE]} of {len(rows)} drafted"]
    parts += [
        f"{counts[state]} {word}"
        for state, word in (
            (QueueState.RUNNING, "running"),
            (QueueState.WAITING, "waiting"),
            (QueueState.PAUSED, "paused"),
            (QueueState.SKIPPED, "skipped"),
            (QueueState.FAILED, "failed"),
            (QueueState.CANCELLED, "cancelled"),
            (QueueState.UNFIT, "left out: the model does not fit"),
        )
        if counts[state]
    ]
    coming = [row.estimate for row in rows if row.state in (QueueState.WAITING, QueueState.RUNNING)]
    known = [estimate.seconds for estimate in coming if estimate is not None]
    if known:
        rest = "" if len(known) == len(coming) else " and what is not known yet"
        parts.append(f"about {seconds_text(sum(known))}{rest} to go")
    return " · ".join(parts) + (" · on hold: no further case begins" if queue.is_held else "")
