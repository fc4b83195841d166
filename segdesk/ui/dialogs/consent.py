"""Asks before something very large is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QMessageBox, QWidget

from segdesk.core.progress import Task
from segdesk.errors import NeedsConsent, code_named
from segdesk.session.consent import allowing_large
from segdesk.ui.jobs import Job, Jobs


class ConsentingJobs:
    """Starts tasks that read files; one that meets something very large is made anew once the user agreed.

    Parameters
    ----------
    jobs : Jobs
        Runs them.
    window : QWidget
        Above which the question stands.
    """

    def __init__(self, jobs: Jobs, window: QWidget) -> None:
        self._jobs, self._window = jobs, window

    def start(
        self,
        make: Callable[[], Task[Any]],
        done: Callable[[Any], object] | None,
        failed: Callable[[Exception], None],
        declined: Callable[[], object],
    ) -> Job:
        """Start the task that `make` returns; `declined` is called instead of `failed` after a no."""

        def on_error(error: Exception) -> None:
            if isinstance(error, NeedsConsent):
                ask_consent(error, self._window, lambda: self._start(allowing_large(make()), done, failed), declined)
            else:
                failed(error)

        return self._start(make(), done, on_error)

    def _start(self, task: Task[Any], done: Callable[[Any], object] | None, failed: Callable[[Exception], None]) -> Job:
        job = self._jobs.start(task, on_error=failed)
        if done is not None:
            job.succeeded.connect(done)
        return job


def ask_consent(
    error: NeedsConsent, window: QWidget, agreed: Callable[[], object], declined: Callable[[], object]
) -> None:
    """Say how large the image is, and go on as the user decides; returns at once.

    Parameters
    ----------
    error : NeedsConsent
        What the reader said.
    window : QWidget
        Above which the question stands.
    agreed, declined : callable
        What happens then; closing the question declines.
    """
    box = QMessageBox(window)
    box.setWindowTitle("A very large image")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setText(error.message.partition(";")[0] + ".")
    box.setInformativeText(
        f"{code_named(error.code).meaning} The computer may run out of memory. Read it all the same?"
    )
    read = box.addButton("Read it", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Leave it", QMessageBox.ButtonRole.RejectRole))
    box.finished.connect(lambda result: agreed() if box.clickedButton() is read else declined())
    box.finished.connect(box.deleteLater)
    box.open()
