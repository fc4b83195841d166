"""The seam between the program and whatever runs a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from segdesk.core.box import Box
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume


class Uncertainty(StrEnum):
    """A map of where a model is unsure, 0 to 1.

    ``entropy``: entropy of the class probabilities as a part of its maximum. ``flips``: variance of the
    probabilities over the mirrored copies of test-time augmentation, summed over the classes.
    """

    ENTROPY = "entropy"
    FLIPS = "flips"


class EngineChoice(StrEnum):
    """What runs a network; ``auto`` takes the one measured fastest here, among those that agree."""

    AUTO = "auto"
    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """What a network computes in; ``auto`` takes bf16 only where it is faster and the model's scores allow it."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class ViewChoice(StrEnum):
    """How a 2D model goes through a volume.

    ``slices``: slice by slice across k of its grid. ``three``: across k, j and i, and the probabilities are averaged.
    """

    SLICES = "slices"
    THREE = "three"


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
        Average over mirrored copies (test-time augmentation), along the axes the model was trained to be
        mirrored on; ``flips`` uncertainty needs it.
    probabilities : bool
        Also return per-label probabilities.
    uncertainty : Uncertainty, optional
        Also return this map.
    engine : EngineChoice
        What runs the network.
    precision : Precision
        What it computes in.
    views : ViewChoice
        How a 2D model goes through a volume; three views need one that was trained on them.
    """

    device: str = "auto"
    overlap: float = 0.5
    roi: Box | None = None
    flips: bool = False
    probabilities: bool = False
    uncertainty: Uncertainty | None = None
    engine: EngineChoice = EngineChoice.AUTO
    precision: Precision = Precision.AUTO
    views: ViewChoice = ViewChoice.SLICES


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
    uncertainty : ndarray of float32, shape (K, J, I), optional
        0 certain, 1 not at all; 0 outside a region of interest; only when asked for.
    """

    labels: LabelMap
    manifest: Mapping[str, Any]
    probabilities: Any = field(default=None, repr=False)
    uncertainty: Any = field(default=None, repr=False)


class Predictor(Protocol):
    """Runs a model folder on named channels.

    Contract: the result lies on the grid of the channels; `Cancelled` raised by
    `report` passes through; never touches the GUI; errors are `SegdeskError`.
    """

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        """Return the prediction of the model folder `model`."""
