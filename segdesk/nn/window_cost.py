"""How much work a prediction will be: its windows counted, and one of them timed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch

from segdesk.core.inside import WindowCost
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.nn.device import device_title, resolve_device
from segdesk.nn.inputs import check_inputs, mirrored_axes
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.preprocess import axis_map, wanted_spacing
from segdesk.nn.stitch import Engine
from segdesk.nn.window import WindowPlan
from segdesk.zoo.model_folder import ModelFolder

TIMED_RUNS = 2
"""Passes timed after one that warms up; the faster one counts: the slower was disturbed."""


def window_cost(
    channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress, *, calibrate: bool
) -> WindowCost:
    """Count the windows `segdesk.nn.predict.predict` would run, and with `calibrate` time one.

    Parameters
    ----------
    channels, model, options, report
        As for `segdesk.nn.predict.predict`.
    calibrate : bool
        Whether to run a window, of zeros.

    Raises
    ------
    SegdeskError
        As `segdesk.nn.predict.predict`.
    """
    report(0, 0, "Loading the model")
    device = resolve_device(options.device)
    loaded = load_model(ModelFolder.load(model))
    inputs = check_inputs(channels, loaded, options)
    grid = next(iter(inputs.channels.values())).geometry
    axes, _ = axis_map(grid, loaded.spec.orientation, wanted_spacing(loaded.spec))
    plan = WindowPlan(axes.shape_model, loaded.window, loaded.margin, options.overlap, loaded.divisor)
    seconds = _seconds(loaded, plan, device, options, report) if calibrate else None
    return WindowCost(plan.count, seconds, device_title(device))


@torch.no_grad()
def _seconds(
    model: LoadedModel, plan: WindowPlan, device: torch.device, options: PredictOptions, report: Progress
) -> float:
    flips = mirrored_axes(model.spec) if options.flips else ()
    engine = Engine(model.network.to(device), model.spec.dimensions, device, device, 1, flips)
    size = [window + 2 * margin for window, margin in zip(plan.window, plan.margin, strict=True)]
    zeros = torch.zeros(1, len(model.spec.channels), *size, device=device)
    times: list[float] = []
    for number in range(TIMED_RUNS + 1):
        report(number, TIMED_RUNS + 1, "Timing one window")
        start = time.perf_counter()
        engine.logits(zeros).sum().item()
        times.append(time.perf_counter() - start)
    return min(times[1:])
