"""One case through one model: read, predict, write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdesk.cli.cases import CaseFiles
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.io import read_volume, write_labels, write_volume
from segdesk.zoo.model_folder import ModelFolder


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """What is the same for every case of a run."""

    model: ModelFolder
    options: PredictOptions
    overwrite: bool

    def predict(self, case: CaseFiles, report: Progress) -> Prediction:
        """Read the channels of a case and run the model on them."""
        from segdesk.nn.predict import predict

        report(0, 0, f"Reading {case.name}")
        channels = {name: read_volume(path, report=report) for name, path in case.channels.items()}
        return predict(channels, self.model.path, self.options, report)

    def write(self, prediction: Prediction, target: Path, probabilities: Path | None) -> None:
        """Write the mask and, where asked for, the probabilities: one "time point" per label, background first."""
        write_labels(prediction.labels, target, overwrite=self.overwrite)
        if probabilities is not None:
            array = prediction.probabilities
            volume = Volume(array, prediction.labels.geometry, time_points=array.shape[0])
            write_volume(volume, probabilities, overwrite=self.overwrite)
