"""What the child process that opens foreign weights is told, and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from segdesk.errors import ImportRefused
from segdesk.zoo.foreign.found import one_line
from segdesk.zoo.spec import FlipAxis, Line, ModelSpec, Record

JOB_NAME = "job.json"
RESULT_NAME = "result.json"
OUTPUT_NAME = "weights.safetensors"


class ConversionJob(Record):
    """Files of foreign weights, each to be fitted into one of our networks.

    Parameters
    ----------
    weights : tuple of Path
        Checked files of weights, one per member of the model.
    spec : ModelSpec
        What they must fit.
    names : str
        How its tensors are named: "ours" (as in our network), or "nnunet".
    axes : tuple of int
        Foreign axis a is our axis ``axes[a]``.
    state_dict, prefix : str, optional
        As in `ModelContract`.
    expected : tuple of (str, str)
        What the checkpoint must say of itself, where it says it.
    """

    weights: Annotated[tuple[Path, ...], Field(min_length=1)]
    spec: ModelSpec
    names: Literal["ours", "nnunet"]
    axes: tuple[int, ...]
    state_dict: str | None = None
    prefix: str | None = None
    expected: tuple[tuple[str, str], ...] = ()


class ConversionResult(Record):
    """What became of it.

    Parameters
    ----------
    error : mapping, optional
        Code and message; None: the weights were written.
    tensors : int
        How many were taken over.
    notes : tuple of str
        What the user should know.
    flip_axes : tuple of str, optional
        Our axes along which the training mirrored, where the checkpoints say so.
    """

    error: dict[str, str | None] | None = None
    tensors: int = Field(default=0, ge=0)
    notes: tuple[Line, ...] = ()
    flip_axes: tuple[FlipAxis, ...] | None = None


def write_job(job: ConversionJob, folder: Path) -> None:
    """Write the job into its folder."""
    (folder / JOB_NAME).write_text(job.model_dump_json(), encoding="utf-8")


def read_job(folder: Path) -> ConversionJob:
    """Read the job of a folder; ImportRefused when there is none."""
    try:
        return ConversionJob.model_validate_json((folder / JOB_NAME).read_bytes())
    except (OSError, ValidationError) as exc:
        raise ImportRefused(f"The import could not begin ({one_line(exc, 120)}).", path=folder) from exc


def write_result(result: ConversionResult, folder: Path) -> None:
    """Write what became of a job."""
    (folder / RESULT_NAME).write_text(result.model_dump_json(), encoding="utf-8")


def read_result(folder: Path) -> ConversionResult | None:
    """Return what became of a job; None when its child left no word."""
    try:
        return ConversionResult.model_validate_json((folder / RESULT_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
