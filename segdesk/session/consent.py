"""Doing a task again after the user agreed to read something very large."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from segdesk.core.progress import Progress, Task
from segdesk.io.limits import allow_large

T = TypeVar("T")


def allowing_large(task: Task[T]) -> Task[T]:
    """Return the task with its reading allowed to be of any size: `NeedsConsent` was answered with yes."""

    def work(report: Progress) -> T:
        with allow_large():
            return task.work(report)

    return replace(task, work=work)
