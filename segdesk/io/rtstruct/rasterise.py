"""From contours to a label map on the grid of an image."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Grid, SliceStackGeometry
from segdesk.core.labels import Label, LabelArray, LabelMap, LabelTable
from segdesk.core.progress import Progress, silent
from segdesk.errors import GeometryMismatch, Warn
from segdesk.io.limits import require_size
from segdesk.io.rtstruct.planes import NEAR_SLICE, ON_SLICE, PlacedContours, has_distinct_planes, place_contours
from segdesk.io.rtstruct.scanline import FilledBox, fill
from segdesk.io.rtstruct.structure_set import Contour, Roi, StructureSet

MAX_VALUE = 65535

Polygon = NDArray[np.float64]


@dataclass(slots=True)
class _Findings:
    """What has to be said about the regions, collected while they are filled."""

    skipped: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    outside: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    between: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    crossing: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    tiny: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    moved: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gaps: dict[str, tuple[int, int]] = field(default_factory=dict)
    total: int = 0


def rasterise(structures: StructureSet, grid: Grid, report: Progress = silent) -> LabelMap:
    """Fill the contours of every region on a grid.

    A voxel belongs to a region if its centre lies inside or on the outline, even-odd over
    the contours of the region on that slice (`segdesk.io.rtstruct.scanline`). Contours are
    taken to slices by the grid's own geometry; nothing is filled in between contours.

    Parameters
    ----------
    structures : StructureSet
    grid : Geometry or SliceStackGeometry
        Of the image; its frame of reference must be the contours', where both are known.
    report : Progress

    Returns
    -------
    LabelMap
        Region numbers are label values where a mask can hold them (1 to 65535). Regions
        that overlap lie in further layers; a region without contours is listed and empty.
        `warnings` says what was left out.

    Raises
    ------
    GeometryMismatch
        Code ``frame_of_reference`` for another frame; ``geometry_mismatch`` when the image
        has no place in the patient, when no contour lies inside it, or when most contours
        lie between its slices.
    NeedsConsent
        When so many regions overlap that their layers would not be read without asking.
    """
    _require_same_frame(structures, grid)
    labels, renumbered = labels_of(structures.rois)
    layers = _Layers(structures.path, grid.shape_kji, max((each.value for each in labels), default=0))
    findings = _Findings()
    for number, (roi, label) in enumerate(zip(structures.rois, labels, strict=True)):
        report(number, len(structures.rois), f"Filling {roi.name}")
        layers.paint(list(_boxes(roi, grid, findings)), label.value)
    _require_fit(structures, findings)
    warnings = (*_warnings(findings), *renumbered)
    return LabelMap(tuple(layers.arrays), grid, LabelTable(labels), warnings=warnings)


class _Layers:
    """Label arrays; a region goes into the first one where it overlaps nothing."""

    def __init__(self, path: Path, shape_kji: tuple[int, int, int], highest: int) -> None:
        self._path = path
        self._shape_kji = shape_kji
        self._is_wide = highest > 255
        self.arrays: list[LabelArray] = []
        self.arrays.append(self._empty())

    def paint(self, boxes: Sequence[tuple[int, FilledBox]], value: int) -> None:
        """Write a region, given as boxes on slices."""
        free = next((layer for layer in self.arrays if _is_free(layer, boxes)), None)
        if free is None:
            free = self._empty()
            self.arrays.append(free)
        for k, box in boxes:
            free[k][box.window][box.mask] = value

    def _empty(self) -> LabelArray:
        needed = (len(self.arrays) + 1) * math.prod(self._shape_kji) * (2 if self._is_wide else 1)
        # Contours say nothing of the voxels they enclose, so no ratio is suspicious.
        require_size(self._path, needed, needed)
        return np.zeros(self._shape_kji, np.uint16) if self._is_wide else np.zeros(self._shape_kji, np.uint8)


def _is_free(layer: LabelArray, boxes: Sequence[tuple[int, FilledBox]]) -> bool:
    return not any(layer[k][box.window][box.mask].any() for k, box in boxes)


def labels_of(rois: Sequence[Roi]) -> tuple[list[Label], list[Warn]]:
    """Give every region a label value: its number, or a free one, with a warning."""
    taken = {roi.number for roi in rois if 1 <= roi.number <= MAX_VALUE}
    free = iter(value for value in range(1, MAX_VALUE + 1) if value not in taken)
    labels = [
        Label(roi.number if roi.number in taken else next(free), roi.name, roi.colour_rgb, roi.concept) for roi in rois
    ]
    changed = [
        f"{roi.name}: {roi.number} is now {label.value}"
        for roi, label in zip(rois, labels, strict=True)
        if roi.number != label.value
    ]
    if not changed:
        return labels, []
    return labels, [Warn("renumbered", f"Region numbers a mask cannot hold were replaced ({_listed(changed)}).")]


def _boxes(roi: Roi, grid: Grid, findings: _Findings) -> Iterator[tuple[int, FilledBox]]:
    """Yield the region's voxels, slice by slice."""
    contours = [each for each in roi.areas if len(each.points_lps)]
    findings.skipped[roi.name] += len(roi.contours) - len(contours)
    findings.total += len(contours)
    placed = place_contours([each.points_lps for each in contours], grid)
    by_slice = _by_slice(roi, placed, grid, findings)
    for k, members in sorted(by_slice.items()):
        polygons = _distinct([placed.points_ji[n] for n in members])
        is_repeated = len(polygons) < len(members)
        if is_repeated or (_says_nothing_of_holes(contours, members) and _cross(polygons, grid.shape_kji[1:])):
            findings.crossing[roi.name].append(k)
        box = fill(polygons, grid.shape_kji[1:])
        if not box.mask.any():
            findings.tiny[roi.name].append(k)
        yield k, box
    if by_slice:
        span = max(by_slice) - min(by_slice) + 1
        if span > len(by_slice):
            findings.gaps[roi.name] = (span - len(by_slice), span)


def _by_slice(roi: Roi, placed: PlacedContours, grid: Grid, findings: _Findings) -> dict[int, list[int]]:
    """Sort contours by slice; those outside, and those between slices, are left out and counted."""
    slices: dict[int, list[int]] = defaultdict(list)
    for n, (k, offset) in enumerate(zip(placed.slices.tolist(), placed.offsets.tolist(), strict=True)):
        if not _is_on_grid(placed.points_ji[n], k, grid.shape_kji):
            findings.outside[roi.name] += 1
        elif offset > NEAR_SLICE:
            findings.between[roi.name] += 1
        else:
            slices[k].append(n)
    for k, members in slices.items():
        # Contours of two planes near one slice are no holes of each other: the nearer plane counts.
        nearest = min(members, key=lambda n: float(placed.offsets[n]))
        slices[k] = [n for n in members if abs(placed.heights[n] - placed.heights[nearest]) <= ON_SLICE]
        findings.between[roi.name] += len(members) - len(slices[k])
        if placed.offsets[nearest] > ON_SLICE:
            findings.moved[roi.name] = max(findings.moved[roi.name], *(float(placed.offsets_mm[n]) for n in slices[k]))
    return slices


def _is_on_grid(points_ji: Polygon, k: int, shape_kji: tuple[int, int, int]) -> bool:
    """Whether a contour touches the image at all."""
    last = np.array(shape_kji[1:]) - 0.5
    is_beside = bool((points_ji.max(axis=0) < -0.5).any() or (points_ji.min(axis=0) > last).any())
    return 0 <= k < shape_kji[0] and not is_beside


def _distinct(polygons: Sequence[Polygon]) -> list[Polygon]:
    """Drop a contour that is there twice: even-odd would make nothing of both."""
    return list({polygon.tobytes(): polygon for polygon in polygons}.values())


def _says_nothing_of_holes(contours: Sequence[Contour], members: Sequence[int]) -> bool:
    return len(members) > 1 and any(contours[n].kind != "CLOSEDPLANAR_XOR" for n in members)


def _cross(polygons: Sequence[Polygon], shape_ji: tuple[int, int]) -> bool:
    """Whether two contours share voxels without one lying in the other: no hole, but a doubtful drawing."""
    boxes = [fill([polygon], shape_ji) for polygon in polygons]
    return any(0 < one.common(other) < min(one.count, other.count) for one, other in combinations(boxes, 2))


def _require_same_frame(structures: StructureSet, grid: Grid) -> None:
    path = structures.path
    if not grid.orientation_known:
        raise GeometryMismatch(f"{path.name}: the reference image has no place in the patient.", path=path)
    if isinstance(grid, SliceStackGeometry) and not has_distinct_planes(grid):
        raise GeometryMismatch(
            f"{path.name}: several images lie at one position, where a contour has but one.", path=path
        )
    image = grid.frame_of_reference_uid
    if image and any(uid != image for uid in structures.frame_of_reference_uids):
        raise GeometryMismatch(
            f"{path.name}: the contours lie in another frame of reference than the image; "
            "name the image they were drawn on, or register the two first.",
            code="frame_of_reference",
            path=path,
        )


def _require_fit(structures: StructureSet, findings: _Findings) -> None:
    """Refuse an image to which the contours plainly do not belong."""
    name, path = structures.path.name, structures.path
    between, outside = sum(findings.between.values()), sum(findings.outside.values())
    if findings.total and outside == findings.total:
        raise GeometryMismatch(
            f"{name}: no contour lies inside the image; name the image they were drawn on.", path=path
        )
    if between * 2 > findings.total - outside:
        raise GeometryMismatch(
            f"{name}: {between} of {findings.total} contours lie between the image's slices; "
            "name the image they were drawn on.",
            path=path,
        )


def _warnings(findings: _Findings) -> Iterator[Warn]:
    skipped, outside, between = (
        {name: count for name, count in counts.items() if count}
        for counts in (findings.skipped, findings.outside, findings.between)
    )
    if skipped:
        yield Warn("contours_skipped", f"Points, open lines and empty contours were left out: {_counted(skipped)}.")
    if outside:
        yield Warn("contours_outside", f"Contours outside the image were left out: {_counted(outside)}.")
    if between:
        yield Warn("contours_off_slices", f"Contours between the slices were left out: {_counted(between)}.")
    if findings.moved:
        worst = _listed([f"{name} by {mm:.2g} mm" for name, mm in findings.moved.items()])
        yield Warn("contours_off_slices", f"Contours beside a slice were taken to it: {worst}.")
    if findings.tiny:
        places = _on_slices(findings.tiny)
        yield Warn("contours_skipped", f"Contours so small that no voxel's centre lies in them left none: {places}.")
    if findings.crossing:
        what = "Contours cross (what both enclose is outside) or are there twice (one counts)"
        yield Warn("contours_cross", f"{what}: {_on_slices(findings.crossing)}.")
    if findings.gaps:
        gaps = _listed([f"{name} on {lack} of {span} slices" for name, (lack, span) in findings.gaps.items()])
        yield Warn("contour_gaps", f"No contour between the first and the last, and nothing was filled in: {gaps}.")


def _on_slices(slices: dict[str, list[int]]) -> str:
    return _listed([f"{name} on slice {_listed([str(k) for k in ks])}" for name, ks in slices.items()])


def _counted(counts: dict[str, int]) -> str:
    return _listed([f"{name} ({count})" for name, count in counts.items()])


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "")
