"""Run a model folder on a scan: the one way from voxels to a candidate mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.core.prediction import Prediction, PredictOptions, Uncertainty, ViewChoice
from segdesk.core.progress import Progress
from segdesk.core.provenance import Origin, OriginKind, Scalar
from segdesk.core.volume import Volume
from segdesk.errors import OutOfMemory
from segdesk.nn.clean_up import clean_up
from segdesk.nn.device import device_title, is_out_of_memory
from segdesk.nn.engines.agreement import middle_window
from segdesk.nn.engines.choice import Choice, Job, choose, device_of
from segdesk.nn.engines.runner import CPU, Runner, TorchRunner
from segdesk.nn.fusion import View, notes_on_views, stitch_views, views_of_run, windows_across
from segdesk.nn.inputs import Inputs, check_inputs, mirrored_axes
from segdesk.nn.loaded_model import LoadedModel, warm_models
from segdesk.nn.manifest import Clock, label_volumes, software
from segdesk.nn.memory import peak_memory_mib, start_measuring
from segdesk.nn.preprocess import Preprocessed, preprocess
from segdesk.nn.stitch import ClassSink, Engine, ProbabilitySink, Sink, network_input
from segdesk.nn.uncertainty import EntropySink, SpreadSink
from segdesk.nn.window import WindowPlan

HALF_PRECISION_BYTES = 1 << 30
"""Probabilities that would be larger as float32 are kept as float16 until they are resampled, class by class."""

_BATCH = {"cpu": {2: 4, 3: 1}, "cuda": {2: 16, 3: 4}}
"""Windows a forward pass; on a CPU a 3D window keeps all cores busy by itself."""


def predict(channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress) -> Prediction:
    """Segment a scan with a model folder; a `segdesk.core.prediction.Predictor`.

    Parameters
    ----------
    channels : mapping of str to Volume
        By channel name, all on one grid. 2D models take volumes slice by slice.
    model : Path
        Model folder.
    options : PredictOptions
        With a `roi`, the image is that region, at least one window of it, also for the
        normalisation; labels appear inside the region only.
    report : Progress
        Called before and after every batch of windows; may raise `Cancelled`.

    Returns
    -------
    Prediction
        Labels on the grid of the channels, and the run manifest of CONTRACT.

    Raises
    ------
    BadModelFolder, ModelError, OutOfMemory, UsageError, GeometryMismatch
        If model, device, channels or options do not fit; see `check_inputs`.
    """
    clock = Clock()
    report(0, 0, "Loading the model")
    device = device_of(options)
    start_measuring(device)
    loaded = warm_models.get(model)
    clock.lap("load")
    inputs = check_inputs(channels, loaded, options)
    report(0, 0, "Preparing the image")
    prepared = preprocess(inputs.channels, loaded.spec)
    clock.lap("preprocess")
    run = _Run(loaded, prepared, options, report, notes=list(inputs.notes))
    run.notes += notes_on_views(options.views, run.views)
    choice = run.choose(device)
    clock.lap("load")
    answer = run.on(device, choice.runner)
    clock.lap("network")
    report(run.windows, run.windows, "Bringing the labels to the scan's grid")
    labels = _labels(answer.labels, prepared, inputs, loaded)
    probabilities = _probabilities(answer.labels, prepared, inputs) if options.probabilities else None
    uncertainty = None if options.uncertainty is None else _uncertainty(answer, prepared, inputs)
    clock.lap("postprocess")
    origin = Origin(OriginKind.MODEL, loaded.spec.identity, (), _parameters(options, run.ran), loaded.folder.sha256)
    label_map = LabelMap((labels,), inputs.grid, loaded.spec.label_table, origin)
    return Prediction(label_map, _manifest(run, label_map, clock, choice), probabilities, uncertainty)


LabelSink = ClassSink | ProbabilitySink
UnsureSink = EntropySink | SpreadSink


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the windows gave: labels or probabilities, and a map of uncertainty where it was asked for."""

    labels: LabelSink
    unsure: UnsureSink | None = None

    @property
    def sink(self) -> Sink:
        return self.unsure or self.labels


@dataclass(slots=True)
class _Run:
    """The windows of one prediction, tried with less and less memory."""

    model: LoadedModel
    prepared: Preprocessed
    options: PredictOptions
    report: Progress
    notes: list[str] = field(default_factory=list)
    ran: Runner = field(init=False)

    @property
    def plan(self) -> WindowPlan:
        """Where the windows lie."""
        k, j, i = self.prepared.array.shape[1:]
        model = self.model
        return WindowPlan((k, j, i), model.window, model.margin, self.options.overlap, model.divisor)

    @property
    def views(self) -> tuple[View, ...]:
        """Which ways the image is gone through."""
        return views_of_run(self.options, self.model.spec, self.plan.shape)

    @property
    def windows(self) -> int:
        """How many there are, over all views."""
        return windows_across(self.plan, self.views)

    @property
    def flips(self) -> tuple[int, ...]:
        """Axes that windows are mirrored along."""
        return mirrored_axes(self.model.spec) if self.options.flips else ()

    def choose(self, device: torch.device) -> Choice:
        """Decide what runs the network."""
        plan = self.plan
        k, j, i = (window + 2 * margin for window, margin in zip(plan.window, plan.margin, strict=True))
        window = network_input(middle_window(self.prepared.array, (k, j, i)), self.model.spec.dimensions)
        job = Job(self.windows * 2 ** len(self.flips), window)
        try:
            choice = choose(self.model, self.options, device, job, self.report)
        except (RuntimeError, MemoryError) as exc:
            if not is_out_of_memory(exc):
                raise
            note = "Memory ran out before the run began; torch goes on in fp32."
            choice = Choice(TorchRunner(self.model.network, device), {}, (note,))
        self.notes.extend(choice.notes)
        return choice

    def on(self, device: torch.device, chosen: Runner) -> _Answer:
        """Run all windows; when memory runs out, in smaller batches, then with torch on the CPU."""
        plan = self.plan
        for runner, engine in self._engines(device, chosen):
            answer = self._answer(plan.shape)
            try:
                runner.make_ready()
                stitch_views(
                    engine, self.prepared.array, plan, self.views, answer.sink, self._step,
                    classes=self._classes, dtype=self._probability_type(plan.shape),
                )  # fmt: skip
            except (RuntimeError, MemoryError) as exc:
                if not is_out_of_memory(exc):
                    raise
            else:
                self.ran = runner
                return answer
            self._say_out_of_memory(runner, engine.batch)
        raise OutOfMemory("Memory ran out on every device; give a smaller region of interest (--roi).")

    def _engines(self, device: torch.device, chosen: Runner) -> list[tuple[Runner, Engine]]:
        """Return what is tried, from the fastest to the smallest."""
        dimensions, plain = self.model.spec.dimensions, TorchRunner(self.model.network, CPU)
        batch = _BATCH[device.type][dimensions]
        ways = [(chosen, device, batch), (chosen, device, 1), (chosen, CPU, 1), (plain, CPU, 1)]
        spread = self.options.uncertainty is Uncertainty.FLIPS
        return [
            (runner, Engine(runner, dimensions, runner.device, store, size, self.flips, spread))
            for runner, store, size in dict.fromkeys(ways)
        ]

    def _answer(self, shape: Index3) -> _Answer:
        labels = self._sink()
        if self.options.uncertainty is None:
            return _Answer(labels)
        kind = SpreadSink if self.options.uncertainty is Uncertainty.FLIPS else EntropySink
        return _Answer(labels, kind(shape, labels))

    def _sink(self) -> LabelSink:
        """Return what collects the answer: classes alone where nothing has to be resampled."""
        axes, array = self.prepared.axes, self.prepared.array
        k, j, i = array.shape[1:]
        is_only_turned = axes.turned_shape(self.prepared.source.shape_kji) == (k, j, i)
        if is_only_turned and not self.options.probabilities:
            return ClassSink((k, j, i))
        return ProbabilitySink(self._classes, (k, j, i), self._probability_type((k, j, i)))

    @property
    def _classes(self) -> int:
        return len(self.model.spec.label_values)

    def _probability_type(self, shape: Index3) -> type[np.floating]:
        is_large = self._classes * math.prod(shape) * 4 > HALF_PRECISION_BYTES
        return np.float16 if is_large else np.float32

    def _step(self, done: int) -> None:
        total = self.windows
        self.report(done, total, f"Window {done} of {total}")

    def _say_out_of_memory(self, runner: Runner, batch: int) -> None:
        if runner.device.type == "cuda":
            torch.cuda.empty_cache()
        note = f"Memory ran out on {runner.device} ({runner.name}) with {batch} window(s) at once; going on with less."
        self.notes.append(note)
        self.report(0, self.windows, note)


def _labels(answer: LabelSink, prepared: Preprocessed, inputs: Inputs, model: LoadedModel) -> LabelArray:
    """Return the label values on the whole source grid, post-processed."""
    if isinstance(answer, ClassSink):
        classes: NDArray[Any] = prepared.axes.turn_back(answer.classes)
    else:
        classes = prepared.labels_to_source(answer.probabilities)
    values = model.spec.label_values
    table = np.array(values, np.uint8 if values[-1] <= 255 else np.uint16)
    labels: LabelArray = np.zeros(inputs.grid.shape_kji, table.dtype)
    inside = _inside(inputs)
    labels[inputs.wanted.slices] = table[classes[inside.slices]]
    return clean_up(labels, inputs.grid, model.spec.post_processing)


def _probabilities(answer: LabelSink, prepared: Preprocessed, inputs: Inputs) -> NDArray[np.float32]:
    """Return the probabilities (C, K, J, I) on the whole source grid; certain background outside the region."""
    if isinstance(answer, ClassSink):
        raise TypeError("classes were collected where probabilities were asked for")
    found = prepared.to_source(answer.probabilities)
    if inputs.wanted == Box.whole(inputs.grid.shape_kji):
        return found
    whole = np.zeros((found.shape[0], *inputs.grid.shape_kji), np.float32)
    whole[0] = 1.0
    whole[(slice(None), *inputs.wanted.slices)] = found[(slice(None), *_inside(inputs).slices)]
    return whole


def _uncertainty(answer: _Answer, prepared: Preprocessed, inputs: Inputs) -> NDArray[np.float32]:
    """Return the map on the whole source grid; 0 outside the region."""
    if answer.unsure is None:
        raise TypeError("no uncertainty was collected")
    found = prepared.to_source(answer.unsure.uncertainty[None])[0]
    whole = np.zeros(inputs.grid.shape_kji, np.float32)
    whole[inputs.wanted.slices] = found[_inside(inputs).slices]
    return whole


def _inside(inputs: Inputs) -> Box:
    """Return the wanted box in the indices of the seen one."""
    (k, j, i), wanted = inputs.seen.start_kji, inputs.wanted
    (k0, j0, i0), (k1, j1, i1) = wanted.start_kji, wanted.stop_kji
    return Box((k0 - k, j0 - j, i0 - i), (k1 - k, j1 - j, i1 - i))


def _parameters(options: PredictOptions, ran: Runner) -> dict[str, Scalar]:
    """Return the settings that the labels depend on."""
    parameters: dict[str, Scalar] = {"overlap": options.overlap, "flips": options.flips, "engine": ran.name}
    if options.views is not ViewChoice.SLICES:
        parameters["views"] = options.views.value
    if options.roi is not None:
        pairs = zip(options.roi.start_kji, options.roi.stop_kji, strict=True)
        parameters["roi"] = ",".join(f"{a}:{b}" for a, b in pairs)
    return parameters


def _manifest(run: _Run, labels: LabelMap, clock: Clock, choice: Choice) -> dict[str, Any]:
    """Return the run manifest of CONTRACT."""
    spec = run.model.spec
    return {
        "model": spec.identity,
        "model_sha256": run.model.folder.sha256,
        "cached": False,
        "device": device_title(run.ran.device),
        "engine": run.ran.name,
        "seconds": dict(clock.seconds),
        "seconds_per_window": {name: round(seconds, 5) for name, seconds in choice.seconds.items()},
        "peak_memory_mib": peak_memory_mib(run.ran.device),
        "windows": run.windows,
        "labels": label_volumes(labels),
        "software": software(run.ran.name.split("-")[0]),
        "geometry_sha256": labels.geometry.sha256(),
        "parameters": dict(labels.origin.parameters),
        "warnings": [warning.to_json() for warning in run.prepared.warnings],
        "notes": list(run.notes),
    }
