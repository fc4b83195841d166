"""From the slices of one series to stacks, and from stacks to time points.

Splits by size, spacing, orientation and kind; drops copies; sorts frames at one position
into volumes by time, echo, b-value or acquisition (GEOMETRY checks 6, 7, 23, 28).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segdesk.errors import Warn
from segdesk.io.dicom.geometry_gate import normal_of
from segdesk.io.dicom.model import Instance, Place, Slice

ORIENTATION_ATOL = 1e-4
"""Direction cosines within this are one orientation: text differs in the 7th decimal inside one series."""

SPACING_RTOL = 1e-4
"""Pixel spacings within this are one spacing."""

SAME_POSITION_MM = 1e-3
"""Frames nearer than this lie at one position; headers round to 1e-4 mm."""

_MAX_PIXEL_COMPARE_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices of one grid candidate, in one or more time points of equal positions."""

    points: tuple[tuple[Slice, ...], ...]
    warnings: tuple[Warn, ...] = ()
    is_cine: bool = False

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The slices of all time points."""
        return tuple(each for point in self.points for each in point)


def find_stacks(instances: Sequence[Instance]) -> list[Stack]:
    """Arrange the frames of one series, all with a place.

    Returns
    -------
    list of Stack
        Never empty for non-empty input; every frame is in exactly one stack unless it was
        a copy of another.
    """
    slices, dropped = _without_copies(instances)
    stacks = [stack for group in _split(slices) for stack in _arrange(group)]
    if dropped:
        warning = Warn("duplicates_dropped", f"{dropped} files were there twice; one copy of each is used.")
        stacks = [replace(stack, warnings=(*stack.warnings, warning)) for stack in stacks]
    return stacks


def _without_copies(instances: Sequence[Instance]) -> tuple[list[Slice], int]:
    """Keep one of files with the same SOP Instance UID; other pixels under that UID are kept apart."""
    by_uid: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_uid[instance.sop_uid or str(instance.path)].append(instance)
    slices: list[Slice] = []
    dropped = 0
    for same in by_uid.values():
        distinct = list({pixel_digest(each): each for each in reversed(same)}.values())[::-1] if len(same) > 1 else same
        dropped += len(same) - len(distinct)
        slices += [Slice(each, frame, copy) for copy, each in enumerate(distinct) for frame in each.frames]
    return slices, dropped


def pixel_digest(instance: Instance) -> bytes:
    """Return a hash of the stored pixels and how to read them (of the whole file where they are encoded)."""
    digest = hashlib.blake2b(repr(replace(instance.layout, data_offset=0)).encode(), digest_size=16)
    with instance.path.open("rb") as file:
        file.seek(max(0, instance.layout.data_offset))
        digest.update(file.read(_MAX_PIXEL_COMPARE_BYTES))
    return digest.digest()


def _split(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group by everything that one grid must share."""
    groups: list[list[Slice]] = []
    buckets: dict[Hashable, list[list[Slice]]] = defaultdict(list)
    for each in slices:
        near = buckets[_exact_key(each)]
        home = next((group for group in near if _is_same_plane(group[0].frame.place, each.frame.place)), None)
        if home is None:
            home = []
            near.append(home)
            groups.append(home)
        home.append(each)
    return groups


def _exact_key(each: Slice) -> Hashable:
    frame, layout = each.frame, each.instance.layout
    is_localiser = "LOCALIZER" in (part.upper() for part in frame.keys.image_type)
    colour = layout.photometric if layout.is_colour else ""
    frame_of_reference = each.instance.frame_of_reference_uid
    return frame.rows, frame.columns, colour, is_localiser, frame.keys.stack_id, each.copy, frame_of_reference


def _is_same_plane(one: Place | None, other: Place | None) -> bool:
    if one is None or other is None:
        return one is other
    # Once a slice: on so few numbers numpy would take ten times as long.
    cosines = zip(
        (*one.along_row_lps, *one.along_column_lps), (*other.along_row_lps, *other.along_column_lps), strict=True
    )
    spacings = zip(one.spacing_ji_mm, other.spacing_ji_mm, strict=True)
    is_direction = all(abs(mine - theirs) <= ORIENTATION_ATOL for mine, theirs in cosines)
    return is_direction and all(abs(mine - theirs) <= SPACING_RTOL * mine for mine, theirs in spacings)


def _arrange(group: list[Slice]) -> list[Stack]:
    """Turn the slices of one plane into volumes, time series, or stacks kept apart."""
    homes = _positions(group)
    counts = Counter(homes)
    if len(counts) == len(group):
        return [Stack((tuple(group),))]
    by_type = _partition(group, homes, lambda each: each.frame.keys.image_type)
    if len(by_type) > 1:
        return [stack for part in by_type for stack in _arrange(part)]
    for key in _TIME_KEYS:
        points = _complete_points(group, homes, key)
        if points:
            return [Stack(points, is_cine=len(counts) == 1 and key in _CINE_KEYS)]
    unique = _without_equal_pixels(group, homes)
    if len(unique) < len(group):
        text = f"{len(group) - len(unique)} slices were there twice with equal pixels; one copy is used."
        again = _arrange(unique)
        return [replace(each, warnings=(*each.warnings, Warn("duplicates_dropped", text))) for each in again]
    ranked = _ranked(group, homes)
    if len(set(counts.values())) == 1:
        return [Stack(ranked)]
    return _kept_apart(group, homes, ranked)


def _positions(group: Sequence[Slice]) -> list[int]:
    """Return for each slice the number of its position along the normal."""
    places = [each.frame.place for each in group]
    if any(place is None for place in places):
        return list(range(len(group)))
    points = np.array([place.position_lps for place in places if place is not None])
    first = places[0]
    projections = points @ normal_of(first) if first is not None else points[:, 2]
    order = np.argsort(projections, kind="stable")
    homes = [0] * len(group)
    representatives: list[int] = []
    for n in order:
        # Several positions may share a projection (stacks side by side): compare with each of those.
        found = None
        for number in range(len(representatives) - 1, -1, -1):
            if projections[n] - projections[representatives[number]] > SAME_POSITION_MM:
                break
            if float(np.linalg.norm(points[n] - points[representatives[number]])) <= SAME_POSITION_MM:
                found = number
                break
        if found is None:
            representatives.append(int(n))
            found = len(representatives) - 1
        homes[n] = found
    return homes


def _partition(group: list[Slice], homes: list[int], key: Callable[[Slice], Hashable]) -> list[list[Slice]]:
    """Split by `key` if that alone tells frames at one position apart by kind (magnitude, phase...)."""
    parts: dict[Hashable, list[Slice]] = defaultdict(list)
    places: dict[Hashable, set[int]] = defaultdict(set)
    for each, home in zip(group, homes, strict=True):
        parts[key(each)].append(each)
        places[key(each)].add(home)
    everywhere = len(set(homes))
    return list(parts.values()) if all(len(found) == everywhere for found in places.values()) else [group]


def _temporal(each: Slice) -> Hashable:
    return each.frame.keys.temporal_index


def _trigger(each: Slice) -> Hashable:
    return each.frame.keys.trigger_time_ms


def _echo(each: Slice) -> Hashable:
    return each.frame.keys.echo_time_ms


def _b_value(each: Slice) -> Hashable:
    return each.frame.keys.b_value


def _acquisition(each: Slice) -> Hashable:
    return each.frame.keys.acquisition_number


def _time(each: Slice) -> Hashable:
    return each.frame.keys.acquisition_time


def _instance_number(each: Slice) -> Hashable:
    return each.instance.instance_number if len(each.instance.frames) > 1 else None


_TIME_KEYS: tuple[Callable[[Slice], Hashable], ...] = (
    _temporal,
    _trigger,
    _echo,
    _b_value,
    _acquisition,
    _instance_number,
    _time,
)
_CINE_KEYS = (_temporal, _trigger)
_UNORDERED_KEYS = (_b_value,)
"""Their values have no order in time: the points follow the acquisition."""


def _complete_points(
    group: list[Slice], homes: list[int], key: Callable[[Slice], Hashable]
) -> tuple[tuple[Slice, ...], ...]:
    """Return one volume per value of `key`, in acquisition order, if each holds every position exactly once."""
    points: dict[Hashable, list[Slice]] = defaultdict(list)
    seen: dict[Hashable, set[int]] = defaultdict(set)
    for each, home in zip(group, homes, strict=True):
        value = key(each)
        if value is None or home in seen[value]:
            return ()
        points[value].append(each)
        seen[value].add(home)
    everywhere = len(set(homes))
    if len(points) < 2 or any(len(found) != everywhere for found in seen.values()):
        return ()
    if key in _UNORDERED_KEYS:
        return tuple(tuple(point) for point in sorted(points.values(), key=_first_acquired))
    return tuple(tuple(points[value]) for value in sorted(points))  # type: ignore[type-var]


def _first_acquired(point: Sequence[Slice]) -> tuple[float, float, int, str]:
    return min(_acquisition_order(each) for each in point)


def _without_equal_pixels(group: list[Slice], homes: list[int]) -> list[Slice]:
    """Drop slices whose file holds the same pixels as another one at the same position."""
    counts = Counter(homes)
    seen: set[tuple[int, bytes, int]] = set()
    kept = []
    for each, home in zip(group, homes, strict=True):
        if counts[home] > 1:
            mark = (home, pixel_digest(each.instance), each.frame.number)
            if mark in seen:
                continue
            seen.add(mark)
        kept.append(each)
    return kept


def _ranked(group: list[Slice], homes: list[int]) -> tuple[tuple[Slice, ...], ...]:
    """Deal the slices of each position out in acquisition order: first to the first point, and so on."""
    at: dict[int, list[Slice]] = defaultdict(list)
    for each, home in zip(group, homes, strict=True):
        at[home].append(each)
    for here in at.values():
        here.sort(key=_acquisition_order)
    depth = max(len(here) for here in at.values())
    return tuple(tuple(here[n] for here in at.values() if n < len(here)) for n in range(depth))


def _acquisition_order(each: Slice) -> tuple[float, float, int, str]:
    keys, number = each.frame.keys, each.instance.instance_number
    return (
        keys.acquisition_number or 0.0,
        float(number) if number is not None else 0.0,
        each.frame.number,
        each.instance.path.name,
    )


def _kept_apart(group: list[Slice], homes: list[int], ranked: tuple[tuple[Slice, ...], ...]) -> list[Stack]:
    """Split a series with different images at some positions: by acquisition if that helps, else by order."""
    warning = Warn("duplicate_position", "Different images lie at the same position; they were split into stacks.")
    by_acquisition: dict[Hashable, list[Slice]] = defaultdict(list)
    marks = set()
    for each, home in zip(group, homes, strict=True):
        by_acquisition[_acquisition(each)].append(each)
        marks.add((_acquisition(each), home))
    is_clean = len(by_acquisition) > 1 and len(marks) == len(group)
    parts = [tuple(part) for part in by_acquisition.values()] if is_clean else list(ranked)
    return [Stack((part,), (warning,)) for part in parts]
