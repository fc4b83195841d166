"""Tasks run off the GUI thread and end in one of three ways."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import ReadError
from segdesk.ui.jobs import Jobs, error_text
from segdesk.ui.models.job_text import progress_text, time_text


@pytest.fixture
def jobs(qtbot: QtBot) -> Iterator[Jobs]:
    made = Jobs()
    yield made
    assert made.shut_down()


def test_work_runs_elsewhere_and_its_result_is_applied_at_home(qtbot: QtBot, jobs: Jobs) -> None:
    threads: list[threading.Thread] = []
    task = Task("x", Lane.CPU, lambda report: threading.current_thread(), threads.append)
    with qtbot.waitSignal(jobs.finished):
        job = jobs.start(task)
        assert jobs.running == (job,)
    assert threads[0] is not threading.main_thread()
    assert jobs.running == ()


def test_progress_arrives_in_order_and_ends_complete(qtbot: QtBot, jobs: Jobs) -> None:
    def work(report: Progress) -> None:
        for step in range(1, 4):
            report(step, 3, f"step {step}")

    seen: list[tuple[int, int, str]] = []
    with qtbot.waitSignal(jobs.finished):
        job = jobs.start(Task("x", Lane.CPU, work))
        job.progressed.connect(lambda *what: seen.append(what))
    assert seen[-1] == (3, 3, "step 3")
    assert seen == sorted(seen)
    assert job.remaining_s is None, "less than a second tells nothing"


def test_cancelling_stops_at_the_next_report_and_applies_nothing(qtbot: QtBot, jobs: Jobs) -> None:
    started, applied = threading.Event(), []

    def work(report: Progress) -> None:
        started.set()
        while True:
            report(0, 0)

    with qtbot.waitSignal(jobs.finished):
        job = jobs.start(Task("x", Lane.CPU, work, applied.append))
        with qtbot.waitSignal(job.cancelled):
            started.wait(5)
            job.cancel()
            assert job.is_cancelling
    assert applied == []


def test_a_queued_job_that_is_cancelled_never_starts(qtbot: QtBot, jobs: Jobs) -> None:
    gate, ran = threading.Event(), []
    first = jobs.start(Task("first", Lane.DISK, lambda report: gate.wait(5)))
    second = jobs.start(Task("second", Lane.DISK, lambda report: ran.append(1)))
    second.cancel()
    with qtbot.waitSignals([first.succeeded, second.cancelled]):
        gate.set()
    assert ran == []
    qtbot.waitUntil(lambda: jobs.running == ())


def test_the_disk_lane_keeps_the_order(qtbot: QtBot, jobs: Jobs) -> None:
    order: list[int] = []
    started = [jobs.start(Task(str(n), Lane.DISK, lambda report, n=n: order.append(n))) for n in range(5)]
    qtbot.waitUntil(lambda: jobs.running == ())
    assert order == list(range(5))
    assert len(started) == 5


def test_a_failure_is_shown_by_who_asked_else_by_the_window(qtbot: QtBot, jobs: Jobs) -> None:
    def fail(report: Progress) -> None:
        raise ReadError("scan.nii is truncated; copy it again.")

    shown: list[str] = []
    with qtbot.waitSignal(jobs.finished), qtbot.assertNotEmitted(jobs.failed):
        jobs.start(Task("x", Lane.CPU, fail), on_error=lambda error: shown.append(error_text(error)))
    assert shown == ["scan.nii is truncated; copy it again."]
    with qtbot.waitSignal(jobs.failed):
        jobs.start(Task("x", Lane.CPU, fail))
    qtbot.waitUntil(lambda: jobs.running == ())


def test_an_error_that_is_not_ours_is_admitted_and_logged(
    qtbot: QtBot, jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []
    with caplog.at_level(logging.ERROR), qtbot.waitSignal(jobs.finished):
        jobs.start(
            Task("Counting", Lane.CPU, lambda report: 1 // 0), on_error=lambda error: shown.append(error_text(error))
        )
    assert "ZeroDivisionError" in shown[0]
    assert "Counting failed" in caplog.text


def test_a_result_that_cannot_be_applied_is_a_failure(qtbot: QtBot, jobs: Jobs) -> None:
    def refuse(result: object) -> None:
        raise ReadError("no")

    with qtbot.waitSignal(jobs.failed):
        jobs.start(Task("x", Lane.CPU, lambda report: None, refuse))
    qtbot.waitUntil(lambda: jobs.running == ())


def test_progress_in_words() -> None:
    assert progress_text("predicting", 31, 50, 8.2) == "predicting 62 % · 0:08 left"
    assert progress_text("", 1, 2, None) == "50 %"
    assert progress_text("loading", 0, 0, None) == "loading"
    assert time_text(3725) == "1:02:05"
