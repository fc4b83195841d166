"""Training in a detached child process that may outlive the window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from segdesk.core.training import TrainingEvent, TrainingJob
from segdesk.errors import NotFound, WorkerError
from segdesk.workers.events import EventsReader
from segdesk.workers.job_file import LOG_NAME, RUN_NAME, events_file, stop_file, write_job, write_json
from segdesk.workers.module_command import module_command
from segdesk.workers.process_identity import ProcessIdentity

FINETUNE_COMMAND = module_command("segdesk.nn.finetune")

SILENT_S = 5.0
"""A child that beats once a second and was silent for so long is reported."""

HUNG_S = 60.0
"""A child silent for so long is ended; a step on a busy machine may stop the beats for a while."""

START_LIMIT_S = 180.0
"""Loading torch from a cold disk takes long, and no beats come meanwhile."""

STOP_LIMIT_S = 10.0
"""A child told to stop that still runs is ended by force."""

_NICENESS = 10
"""Priority of training: the window and its drafts come first."""


class TrainingWorker:
    """Starts training children; a `segdesk.core.training.Trainer`.

    Parameters
    ----------
    command : sequence of str
        What is started; the path of ``job.json`` is appended.
    """

    def __init__(self, command: Sequence[str] = FINETUNE_COMMAND) -> None:
        self._command = tuple(command)

    def start(self, job: TrainingJob) -> TrainingRun:
        """Start a job in a detached child and return at once.

        Raises
        ------
        WorkerError
            If a run is alive in the job's folder, or the child cannot be started.
        UsageError
            If the job's budget is not one of seconds and steps.
        """
        if _is_running(job.folder):
            raise WorkerError("A training is running in this folder; stop it first or wait for it.", path=job.folder)
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            stop_file(job.folder).unlink(missing_ok=True)
            _put_aside(events_file(job.folder))
            path = write_job(job)
            with (job.folder / LOG_NAME).open("ab") as log:
                process = subprocess.Popen(
                    [*self._command, str(path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as exc:
            raise WorkerError(f"The training could not be started ({exc.strerror}).", path=job.folder) from exc
        identity = ProcessIdentity.of(process.pid)
        _record_run(job.folder, identity, process)
        _lower_priority(process.pid)
        # Waited for in a thread that dies with us: no zombie stays, and nobody has to hold on to the process.
        threading.Thread(target=process.wait, name="training-wait", daemon=True).start()
        return TrainingRun(job.folder, identity)


class TrainingRun:
    """A training child, started here or found again; see `segdesk.core.training.TrainingRun`.

    Parameters
    ----------
    folder : Path
        The job's folder.
    identity : ProcessIdentity
        The child.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(
        self,
        folder: Path,
        identity: ProcessIdentity,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._clock = clock
        self._reader = EventsReader(events_file(folder))
        self._unread: list[TrainingEvent] = []
        self._result: TrainingEvent | None = None
        self._heart = _Heart(clock())
        self._told_at: float | None = None

    @classmethod
    def attach(cls, folder: Path) -> TrainingRun:
        """Find the run of a job's folder again; the first `poll` returns its events from the beginning.

        Raises
        ------
        NotFound
            If no run was started in the folder.
        """
        identity = _identity_in(folder)
        if identity is None:
            raise NotFound(f"No training was started in {folder.name!r}.", path=folder)
        return cls(folder, identity)

    @property
    def folder(self) -> Path:
        """The job's folder."""
        return self._folder

    @property
    def log_path(self) -> Path:
        """What the child printed."""
        return self._folder / LOG_NAME

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._identity.pid

    @property
    def is_alive(self) -> bool:
        """Whether the child still runs."""
        return self._identity.is_alive

    @property
    def heartbeat_age_s(self) -> float:
        """Seconds since the child's last sign of life that this object saw."""
        return self._heart.age_s(self._reader.changed_ns(), self._clock())

    @property
    def is_silent(self) -> bool:
        """Whether the child runs but has given no sign of life for `SILENT_S`."""
        age_s = self.heartbeat_age_s
        return self.is_alive and age_s > (SILENT_S if self._heart.has_beaten else START_LIMIT_S)

    @property
    def result(self) -> TrainingEvent | None:
        """The final ``result`` event, None before it came."""
        self._read()
        return self._result

    def poll(self) -> Sequence[TrainingEvent]:
        """Return the events since the last call; never waits.

        Adds one ``warning`` (code ``worker``) when the child falls silent, and an ``error``
        when it is ended for it; ends a child that was told to stop and did not.
        """
        self._read()
        self._look_after()
        news, self._unread = self._unread, []
        return news

    def stop(self) -> None:
        """Ask the child to end; returns at once. `poll` ends it by force after `STOP_LIMIT_S`."""
        if self._told_at is None and self.is_alive:
            self._told_at = self._clock()
            with suppress(OSError):
                # Where the folder is gone or full, `poll` ends the child by force.
                stop_file(self._folder).touch()

    def kill(self) -> None:
        """End the child and its own children at once; nothing is lost but the work since its last checkpoint."""
        if not self.is_alive:
            return
        try:
            if os.name == "posix":
                os.killpg(self._identity.pid, signal.SIGKILL)
            else:
                os.kill(self._identity.pid, signal.SIGTERM)
        except ProcessLookupError:
            return

    def _read(self) -> None:
        news = self._reader.read()
        self._unread.extend(news)
        self._result = next((event for event in news if event["event"] == "result"), self._result)

    def _look_after(self) -> None:
        if not self.is_alive:
            return
        age_s = self.heartbeat_age_s
        if self._told_at is not None and self._clock() - self._told_at > STOP_LIMIT_S:
            self.kill()
        elif age_s > (HUNG_S if self._heart.has_beaten else START_LIMIT_S):
            self.kill()
            text = f"The training process did not answer for {age_s:.0f} s and was ended; its log is {LOG_NAME}."
            self._unread.append({"event": "error", "error": {"code": "worker", "message": text, "path": None}})
        elif self._heart.falls_silent(age_s):
            text = f"The training process has not answered for {age_s:.0f} s."
            self._unread.append({"event": "warning", "code": "worker", "message": text})


class _Heart:
    """When the heartbeat changed last, by our own clock: a machine that slept has not missed beats."""

    def __init__(self, now_s: float) -> None:
        self._seen_ns: int | None = None
        self._seen_s = now_s
        self._is_reported = False

    @property
    def has_beaten(self) -> bool:
        """Whether there was any beat."""
        return self._seen_ns is not None

    def age_s(self, changed_ns: int | None, now_s: float) -> float:
        """Return the seconds since the last change."""
        if changed_ns != self._seen_ns:
            self._seen_ns, self._seen_s = changed_ns, now_s
            self._is_reported = False
        return now_s - self._seen_s

    def falls_silent(self, age_s: float) -> bool:
        """Whether the silence is long enough to be told, and was not told yet."""
        if self._is_reported or not self.has_beaten or age_s <= SILENT_S:
            return False
        self._is_reported = True
        return True


def _record_run(folder: Path, identity: ProcessIdentity, process: subprocess.Popen[bytes]) -> None:
    """Note which process runs in the folder; one that cannot be found again is ended at once."""
    try:
        write_json(folder / RUN_NAME, {"pid": identity.pid, "started": identity.started})
    except OSError as exc:
        process.kill()
        process.wait()
        raise WorkerError(f"The training could not be started ({exc.strerror}).", path=folder) from exc


def _lower_priority(pid: int) -> None:
    """Let the window and its drafts come first, where the system allows it."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
    except (AttributeError, OSError):
        return


def _put_aside(events: Path) -> None:
    """Keep the events of an earlier run under another name: its result is not this run's."""
    if events.exists():
        events.replace(events.with_name(f"earlier-{time.time_ns()}-{events.name}"))


def _is_running(folder: Path) -> bool:
    identity = _identity_in(folder)
    return identity is not None and identity.is_alive


def _identity_in(folder: Path) -> ProcessIdentity | None:
    """Return the child that was started last in a folder."""
    try:
        fields = json.loads((folder / RUN_NAME).read_text(encoding="utf-8"))
        return ProcessIdentity(int(fields["pid"]), str(fields["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
