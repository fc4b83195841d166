"""First-layer filters and activation maps: what a network looks for, and what it finds in a slice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segdesk.core.inside import Inside, InsideOptions, Layer
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.nn.device import resolve_device
from segdesk.nn.inputs import Inputs, check_inputs
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.preprocess import Preprocessed, preprocess
from segdesk.nn.watched_layer import Watched
from segdesk.nn.window import Window, WindowPlan
from segdesk.zoo.model_folder import ModelFolder

MAPS_SHOWN = 64
"""Filters and maps handed out: more do not fit a screen."""

EDGE_SHOWN = 256
"""Longest edge of a map; larger ones are thinned out."""

Point = tuple[float, float, float]
Maps = NDArray[np.float32]


@torch.no_grad()
def look_inside(channels: Mapping[str, Volume], model: Path, options: InsideOptions, report: Progress) -> Inside:
    """Run one window of an image and return what a layer made of it.

    Parameters
    ----------
    channels : mapping of str to Volume
        As for `segdesk.nn.predict.predict`.
    model : Path
        Model folder.
    options : InsideOptions
        Place, axis and layer.
    report : Progress
        May raise `Cancelled`.

    Returns
    -------
    Inside
        Filters, the slice of the window, its maps, and the names of all layers.

    Raises
    ------
    UsageError
        If the network has no such layer or the layer gives no image.
    SegdeskError
        As `segdesk.nn.predict.predict`.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014 (filters and activations).
    """
    report(0, 0, "Loading the model")
    device = resolve_device(options.device)
    loaded = load_model(ModelFolder.load(model))
    loaded.network.to(device)
    inputs = check_inputs(channels, loaded, PredictOptions(options.device, roi=options.roi))
    report(0, 0, "Preparing the image")
    prepared = preprocess(inputs.channels, loaded.spec)
    look = _Look(loaded, inputs, prepared, options)
    report(0, 1, "Running one window")
    view = look.as_input().to(device)
    layers = _layers(loaded.network, view)
    chosen = options.layer or layers[0].name
    with Watched(loaded.network, chosen) as watched:
        loaded.network(view)
        output = watched.output[0].float().cpu()
    report(1, 1, "Running one window")
    first = _first_convolution(loaded.network)
    return Inside(
        first.weight[:MAPS_SHOWN].float().cpu().numpy(),
        look.cut(look.view[0, :1])[0],
        look.cut(output[:MAPS_SHOWN, None] if look.is_2d else output[:MAPS_SHOWN]),
        look.axis,
        Layer(chosen, output.shape[0], tuple(output.shape[1:])),
        layers,
        int(first.weight.shape[0]),
    )


class _Look:
    """One window round a voxel of the image, and the way its slices lie in the image."""

    def __init__(self, model: LoadedModel, inputs: Inputs, prepared: Preprocessed, options: InsideOptions) -> None:
        self.is_2d = model.spec.dimensions == 2
        self._axes = prepared.axes
        self.axis = self._axes.order[0] if self.is_2d else options.axis
        self._across = self._axes.order.index(self.axis)
        k, j, i = prepared.array.shape[1:]
        plan = WindowPlan((k, j, i), model.window, model.margin, divisor=model.divisor)
        place = _place(options, inputs, prepared)
        padded = tuple(x + before for x, before in zip(place, plan.before, strict=True))
        window = _window_of(plan, padded)
        slices = plan.view(window.corner).slices
        self.view: Tensor = torch.from_numpy(plan.pad(prepared.array)[(slice(None), *slices)].copy())[None]
        inside = zip(padded, window.corner, plan.margin, strict=True)
        self._in_view = tuple(x - corner + margin for x, corner, margin in inside)
        self._steps = model.divisor

    def as_input(self) -> Tensor:
        """Return what the network sees of the window, (1, inputs, [k,] j, i)."""
        return self.view.flatten(1, 2) if self.is_2d else self.view

    def cut(self, maps: Tensor) -> Maps:
        """Return the slice through the voxel of maps (n, k, j, i) of the window, in the image's order of axes."""
        size, length = maps.shape[1 + self._across], self.view.shape[2 + self._across]
        # A layer of valid convolutions covers the middle of what the network looks at, at its own step.
        step = min(self._steps[self._across], 1 << ((length // size).bit_length() - 1))
        start = (length - size * step) / 2
        index = int(np.clip((self._in_view[self._across] - start) // step, 0, size - 1))
        chosen = maps.narrow(1 + self._across, index, 1).numpy()
        turned = np.stack([self._axes.turn_back(each) for each in chosen])
        flat = turned.squeeze(1 + self.axis)
        thin = -(-max(flat.shape[1:]) // EDGE_SHOWN)
        return np.ascontiguousarray(flat[:, ::thin, ::thin], dtype=np.float32)


def _place(options: InsideOptions, inputs: Inputs, prepared: Preprocessed) -> Point:
    """Return the voxel of the image on the model's grid, continuous."""
    axes, seen = prepared.axes, inputs.seen
    found: list[float] = []
    for axis, source in enumerate(axes.order):
        count = seen.shape_kji[source]
        index = min(max(options.point_kji[source] - seen.start_kji[source], 0), count - 1)
        index = count - 1 - index if axes.flipped[axis] else index
        found.append((index + 0.5) * axes.shape_model[axis] / count - 0.5)
    return found[0], found[1], found[2]


def _window_of(plan: WindowPlan, place: tuple[float, ...]) -> Window:
    """Return the window whose middle is nearest to a place of the padded image."""

    def distance(window: Window) -> float:
        middle = (corner + (size - 1) / 2 for corner, size in zip(window.corner, plan.window, strict=True))
        return float(sum((x - m) ** 2 for x, m in zip(place, middle, strict=True)))

    return min(plan.windows(), key=distance)


def _layers(network: nn.Module, view: Tensor) -> tuple[Layer, ...]:
    """Return the convolutions in the order they run in."""
    found: dict[str, Layer] = {}

    def note(name: str, output: Tensor) -> None:
        found.setdefault(name, Layer(name, output.shape[1], tuple(output.shape[2:])))

    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Conv3d)
    ]
    try:
        network(view)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found.values())


def _first_convolution(network: nn.Module) -> nn.Conv2d | nn.Conv3d:
    return next(module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))
