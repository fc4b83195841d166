"""A toy predictor and a fake trainer: the main job without torch and without child processes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from safetensors.numpy import save

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainOptions, Explanation
from segdesk.core.geometry import Geometry
from segdesk.core.inside import Inside, InsideOptions, Layer, WindowCost
from segdesk.core.labels import LabelMap
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.training import TrainingEvent, TrainingJob
from segdesk.core.volume import Volume
from segdesk.errors import WorkerError
from segdesk.zoo.model_folder import ModelFolder
from tests.zoo.folders import folder

SHAPE_KJI = (10, 24, 20)
BALL_CENTRE_KJI = (5.0, 12.0, 10.0)


def write_scan(path: Path, seed: int = 1) -> Path:
    """Write an anisotropic, oblique scan with a bright ball of 5 mm radius, with nibabel."""
    geometry = Geometry.from_spacing(SHAPE_KJI, (2.0, 0.8, 0.9))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE_KJI), indexing="ij"), axis=-1)
    distance_mm = np.linalg.norm((index - BALL_CENTRE_KJI) * geometry.spacing_kji_mm, axis=-1)
    voxels = np.random.default_rng(seed).normal(100, 5, SHAPE_KJI) + 500 * (distance_mm <= 5.0)
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.9, 0.8, 2.0])
    file = nib.Nifti1Image(voxels.T.astype(np.int16), affine)
    file.set_sform(affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(file, path)
    return path


def toy_model(path: Path, number: int = 1) -> ModelFolder:
    """Write a sound model folder around meaningless weights."""
    return folder(path, save({"a": np.full(3, number, np.float32)}), name="toy")


class ToyPredictor:
    """Thresholds the first channel; counts calls; remembers options."""

    def __init__(self) -> None:
        self.options: list[PredictOptions] = []

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        report(0, 1, "Predicting")
        self.options.append(options)
        volume = next(iter(channels.values()))
        inside = np.zeros(volume.geometry.shape_kji, np.bool_)
        inside[(options.roi or Box.whole(inside.shape)).slices] = True
        labels = LabelMap.of(((volume.array > 300) & inside).astype(np.uint8), volume.geometry)
        labels.table = ModelFolder.load(model).spec.label_table
        return Prediction(labels, {"model": "toy", "device": options.device})


SECONDS = {"load": 9.0, "preprocess": 1.0, "network": 4.0, "postprocess": 1.0, "total": 15.0}


class UnsurePredictor(ToyPredictor):
    """Is unsure by a quarter everywhere, and says what it cost."""

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        answer = super().__call__(channels, model, options, report)
        unsure = np.full(answer.labels.array.shape, 0.25, np.float32)
        manifest = {"windows": 3, "seconds": SECONDS, "device": "CPU"}
        return replace(answer, uncertainty=unsure if options.uncertainty else None, manifest=manifest)


class RuleInsight:
    """Answers by rule; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def explain(
        self, channels: Mapping[str, Volume], model: Path, options: ExplainOptions, report: Progress
    ) -> Explanation:
        self.asked.append(options)
        volume = next(iter(channels.values()))
        return Explanation(np.full(volume.array.shape, -1.0, np.float32), volume.geometry, {"layer": "x"})

    def look_inside(
        self, channels: Mapping[str, Volume], model: Path, options: InsideOptions, report: Progress
    ) -> Inside:
        self.asked.append(options)
        layer = Layer("conv", 1, (2, 2))
        empty = np.zeros((1, 1, 2, 2), np.float32)
        return Inside(empty, empty[0, 0], empty[0], 0, layer, (layer,), 1)

    def cost(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress, *, calibrate: bool
    ) -> WindowCost:
        self.asked.append(calibrate)
        return WindowCost(6, 0.5 if calibrate else None, "CPU")


class FakeRun:
    """A training child that has said everything when it is first asked."""

    def __init__(self, job: TrainingJob, events: Sequence[TrainingEvent]) -> None:
        self.job = job
        self._events = list(events)
        self.is_stopped = False
        self.is_alive = True
        self.result: TrainingEvent | None = None

    @property
    def folder(self) -> Path:
        return self.job.folder

    def poll(self) -> Sequence[TrainingEvent]:
        news, self._events = self._events, []
        return news

    def stop(self) -> None:
        self.is_stopped = True
        self.is_alive = False


class FakeTrainer:
    """Writes a challenger at once and says the verdict it was given."""

    def __init__(self, verdict: str = "cannot_judge") -> None:
        self.jobs: list[TrainingJob] = []
        self.verdict = verdict
        self.is_broken = False

    def start(self, job: TrainingJob) -> FakeRun:
        if self.is_broken:
            raise WorkerError("The child could not be started.")
        self.jobs.append(job)
        toy_model(job.out, 100 + len(self.jobs))
        json.loads((job.dataset / "dataset.json").read_text())
        result = {"event": "result", "model": str(job.out), "verdict": self.verdict, "reason": "one patient"}
        return FakeRun(job, [{"event": "progress", "step": 1}, result])
