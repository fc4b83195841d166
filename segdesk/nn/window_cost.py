"""How much work a prediction will be: its windows counted, and one of them timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from segdesk.core.inside import WindowCost
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.nn.device import device_title
from segdesk.nn.engines.choice import Job, choose, device_of, seconds_per_pass
from segdesk.nn.fusion import views_of_run, windows_across
from segdesk.nn.inputs import check_inputs, mirrored_axes
from segdesk.nn.loaded_model import LoadedModel, warm_models
from segdesk.nn.preprocess import axis_map, wanted_spacing
from segdesk.nn.stitch import network_input
from segdesk.nn.window import WindowPlan


def window_cost(
    channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress, *, calibrate: bool
) -> WindowCost:
    """Count the windows `segdesk.nn.predict.predict` would run, and with `calibrate` time one.

    Parameters
    ----------
    channels, model, options, report
        As for `segdesk.nn.predict.predict`.
    calibrate : bool
        Whether to run windows, of noise.

    Raises
    ------
    SegdeskError
        As `segdesk.nn.predict.predict`.
    """
    report(0, 0, "Loading the model")
    device = device_of(options)
    loaded = warm_models.get(model)
    inputs = check_inputs(channels, loaded, options)
    grid = next(iter(inputs.channels.values())).geometry
    axes, _ = axis_map(grid, loaded.spec.orientation, wanted_spacing(loaded.spec))
    plan = WindowPlan(axes.shape_model, loaded.window, loaded.margin, options.overlap, loaded.divisor)
    windows = windows_across(plan, views_of_run(options, loaded.spec, plan.shape))
    seconds = _seconds(loaded, plan, windows, device, options, report) if calibrate else None
    return WindowCost(windows, seconds, device_title(device))


def _seconds(
    model: LoadedModel, plan: WindowPlan, windows: int, device: torch.device, options: PredictOptions, report: Progress
) -> float:
    """Time one window, its mirrored copies included, in what `predict` would choose."""
    copies = 2 ** len(mirrored_axes(model.spec) if options.flips else ())
    size = [window + 2 * margin for window, margin in zip(plan.window, plan.margin, strict=True)]
    # As a normalised image is spread. An engine is compared with torch on it here, but on the image when it runs.
    model = replace(model, shelf=replace(model.shelf, agreement={}))
    noise = torch.randn(1, len(model.spec.channels), *size, generator=torch.Generator().manual_seed(0))
    window = network_input(noise, model.spec.dimensions)
    choice = choose(model, options, device, Job(windows * copies, window), report)
    timed = choice.seconds.get(choice.runner.name)
    return copies * (seconds_per_pass(choice.runner, window, report) if timed is None else timed)
