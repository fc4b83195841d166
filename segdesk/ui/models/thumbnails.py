"""Small pictures of cases, made away from the window's thread, one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.events import Signal
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.reslice import planes_of
from segdesk.core.volume import Volume, Window
from segdesk.core.window import start_window, to_grey8
from segdesk.errors import SegdeskError
from segdesk.io import scan
from segdesk.io.reading import choose_series
from segdesk.store.records import CaseRecord

SIDE_PX = 56
"""Pixels of a side; shown at half of it, so that it is sharp at 200 %."""

Picture = NDArray[np.uint8]
"""Shape (SIDE_PX, SIDE_PX, 3), RGB."""


class Thumbnails:
    """Keeps a picture per case; asked for one it does not have, it queues it.

    Signals
    -------
    wanted
        There is something in the queue: start `next_task`.
    arrived
        A picture can be shown.
    """

    wanted = Signal()
    arrived = Signal()

    def __init__(self) -> None:
        self._pictures: dict[str, Picture | None] = {}
        self._queue: dict[str, CaseRecord] = {}

    def of(self, case: CaseRecord) -> Picture | None:
        """Return the picture of a case; None while it is not made, or when it cannot be."""
        if case.id not in self._pictures and case.id not in self._queue:
            self._queue[case.id] = case
            self.wanted.emit()
        return self._pictures.get(case.id)

    def next_task(self) -> Task[Picture | None] | None:
        """Return the task that makes the picture asked for last, None when the queue is empty."""
        if not self._queue:
            return None
        # Last in, first out: what was asked for last is what is on screen after a scroll.
        _, case = self._queue.popitem()

        def apply(picture: Picture | None) -> None:
            self._pictures[case.id] = picture
            self.arrived.emit()

        return Task(f"Picture of {case.name}", Lane.CPU, lambda report: _read(case, report), apply)

    def forget(self) -> None:
        """Drop everything: another project is open."""
        self._pictures.clear()
        self._queue.clear()


def _read(case: CaseRecord, report: Progress) -> Picture | None:
    """Read a slice of a case's reference image; None where it cannot be: the list shows no errors of pictures."""
    channel = case.channels[0]
    try:
        entry = choose_series(scan(channel.path, report), channel.series_uid or None)
        is_alone = entry.has_single_slices
        return thumbnail(entry.read_slice(entry.shape_kji[0] // 2, report) if is_alone else entry.read(report))
    except SegdeskError:
        return None


def thumbnail(volume: Volume, side_px: int = SIDE_PX) -> Picture:
    """Draw the middle axial (or only) slice into a square, black around it.

    Parameters
    ----------
    volume : Volume
        Any; of a series over time the first point.
    side_px : int
        Side of the square.

    Returns
    -------
    ndarray of uint8, shape (side_px, side_px, 3)
        Radiological orientation, true proportions, nearest voxel.
    """
    first = volume.at_time(0)
    plane = planes_of(first.geometry)[0]
    pixels = plane.cut(first.array, plane.slice_count // 2)
    return drawn_square(pixels, plane.size_mm, first, start_window(first), side_px)


def drawn_square(
    pixels: NDArray[Any], size_mm: tuple[float, float], volume: Volume, window: Window, side_px: int
) -> Picture:
    """Draw one slice into a square, black around it.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns) or (rows, columns, 3)
        The slice.
    size_mm : tuple of float
        Its height and width, for true proportions.
    volume : Volume
        What it was cut from: says whether it is in colour or inverted.
    window : Window
        Grey values shown.
    side_px : int
        Side of the square.

    Returns
    -------
    ndarray of uint8, shape (side_px, side_px, 3)
    """
    small = _shrunk(pixels, size_mm, side_px)
    grey = small if volume.is_rgb else to_grey8(small, window, inverted=volume.display_inverted)
    square = np.zeros((side_px, side_px, 3), np.uint8)
    top, left = (side_px - grey.shape[0]) // 2, (side_px - grey.shape[1]) // 2
    colour = grey if volume.is_rgb else np.repeat(grey[..., None], 3, axis=2)
    square[top : top + grey.shape[0], left : left + grey.shape[1]] = colour
    return square


def _shrunk(pixels: NDArray[Any], size_mm: tuple[float, float], side_px: int) -> NDArray[Any]:
    """Sample a slice so that its longer side, measured in mm, fills the square."""
    longest = max(size_mm)
    rows, columns = (max(1, round(side_px * length / longest)) for length in size_mm)
    row = (np.arange(rows) * pixels.shape[0] / rows).astype(np.intp)
    column = (np.arange(columns) * pixels.shape[1] / columns).astype(np.intp)
    return np.asarray(pixels[row][:, column])
