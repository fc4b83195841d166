"""Pictures of series that are not opened yet, made away from the window's thread, one at a time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from segdesk.core.events import Signal
from segdesk.core.geometry import Grid
from segdesk.core.labels import Label
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.reslice import SlicePlane, planes_of
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.core.window import start_window
from segdesk.errors import SegdeskError
from segdesk.io.series import SeriesEntry
from segdesk.ui.models.series_choice import SeriesRow
from segdesk.ui.models.thumbnails import Picture, drawn_square

SMALL_PX = 96
"""Pixels of a side of the small picture; shown at half of it."""

LARGE_PX = 320
"""Pixels of a side of the large one."""

MOST_SLICES = 48
"""So many slices of the large picture are kept, evenly spread: 5 MB of grey."""

KEPT = 6
"""Large pictures of so many series are kept."""

UNASKED_BYTES = 256 << 20
"""Larger series whose slices cannot be had alone are read for a picture only when they are selected."""


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """Slices of one series, small enough to keep.

    Parameters
    ----------
    slices : tuple of ndarray of uint8, shape (LARGE_PX, LARGE_PX, 3)
        From the first to the last; points in time for a cine.
    numbers : tuple of int
        Which slices they are, counted from 1.
    count : int
        How many there are in all.
    noun : str
        What they are: "Slice" or "Frame".
    is_whole : bool
        Whether these are all that will be shown; the middle one comes before the others.
    """

    slices: tuple[Picture, ...]
    numbers: tuple[int, ...]
    count: int
    noun: str = "Slice"
    is_whole: bool = True

    @property
    def middle(self) -> int:
        """Place of the middle slice in `slices`."""
        return len(self.slices) // 2


class SeriesPreviews:
    """Keeps the pictures of the rows of one browser.

    Signals
    -------
    wanted
        There is something to read: start `next_task`.
    arrived
        A picture, or the reason why there is none, can be shown.
    """

    wanted = Signal()
    arrived = Signal()

    def __init__(self) -> None:
        self._small: dict[str, Picture | None] = {}
        self._large: OrderedDict[str, Preview] = OrderedDict()
        self._problems: dict[str, str] = {}
        self._queue: dict[str, SeriesRow] = {}

    def small(self, row: SeriesRow) -> Picture | None:
        """Return the small picture; None while it is not there. It is then read, if that does not take long."""
        uid, entry = row.entry.uid, row.entry
        is_quick = entry.has_single_slices or entry.decoded_bytes <= UNASKED_BYTES
        if uid not in self._small and uid not in self._problems and is_quick:
            self._ask(row)
        return self._small.get(uid)

    def large(self, row: SeriesRow) -> Preview | None:
        """Return the slices of a selected row, the middle one first; None while none is there. They are read next."""
        uid = row.entry.uid
        made = self._large.get(uid)
        if made is not None:
            self._large.move_to_end(uid)
        if uid not in self._problems and (made is None or not made.is_whole):
            self._queue.pop(uid, None)
            self._ask(row)
        return made

    def problem(self, row: SeriesRow) -> str:
        """Return why there is no picture, "" when there is one or it is on its way."""
        return self._problems.get(row.entry.uid, "")

    def next_task(self) -> Task[Preview | str] | None:
        """Return the task that reads the series asked for last; it gives the slices, or why there are none."""
        if not self._queue:
            return None
        # Last in, first out: what was asked for last is what is looked at.
        uid, row = self._queue.popitem()
        has_middle = uid in self._large

        def work(report: Progress) -> Preview | str:
            try:
                if not row.entry.has_single_slices:
                    return preview_of(_image_of(row, report))
                return preview_by_slices(row.entry, report) if has_middle else middle_of(row.entry, report)
            except SegdeskError as error:
                return error.message

        def apply(made: Preview | str) -> None:
            if isinstance(made, str):
                self._problems[uid] = made
            else:
                self._keep(uid, made)
            self.arrived.emit()

        return Task(f"Picture of {row.name}", Lane.CPU, work, apply)

    def forget_queue(self) -> None:
        """Read nothing more: the browser is closed."""
        self._queue.clear()

    def _ask(self, row: SeriesRow) -> None:
        if row.entry.uid not in self._queue:
            self._queue[row.entry.uid] = row
            self.wanted.emit()

    def _keep(self, uid: str, preview: Preview) -> None:
        if uid in self._large and not preview.is_whole:
            return
        step = LARGE_PX / SMALL_PX
        pick = ((np.arange(SMALL_PX) + 0.5) * step).astype(np.intp)
        self._small[uid] = np.ascontiguousarray(preview.slices[preview.middle][pick][:, pick])
        self._large[uid] = preview
        while len(self._large) > KEPT:
            self._large.popitem(last=False)


def _image_of(row: SeriesRow, report: Progress) -> Volume:
    """Read the voxels; a mask in the colours of its labels."""
    if not row.entry.is_mask:
        return row.entry.read(report)
    labels = row.entry.read_labels(report)
    colours = np.zeros((max((*labels.table.values, *labels.values(), 0)) + 1, 3), np.uint8)
    for value in labels.values():
        colours[value] = labels.table[value].colour_rgb if value in labels.table else Label.default(value).colour_rgb
    return Volume(colours[labels.array], labels.geometry, IntensityUnit.RGB)


def preview_of(volume: Volume) -> Preview:
    """Draw slices of an image that is there, spread evenly, each into a square.

    Parameters
    ----------
    volume : Volume
        Any; of a series over time the first point, of a cine its frames.

    Returns
    -------
    Preview
        Radiological orientation, true proportions, one window for all.
    """
    plane, window = _native_plane(volume.geometry), start_window(volume)
    is_film, total = _counted(volume.geometry, volume.time_points)
    numbers = _spread(total)

    def square(number: int) -> Picture:
        point = volume.at_time(number if is_film else 0)
        pixels = plane.cut(point.array, 0 if is_film else number)
        return drawn_square(pixels, plane.size_mm, volume, window, LARGE_PX)

    return _preview(tuple(square(n) for n in numbers), numbers, total, is_film=is_film)


def middle_of(entry: SeriesEntry, report: Progress) -> Preview:
    """Draw the middle slice alone, read without the others."""
    is_film, total = _counted(entry.geometry, entry.time_points)
    numbers = _spread(total)
    middle = numbers[len(numbers) // 2]
    volume = _slice_of(entry, middle, is_film=is_film, report=report)
    made = _preview((_square_of(volume, start_window(volume)),), (middle,), total, is_film=is_film)
    return replace(made, is_whole=total == 1)


def preview_by_slices(entry: SeriesEntry, report: Progress) -> Preview:
    """Draw slices spread evenly, reading these and no others, in the window of the middle one."""
    is_film, total = _counted(entry.geometry, entry.time_points)
    numbers = _spread(total)
    middle = _slice_of(entry, numbers[len(numbers) // 2], is_film=is_film, report=report)
    window = start_window(middle)
    squares: list[Picture] = []
    for number in numbers:
        report(len(squares), len(numbers), "Reading slices")
        squares.append(_square_of(_slice_of(entry, number, is_film=is_film, report=report), window))
    return _preview(tuple(squares), numbers, total, is_film=is_film)


def _native_plane(grid: Grid) -> SlicePlane:
    """Return slices as they were taken: a coronal series is looked at in coronal slices."""
    return next(each for each in planes_of(grid) if each.normal_axis == 0)


def _counted(grid: Grid, time_points: int) -> tuple[bool, int]:
    """Return whether frames in time are leafed through, and how many frames or slices there are."""
    is_film = grid.shape_kji[0] == 1 and time_points > 1
    return is_film, time_points if is_film else grid.shape_kji[0]


def _spread(total: int) -> tuple[int, ...]:
    return tuple(sorted({round(n) for n in np.linspace(0, total - 1, min(total, MOST_SLICES))}))


def _slice_of(entry: SeriesEntry, number: int, *, is_film: bool, report: Progress) -> Volume:
    return entry.read_slice(0, report, point=number) if is_film else entry.read_slice(number, report)


def _square_of(volume: Volume, window: Window) -> Picture:
    plane = _native_plane(volume.geometry)
    return drawn_square(plane.cut(volume.array, 0), plane.size_mm, volume, window, LARGE_PX)


def _preview(squares: tuple[Picture, ...], numbers: tuple[int, ...], total: int, *, is_film: bool) -> Preview:
    return Preview(squares, tuple(n + 1 for n in numbers), total, "Frame" if is_film else "Slice")
