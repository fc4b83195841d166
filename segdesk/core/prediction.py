"""The seam between the program and whatever runs a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from segdesk.core.box import Box
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How a model is run.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    overlap : float
        Overlap of neighbouring windows as a fraction of the patch, in [0, 0.9].
    roi : Box, optional
        Predict only inside this box of the source grid; background elsewhere.
    flips : bool
        Average over mirrored copies (test-time augmentation).
    probabilities : bool
        Also return per-label probabilities.
    """

    device: str = "auto"
    overlap: float = 0.5
    roi: Box | None = None
    flips: bool = False
    probabilities: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model said.

    Parameters
    ----------
    labels : LabelMap
        On the grid of the source volume; its origin names model and weights.
    manifest : mapping
        The run manifest of CONTRACT (model, device, seconds, windows, ...), JSON-able.
    probabilities : ndarray of float32, shape (C, K, J, I), optional
        Softmax per label value, background first; only when asked for.
    """

    labels: LabelMap
    manifest: Mapping[str, Any]
    probabilities: Any = field(default=None, repr=False)


class Predictor(Protocol):
    """Runs a model folder on named channels.

    Contract: the result lies on the grid of the channels; `Cancelled` raised by
    `report` passes through; never touches the GUI; errors are `SegdeskError`.
    """

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        """Return the prediction of the model folder `model`."""
