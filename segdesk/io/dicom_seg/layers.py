"""From frames to the layers of a label map: what overlaps is kept apart, all else shares a layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import LabelArray
from segdesk.core.placement import Placement
from segdesk.core.progress import Progress
from segdesk.errors import InconsistentSeries, ReadError
from segdesk.io.dicom_seg.model import SegHeader, SegmentationType
from segdesk.io.dicom_seg.pixels import SegPixels
from segdesk.io.dicom_seg.planes import Planes, SegGrid

_Part = tuple[Placement, NDArray[np.bool_] | NDArray[np.uint16]]


class Layers:
    """Label arrays under construction.

    Parameters
    ----------
    shape_kji : tuple of int
    highest : int
        Largest label value; decides uint8 or uint16.
    """

    def __init__(self, shape_kji: tuple[int, int, int], highest: int) -> None:
        self._shape = shape_kji
        self._dtype = np.uint8 if highest <= 255 else np.uint16
        self._arrays = [self._empty()]

    @property
    def arrays(self) -> tuple[LabelArray, ...]:
        """The layers, at least one."""
        return tuple(self._arrays)

    def put(self, parts: Sequence[tuple[Placement, NDArray[np.bool_], NDArray[np.uint16] | int]]) -> None:
        """Write voxels (where, which, what) into the first layer in which all of them are free."""
        for array in self._arrays:
            if not any(placement.view(array)[0][mask].any() for placement, mask, _ in parts):
                break
        else:
            array = self._empty()
            self._arrays.append(array)
        for placement, mask, values in parts:
            placement.view(array)[0][mask] = values

    def _empty(self) -> LabelArray:
        return cast(LabelArray, np.zeros(self._shape, self._dtype))


def read_layers(header: SegHeader, planes: Planes, target: SegGrid, report: Progress) -> tuple[LabelArray, ...]:
    """Read all frames onto a grid.

    A fractional pixel belongs to its segment when it holds at least half of
    MaximumFractionalValue, be it probability or occupancy.

    Raises
    ------
    ReadError
        If the pixels are damaged, or a fraction is above the maximum the header states.
    InconsistentSeries
        ``duplicate_position`` when frames of one segment and place differ.
    """
    if header.kind is SegmentationType.LABELMAP:
        return _read_label_map(header, planes, target, report)
    highest = max((label.value for label in header.labels.values()), default=0)
    pixels = SegPixels(header)
    layers = Layers(target.grid.shape_kji, max(highest, *(frame.segment or 0 for frame in header.frames)))
    by_segment: dict[int, list[int]] = defaultdict(list)
    for frame in header.frames:
        if frame.segment is not None and frame.segment not in header.ignored:
            by_segment[frame.segment].append(frame.number)
    for done, segment in enumerate(sorted(by_segment)):
        report(done, len(by_segment), "Reading segments")
        value = header.labels[segment].value if segment in header.labels else segment
        parts = []
        shown: dict[int, int] = {}
        for number in by_segment[segment]:
            mask = _mask(pixels.frame(number), header)
            if not _is_repeated(number, shown, planes, pixels, header) and mask.any():
                parts.append((target.placements[planes.of_frame[number]], mask, value))
        layers.put(parts)
    return layers.arrays


def _is_repeated(number: int, shown: dict[int, int], planes: Planes, pixels: SegPixels, header: SegHeader) -> bool:
    """Whether an earlier frame of the place has the same pixels; other ones there would be another point in time."""
    first = shown.setdefault(planes.of_frame[number], number)
    if first == number:
        return False
    if not np.array_equal(pixels.frame(first), pixels.frame(number)):
        message = (
            f"{header.path.name} has different frames of one segment at one place (frames {first + 1} and "
            f"{number + 1}; time points?); export one mask a time point."
        )
        raise InconsistentSeries(message, code="duplicate_position", path=header.path)
    return True


def _mask(stored: NDArray[np.uint8] | NDArray[np.uint16], header: SegHeader) -> NDArray[np.bool_]:
    if header.kind is SegmentationType.BINARY:
        return np.asarray(stored != 0)
    if int(stored.max()) > header.maximum_fraction:
        message = (
            f"{header.path.name} holds the fraction {stored.max()}, above its stated maximum {header.maximum_fraction}."
        )
        raise ReadError(message, code="bad_pixels", path=header.path)
    return np.asarray(2 * stored.astype(np.int32) >= header.maximum_fraction)


def _read_label_map(header: SegHeader, planes: Planes, target: SegGrid, report: Progress) -> tuple[LabelArray, ...]:
    pixels, values = SegPixels(header), _value_table(header)
    highest = max((label.value for label in header.labels.values()), default=0)
    layers = Layers(target.grid.shape_kji, max(highest, int(values.max())))
    shown: dict[int, int] = {}
    for frame in header.frames:
        report(frame.number, len(header.frames), "Reading frames")
        if _is_repeated(frame.number, shown, planes, pixels, header):
            continue
        values_here = values[pixels.frame(frame.number)]
        mask = values_here != 0
        layers.put([(target.placements[planes.of_frame[frame.number]], mask, values_here[mask])])
    if highest > 255 or any(array.max(initial=0) > 255 for array in layers.arrays):
        return layers.arrays
    return tuple(array.astype(np.uint8, copy=False) for array in layers.arrays)


def _value_table(header: SegHeader) -> NDArray[np.uint16]:
    """Return the label value of every stored value; what is not described keeps its number."""
    table = np.arange(1 << header.layout.bits_allocated, dtype=np.uint16)
    for number, label in header.labels.items():
        if number < len(table):
            table[number] = label.value
    for number in (header.layout.padding, *header.ignored):
        if number < len(table):
            table[number] = 0
    return table
