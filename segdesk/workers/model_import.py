"""Bring a model of another maker into a model folder: looked at here, opened in a child process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from segdesk.core.progress import Progress, silent
from segdesk.errors import ImportRefused, WorkerError
from segdesk.workers.module_command import module_command
from segdesk.zoo.foreign.card import card_of
from segdesk.zoo.foreign.contract import ModelContract, contract_of
from segdesk.zoo.foreign.conversion import OUTPUT_NAME, ConversionJob, ConversionResult, read_result, write_job
from segdesk.zoo.foreign.found import FoundModel, one_line
from segdesk.zoo.foreign.inspect import inspect_foreign, is_model_folder, open_source
from segdesk.zoo.model_folder import CARD_NAME, SPEC_NAME, WEIGHTS_NAME, ModelFolder
from segdesk.zoo.spec import ImportRecord, ModelSpec
from segdesk.zoo.writer import write_model_folder

CONVERT_COMMAND = module_command("segdesk.nn.importing")

TIME_LIMIT_S = 900.0
"""Wall time a conversion may take; the child limits its processor time by itself."""

Convert = Callable[[Path, Progress], int]
"""Does the job in a folder; see `segdesk.zoo.foreign.conversion`."""

_POLL_S = 0.05
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What is imported, and where it goes.

    Parameters
    ----------
    source : Path
        Model folder, MONAI bundle, nnU-Net folder, a zip of one of them, or a file of weights.
    models : Path
        Folder of model folders.
    name : str, optional
        Of the model and its folder; found or declared otherwise.
    declared : ModelContract
        What the files do not say.
    overwrite : bool
        Replace a model of this name.
    """

    source: Path
    models: Path
    name: str | None = None
    declared: ModelContract = field(default_factory=ModelContract)
    overwrite: bool = False


class ModelImporter:
    """Imports models.

    Parameters
    ----------
    convert : callable
        Does the job of a folder and returns an exit code; a child process by default.
    """

    def __init__(self, convert: Convert | None = None) -> None:
        self._convert_weights = convert or ConversionChild()

    def __call__(self, request: ImportRequest, report: Progress = silent) -> ModelFolder:
        """Import a model; it appears complete and checked, or not at all.

        Raises
        ------
        ImportRefused, BadModelFolder
            If the source is damaged, not allowed or not understood, or (code
            ``contract_incomplete``) something is neither in its files nor declared.
        UsageError
            If the name is none for a folder.
        WriteError
            If a model of this name exists, or the disk refuses.
        WorkerError
            If the child dies or takes too long.
        Cancelled
            From `report`.
        """
        if request.name is not None:
            contract_of({"name": request.name}, "The name")
        with tempfile.TemporaryDirectory(prefix="segdesk-import-") as made:
            workspace = Path(made)
            report(0, 0, "Looking into the model")
            place = open_source(request.source, workspace)
            if is_model_folder(place):
                return _copy_own(place, request)
            return self._convert(place, request, workspace, report)

    def _convert(self, place: Path, request: ImportRequest, workspace: Path, report: Progress) -> ModelFolder:
        declared = request.declared
        if request.name is not None:
            declared = declared.completed_by(ModelContract(name=request.name))
        found = inspect_foreign(place, declared)
        contract = found.contract.completed_by(declared)
        report(0, 0, "Reading the weights' hash")
        source_hash = _sha256(found.weights, report)
        spec = contract.to_spec(_record(found, source_hash, ())).model_copy(update={"members": len(found.weights)})
        job = ConversionJob(
            weights=tuple(each.absolute() for each in found.weights),
            spec=spec,
            names="nnunet" if found.format == "nnunet-v2" else "ours",
            axes=_axes(found, contract, spec),
            state_dict=contract.state_dict,
            prefix=contract.prefix,
            expected=found.expected,
        )
        folder = workspace / "conversion"
        folder.mkdir()
        write_job(job, folder)
        result = _result(folder, self._convert_weights(folder, report))
        flip_axes = spec.flip_axes if "flip_axes" in contract.model_fields_set else result.flip_axes
        learned = {"imported": _record(found, source_hash, result.notes), "flip_axes": flip_axes}
        final = spec.model_copy(update=learned)
        target = request.models / final.name
        return write_model_folder(target, final, folder / OUTPUT_NAME, card_of(final), overwrite=request.overwrite)


class ConversionChild:
    """Opens foreign weights in a process of their own.

    Parameters
    ----------
    command : sequence of str
        What is started; the job's folder is appended.
    time_limit_s : float
        A child that takes longer is ended.
    """

    def __init__(self, command: Sequence[str] = CONVERT_COMMAND, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._command = tuple(command)
        self._time_limit_s = time_limit_s

    def __call__(self, folder: Path, report: Progress) -> int:
        """Run the child to its end; returns its exit code, negative for a signal.

        Raises
        ------
        WorkerError
            If it cannot be started or takes too long.
        Cancelled
            From `report`; the child is ended.
        """
        try:
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    [*self._command, str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
                )
        except OSError as exc:
            raise WorkerError(f"The process that opens foreign weights could not be started ({exc.strerror}).") from exc
        try:
            self._wait(process, report)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return process.returncode

    def _wait(self, process: subprocess.Popen[bytes], report: Progress) -> None:
        deadline = time.monotonic() + self._time_limit_s
        while process.poll() is None:
            report(0, 0, "Converting the weights in a process of their own")
            if time.monotonic() > deadline:
                raise WorkerError(f"Opening the weights took longer than {self._time_limit_s:g} s and was ended.")
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)


def _result(folder: Path, exit_code: int) -> ConversionResult:
    result = read_result(folder)
    if result is None:
        how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        raise WorkerError(
            f"The process that opened the foreign weights ended unexpectedly ({how}); they were not imported."
        )
    if result.error is not None:
        raise ImportRefused(
            str(result.error.get("message")), code=result.error.get("code"), path=result.error.get("path")
        )
    return result


def _axes(found: FoundModel, contract: ModelContract, spec: ModelSpec) -> tuple[int, ...]:
    if found.axes is not None:
        return found.axes
    forward = tuple(range(spec.dimensions))
    return forward if contract.axis_order == "kji" else forward[::-1]


def _record(found: FoundModel, source_hash: str, more: tuple[str, ...]) -> ImportRecord:
    notes = (*found.notes, *more)
    return ImportRecord(
        format=found.format, source=one_line(_names(found.weights)), source_sha256=source_hash, notes=notes[:64]
    )


def _names(weights: Sequence[Path]) -> str:
    """Return the name of a file; of several, which all may have the same, also those of their folders."""
    if len(weights) == 1:
        return weights[0].name
    return ", ".join(f"{path.parent.name}/{path.name}" for path in weights)


def _sha256(paths: Sequence[Path], report: Progress) -> str:
    """Hash the bytes of all files, one after the other."""
    digest, done, total = hashlib.sha256(), 0, sum(path.stat().st_size for path in paths)
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                done += len(block)
                report(done, total, "Reading the weights' hash")
    return digest.hexdigest()


def _copy_own(place: Path, request: ImportRequest) -> ModelFolder:
    """Copy one of our own model folders, under another name if one is given."""
    if request.declared.model_fields_set:
        raise ImportRefused("A model folder says everything itself; a contract cannot change it.", path=place)
    model = ModelFolder.load(place)
    model.verify()
    spec: ModelSpec = model.spec
    if request.name is not None:
        spec = ModelSpec.model_validate_json(json.dumps({**spec.model_dump(mode="json"), "name": request.name}))
    extras = {path.name: path for path in sorted(place.iterdir()) if _is_extra(path)}
    card = model.card_path.read_text(encoding="utf-8", errors="replace") if model.card_path.is_file() else ""
    return write_model_folder(
        request.models / spec.name, spec, model.weights_path, card, extras, overwrite=request.overwrite
    )


def _is_extra(path: Path) -> bool:
    return path.is_file() and path.name not in (SPEC_NAME, WEIGHTS_NAME, CARD_NAME)
