"""One case through one model: read, predict, write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segdesk.cli.cases import CaseFiles
from segdesk.core.prediction import Prediction, PredictOptions, Predictor
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.io import read_volume, write_labels, write_volume
from segdesk.zoo.model_folder import ModelFolder


@dataclass(frozen=True, slots=True)
class Targets:
    """Where the answer goes: files for one case, folders for many."""

    mask: Path
    probabilities: Path | None = None
    uncertainty: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Those that were asked for."""
        return tuple(path for path in (self.mask, self.probabilities, self.uncertainty) if path is not None)

    def of_case(self, name: str) -> Targets:
        """Return the files of a case in these folders."""
        mask, probabilities, uncertainty = (
            None if folder is None else folder / f"{name}.nii.gz"
            for folder in (self.mask, self.probabilities, self.uncertainty)
        )
        return Targets(mask or self.mask, probabilities, uncertainty)


def run_network(channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress) -> Prediction:
    """Run a model in this process: a `Predictor` that loads torch when it is first asked."""
    from segdesk.nn.predict import predict

    return predict(channels, model, options, report)


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """What is the same for every case of a run."""

    model: ModelFolder
    options: PredictOptions
    overwrite: bool
    predictor: Predictor

    def predict(self, case: CaseFiles, report: Progress) -> Prediction:
        """Read the channels of a case and run the model on them."""
        report(0, 0, f"Reading {case.name}")
        channels = {name: read_volume(path, report=report) for name, path in case.channels.items()}
        return self.predictor(channels, self.model.path, self.options, report)

    def write(self, prediction: Prediction, targets: Targets) -> None:
        """Write what was asked for; probabilities have one "time point" per label, background first."""
        write_labels(prediction.labels, targets.mask, overwrite=self.overwrite)
        grid = prediction.labels.geometry
        if targets.probabilities is not None:
            array = prediction.probabilities
            volume = Volume(array, grid, time_points=array.shape[0])
            write_volume(volume, targets.probabilities, overwrite=self.overwrite)
        if targets.uncertainty is not None:
            write_volume(Volume(prediction.uncertainty, grid), targets.uncertainty, overwrite=self.overwrite)
