"""The detached training child: reads a job, writes events, ends when it is told to.

The events file gets one JSON object a line, each in a single write, so a reader
never sees half a line of a live child. Its time of change is the heartbeat.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segdesk.core.progress import Cancelled
from segdesk.core.training import TrainingJob
from segdesk.errors import SegdeskError, UsageError
from segdesk.nn.finetune import FinetuneSettings, finetune
from segdesk.nn.fit import Budget
from segdesk.nn.train import TrainSettings, train
from segdesk.workers.job_file import events_file, read_job, stop_file

HEARTBEAT_S = 1.0
"""The events file is touched this often, whatever the loop is doing."""

GRACE_S = 6.0
"""A child told to stop that does not reach the next step within this is ended; with the heartbeat that is < 10 s."""

EXIT_REFUSED, EXIT_CANCELLED, EXIT_INTERNAL = 2, 130, 1


class EventsFile:
    """Appends events.

    Parameters
    ----------
    path : Path
        Its folder must exist; when it is gone, events are dropped and `is_gone` says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    @property
    def is_gone(self) -> bool:
        """Whether the file, and so the project, was removed."""
        return not self._path.exists()

    def emit(self, event: Mapping[str, Any]) -> None:
        """Append one line."""
        line = json.dumps(dict(event), allow_nan=False) + "\n"
        with self._lock:
            os.write(self._handle, line.encode())

    def touch(self) -> None:
        """Give a sign of life."""
        os.utime(self._handle)


class Watch:
    """Beats and listens in a thread of its own; `report` raises `Cancelled` in the loop's.

    Parameters
    ----------
    events : EventsFile
        Gets the beats.
    stop : Path
        Existing means: end.
    """

    def __init__(self, events: EventsFile, stop: Path) -> None:
        self._events = events
        self._stop = stop
        self._told = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._done.set()
        self._thread.join()

    def report(self, done: int, total: int, text: str = "") -> None:
        """Raise `Cancelled` once the child was told to stop."""
        if self._told.is_set() or self._is_told():
            raise Cancelled

    def _is_told(self) -> bool:
        return self._stop.exists() or self._events.is_gone

    def _run(self) -> None:
        deadline = float("inf")
        while not self._done.wait(HEARTBEAT_S):
            self._events.touch()
            if not self._told.is_set() and self._is_told():
                self._told.set()
                deadline = time.monotonic() + GRACE_S
            if time.monotonic() > deadline:
                # A step that takes longer than the grace: checkpoints are atomic, so nothing is lost but the step.
                os._exit(EXIT_CANCELLED)


def run_job(job: TrainingJob) -> int:
    """Train what the job asks for; the last event is ``result``, ``error`` or ``stopped``. Returns the exit code."""
    events = EventsFile(events_file(job.folder))
    with Watch(events, stop_file(job.folder)) as watch:
        try:
            _dispatch(job, events, watch)
        except Cancelled:
            events.emit({"event": "stopped", "text": "Stopped; the base model is unchanged."})
            return EXIT_CANCELLED
        except SegdeskError as exc:
            events.emit({"event": "error", "error": exc.to_json()})
            return EXIT_REFUSED
        except MemoryError:
            error = SegdeskError("Not enough memory to train; give a smaller patch or batch.", code="out_of_memory")
            events.emit({"event": "error", "error": error.to_json()})
            return EXIT_REFUSED
        except Exception as exc:
            logging.getLogger(__name__).exception("training failed")
            events.emit({"event": "error", "error": {"code": "internal", "message": type(exc).__name__, "path": None}})
            return EXIT_INTERNAL
    return 0


def _dispatch(job: TrainingJob, events: EventsFile, watch: Watch) -> None:
    budget = Budget(job.steps, job.seconds)
    if job.base is None:
        settings = TrainSettings(job.dataset, job.out, budget, device=job.device, seed=job.seed)
        train(settings, events.emit, watch.report)
        return
    tuning = FinetuneSettings(job.dataset, job.base, job.out, budget, device=job.device, seed=job.seed)
    finetune(tuning, events.emit, watch.report)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m segdesk.nn.finetune JOB.json``; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if len(words) != 1:
            raise UsageError("Usage: python -m segdesk.nn.finetune JOB.json")
        job = read_job(Path(words[0]))
    except SegdeskError as exc:
        sys.stderr.write(f"segdesk: {exc.message} [{exc.code}]\n")
        return EXIT_REFUSED
    return run_job(job)
