"""One slice of an image that is being opened, to look at while the rest is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from segdesk.core.geometry import Grid
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.io import scan
from segdesk.io.reading import choose_series
from segdesk.io.series import SeriesEntry

WORTH_BYTES = 16 << 20
"""Smaller images are there before one would have looked at a slice of them."""


@dataclass(frozen=True, slots=True, eq=False)
class FirstSlice:
    """The middle slice of an image that is not there yet: shown, never worked with.

    Parameters
    ----------
    name : str
        Of the case.
    volume : Volume
        The one slice, on its own grid.
    k : int
        Which slice of the image it is.
    grid : Geometry or SliceStackGeometry
        Of the whole image.
    """

    name: str
    volume: Volume
    k: int
    grid: Grid


class FirstSliceReader:
    """Reads a whole image, and shows its middle slice before that: a `segdesk.store.images.ReadImage`.

    Parameters
    ----------
    name : str
        Of the case.
    show : callable
        Takes the slice, in the thread that reads; called once at most, and not for images
        that are small, or whose slices cannot be had alone.
    entry : SeriesEntry, optional
        The image, where it was found already: headers are not read again.
    """

    def __init__(self, name: str, show: Callable[[FirstSlice], None], entry: SeriesEntry | None = None) -> None:
        self._name = name
        self._show: Callable[[FirstSlice], None] | None = show
        self._entry = entry
        self.volume: Volume | None = None

    def __call__(
        self, path: Path, *, series_uid: str | None = None, as_stack: bool = False, report: Progress = silent
    ) -> Volume:
        """Return the whole image; raises what `segdesk.io.read_volume` raises."""
        entry = self._entry or choose_series(scan(path, report), series_uid)
        if not as_stack:
            entry = entry.require_volume()
        show, self._show = self._show, None
        if show is not None and entry.has_single_slices and entry.decoded_bytes >= WORTH_BYTES:
            k = entry.shape_kji[0] // 2
            show(FirstSlice(self._name, entry.read_slice(k, report), k, entry.geometry))
        self.volume = entry.read(report)
        return self.volume
