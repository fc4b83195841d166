"""From a scan to what a network sees, and the exact way back.

Index axes are permuted and flipped to the model's orientation and resampled
one by one to its spacing; nothing is rotated. Oblique and sheared grids are
therefore exact on the way back: each model voxel lies on the source's own axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry, Grid, nearest_axes
from segdesk.core.labels import LabelArray
from segdesk.core.volume import Volume
from segdesk.errors import GeometryMismatch, ModelError, Warn
from segdesk.nn.normalise import normalise
from segdesk.nn.resample import resample_linear, resample_nearest
from segdesk.zoo.spec import ModelSpec

FloatArray = NDArray[np.float32]

SPACING_RTOL = 0.01
"""Spacings this close are not resampled: 1 % of 100 voxels is one voxel, less than interpolation blurs."""

_AXIS_OF_LETTER = {"L": (0, 0), "R": (0, 1), "P": (1, 0), "A": (1, 1), "S": (2, 0), "I": (2, 1)}


@dataclass(frozen=True, slots=True)
class AxisMap:
    """How the index axes of a source grid become the model's.

    Parameters
    ----------
    order : tuple of int
        ``order[a]`` is the source axis that becomes model axis a.
    flipped : tuple of bool
        Whether model axis a runs against its source axis.
    shape_model : tuple of int
        Grid of the network after resampling.
    """

    order: Index3
    flipped: tuple[bool, bool, bool]
    shape_model: Index3

    def turn(self, array: NDArray) -> NDArray:
        """Return the source array (K, J, I) with the model's axes (a view)."""
        turned = array.transpose(self.order)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def turn_back(self, array: NDArray) -> NDArray:
        """Return an array with the model's axes with the source's axes (a view)."""
        unflipped = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        k, j, i = (self.order.index(axis) for axis in range(3))
        return unflipped.transpose(k, j, i)

    def turned_shape(self, shape_kji: Index3) -> Index3:
        """Return the source shape in the order of the model's axes."""
        k, j, i = (shape_kji[axis] for axis in self.order)
        return k, j, i


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """An image as the network sees it, with the way back.

    Parameters
    ----------
    array : ndarray of float32, shape (C, k, j, i)
        Normalised channels on the model's grid. Pad it with 0 (the mean) where a
        patch is larger.
    source : Geometry or SliceStackGeometry
        Grid the result belongs on.
    axes : AxisMap
        Between both.
    warnings : tuple of Warn
        What the user must be shown.
    """

    array: FloatArray
    source: Grid
    axes: AxisMap
    warnings: tuple[Warn, ...] = field(default=())

    def to_source(self, probabilities: FloatArray) -> FloatArray:
        """Return probabilities (C, k, j, i) of the model's grid on the source grid, (C, K, J, I).

        Linear along each axis; a grid that was only turned comes back bit for bit.
        """
        return np.stack([self._channel_to_source(channel) for channel in probabilities])

    def labels_to_source(self, probabilities: FloatArray) -> LabelArray:
        """Return the most probable class index per source voxel, shape (K, J, I).

        One class is resampled at a time, so that many labels need no memory for all;
        the lower index wins a tie. `probabilities` may be logits.
        """
        best = self._channel_to_source(probabilities[0])
        labels = np.zeros(best.shape, np.uint8 if len(probabilities) <= 256 else np.uint16)
        for index in range(1, len(probabilities)):
            channel = self._channel_to_source(probabilities[index])
            wins = channel > best
            labels[wins] = index
            np.copyto(best, channel, where=wins)
        return labels

    def labels_to_model(self, labels: NDArray) -> NDArray:
        """Return a label array of the source grid on the model's grid (nearest)."""
        return np.ascontiguousarray(resample_nearest(self.axes.turn(labels), self.axes.shape_model))

    def _channel_to_source(self, channel: FloatArray) -> FloatArray:
        shape = self.axes.turned_shape(self.source.shape_kji)
        back = self.axes.turn_back(resample_linear(np.asarray(channel, np.float32), shape))
        return np.array(back, dtype=np.float32, order="C")


def preprocess(channels: Mapping[str, Volume], spec: ModelSpec) -> Preprocessed:
    """Normalise, orient and resample named channels for a network.

    Parameters
    ----------
    channels : mapping of str to Volume
        One per name in ``spec.channel_names``, all on one grid; RGB becomes luminance.
    spec : ModelSpec
        Its channels, orientation and spacing are used.

    Returns
    -------
    Preprocessed
        ``.array`` (C, k, j, i) float32, ``.to_source(probabilities)``,
        ``.labels_to_source(probabilities)``, ``.warnings``.

    Raises
    ------
    ModelError
        If channels are missing, have a time axis (code ``wrong_channels``).
    GeometryMismatch
        If the channels lie on different grids.
    """
    volumes = _in_order(channels, spec.channel_names)
    source = volumes[0].geometry
    axes, warnings = axis_map(source, spec.orientation, wanted_spacing(spec))
    arrays = [
        resample_linear(axes.turn(normalise(volume, channel.normalisation)), axes.shape_model)
        for volume, channel in zip(volumes, spec.channels, strict=True)
    ]
    stacked = np.ascontiguousarray(np.stack(arrays), dtype=np.float32)
    return Preprocessed(stacked, source, axes, tuple(warnings))


def wanted_spacing(spec: ModelSpec) -> tuple[float, float, float] | None:
    """Return the spacing of the model's grid in (k, j, i); 0 keeps an axis, as 2D models of single slices keep k."""
    if spec.spacing_kji_mm is None or spec.uses_slice_distance:
        return spec.spacing_kji_mm
    return (0.0, *spec.spacing_kji_mm[1:])


def axis_map(
    source: Grid, orientation: str | None, spacing_kji_mm: tuple[float, float, float] | None
) -> tuple[AxisMap, list[Warn]]:
    """Find how the axes of `source` become those of a model, with warnings for what is not known."""
    warnings: list[Warn] = []
    order, flipped = (0, 1, 2), (False, False, False)
    if orientation and isinstance(source, Geometry) and source.orientation_known:
        order, flipped = _turn_to(source, orientation)
    elif orientation:
        warnings.append(
            Warn(
                "orientation_unknown", f"The scan's axes are not known; they are taken as the model's ({orientation})."
            )
        )
    if spacing_kji_mm is not None and not source.spacing_known:
        warnings.append(Warn("spacing_unknown", "The scan's spacing is not known; it is taken as the model's."))
        spacing_kji_mm = None
    return AxisMap(order, flipped, _model_shape(source, order, spacing_kji_mm)), warnings


def _turn_to(source: Geometry, orientation: str) -> tuple[Index3, tuple[bool, bool, bool]]:
    here = nearest_axes(source.directions_lps)
    there = [_AXIS_OF_LETTER[letter] for letter in reversed(orientation)]
    lps_axes = [axis for axis, _ in here]
    order = [lps_axes.index(axis) for axis, _ in there]
    flipped = [here[source_axis][1] != sign for source_axis, (_, sign) in zip(order, there, strict=True)]
    return (order[0], order[1], order[2]), (flipped[0], flipped[1], flipped[2])


def _model_shape(source: Grid, order: Index3, spacing_kji_mm: Sequence[float] | None) -> Index3:
    counts = [source.shape_kji[axis] for axis in order]
    if spacing_kji_mm is None:
        return counts[0], counts[1], counts[2]
    # A stack of irregular slices has no spacing along k; its slices are taken as they are.
    here = source.spacing_kji_mm if isinstance(source, Geometry) else (0.0, *source.spacing_ji_mm)
    turned = [here[axis] for axis in order]
    k, j, i = (_count(n, a, b) for n, a, b in zip(counts, turned, spacing_kji_mm, strict=True))
    return k, j, i


def _count(count: int, spacing_mm: float, wanted_mm: float) -> int:
    if wanted_mm <= 0 or spacing_mm <= 0 or abs(spacing_mm / wanted_mm - 1) <= SPACING_RTOL:
        return count
    return max(1, round(count * spacing_mm / wanted_mm))


def _in_order(channels: Mapping[str, Volume], names: Sequence[str]) -> list[Volume]:
    missing = [name for name in names if name not in channels]
    if missing:
        raise ModelError(
            f"The model needs the channels {', '.join(names)}; {', '.join(missing)} is missing.", code="wrong_channels"
        )
    volumes = [channels[name] for name in names]
    for name, volume in zip(names, volumes, strict=True):
        if volume.time_points > 1:
            raise ModelError(f"Channel {name} has a time axis; choose one time point.", code="wrong_channels")
        if not volume.geometry.matches(volumes[0].geometry):
            raise GeometryMismatch(f"Channel {name} lies on another grid than {names[0]}; resample it first.")
    return volumes
