"""The file that tells a training child what to do, and the names of the files both sides meet in."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdesk.core.training import TrainingJob
from segdesk.errors import UsageError

JOB_NAME = "job.json"
EVENTS_NAME = "events.jsonl"
STOP_NAME = "stop"
LOG_NAME = "training.log"
RUN_NAME = "run.json"


def events_file(folder: Path) -> Path:
    """Return the file the child appends its JSON events to, one a line; each write is also its heartbeat."""
    return folder / EVENTS_NAME


def stop_file(folder: Path) -> Path:
    """Return the file whose existence asks the child to end within 10 s."""
    return folder / STOP_NAME


def write_job(job: TrainingJob) -> Path:
    """Write ``job.json`` into the job's folder, whole or not at all, and return its path.

    Fields: data, model (null: from scratch), out, steps, time_budget_s, device, seed, events_file, stop_file.
    """
    if (job.seconds is None) == (job.steps is None):
        raise UsageError("A training job has a budget: give seconds or steps, one of the two.")
    fields = {
        "data": str(job.dataset),
        "model": None if job.base is None else str(job.base),
        "out": str(job.out),
        "steps": job.steps,
        "time_budget_s": job.seconds,
        "device": job.device,
        "seed": job.seed,
        "events_file": str(events_file(job.folder)),
        "stop_file": str(stop_file(job.folder)),
    }
    path = job.folder / JOB_NAME
    write_json(path, fields)
    return path


def read_job(path: Path) -> TrainingJob:
    """Read a ``job.json`` back.

    Raises
    ------
    UsageError
        If it cannot be read or lacks a field.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        job = TrainingJob(path.parent, Path(fields["data"]), Path(fields["out"]))
        return replace(
            job,
            base=None if fields["model"] is None else Path(fields["model"]),
            seconds=fields["time_budget_s"],
            steps=fields["steps"],
            device=str(fields["device"]),
            seed=int(fields["seed"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise UsageError(f"{path.name} is no training job; start the training again.", path=path) from exc


def write_json(path: Path, fields: dict[str, Any]) -> None:
    """Write a small JSON file so that a reader sees the old or the new one, never half."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
