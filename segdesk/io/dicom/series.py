"""From DICOM files to entries of the series browser."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segdesk.core.geometry import Geometry, Grid
from segdesk.core.progress import Progress
from segdesk.errors import InconsistentSeries, Warn
from segdesk.io.dicom.geometry_gate import Verdict, judge, stack_geometry
from segdesk.io.dicom.headers import read_headers
from segdesk.io.dicom.model import Frame, Instance, Slice
from segdesk.io.dicom.stacks import Stack, find_stacks
from segdesk.io.dicom.volume import DicomVolume
from segdesk.io.series import Refusal, SeriesEntry, SeriesKind

_FILMS = frozenset({"CR", "DX", "MG", "IO", "PX", "RG", "XA", "RF"})
"""Projections: a position in their headers is no slice position."""

_TOMOGRAPHIC = frozenset({"CT", "MR", "PT", "NM", "RTDOSE"})
"""Without positions these are slices of something, the others pictures one by one."""


@dataclass(frozen=True, slots=True)
class DicomFind:
    """Entries, refusals and the number of files that are no images."""

    series: tuple[SeriesEntry, ...]
    refused: tuple[Refusal, ...]
    skipped: int


def find_series(paths: Sequence[Path], report: Progress) -> DicomFind:
    """Read all headers and pass them through the gate.

    Patients and series are never merged; one series may give several entries.
    """
    headers = read_headers(paths, report)
    refused = [Refusal(error.code, error.message, 1) for error in headers.failures]
    groups: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in headers.instances:
        key = instance.series_uid or str(instance.path)
        # Not by study: series UIDs are unique, and some writers give every slice a study of its own.
        groups[instance.patient_key, key].append(instance)
    entries: list[SeriesEntry] = []
    for group in groups.values():
        found, bad = _entries_of(group)
        entries += found
        refused += bad
    return DicomFind(tuple(entries), tuple(refused), headers.skipped)


def _entries_of(series: Sequence[Instance]) -> tuple[list[SeriesEntry], list[Refusal]]:
    """Return the entries of one series."""
    broken = [(each, frame) for each in series for frame in each.frames if frame.problem and not _is_film(each)]
    if broken:
        count = len({id(each) for each, _ in broken})
        message = f"{_name(series)}: {broken[0][1].problem} in {count} of them."
        return [], [Refusal("bad_geometry", message, len(series))]
    placed = [each for each in series if all(frame.place for frame in each.frames) and not _is_film(each)]
    unplaced = [each for each in series if each not in placed] if len(placed) < len(series) else []
    entries: list[SeriesEntry] = []
    refused: list[Refusal] = []
    stacks = find_stacks(placed) if placed else []
    for stack in stacks:
        counted = _count_warnings(series) if len(stacks) == 1 and not unplaced else []
        _add(_spatial_entry(stack, counted), entries, refused)
    for entry in _unplaced_entries(unplaced):
        _add(entry, entries, refused)
    return entries, refused


def _add(entry: SeriesEntry | Refusal, entries: list[SeriesEntry], refused: list[Refusal]) -> None:
    if isinstance(entry, Refusal):
        refused.append(entry)
        return
    entries.append(entry)
    if entry.refusal is not None:
        refused.append(entry.refusal)


def _is_film(instance: Instance) -> bool:
    return instance.modality in _FILMS and not instance.has_functional_groups


def _name(series: Sequence[Instance]) -> str:
    """Return words for a message: what it is, never who."""
    return f"{series[0].modality or 'DICOM'} series of {len(series)} files"


def _spatial_entry(stack: Stack, counted: Sequence[Warn]) -> SeriesEntry | Refusal:
    """Pass one stack through the gate."""
    first = stack.points[0]
    reference = first[0].instance.frame_of_reference_uid
    if len(stack.points) > 1 and len(first) == 1 and not stack.is_cine:
        return _one_position(stack)
    try:
        verdict = judge([each.frame for each in first], reference)
    except InconsistentSeries as error:
        return Refusal(error.code, error.message, _file_count(stack.slices))
    points = tuple(_in_order_of(first, verdict, point) for point in stack.points)
    refusal = None
    if verdict.refusal_code:
        refusal = Refusal(verdict.refusal_code, verdict.refusal, _file_count(stack.slices))
    warnings = [*stack.warnings, *verdict.warnings, *counted]
    if refusal:
        warnings.append(Warn(refusal.code, refusal.message))
    kind = _spatial_kind(points, refusal, stack.is_cine)
    entry = _entry(points, verdict.geometry, kind, warnings, refusal)
    return replace(entry, worst_deviation_mm=verdict.worst_deviation_mm)


def _spatial_kind(points: Sequence[Sequence[Slice]], refusal: Refusal | None, is_cine: bool) -> SeriesKind:
    if refusal is not None:
        return SeriesKind.STACK
    if len(points) > 1:
        return SeriesKind.CINE if is_cine else SeriesKind.SERIES4D
    return SeriesKind.VOLUME if len(points[0]) > 1 else SeriesKind.IMAGE2D


def _in_order_of(first: Sequence[Slice], verdict: Verdict, point: Sequence[Slice]) -> tuple[Slice, ...]:
    """Sort a time point like the first one; later ones share its positions."""
    if point is first:
        return tuple(first[n] for n in verdict.order)
    return tuple(point[n] for n in judge([each.frame for each in point], None).order)


def _one_position(stack: Stack) -> SeriesEntry:
    """Describe images of one position, taken again and again: no volume."""
    slices = tuple(point[0] for point in stack.points)
    message = f"All {len(slices)} images lie at one position (a monitoring run): this is no volume."
    refusal = Refusal("duplicate_position", message, _file_count(slices))
    reference = slices[0].instance.frame_of_reference_uid
    geometry = stack_geometry([each.frame for each in slices], reference)
    warnings = [*stack.warnings, Warn(refusal.code, refusal.message)]
    return _entry((slices,), geometry, SeriesKind.STACK, warnings, refusal)


def _unplaced_entries(instances: Sequence[Instance]) -> Iterable[SeriesEntry]:
    """Yield films and pictures one by one, cines as cines, slices without a place as stacks."""
    loose: dict[tuple[int, int], list[Instance]] = defaultdict(list)
    for instance in instances:
        if len(instance.frames) > 1 and not instance.has_functional_groups:
            yield _flat_entry(instance, SeriesKind.CINE)
        elif (instance.modality in _TOMOGRAPHIC or len(instance.frames) > 1) and not _is_film(instance):
            loose[instance.layout.rows, instance.layout.columns].append(instance)
        else:
            yield _flat_entry(instance, SeriesKind.IMAGE2D)
    for group in loose.values():
        if sum(len(each.frames) for each in group) == 1:
            yield _flat_entry(group[0], SeriesKind.IMAGE2D)
        else:
            yield _loose_stack(group)


def _loose_stack(group: list[Instance]) -> SeriesEntry:
    """Return slices without positions, in the order of their numbers."""
    group.sort(key=lambda each: (each.instance_number or 0, each.path.name))
    slices = tuple(Slice(each, frame) for each in group for frame in each.frames)
    message = (
        f"The {len(slices)} slices carry no position or pixel size: shown one by one, without mm, not as a volume."
    )
    refusal = Refusal("no_position", message, len(group))
    frames: list[Frame] = [each.frame for each in slices]
    warnings = [Warn(refusal.code, refusal.message), Warn("spacing_unknown", "Lengths and volumes are off.")]
    return _entry((slices,), stack_geometry(frames, None), SeriesKind.STACK, warnings, refusal)


def _flat_entry(instance: Instance, kind: SeriesKind) -> SeriesEntry:
    """Return a film, a picture, or a cine: no place in the patient."""
    size = instance.pixel_size
    spacing_kji_mm = (1.0, *(size.spacing_ji_mm or (1.0, 1.0)))
    plain = Geometry.from_spacing((1, instance.layout.rows, instance.layout.columns), spacing_kji_mm)
    is_known = size.spacing_ji_mm is not None
    geometry = Geometry(plain.shape_kji, plain.affine_kji_to_lps, False, is_known, size.source)
    warnings = [Warn("orientation_unknown", "The image has no position in the patient; sides are not known.")]
    if size.warning is not None:
        warnings.append(size.warning)
    points = tuple((Slice(instance, frame),) for frame in instance.frames)
    return _entry(points, geometry, kind, warnings, None)


def _count_warnings(series: Sequence[Instance]) -> list[Warn]:
    """Compare the number of files with what their headers say (GEOMETRY check 5)."""
    if len(series) == 1 or any(len(each.frames) > 1 for each in series):
        return []
    numbers = [each.instance_number for each in series if each.instance_number is not None]
    announced = {each.images_in_acquisition for each in series} - {None, 0}
    if len(numbers) == len(series) and len(set(numbers)) == len(series):
        low, high = min(numbers), max(numbers)
        if high - low + 1 != len(series) or low > 1:
            text = f"The files are numbered {low} to {high}, but there are {len(series)}: some may be missing."
            return [Warn("first_or_last_missing", text)]
    if len(announced) == 1 and announced != {len(series)}:
        text = f"The headers announce {announced.pop()} images, there are {len(series)}."
        return [Warn("first_or_last_missing", text)]
    return []


def _entry(
    points: tuple[tuple[Slice, ...], ...],
    geometry: Grid,
    kind: SeriesKind,
    warnings: list[Warn],
    refusal: Refusal | None,
) -> SeriesEntry:
    first = points[0][0].instance
    slices = [each for point in points for each in point]
    if any(each.instance.is_lossy for each in slices):
        warnings = [*warnings, Warn("lossy", "The pixels were compressed with loss.")]
    paths = tuple(dict.fromkeys(each.instance.path for each in slices))
    uid = first.series_uid or first.path.name
    reader = DicomVolume(points, geometry, tuple(warnings), uid)
    return SeriesEntry(
        uid,
        kind,
        first.modality,
        geometry,
        reader.dtype.name,
        len(paths),
        reader,
        tuple(warnings),
        first.description,
        len(points),
        refusal,
        paths,
        first.patient_position,
        first.patient_key,
        slice_reader=reader.read_slice,
    )


def _file_count(slices: Iterable[Slice]) -> int:
    return len({each.instance.path for each in slices})
