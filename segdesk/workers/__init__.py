"""Child processes for inference and training, seen from the parent; no torch."""

from segdesk.workers.inference import InferenceWorker
from segdesk.workers.training import TrainingRun, TrainingWorker

__all__ = ["InferenceWorker", "TrainingRun", "TrainingWorker"]
