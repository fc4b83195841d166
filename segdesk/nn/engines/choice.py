"""Which engine and precision run a network: what was asked for, else the fastest that agrees with torch.

The rules and the measurements behind them are in docs/decisions/0008-engines.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from segdesk.core.prediction import EngineChoice, Precision, PredictOptions
from segdesk.core.progress import Progress
from segdesk.errors import ModelError
from segdesk.nn.device import resolve_device
from segdesk.nn.engines.agreement import LEAST_AGREEMENT, agreement
from segdesk.nn.engines.converted import convert, is_installed
from segdesk.nn.engines.runner import (
    CPU,
    Runner,
    TorchRunner,
    computes_bf16,
    has_bf16_instructions,
    runner_name,
)
from segdesk.nn.loaded_model import LoadedModel
from segdesk.nn.precision import half_precision_change, moves_little

TIMED_PASSES = 2
"""Passes timed after one that warms up; the faster one counts: the slower was disturbed."""

_LEAST_PASSES = 32
"""A run with fewer passes would be over before it was timed: torch runs it, in bf16 where scores and CPU allow."""

_LEAST_SECONDS = 30.0
"""A run that torch does sooner is not worth a conversion, which takes about 5 seconds."""

_LEAST_GAIN = 1.1
"""How much faster another way must be: below that, the clock decides by chance."""

_CONVERTED = (EngineChoice.ONNXRUNTIME, EngineChoice.OPENVINO)


@dataclass(frozen=True, slots=True)
class Job:
    """What a runner is chosen for.

    Parameters
    ----------
    passes : int
        Windows, times the mirrored copies of each.
    window : Tensor
        One of the image itself, as runners take it: (1, channels, [k,] j, i).
    """

    passes: int
    window: Tensor


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs a network.

    Parameters
    ----------
    runner : Runner
        Not made ready yet.
    seconds : mapping of str to float
        Of one window, of every way that was compared; empty where none was.
    notes : tuple of str
        What the user should know.
    """

    runner: Runner
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()


def device_of(options: PredictOptions) -> torch.device:
    """Return the device of a run.

    Raises
    ------
    ModelError
        If it is not there, or the engine does not run on it (code ``device_unavailable``).
    """
    if options.engine not in _CONVERTED:
        return resolve_device(options.device)
    if options.device not in ("auto", "cpu"):
        message = f"Engine {options.engine.value} runs on the CPU; use --device cpu, or --engine torch."
        raise ModelError(message, code="device_unavailable")
    return CPU


def choose(model: LoadedModel, options: PredictOptions, device: torch.device, job: Job, report: Progress) -> Choice:
    """Return what runs a model on an image.

    An engine or precision asked for by name is what runs. Otherwise a short run is torch's, in bfloat16
    where the model's own scores allow it and the processor has instructions for it, else in float32. A
    longer one goes to the fastest of torch in float32, in bfloat16 where the scores allow it, and
    OpenVINO in float32 where it is installed, agrees, and the run is worth the conversion.

    Raises
    ------
    MissingExtra, UsageError, ModelError
        If what was asked for is not installed, does not exist or (``engine_differs``) draws another mask.
    """
    if options.engine in _CONVERTED:
        return _asked_for(model, options, job, report)
    if options.precision is Precision.BF16:
        return Choice(TorchRunner(model.network, device, Precision.BF16), {}, _half_notes(model))
    return _fastest(model, options, device, job, report)


def seconds_per_pass(runner: Runner, window: Tensor, report: Progress) -> float:
    """Time the forward pass of one window, in seconds."""
    runner.make_ready()
    window = window.to(runner.device)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(TIMED_PASSES + 1):
            report(0, 0, f"Timing one window ({runner.name})")
            start = time.perf_counter()
            # The sum waits for a GPU.
            runner(window).sum().item()
            times.append(time.perf_counter() - start)
    return min(times[1:])


def _asked_for(model: LoadedModel, options: PredictOptions, job: Job, report: Progress) -> Choice:
    precision = Precision.BF16 if options.precision is Precision.BF16 else Precision.FP32
    runner = _converted(model, options.engine, precision, report)
    if precision is Precision.FP32:
        same = _agreement(model, runner, job)
        if same < LEAST_AGREEMENT:
            message = (
                f"{runner.name} draws {1 - same:.2%} of a window's voxels otherwise than torch with this model; "
                "use --engine torch."
            )
            raise ModelError(message, code="engine_differs", path=model.folder.path)
    return Choice(runner, {}, _half_notes(model) if precision is Precision.BF16 else ())


def _fastest(model: LoadedModel, options: PredictOptions, device: torch.device, job: Job, report: Progress) -> Choice:
    plain, half = TorchRunner(model.network, device), TorchRunner(model.network, device, Precision.BF16)
    may_halve = options.precision is Precision.AUTO and moves_little(model.spec) and computes_bf16(device)
    may_convert = options.engine is EngineChoice.AUTO and device.type == "cpu" and is_installed(EngineChoice.OPENVINO)
    if job.passes < _LEAST_PASSES:
        return Choice(half if may_halve and has_bf16_instructions(device) else plain, {})
    if not (may_halve or may_convert):
        return Choice(plain, {})
    ways: list[Runner] = [plain, half] if may_halve else [plain]
    seconds = {way.name: _seconds(model, way, job, report) for way in ways}
    if may_convert and job.passes * min(seconds.values()) >= _LEAST_SECONDS:
        other = _agreeing(model, EngineChoice.OPENVINO, job, report)
        if other is not None:
            ways.append(other)
            seconds[other.name] = _seconds(model, other, job, report)
    best = min(ways, key=lambda way: seconds[way.name])
    return Choice(best if seconds[plain.name] >= _LEAST_GAIN * seconds[best.name] else plain, seconds)


def _agreeing(model: LoadedModel, engine: EngineChoice, job: Job, report: Progress) -> Runner | None:
    """Return the network in another engine in float32; None where it cannot be had, or draws another mask."""
    name = runner_name(engine, Precision.FP32)
    if model.shelf.agreement.get(name, 1.0) < LEAST_AGREEMENT:
        return None
    try:
        runner = _converted(model, engine, Precision.FP32, report)
        same = _agreement(model, runner, job)
    except ModelError:
        model.shelf.agreement[name] = 0.0
        return None
    return runner if same >= LEAST_AGREEMENT else None


def _agreement(model: LoadedModel, runner: Runner, job: Job) -> float:
    """Compare a runner with torch in float32, once in the life of the network."""
    if runner.name not in model.shelf.agreement:
        reference = TorchRunner(model.network, CPU)
        reference.make_ready()
        model.shelf.agreement[runner.name] = agreement(runner, reference, job.window)
    return model.shelf.agreement[runner.name]


def _seconds(model: LoadedModel, runner: Runner, job: Job, report: Progress) -> float:
    """Time a runner, once in the life of the network."""
    key = runner.name, str(runner.device)
    if key not in model.shelf.seconds:
        model.shelf.seconds[key] = seconds_per_pass(runner, job.window, report)
    return model.shelf.seconds[key]


def _half_notes(model: LoadedModel) -> tuple[str, ...]:
    """Tell what is known of a model in bf16, where its scores do not speak for it."""
    if moves_little(model.spec):
        return ()
    change = half_precision_change(model.spec)
    if change is None:
        return ("How bf16 changes the scores of this model was not measured.",)
    return (f"In bf16 this model's own validation Dice moves by {change:.4f}.",)


def _converted(model: LoadedModel, engine: EngineChoice, precision: Precision, report: Progress) -> Runner:
    name = runner_name(engine, precision)
    if name not in model.shelf.converted:
        report(0, 0, f"Preparing the network for {engine.value}")
        model.shelf.converted[name] = convert(model, engine, precision)
    return model.shelf.converted[name]
