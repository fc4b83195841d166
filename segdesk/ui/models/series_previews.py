"""Pictures of series that are not opened yet, made away from the window's thread, one at a time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.events import Signal
from segdesk.core.labels import Label
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.reslice import planes_of
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.core.window import start_window
from segdesk.errors import SegdeskError
from segdesk.ui.models.series_choice import SeriesRow
from segdesk.ui.models.series_facts import decoded_bytes
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
"""Larger series are read for a picture only when they are selected."""


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
    """

    slices: tuple[Picture, ...]
    numbers: tuple[int, ...]
    count: int
    noun: str = "Slice"

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
        """Return the small picture; None while it is not there. A small series is then read for it."""
        uid = row.entry.uid
        if uid not in self._small and uid not in self._problems and decoded_bytes(row.entry) <= UNASKED_BYTES:
            self._ask(row)
        return self._small.get(uid)

    def large(self, row: SeriesRow) -> Preview | None:
        """Return the slices of a selected row; None while they are not there, they are read next."""
        uid = row.entry.uid
        if uid in self._large:
            self._large.move_to_end(uid)
        elif uid not in self._problems:
            self._queue.pop(uid, None)
            self._ask(row)
        return self._large.get(uid)

    def problem(self, row: SeriesRow) -> str:
        """Return why there is no picture, "" when there is one or it is on its way."""
        return self._problems.get(row.entry.uid, "")

    def next_task(self) -> Task[Preview | str] | None:
        """Return the task that reads the series asked for last; it gives the slices, or why there are none."""
        if not self._queue:
            return None
        # Last in, first out: what was asked for last is what is looked at.
        uid, row = self._queue.popitem()

        def work(report: Progress) -> Preview | str:
            try:
                return preview_of(_image_of(row, report))
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
    """Draw slices of an image, spread evenly, each into a square.

    Parameters
    ----------
    volume : Volume
        Any; of a series over time the first point, of a cine its frames.

    Returns
    -------
    Preview
        Radiological orientation, true proportions, one window for all.
    """
    # Slices as they were taken: a coronal series is looked at in coronal slices.
    plane = next(each for each in planes_of(volume.geometry) if each.normal_axis == 0)
    window = start_window(volume)
    is_film = plane.slice_count == 1 and volume.time_points > 1
    total = volume.time_points if is_film else plane.slice_count
    numbers = sorted({round(n) for n in np.linspace(0, total - 1, min(total, MOST_SLICES))})

    def pixels(number: int) -> NDArray[Any]:
        point = volume.at_time(number if is_film else 0)
        return plane.cut(point.array, 0 if is_film else number)

    squares = tuple(drawn_square(pixels(n), plane.size_mm, volume, window, LARGE_PX) for n in numbers)
    return Preview(squares, tuple(n + 1 for n in numbers), total, "Frame" if is_film else "Slice")
