"""The seam between the program and whatever looks into a network, or measures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from segdesk.core.box import Box, Index3
from segdesk.core.explanation import ExplainOptions, Explanation
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume


@dataclass(frozen=True, slots=True)
class InsideOptions:
    """What of a network is looked at.

    Parameters
    ----------
    point_kji : tuple of int
        A voxel of the image: the window around it is given to the network.
    axis : int
        Axis of the image (0: k, 1: j, 2: i) across which the maps are cut; 2D models have only their own.
    layer : str
        Name of a convolution; empty: the first one.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    roi : Box, optional
        Region the model is run on.
    """

    point_kji: Index3
    axis: int = 0
    layer: str = ""
    device: str = "auto"
    roi: Box | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution of a network: name, channels of its output, and their size along (k, j, i) or (j, i)."""

    name: str
    channels: int
    size: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Inside:
    """Filters and activations, arrays in the order of the image's axes.

    Parameters
    ----------
    filters : ndarray of float32, shape (n, channels, [k,] j, i)
        Of the first convolution, in the order of the network's axes.
    image : ndarray of float32, shape (rows, columns)
        The slice of the window as the network sees it: normalised, on the model's grid.
    maps : ndarray of float32, shape (n, rows, columns)
        Output of the layer in the same slice, at the layer's own resolution.
    axis : int
        Axis of the image across which was cut.
    layer : Layer
        Which layer.
    layers : tuple of Layer
        All convolutions, in the order they run in.
    filter_count : int
        Filters of the first convolution; `filters` and `maps` hold the first of them where there are many.
    """

    filters: Any = field(repr=False)
    image: Any = field(repr=False)
    maps: Any = field(repr=False)
    axis: int
    layer: Layer
    layers: tuple[Layer, ...]
    filter_count: int


@dataclass(frozen=True, slots=True)
class WindowCost:
    """What a model costs on an image: how many windows, and how long one took just now.

    Parameters
    ----------
    windows : int
        Windows of the image or its region.
    seconds_per_window : float or None
        Measured on this device a moment ago; None when only the count was asked for.
    device : str
        Where it was measured, in words.
    """

    windows: int
    seconds_per_window: float | None
    device: str


class Insight(Protocol):
    """Explains, opens and measures models; contract as for `segdesk.core.prediction.Predictor`."""

    def explain(
        self, channels: Mapping[str, Volume], model: Path, options: ExplainOptions, report: Progress
    ) -> Explanation:
        """Return what spoke for a label."""

    def look_inside(
        self, channels: Mapping[str, Volume], model: Path, options: InsideOptions, report: Progress
    ) -> Inside:
        """Return filters and activation maps."""

    def cost(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress, *, calibrate: bool
    ) -> WindowCost:
        """Return the number of windows, and with `calibrate` the time of one."""
