"""The places of a segmentation's frames, and the grid they span when no image is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry, Grid
from segdesk.core.placement import Placement, placement_of
from segdesk.errors import GeometryMismatch, InconsistentSeries, Warn
from segdesk.io.dicom.geometry_gate import REGULAR_ATOL_MM, REGULAR_RTOL, judge, normal_of, stack_geometry
from segdesk.io.dicom.model import Frame, FrameKeys, Place
from segdesk.io.dicom.stacks import ORIENTATION_ATOL, SAME_POSITION_MM, SPACING_RTOL
from segdesk.io.dicom_seg.model import SegFrame, SegHeader
from segdesk.io.reference import ReferenceGrid

_MOST_SLICES = 65536
"""No scan has more; a grid of more comes from a wrong spacing tag."""

_MOST_GAPS = 100
"""Slices for each one with a frame, where no tag tells their distance: more is chance, not a grid."""

_LEAST_STEP = 0.5
"""Least distance of slices, as a part of their thickness: scanners let slices overlap by half."""

_SOURCE = "DICOM SEG frame positions"


@dataclass(frozen=True, slots=True)
class Planes:
    """The different places of frames.

    Parameters
    ----------
    first : tuple of SegFrame
        One frame of each place.
    of_frame : tuple of int
        For each frame of the file, the number of its place.
    """

    first: tuple[SegFrame, ...]
    of_frame: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SegGrid:
    """A grid, where each plane lies on it, and what must be told.

    `refusal_code` and `refusal` say why the grid is a stack of slices and no volume.
    """

    grid: Grid
    placements: tuple[Placement, ...]
    warnings: tuple[Warn, ...] = ()
    refusal_code: str = ""
    refusal: str = ""


def planes_of(header: SegHeader) -> Planes:
    """Group the frames by place: by position within 1e-3 mm, or by source image where there is none.

    Raises
    ------
    InconsistentSeries
        ``no_position`` when neither is there and a segment has several frames.
    """
    loose = [frame.segment for frame in header.frames if frame.place is None and not frame.source]
    if len(set(loose)) < len(loose):
        message = f"{header.path.name} says neither where its frames lie nor on which images they were drawn."
        raise InconsistentSeries(message, code="no_position", path=header.path)
    keys: dict[object, int] = {}
    first: list[SegFrame] = []
    of_frame: list[int] = []
    for frame in header.frames:
        key = frame.place or frame.source
        if key not in keys:
            keys[key] = _home_of(frame, first)
            if keys[key] == len(first):
                first.append(frame)
        of_frame.append(keys[key])
    return Planes(tuple(first), tuple(of_frame))


def own_grid(header: SegHeader, planes: Planes) -> SegGrid:
    """Derive the grid from the places of the frames.

    Slices without a frame are part of the grid: SpacingBetweenSlices tells how many there
    are, else the largest of smallest step, SliceThickness, and a half or third of that step
    (not below half the thickness) which all positions are whole multiples of. Frames are where
    they are in any case.

    Raises
    ------
    InconsistentSeries
        ``mixed_orientation`` or ``mixed_spacing`` when the frames share no plane: only the
        image can say what grid they belong to.
    """
    places = [frame.place for frame in planes.first if frame.place is not None]
    if len(places) < len(planes.first):
        return _without_places(header, planes)
    _require_one_plane(places, header)
    frames = [_gate_frame(each, header) for each in planes.first]
    verdict = judge(frames, header.frame_of_reference_uid)
    spanned = _spanned(header, planes, verdict.order)
    if spanned is not None:
        return spanned
    grid = replace(verdict.geometry, source=_SOURCE)
    slots = np.argsort(verdict.order)
    placements = tuple(_slice_placement(int(k), header) for k in slots)
    return SegGrid(grid, placements, verdict.warnings, verdict.refusal_code, verdict.refusal)


def grid_on(header: SegHeader, planes: Planes, reference: ReferenceGrid) -> SegGrid:
    """Find every plane on the grid of an image, by its place in the patient.

    Raises
    ------
    GeometryMismatch
        Saying which frame does not fit, and why.
    """
    places = [frame.place for frame in planes.first]
    if any(place is None for place in places):
        return _film_on(header, planes, reference)
    placements = []
    for frame, place in zip(planes.first, places, strict=True):
        if place is not None:
            plane = _plane(place, header)
            try:
                placements.append(_on_reference(plane, reference))
            except GeometryMismatch as error:
                message = f"{header.path.name}, frame {frame.number + 1}: {error.message}"
                raise GeometryMismatch(message, path=header.path) from None
    return SegGrid(reference.grid, tuple(placements))


def _home_of(frame: SegFrame, first: Sequence[SegFrame]) -> int:
    """Return the number of the place a frame shares within rounding, else the next free number."""
    place = frame.place
    if place is None:
        return len(first)
    for number, other in enumerate(first):
        if other.place is not None and _is_same_place(place, other.place):
            return number
    return len(first)


def _is_same_place(one: Place, other: Place) -> bool:
    if any(abs(a - b) > SAME_POSITION_MM for a, b in zip(one.position_lps, other.position_lps, strict=True)):
        return False
    return _is_parallel(one, other) and _is_as_large(one, other)


def _is_parallel(one: Place, other: Place) -> bool:
    cosines = np.subtract((*one.along_row_lps, *one.along_column_lps), (*other.along_row_lps, *other.along_column_lps))
    return bool(np.abs(cosines).max() <= ORIENTATION_ATOL)


def _is_as_large(one: Place, other: Place) -> bool:
    return bool(np.allclose(one.spacing_ji_mm, other.spacing_ji_mm, rtol=SPACING_RTOL, atol=0))


def _require_one_plane(places: Sequence[Place], header: SegHeader) -> None:
    for code, what, test in (
        ("mixed_orientation", "orientations", _is_parallel),
        ("mixed_spacing", "pixel spacings", _is_as_large),
    ):
        if not all(test(place, places[0]) for place in places):
            message = f"{header.path.name} holds frames of several {what}; give the image they belong to (--reference)."
            raise InconsistentSeries(message, code=code, path=header.path)


def _spanned(header: SegHeader, planes: Planes, order: Sequence[int]) -> SegGrid | None:
    """Return the regular grid whose first and last slices hold frames, None when there is no such grid."""
    ordered = [planes.first[n] for n in order]
    points = np.array([frame.place.position_lps for frame in ordered if frame.place is not None])
    if len(points) < 2 or ordered[0].place is None:
        return None
    normal = normal_of(ordered[0].place)
    at_mm = (points - points[0]) @ normal
    steps = np.diff(at_mm)
    smallest, gaps = float(steps.min()), _MOST_GAPS * len(points)
    thickness = _common(frame.thickness_mm for frame in ordered)
    tag = _common(frame.step_mm for frame in ordered)
    # Three uneven slices often share some third of a step: that is a grid only where no header speaks against it.
    least = max(tag, thickness * _LEAST_STEP)
    guesses = (smallest, thickness, *(part for part in (smallest / 2, smallest / 3) if part >= least))
    for base, most in ((tag, _MOST_SLICES), *((guess, gaps) for guess in guesses)):
        numbers = _slice_numbers(points, at_mm, base, most)
        if numbers is not None:
            return _regular(header, ordered, points, numbers, np.argsort(order))
    return None


def _common(values: Iterable[float | None]) -> float:
    """Return the length in mm that all frames state, 0 where they state none or several."""
    stated = set(values)
    return abs(stated.pop() or 0.0) if len(stated) == 1 else 0.0


def _slice_numbers(
    points: NDArray[np.float64], at_mm: NDArray[np.float64], base_mm: float, most: int
) -> NDArray[np.intp] | None:
    """Return the slice number of each point on a line with steps near `base_mm`, None when they do not lie on it.

    The tolerances are those of the geometry gate (checks 3 and 9): positions are rounded.
    """
    if base_mm < 1e-6 or at_mm[-1] / base_mm > most:
        return None
    last = round(at_mm[-1] / base_mm)
    if last < 1 or abs(at_mm[-1] / last - base_mm) > REGULAR_RTOL * base_mm:
        return None
    step = (points[-1] - points[0]) / last
    numbers = np.rint(at_mm / (at_mm[-1] / last)).astype(np.intp)
    residual = points - points[0] - numbers[:, None] * step
    along = residual @ step / np.linalg.norm(step)
    beside = np.linalg.norm(residual - along[:, None] * step / np.linalg.norm(step), axis=1)
    limit = max(REGULAR_ATOL_MM, REGULAR_RTOL * float(np.linalg.norm(step)))
    is_on_line = np.abs(along).max() <= limit and beside.max() <= REGULAR_ATOL_MM
    return numbers if is_on_line and np.diff(numbers).min() > 0 else None


def _regular(
    header: SegHeader,
    ordered: Sequence[SegFrame],
    points: NDArray[np.float64],
    numbers: NDArray[np.intp],
    slots: NDArray[np.intp],
) -> SegGrid:
    """Build the grid from its two ends; the gate tells of a tilt."""
    place = ordered[0].place
    if place is None:
        raise InconsistentSeries(f"{header.path.name} gives its frames no position.", path=header.path)
    count = int(numbers[-1]) + 1
    ends = [_gate_frame(ordered[0], header), _gate_frame(ordered[-1], header)]
    tilt = [warning for warning in judge(ends, None).warnings if warning.code == "gantry_tilt"]
    affine = _plane(place, header).affine_kji_to_lps.copy()
    affine[:3, 0] = (points[-1] - points[0]) / (count - 1)
    shape = (count, header.layout.rows, header.layout.columns)
    grid = Geometry(shape, affine, source=_SOURCE, frame_of_reference_uid=header.frame_of_reference_uid)
    return SegGrid(grid, tuple(_slice_placement(int(numbers[n]), header) for n in slots), tuple(tilt))


def _without_places(header: SegHeader, planes: Planes) -> SegGrid:
    """Lay out frames that carry no position: a film, or one image after the other."""
    unknown = Warn("orientation_unknown", "The segmentation has no position in the patient; sides are not known.")
    count = len(planes.first)
    shape = (count, header.layout.rows, header.layout.columns)
    placements = tuple(_slice_placement(k, header) for k in range(count))
    if count == 1:
        plain = Geometry.from_spacing(shape)
        grid = Geometry(shape, plain.affine_kji_to_lps, False, False, "none")
        return SegGrid(grid, placements, (unknown,))
    frames = [_gate_frame(each, header) for each in planes.first]
    message = f"The {count} slices of the segmentation carry no position."
    return SegGrid(stack_geometry(frames, None), placements, (unknown,), "no_position", message)


def _film_on(header: SegHeader, planes: Planes, reference: ReferenceGrid) -> SegGrid:
    """Lay a mask without a place on the film it names, which has none either."""
    own = _without_places(header, planes)
    is_named = bool(header.referenced_series_uid) and reference.series_uid == header.referenced_series_uid
    if not (is_named and not reference.grid.orientation_known and own.grid.shape_kji == reference.grid.shape_kji):
        message = f"{header.path.name} has no place in the patient and does not name this image as its own."
        raise GeometryMismatch(message, path=header.path)
    return SegGrid(reference.grid, own.placements, own.warnings)


def _on_reference(plane: Geometry, reference: ReferenceGrid) -> Placement:
    """Find a frame among the slices as the image's header places them, else among the voxels of its grid."""
    if reference.slices is not None:
        try:
            return placement_of(plane, reference.slices)
        except GeometryMismatch:
            if not isinstance(reference.grid, Geometry):
                raise
    return placement_of(plane, reference.grid)


def _plane(place: Place, header: SegHeader) -> Geometry:
    """Return a frame as a grid of one slice; its k axis is the normal."""
    affine = np.eye(4)
    affine[:3, 0] = normal_of(place)
    affine[:3, 1] = np.array(place.along_column_lps) * place.spacing_ji_mm[0]
    affine[:3, 2] = np.array(place.along_row_lps) * place.spacing_ji_mm[1]
    affine[:3, 3] = place.position_lps
    shape = (1, header.layout.rows, header.layout.columns)
    return Geometry(shape, affine, source=_SOURCE, frame_of_reference_uid=header.frame_of_reference_uid)


def _slice_placement(k: int, header: SegHeader) -> Placement:
    shape = (1, header.layout.rows, header.layout.columns)
    return Placement((k, 0, 0), shape, (0, 1, 2), (False, False, False))


def _gate_frame(frame: SegFrame, header: SegHeader) -> Frame:
    rows, columns = header.layout.rows, header.layout.columns
    return Frame(
        frame.number,
        None,
        rows,
        columns,
        frame.place,
        "",
        1.0,
        0.0,
        frame.thickness_mm,
        frame.step_mm,
        (),
        FrameKeys(),
    )
