"""Whether a model fits an image, as far as headers can tell; without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.volume import Volume
from segdesk.zoo.spec import ModelSpec

COARSE_FROM = 2.0
"""A voxel this many times as long as the model's along an axis is worth a remark: what it draws is interpolated."""

LARGE_FROM = 20.0
"""From this many times the model's window on a region is advised: on a processor such a run takes many minutes."""


class Fit(StrEnum):
    """How well a model suits an image."""

    FITS = "Fits the open case"
    REMARK = "Fits the open case, with a remark"
    NOT = "Does not fit the open case"
    UNKNOWN = "No case is open to compare with"


@dataclass(frozen=True, slots=True)
class ModelFit:
    """A verdict with its reasons; those that speak against it first."""

    fit: Fit
    reasons: tuple[str, ...] = ()


def fit_of(spec: ModelSpec, channels: Mapping[str, Volume] | None) -> ModelFit:
    """Compare a model with the channels of the open case, None where there is no case."""
    if not channels:
        return ModelFit(Fit.UNKNOWN)
    against = [*_missing_channels(spec, channels), *_wrong_shape(spec, next(iter(channels.values())))]
    if against:
        return ModelFit(Fit.NOT, tuple(against))
    chosen = _chosen(spec, channels)
    remarks = [*_modality_remarks(spec, chosen), *_grid_remarks(spec, next(iter(chosen.values())).geometry)]
    return ModelFit(Fit.REMARK if remarks else Fit.FITS, tuple(remarks))


def size_advice(spec: ModelSpec, grid: Grid, roi: Box | None = None) -> str:
    """Return what to do about an image much larger than what a model sees at once, "" for others.

    Parameters
    ----------
    spec : ModelSpec
    grid : Geometry or SliceStackGeometry
        Of the image.
    roi : Box, optional
        Region the model would be run on.
    """
    times = _times_larger(spec, grid, roi)
    if times < LARGE_FROM:
        return ""
    part = "image" if roi is None else "region"
    todo = "Drag a box round the structure in a view." if roi is None else "Make the box smaller."
    return (
        f"The {part} is {times:.0f} times as large as what this model sees at once: that takes long without a graphics "
        f"card, and a model trained on cut-outs draws in wrong places too. {todo}"
    )


def _times_larger(spec: ModelSpec, grid: Grid, roi: Box | None) -> float:
    """Return how often the model's window goes into the image, by volume; into a slice for a 2D model."""
    shape = grid.shape_kji if roi is None else roi.shape_kji
    here = grid.spacing_kji_mm if isinstance(grid, Geometry) and grid.spacing_known else None
    there = spec.spacing_kji_mm
    times = 1.0
    for axis in range(3 - spec.dimensions, 3):
        zoom = 1.0 if here is None or there is None else here[axis] / there[axis]
        times *= max(1.0, shape[axis] * zoom / spec.patch_kji[axis])
    return times


def _chosen(spec: ModelSpec, channels: Mapping[str, Volume]) -> dict[str, Volume]:
    """Return the channels the model takes: one takes the only image there is, whatever its name."""
    names = spec.channel_names
    if len(names) == 1 and len(channels) == 1:
        return {names[0]: next(iter(channels.values()))}
    return {name: channels[name] for name in names}


def _missing_channels(spec: ModelSpec, channels: Mapping[str, Volume]) -> list[str]:
    names = spec.channel_names
    if len(names) == 1 and len(channels) == 1:
        return []
    missing = [name for name in names if name not in channels]
    have = ", ".join(channels)
    return [f"It needs the channels {', '.join(names)}; the case has {have}."] if missing else []


def _wrong_shape(spec: ModelSpec, volume: Volume) -> list[str]:
    problems: list[str] = []
    grid = volume.geometry
    if volume.time_points > 1:
        problems.append(f"The image has {volume.time_points} time points; the model reads one.")
    if spec.dimensions == 3 and not isinstance(grid, Geometry):
        problems.append("It is a 3D model, and the slices here are not evenly spaced.")
    elif spec.dimensions == 3 and grid.shape_kji[0] == 1:
        problems.append("It is a 3D model, and the image is a single slice.")
    return problems


def _modality_remarks(spec: ModelSpec, chosen: Mapping[str, Volume]) -> list[str]:
    remarks: list[str] = []
    for channel in spec.channels:
        volume = chosen[channel.name]
        if channel.modality and volume.modality and channel.modality != volume.modality:
            remarks.append(f"The image is {volume.modality}; the model was trained on {channel.modality}.")
        elif channel.modality and not volume.modality:
            remarks.append(f"The file does not say what it is; the model was trained on {channel.modality}.")
        if volume.is_rgb:
            remarks.append("The image is in colour; the model sees its brightness.")
    return remarks


def _grid_remarks(spec: ModelSpec, grid: Grid) -> list[str]:
    remarks: list[str] = []
    if spec.orientation and not grid.orientation_known:
        remarks.append(f"Left and right are not known; the axes are taken as the model's ({spec.orientation}).")
    if spec.spacing_kji_mm is None:
        return remarks
    if not grid.spacing_known:
        return [*remarks, "The voxel size is not known; it is taken as the model's."]
    if isinstance(grid, Geometry):
        # Axes are compared by size, as the image may lie in another orientation than the model's.
        here, there = sorted(grid.spacing_kji_mm), sorted(spec.spacing_kji_mm)
        if spec.dimensions == 3 and any(a > COARSE_FROM * b for a, b in zip(here, there, strict=True)):
            sizes = " × ".join(f"{x:.3g}" for x in reversed(grid.spacing_kji_mm))
            wanted = " × ".join(f"{x:.3g}" for x in reversed(spec.spacing_kji_mm))
            remarks.append(f"The voxels ({sizes} mm) are much coarser than those it was trained on ({wanted} mm).")
    return remarks
