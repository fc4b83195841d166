"""What the queue window says; without Qt."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.session import Queue, QueuedCase, QueueState

_STATE_TEXTS = {
    QueueState.WAITING: "Waiting",
    QueueState.RUNNING: "Running",
    QueueState.PAUSED: "Paused",
    QueueState.DONE: "Draft stored",
    QueueState.SKIPPED: "Skipped",
    QueueState.FAILED: "Failed",
    QueueState.CANCELLED: "Cancelled",
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

    @classmethod
    def of(cls, row: QueuedCase) -> QueueRow:
        """Describe an entry."""
        is_running = row.state is QueueState.RUNNING
        part = (row.done / row.total if row.total else 0.0) if is_running else None
        return cls(
            row.number,
            row.name,
            row.model_name,
            _STATE_TEXTS[row.state],
            row.text,
            part,
            row.state in (QueueState.WAITING, QueueState.RUNNING),
            row.state in (QueueState.PAUSED, QueueState.FAILED, QueueState.CANCELLED),
            row.is_open,
            row.state in (QueueState.DONE, QueueState.SKIPPED),
            row.state is QueueState.FAILED,
        )


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
        )
        if counts[state]
    ]
    return " · ".join(parts) + (" · on hold: no further case begins" if queue.is_held else "")
