"""Check what a model is given before any work is done on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, Grid
from segdesk.core.prediction import PredictOptions, Uncertainty, ViewChoice
from segdesk.core.volume import Volume
from segdesk.errors import GeometryMismatch, ModelError, UsageError
from segdesk.nn.loaded_model import LoadedModel
from segdesk.nn.preprocess import axis_map, wanted_spacing
from segdesk.nn.views import check_views, seen_across, views_of
from segdesk.zoo.spec import FLIP_AXES, ModelSpec


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the network is run on.

    Parameters
    ----------
    channels : mapping of str to Volume
        By the model's names; cropped to `seen`.
    grid : Geometry or SliceStackGeometry
        Of the whole source.
    seen : Box
        The part of the source the network looks at.
    wanted : Box
        The part labels are asked for.
    notes : tuple of str
        What the user should know.
    """

    channels: Mapping[str, Volume]
    grid: Grid
    seen: Box
    wanted: Box
    notes: tuple[str, ...]


def check_inputs(channels: Mapping[str, Volume], model: LoadedModel, options: PredictOptions) -> Inputs:
    """Choose the model's channels and the part of the image that is looked at.

    Raises
    ------
    ModelError
        If channels are missing or have a time axis (code ``wrong_channels``).
    GeometryMismatch
        If channels lie on different grids.
    UsageError
        If a 3D model is given a single slice or an irregular stack, an option is out
        of range, or the region of interest misses the image.
    """
    if not 0.0 <= options.overlap <= 0.9:
        raise UsageError(f"The overlap must lie in 0..0.9, not {options.overlap:g}.")
    if options.uncertainty is Uncertainty.FLIPS and not (options.flips and mirrored_axes(model.spec)):
        raise UsageError(
            "How much mirrored copies disagree needs test-time flips (--tta) and a model that says it was trained on "
            "mirrored images."
        )
    chosen = choose_channels(channels, model.spec)
    grid = next(iter(chosen.values())).geometry
    _check_grid(grid, model.spec)
    check_views(options.views, model.spec, grid)
    wanted = (options.roi or Box.whole(grid.shape_kji)).clip(grid.shape_kji)
    if wanted.is_empty:
        raise UsageError("The region of interest lies outside the image, or the image is empty.")
    seen = Box.whole(grid.shape_kji)
    if options.roi is not None and isinstance(grid, Geometry):
        seen = _with_context(wanted, grid, model, options.views)
        chosen = {name: volume.crop(seen) for name, volume in chosen.items()}
    return Inputs(chosen, grid, seen, wanted, (*_notes(chosen, model.spec), *_notes_on_flips(options, model.spec)))


def choose_channels(channels: Mapping[str, Volume], spec: ModelSpec) -> dict[str, Volume]:
    """Return the volumes the model takes, by its names and in its order.

    A model of one channel takes the only volume there is, whatever its name;
    otherwise names must match and further channels are ignored.
    """
    names = spec.channel_names
    if len(names) == 1 and len(channels) == 1:
        chosen = {names[0]: next(iter(channels.values()))}
    else:
        missing = [name for name in names if name not in channels]
        if missing:
            have = ", ".join(channels) or "none"
            raise ModelError(
                f"{spec.identity} needs the channels {', '.join(names)}; {', '.join(missing)} is missing "
                f"(given: {have}).",
                code="wrong_channels",
            )
        chosen = {name: channels[name] for name in names}
    _check_volumes(chosen)
    return chosen


def mirrored_axes(spec: ModelSpec, view: int = 0) -> tuple[int, ...]:
    """Return the axes a model may be mirrored along: those of its training, none where that is not known.

    A network that never saw an image upside down draws nonsense on one, so a guess would spoil masks and
    make all of it look unsure.

    Parameters
    ----------
    spec : ModelSpec
        Names axes of its grid.
    view : int
        Axis of the grid that comes first in what the network is shown; the result counts axes there.
    """
    names = spec.flip_axes or ()
    sees_depth = spec.dimensions == 3 or spec.slice_context > 0
    shown = seen_across(FLIP_AXES, view)
    return tuple(place for place, name in enumerate(shown) if name in names and (place > 0 or sees_depth))


def _check_volumes(chosen: Mapping[str, Volume]) -> None:
    first = next(iter(chosen.values()))
    for name, volume in chosen.items():
        if volume.time_points > 1:
            raise ModelError(
                f"Channel {name} has {volume.time_points} time points; a model reads one: choose it first.",
                code="wrong_channels",
            )
        if not volume.geometry.matches(first.geometry):
            raise GeometryMismatch(f"Channel {name} lies on another grid than {next(iter(chosen))}; resample it first.")


def _check_grid(grid: Grid, spec: ModelSpec) -> None:
    if spec.dimensions == 2:
        return
    if not isinstance(grid, Geometry):
        raise UsageError(
            f"{spec.identity} is a 3D model, the slices here are not evenly spaced; choose a 2D model.",
            code="irregular_spacing",
        )
    if grid.shape_kji[0] == 1:
        raise UsageError(f"{spec.identity} is a 3D model, the image is a single slice; choose a 2D model.")


def _with_context(wanted: Box, grid: Geometry, model: LoadedModel, choice: ViewChoice) -> Box:
    """Grow the region to one window of every view, and by what the network loses, clipped to the image.

    No further: a model of crops (a box round one organ) fails in wider surroundings, which it
    never saw; of the hippocampus model a third of the anterior part went with 10 voxels more.
    """
    axes, _ = axis_map(grid, model.spec.orientation, wanted_spacing(model.spec))
    turned = axes.turned_shape(grid.shape_kji)
    grow = [0, 0, 0]
    windows = [
        (axis, window, lost)
        for view in views_of(choice, axes.shape_model)
        for axis, window, lost in zip(seen_across((0, 1, 2), view), model.window, model.margin, strict=True)
    ]
    for axis, window, lost in windows:
        source, whole, model_whole = axes.order[axis], turned[axis], axes.shape_model[axis]
        asked = wanted.shape_kji[source] * model_whole // whole
        voxels = lost if window == 1 else max(lost, (window - asked) // 2)
        # Counted on the model's grid; ceiling division brings it to the source's.
        grow[source] = max(grow[source], -(-voxels * whole // model_whole))
    (k0, j0, i0), (k1, j1, i1), (dk, dj, di) = wanted.start_kji, wanted.stop_kji, grow
    return Box((k0 - dk, j0 - dj, i0 - di), (k1 + dk, j1 + dj, i1 + di)).clip(grid.shape_kji)


def _notes(chosen: Mapping[str, Volume], spec: ModelSpec) -> tuple[str, ...]:
    notes: list[str] = []
    for channel in spec.channels:
        volume = chosen[channel.name]
        if volume.is_rgb:
            notes.append(f"Channel {channel.name} is coloured; its luminance (ITU-R BT.601) was used.")
        if channel.modality and volume.modality and channel.modality != volume.modality:
            notes.append(f"Channel {channel.name} is {volume.modality}; the model was trained on {channel.modality}.")
    if spec.slice_context:
        notes += _notes_on_neighbours(next(iter(chosen.values())).geometry)
    if spec.untrained:
        notes.append("The weights are untrained; the labels mean nothing.")
    return tuple(notes)


def _notes_on_flips(options: PredictOptions, spec: ModelSpec) -> list[str]:
    """Tell that there are no mirrored copies where they were asked for."""
    if not options.flips or spec.flip_axes:
        return []
    why = "does not say whether it was" if spec.flip_axes is None else "was not"
    return [f"No mirrored copies were made: {spec.identity} {why} trained on mirrored images."]


def _notes_on_neighbours(grid: Grid) -> list[str]:
    """Tell where the neighbouring slices a 2.5D model looks at are not those it knows."""
    if grid.shape_kji[0] == 1:
        return ["The image is a single slice; it also stands for the neighbours the model looks at."]
    if not isinstance(grid, Geometry):
        return ["The slices are not evenly spaced; the model takes the next ones as neighbours, however far they are."]
    return []
