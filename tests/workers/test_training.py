from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segdesk.core.training import TrainingJob
from segdesk.errors import NotFound, UsageError, WorkerError
from segdesk.workers import training
from segdesk.workers.job_file import events_file, read_job, stop_file, write_job
from segdesk.workers.process_identity import ProcessIdentity
from segdesk.workers.training import TrainingRun, TrainingWorker

FAKE = Path(__file__).with_name("fake_training.py")

Start = Callable[..., TrainingRun]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[TrainingRun] = []

    def begin(behaviour: str, folder: str = "job") -> TrainingRun:
        job = TrainingJob(tmp_path / folder, tmp_path / "data", tmp_path / "out", steps=3, device=behaviour)
        runs.append(TrainingWorker((sys.executable, str(FAKE))).start(job))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()
        wait_for_end(run)


def kinds_until(run: TrainingRun, last: str) -> list[str]:
    """Poll until an event of this kind came; the limit only ends a broken test."""
    seen: list[str] = []
    deadline = time.monotonic() + 30
    while last not in seen:
        assert time.monotonic() < deadline, f"only {seen} came"
        seen += [str(event["event"]) for event in run.poll()]
    return seen


def wait_for_end(run: TrainingRun) -> None:
    deadline = time.monotonic() + 30
    while run.is_alive:
        assert time.monotonic() < deadline, "the child did not end"


def test_events_arrive_once_and_in_order_and_damaged_lines_are_left_out(start: Start) -> None:
    run = start("finish")
    assert kinds_until(run, "result") == ["progress", "result"]
    assert run.result == {"event": "result", "verdict": "cannot_judge"}
    assert run.poll() == []
    wait_for_end(run)
    assert run.log_path.read_text() == "that was all\n"


def test_a_killed_child_is_seen_at_once_and_leaves_no_result(start: Start) -> None:
    run = start("die")
    wait_for_end(run)
    assert [event["event"] for event in run.poll()] == ["progress"]
    assert run.result is None


def test_a_child_told_to_stop_ends(start: Start) -> None:
    run = start("wait")
    kinds_until(run, "progress")
    run.stop()
    run.stop()
    assert kinds_until(run, "stopped") == ["stopped"]
    wait_for_end(run)


def test_a_child_that_does_not_stop_is_ended_by_force(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "STOP_LIMIT_S", -1.0)
    run = start("deaf")
    kinds_until(run, "progress")
    run.stop()
    run.poll()
    wait_for_end(run)


def test_a_hung_child_is_reported_then_ended(start: Start) -> None:
    now = [0.0]
    run = start("stop")
    watched = TrainingRun(run.folder, ProcessIdentity.of(run.pid), clock=lambda: now[0])
    kinds_until(watched, "progress")
    assert not watched.is_silent
    now[0] = training.SILENT_S + 1
    assert watched.is_silent
    assert [event["event"] for event in watched.poll()] == ["warning"]
    assert watched.poll() == []
    now[0] = training.HUNG_S + 1
    (event,) = watched.poll()
    assert (event["event"], event["error"]["code"]) == ("error", "worker")
    wait_for_end(run)
    assert not watched.is_silent


def test_a_beat_ends_the_silence(start: Start) -> None:
    now = [0.0]
    run = start("wait")
    watched = TrainingRun(run.folder, ProcessIdentity.of(run.pid), clock=lambda: now[0])
    kinds_until(watched, "progress")
    now[0] = training.HUNG_S + 1
    os.utime(events_file(run.folder))
    assert watched.poll() == []
    assert watched.heartbeat_age_s == 0.0


def test_a_slow_start_is_no_silence(start: Start) -> None:
    now = [0.0]
    run = start("wait")
    kinds_until(run, "progress")
    events_file(run.folder).unlink()
    watched = TrainingRun(run.folder, ProcessIdentity.of(run.pid), clock=lambda: now[0])
    now[0] = training.HUNG_S + 1
    assert not watched.is_silent
    assert watched.poll() == []


def test_a_reopened_window_finds_the_run_with_all_its_events(start: Start) -> None:
    run = start("wait")
    kinds_until(run, "progress")
    again = TrainingRun.attach(run.folder)
    assert again.is_alive
    assert [event["event"] for event in again.poll()] == ["progress"]
    again.stop()
    kinds_until(again, "stopped")
    wait_for_end(again)
    assert not run.is_alive


def test_the_child_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from segdesk.core.training import TrainingJob
from segdesk.workers.training import TrainingWorker
folder = Path({str(tmp_path)!r})
job = TrainingJob(folder / "job", folder, folder / "out", steps=1, device="wait")
TrainingWorker((sys.executable, {str(FAKE)!r})).start(job)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    run = TrainingRun.attach(tmp_path / "job")
    kinds_until(run, "progress")
    assert run.is_alive
    run.stop()
    kinds_until(run, "stopped")
    wait_for_end(run)


def test_two_runs_cannot_share_a_folder(start: Start) -> None:
    kinds_until(start("wait"), "progress")
    with pytest.raises(WorkerError, match="running"):
        start("finish")


def test_a_second_run_in_a_folder_does_not_inherit_result_or_stop_file(start: Start) -> None:
    first = start("finish")
    kinds_until(first, "result")
    wait_for_end(first)
    stop_file(first.folder).touch()
    second = start("wait")
    kinds_until(second, "progress")
    assert second.result is None
    assert second.is_alive
    assert not stop_file(second.folder).exists()


def test_training_yields_to_the_window(start: Start) -> None:
    run = start("wait")
    kinds_until(run, "progress")
    assert os.getpriority(os.PRIO_PROCESS, run.pid) >= 10


def test_a_folder_without_a_run_cannot_be_attached(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        TrainingRun.attach(tmp_path)


def test_a_program_that_does_not_exist_is_a_worker_error(tmp_path: Path) -> None:
    job = TrainingJob(tmp_path / "job", tmp_path, tmp_path / "out", steps=1)
    with pytest.raises(WorkerError, match="could not be started"):
        TrainingWorker((str(tmp_path / "nothing"),)).start(job)


@pytest.mark.parametrize("budget", [{}, {"seconds": 1.0, "steps": 2}])
def test_a_job_needs_exactly_one_budget(budget: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_job(TrainingJob(tmp_path, tmp_path, tmp_path / "out", **budget))  # type: ignore[arg-type]


def test_a_job_survives_the_trip_through_its_file(tmp_path: Path) -> None:
    job = TrainingJob(
        tmp_path, tmp_path / "dätä", tmp_path / "out", tmp_path / "base", seconds=2.5, device="cpu", seed=4
    )
    path = write_job(job)
    assert read_job(path) == job
    fields = json.loads(path.read_text(encoding="utf-8"))
    assert set(fields) == {
        "data", "model", "out", "steps", "time_budget_s", "device", "seed", "events_file", "stop_file",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"data": 3}'])
def test_a_damaged_job_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_job(path)


def test_another_process_with_the_same_number_is_not_taken_for_the_child() -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me.is_alive
    assert not ProcessIdentity(me.pid, "boot:1").is_alive


def test_where_starts_are_not_told_the_number_decides() -> None:
    assert ProcessIdentity(os.getpid(), "").is_alive
    assert not ProcessIdentity(2**22 + 1, "").is_alive


def test_a_child_that_cannot_be_recorded_is_ended_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ProcessIdentity] = []

    def fail(path: Path, fields: dict[str, Any]) -> None:
        started.append(ProcessIdentity(fields["pid"], fields["started"]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "write_json", fail)
    job = TrainingJob(tmp_path / "job", tmp_path, tmp_path / "out", steps=1)
    with pytest.raises(WorkerError, match="No space"):
        TrainingWorker((sys.executable, "-c", "import time; time.sleep(60)")).start(job)
    assert not started[0].is_alive


def test_stopping_a_run_whose_folder_is_gone_raises_nothing(start: Start, tmp_path: Path) -> None:
    run = start("deaf")
    (tmp_path / "job").rename(tmp_path / "gone")
    run.stop()
    assert run.is_alive
