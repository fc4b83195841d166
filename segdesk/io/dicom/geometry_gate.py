"""The gate: from the places of slices to a grid, or to a reason why there is none.

Runs on headers alone and trusts no reader library (they return volumes for series that
are none). The numbered checks are those of the geometry guarantee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry, Grid, SliceStackGeometry
from segdesk.errors import Warn
from segdesk.io.dicom.model import Frame, Place

REGULAR_ATOL_MM = 0.01
"""A slice may be this far from its place on the fitted line, along it and beside it (check 3)."""

REGULAR_RTOL = 0.01
"""...or this fraction of the slice distance along the line: scanners round positions."""

TILT_DEGREES = 0.1
"""Angle between the line of positions and the slice normal from which a grid is sheared (check 9)."""

TAG_RTOL = 0.01
"""Disagreement of SliceThickness or SpacingBetweenSlices with the positions worth telling (check 2)."""

_GAP_RTOL = 0.05
"""Steps within this of a whole multiple of the smallest one are gaps, others are irregular."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one stack.

    Parameters
    ----------
    order : tuple of int
        Indices of the frames in slice order (along the normal).
    geometry : Geometry or SliceStackGeometry
        A per-slice stack when there is a refusal.
    warnings : tuple of Warn
    refusal_code, refusal : str
        "" when the stack is a volume.
    worst_deviation_mm : float, optional
        Of a slice from its place on the line fitted through all (check 3); None for one slice.
    """

    order: tuple[int, ...]
    geometry: Grid
    warnings: tuple[Warn, ...] = ()
    refusal_code: str = ""
    refusal: str = ""
    worst_deviation_mm: float | None = None


def slice_order(places: Sequence[Place]) -> tuple[int, ...]:
    """Return indices sorted along the normal row x column (check 1), never by names or numbers."""
    normal = normal_of(places[0])
    projections = np.array([place.position_lps for place in places]) @ normal
    return tuple(int(n) for n in np.argsort(projections, kind="stable"))


def normal_of(place: Place) -> NDArray[np.float64]:
    """Return the unit normal of a slice in LPS."""
    normal = np.cross(place.along_row_lps, place.along_column_lps)
    return np.asarray(normal / np.linalg.norm(normal), dtype=np.float64)


def judge(frames: Sequence[Frame], frame_of_reference_uid: str | None) -> Verdict:
    """Decide what a stack of frames of one orientation, spacing and size is.

    Parameters
    ----------
    frames : sequence of Frame
        At least one, in any order, each with a place.
    frame_of_reference_uid : str, optional

    Returns
    -------
    Verdict
        A regular grid (sheared when the gantry was tilted), or a per-slice stack with
        the reason.
    """
    places = [frame.place for frame in frames if frame.place is not None]
    order = slice_order(places)
    frames = [frames[n] for n in order]
    places = [places[n] for n in order]
    points = np.array([place.position_lps for place in places])
    if len(places) == 1:
        # Some writers give SpacingBetweenSlices a sign; it is a length here, never a direction.
        step = normal_of(places[0]) * abs(frames[0].step_mm or frames[0].thickness_mm or 1.0)
        return Verdict(order, _grid(places[0], step, frames, frame_of_reference_uid))
    code, reason = _irregularity(points, normal_of(places[0]))
    worst_mm = float(np.linalg.norm(_residuals(points)[1], axis=1).max())
    if code:
        return Verdict(order, stack_geometry(frames, frame_of_reference_uid), (), code, reason, worst_mm)
    step = (points[-1] - points[0]) / (len(points) - 1)
    warnings = [*_tilt(step, normal_of(places[0])), *_tag_disagreement(frames, step, normal_of(places[0]))]
    grid = _grid(places[0], step, frames, frame_of_reference_uid)
    return Verdict(order, grid, tuple(warnings), worst_deviation_mm=worst_mm)


def _grid(place: Place, step: NDArray[np.float64], frames: Sequence[Frame], reference: str | None) -> Geometry:
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = np.array(place.along_column_lps) * place.spacing_ji_mm[0]
    affine[:3, 2] = np.array(place.along_row_lps) * place.spacing_ji_mm[1]
    affine[:3, 3] = place.position_lps
    shape = (len(frames), frames[0].rows, frames[0].columns)
    return Geometry(shape, affine, source="DICOM positions", frame_of_reference_uid=reference)


def _irregularity(points: NDArray[np.float64], normal: NDArray[np.float64]) -> tuple[str, str]:
    """Return code and reason when the points are not evenly spaced on a line, ("", "") when they are."""
    slope, residual = _residuals(points)
    step_mm = float(np.linalg.norm(slope))
    steps = np.diff(points @ normal)
    if step_mm < 1e-6 or steps.min() < 1e-6:
        return "duplicate_position", "Several slices lie at the same position; this is no volume."
    along = residual @ (slope / step_mm)
    beside = np.linalg.norm(residual - along[:, None] * (slope / step_mm), axis=1)
    worst_along, worst_beside = float(np.abs(along).max()), float(beside.max())
    if worst_along <= max(REGULAR_ATOL_MM, REGULAR_RTOL * step_mm) and worst_beside <= REGULAR_ATOL_MM:
        return "", ""
    gaps = _gaps(points, steps, normal)
    if gaps and worst_beside <= REGULAR_ATOL_MM:
        return "missing_slice", gaps
    low, high = float(steps.min()), float(steps.max())
    worst = max(worst_along, worst_beside)
    return (
        "irregular_spacing",
        f"The slices are not evenly spaced: steps of {low:.2f} to {high:.2f} mm, up to {worst:.2f} mm off; "
        "open them as a per-slice stack.",
    )


def _residuals(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the step of the line fitted through the points, and what separates each from its place on it."""
    index = np.arange(len(points), dtype=np.float64)
    centred = index - index.mean()
    slope = centred @ (points - points.mean(axis=0)) / (centred @ centred)
    return slope, points - points.mean(axis=0) - centred[:, None] * slope


def _gaps(points: NDArray[np.float64], steps: NDArray[np.float64], normal: NDArray[np.float64]) -> str:
    """Name the missing slices, or return "" when the steps are no multiples of one step."""
    base = float(np.median(steps[steps <= steps.min() * (1 + _GAP_RTOL)]))
    counts = np.rint(steps / base)
    if np.any(np.abs(steps / base - counts) > _GAP_RTOL * counts):
        return ""
    axis = int(np.argmax(np.abs(normal)))
    missing = [
        float(points[n, axis] + (points[n + 1, axis] - points[n, axis]) * part / counts[n])
        for n in np.flatnonzero(counts > 1)
        for part in range(1, int(min(counts[n], 100)))
    ]
    named = ", ".join(f"{value:.4g}" for value in missing[:5]) + (", ..." if len(missing) > 5 else "")
    word = "slice is" if len(missing) == 1 else "slices are"
    return (
        f"{len(missing)} {word} missing near {'xyz'[axis]} = {named} mm (step {base:.2f} mm); "
        "find the files, or open a per-slice stack."
    )


def _tilt(step: NDArray[np.float64], normal: NDArray[np.float64]) -> list[Warn]:
    cosine = abs(float(step @ normal)) / float(np.linalg.norm(step))
    degrees = float(np.degrees(np.arccos(min(1.0, cosine))))
    if degrees <= TILT_DEGREES:
        return []
    return [Warn("gantry_tilt", f"The slices are sheared by {degrees:.1f} degrees (gantry tilt); the shear is kept.")]


def _tag_disagreement(frames: Sequence[Frame], step: NDArray[np.float64], normal: NDArray[np.float64]) -> list[Warn]:
    distance_mm = abs(float(step @ normal))
    found = []
    for name, value in (("SliceThickness", frames[0].thickness_mm), ("SpacingBetweenSlices", frames[0].step_mm)):
        if value is not None and abs(abs(value) - distance_mm) > TAG_RTOL * distance_mm:
            found.append(f"{name} {value:g} mm")
    if not found:
        return []
    return [Warn("spacing_disagrees", f"Slices lie {distance_mm:.4g} mm apart, but {' and '.join(found)}.")]


def stack_geometry(frames: Sequence[Frame], frame_of_reference_uid: str | None) -> SliceStackGeometry:
    """Return per-slice geometry; frames without a place are laid out without one.

    A slice's thickness is SliceThickness, else half the way to its neighbours.
    """
    shape = (len(frames), frames[0].rows, frames[0].columns)
    places = [frame.place for frame in frames]
    if any(place is None for place in places):
        return SliceStackGeometry(
            shape, _unplaced_affines(len(frames)), np.ones(len(frames)), False, False, "none", frame_of_reference_uid
        )
    affines = np.zeros((len(frames), 4, 3))
    affines[:, 3, 2] = 1.0
    for n, place in enumerate(places):
        if place is not None:
            affines[n, :3, 0] = np.array(place.along_column_lps) * place.spacing_ji_mm[0]
            affines[n, :3, 1] = np.array(place.along_row_lps) * place.spacing_ji_mm[1]
            affines[n, :3, 2] = place.position_lps
    return SliceStackGeometry(
        shape, affines, _extents_mm(frames), source="DICOM positions", frame_of_reference_uid=frame_of_reference_uid
    )


def _unplaced_affines(count: int) -> NDArray[np.float64]:
    affines = np.zeros((count, 4, 3))
    affines[:, 1, 0] = affines[:, 0, 1] = affines[:, 3, 2] = 1.0
    affines[:, 2, 2] = np.arange(count)
    return affines


def _extents_mm(frames: Sequence[Frame]) -> NDArray[np.float64]:
    given = [frame.thickness_mm for frame in frames]
    if all(value is not None and value > 0 for value in given):
        return np.array(given, dtype=np.float64)
    places = [frame.place for frame in frames if frame.place is not None]
    if len(places) == 1:
        return np.ones(1)
    at_mm = np.array([place.position_lps for place in places]) @ normal_of(places[0])
    edges = np.concatenate([[at_mm[0]], (at_mm[1:] + at_mm[:-1]) / 2, [at_mm[-1]]])
    extents = np.abs(np.diff(edges))
    extents[[0, -1]] *= 2
    return np.maximum(extents, 1e-6)
