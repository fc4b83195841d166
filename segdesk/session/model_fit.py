"""Whether a model fits an image, as far as headers can tell: dimensions, channels, voxels, field of view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, Grid, nearest_axes
from segdesk.core.volume import Volume
from segdesk.store.records import CaseRecord
from segdesk.zoo.channel_choice import chosen_channels

if TYPE_CHECKING:
    from segdesk.zoo.spec import ModelSpec

COARSE_FROM = 2.0
"""A voxel this many times as long as the model's along an axis is worth a remark: what it draws is interpolated."""

LARGE_FROM = 20.0
"""From this many times the model's window on a region is advised: on a processor such a run takes many minutes."""


OUTGROWN_FROM = 2.0
"""An image this many times as long, along an axis, as the longest the model was trained on is another field of view."""


_PATIENT_AXES_KJI = (2, 1, 0)
"""LPS axis of the k, j and i axes of every orientation a model may name (RAS and LPS)."""


class Fit(StrEnum):
    """How well a model suits an image."""

    FITS = "Fits the open case"
    REMARK = "Fits the open case, with a remark"
    NOT = "Does not fit the open case"
    UNKNOWN = "No case is open to compare with"


@dataclass(frozen=True, slots=True)
class ModelFit:
    """A verdict with its reasons, those that speak against it first.

    Parameters
    ----------
    fit : Fit
        How well it suits.
    reasons : tuple of str
        In words.
    needs_region : bool
        Whether the image shows far more than what the model was trained on: it fits a part of it.
    """

    fit: Fit
    reasons: tuple[str, ...] = ()
    needs_region: bool = False


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image without its voxels.

    Parameters
    ----------
    grid : Geometry or SliceStackGeometry
        Where its voxels lie.
    modality : str or None
        As in `Volume`; None where it was not recorded.
    time_points : int
        As in `Volume`.
    is_rgb : bool
        Whether voxels are colours.
    """

    grid: Grid
    modality: str | None = None
    time_points: int = 1
    is_rgb: bool = False

    @classmethod
    def of(cls, volume: Volume) -> ImageFacts:
        """Return the facts of an image that was read."""
        return cls(volume.geometry, volume.modality, volume.time_points, volume.is_rgb)


def fit_of(spec: ModelSpec, channels: Mapping[str, Volume] | None, roi: Box | None = None) -> ModelFit:
    """Compare a model with the channels of the open case, or a region of it; None where there is no case."""
    if not channels:
        return ModelFit(Fit.UNKNOWN)
    return fit_of_images(spec, {name: ImageFacts.of(volume) for name, volume in channels.items()}, roi)


def fit_of_case(spec: ModelSpec, case: CaseRecord, roi: Box | None = None) -> ModelFit:
    """Compare a model with a stored case, by its record alone; unknown where the record has no grid."""
    if case.grid is None:
        return ModelFit(Fit.UNKNOWN)
    names = [channel.name for channel in case.channels]
    images = {name: ImageFacts(case.grid, None if place else case.modality) for place, name in enumerate(names)}
    return fit_of_images(spec, images, roi)


def fit_of_images(spec: ModelSpec, images: Mapping[str, ImageFacts], roi: Box | None = None) -> ModelFit:
    """Compare a model with images by their names, all on one grid."""
    chosen = chosen_channels(spec, images)
    against = (
        [] if chosen else [f"It needs the channels {', '.join(spec.channel_names)}; the case has {', '.join(images)}."]
    )
    against += _wrong_shape(spec, next(iter(images.values())))
    if chosen is None or against:
        return ModelFit(Fit.NOT, tuple(against))
    grid = next(iter(chosen.values())).grid
    advice = size_advice(spec, grid, roi)
    remarks = [*([advice] if advice else ()), *_modality_remarks(spec, chosen), *_grid_remarks(spec, grid)]
    return ModelFit(Fit.REMARK if remarks else Fit.FITS, tuple(remarks), bool(_outgrown_text(spec, grid, roi)))


def best_fitting(specs: Sequence[ModelSpec], channels: Mapping[str, Volume]) -> int:
    """Return the place of the model to offer first for an image: one that fits, of its dimensions, without a remark."""

    def rank(place: int) -> tuple[bool, bool, bool, int]:
        spec = specs[place]
        fit = fit_of(spec, channels).fit
        is_flat = next(iter(channels.values())).geometry.shape_kji[0] == 1
        return fit is Fit.NOT, is_flat != (spec.dimensions == 2), fit is not Fit.FITS, place

    return min(range(len(specs)), key=rank)


def size_advice(spec: ModelSpec, grid: Grid, roi: Box | None = None) -> str:
    """Return what to do about an image much larger than what a model knows, "" for others.

    What it was trained on counts where the model says it; else what it sees at once.

    Parameters
    ----------
    spec : ModelSpec
    grid : Geometry or SliceStackGeometry
        Of the image.
    roi : Box, optional
        Region the model would be run on.
    """
    todo = "Drag a box round the structure in a view." if roi is None else "Make the box smaller."
    outgrown = _outgrown_text(spec, grid, roi)
    if outgrown:
        return f"{outgrown} {todo}"
    times = _times_larger(spec, grid, roi)
    if times < LARGE_FROM or spec.trained_extent_kji_mm is not None:
        return ""
    part = "image" if roi is None else "region"
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


def _outgrown_text(spec: ModelSpec, grid: Grid, roi: Box | None) -> str:
    """Return how much more than what the model was trained on an image shows, "" where it does not, or nobody knows."""
    known, here = spec.trained_extent_kji_mm, extent_kji_mm(spec, grid, roi)
    if known is None or here is None:
        return ""
    axes = range(3 - spec.dimensions, 3)
    if all(here[axis] <= OUTGROWN_FROM * known[axis] for axis in axes):
        return ""
    part = "image" if roi is None else "region"
    return (
        f"The {part} is {_millimetres(here)} mm; the model was trained on cut-outs of at most {_millimetres(known)} mm "
        "and draws in wrong places elsewhere."
    )


def extent_kji_mm(spec: ModelSpec, grid: Grid, roi: Box | None = None) -> tuple[float, float, float] | None:
    """Return the lengths of an image, or of a region of it, along the model's axes in mm; None where not known."""
    if not isinstance(grid, Geometry) or not grid.spacing_known:
        return None
    shape = grid.shape_kji if roi is None else roi.clip(grid.shape_kji).shape_kji
    order = [0, 1, 2]
    if spec.orientation is not None and grid.orientation_known:
        here = [axis for axis, _ in nearest_axes(grid.directions_lps)]
        order = [here.index(axis) for axis in _PATIENT_AXES_KJI]
    k, j, i = (shape[axis] * grid.spacing_kji_mm[axis] for axis in order)
    return k, j, i


def _millimetres(lengths_kji: tuple[float, float, float]) -> str:
    return " × ".join(f"{length:.0f}" for length in reversed(lengths_kji))


def _wrong_shape(spec: ModelSpec, image: ImageFacts) -> list[str]:
    problems: list[str] = []
    grid = image.grid
    if image.time_points > 1:
        problems.append(f"The image has {image.time_points} time points; the model reads one.")
    if spec.dimensions == 3 and not isinstance(grid, Geometry):
        problems.append("It is a 3D model, and the slices here are not evenly spaced.")
    elif spec.dimensions == 3 and grid.shape_kji[0] == 1:
        problems.append("It is a 3D model, and the image is a single slice.")
    return problems


def _modality_remarks(spec: ModelSpec, chosen: Mapping[str, ImageFacts]) -> list[str]:
    remarks: list[str] = []
    for channel in spec.channels:
        image = chosen[channel.name]
        if channel.modality and image.modality and channel.modality != image.modality:
            remarks.append(f"The image is {image.modality}; the model was trained on {channel.modality}.")
        elif channel.modality and image.modality == "":
            remarks.append(f"The file does not say what it is; the model was trained on {channel.modality}.")
        if image.is_rgb:
            remarks.append("The image is in colour; the model sees its brightness.")
    return remarks


def _grid_remarks(spec: ModelSpec, grid: Grid) -> list[str]:
    remarks: list[str] = []
    if not spec.uses_slice_distance and grid.shape_kji[0] > 1:
        remarks.append("It is a 2D model: it draws slice by slice and sees no other slice.")
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
