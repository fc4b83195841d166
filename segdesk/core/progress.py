"""Progress, cancellation, and work that knows nothing of threads or Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Raised by a `Progress` when the user cancelled; work lets it pass through."""


class Progress(Protocol):
    """What slow work calls now and then; it may raise `Cancelled`."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Report `done` of `total` steps (total 0: unknown) and what is going on."""


def silent(done: int, total: int, text: str = "") -> None:
    """Ignore progress; never cancels."""


class Lane(StrEnum):
    """A queue of work. DISK and INFERENCE are one wide, so that order is kept."""

    DISK = "disk"
    CPU = "cpu"
    INFERENCE = "inference"


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """Slow work in two halves: compute anywhere, apply at home.

    Parameters
    ----------
    title : str
        For the job bar: "Predicting hippocampus".
    lane : Lane
        Where it queues.
    work : callable
        Runs in any thread, must not touch shared state; returns the result.
    apply : callable
        Takes the result in the owner's thread (the window's): short and without I/O.
    """

    title: str
    lane: Lane
    work: Callable[[Progress], T]
    apply: Callable[[T], None] = lambda result: None

    def run(self, report: Progress = silent) -> T:
        """Do both halves here and now: for scripts, tests and the command line."""
        result = self.work(report)
        self.apply(result)
        return result
