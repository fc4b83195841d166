"""Assembling a volume: threads decode, each slice gets its own rescale."""

from __future__ import annotations

import math
import os
import warnings
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Grid
from segdesk.core.progress import Progress
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError, Warn
from segdesk.io.dicom.model import Instance, Slice
from segdesk.io.dicom.pixels import decoded_frames, stored_dtype
from segdesk.io.limits import file_bytes, require_size
from segdesk.io.nifti import nan_warning

_THREADS = min(8, os.cpu_count() or 1)

_Target = tuple[int, Slice]
"""Place in the flat (time x slice) axis, and what goes there."""


@dataclass(frozen=True, slots=True)
class DicomVolume:
    """Everything needed to read one entry: callable as a `Reader`.

    Parameters
    ----------
    points : tuple of tuple of Slice
        Time points, each in slice order.
    geometry : Geometry or SliceStackGeometry
    warnings : tuple of Warn
    uid : str
        Of the entry.
    """

    points: tuple[tuple[Slice, ...], ...]
    geometry: Grid
    warnings: tuple[Warn, ...]
    uid: str

    def __call__(self, report: Progress) -> Volume:
        """Read the pixels; raises `ReadError`, lets `Cancelled` pass."""
        first = self.points[0][0].instance
        array = self._pixels(report)
        is_ct = first.modality == "CT" and first.rescale_type.upper() in ("", "HU")
        is_colour = first.layout.is_colour
        middle = self.points[0][len(self.points[0]) // 2].frame
        return Volume(
            array,
            self.geometry,
            unit=IntensityUnit.RGB if is_colour else IntensityUnit.HU if is_ct else IntensityUnit.ARBITRARY,
            modality=first.modality,
            windows=() if is_colour else middle.windows,
            display_inverted=first.is_inverted and not is_colour,
            time_points=len(self.points),
            padding_range=_padding(self.points[0][0]),
            warnings=(*self.warnings, *nan_warning(array)),
            series_uid=self.uid,
            source_path=str(first.path if len(self._by_file()) == 1 else first.path.parent),
            patient_key=first.patient_key,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array as far as the headers tell (a rare overflow widens it)."""
        return value_dtype([each for point in self.points for each in point])

    def _by_file(self) -> dict[int, list[_Target]]:
        """Group the slices by file, so that each file is opened once."""
        groups: dict[int, list[_Target]] = defaultdict(list)
        flat = [each for point in self.points for each in point]
        for n, each in enumerate(flat):
            groups[id(each.instance)].append((n, each))
        return groups

    def _pixels(self, report: Progress) -> NDArray[Any]:
        count = sum(len(point) for point in self.points)
        first = self.points[0][0]
        shape: tuple[int, ...] = (count, first.frame.rows, first.frame.columns)
        shape = (*shape, 3) if first.instance.layout.is_colour else shape
        paths = {each.instance.path for point in self.points for each in point}
        require_size(first.instance.path, math.prod(shape) * self.dtype.itemsize, file_bytes(paths))
        array = _Slots(np.empty(shape, self.dtype))
        groups = list(self._by_file().values())
        with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
            warnings.simplefilter("ignore")
            futures = [pool.submit(_fill, array, group) for group in groups]
            try:
                for done, future in enumerate(as_completed(futures)):
                    future.result()
                    report(done + 1, len(groups), "Reading slices")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        pixels = array.widened([each for point in self.points for each in point])
        rest = self.geometry.shape_kji
        lead = (len(self.points),) if len(self.points) > 1 else ()
        return pixels.reshape(*lead, *rest, *shape[3:])


class _Slots:
    """The array under construction; slices whose values do not fit wait aside."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self._wide: dict[int, NDArray[Any]] = {}

    def put(self, n: int, values: NDArray[Any]) -> None:
        """Store slice `n`; called from several threads, each with its own n."""
        if _fits(values, self._array.dtype):
            self._array[n] = values
        else:
            self._wide[n] = values

    def widened(self, slices: Sequence[Slice]) -> NDArray[Any]:
        """Return the array, as int32 when a value did not fit what the headers promised."""
        if not self._wide:
            return self._array
        array = self._array.astype(np.int32)
        for n, values in self._wide.items():
            array[n] = values
        return array


def _fits(values: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    if values.dtype == dtype or dtype.kind not in "iu":
        return True
    limits = np.iinfo(dtype)
    return bool(values.size == 0 or (values.min() >= limits.min and values.max() <= limits.max))


def _fill(array: _Slots, targets: list[_Target]) -> None:
    """Decode the frames of one file and put each into its slots."""
    instance: Instance = targets[0][1].instance
    wanted: dict[int, list[_Target]] = defaultdict(list)
    for target in targets:
        wanted[target[1].frame.number].append(target)
    for number, stored in decoded_frames(instance, sorted(wanted)):
        for n, each in wanted[number]:
            frame = each.frame
            if frame.tile is not None:
                j, i = frame.tile
                array.put(n, _values(stored[j : j + frame.rows, i : i + frame.columns], each))
            else:
                array.put(n, _values(stored, each))


def _values(stored: NDArray[Any], each: Slice) -> NDArray[Any]:
    """Apply the slice's own slope and intercept (GEOMETRY check 34)."""
    slope, intercept = each.frame.slope, each.frame.intercept
    layout = each.instance.layout
    if layout.is_colour or layout.has_modality_lut or (slope == 1 and intercept == 0):
        return stored
    if slope == 0:
        raise ReadError(
            f"{each.instance.path.name} has a rescale slope of 0.", code="bad_pixels", path=each.instance.path
        )
    if slope == 1 and float(intercept).is_integer() and not layout.is_float:
        return np.asarray(stored.astype(np.int32) + np.int32(intercept))
    return np.asarray(stored * np.float64(slope) + intercept, dtype=np.float32)


def value_dtype(slices: Sequence[Slice]) -> np.dtype[Any]:
    """Return the type that holds every rescaled value, from the headers alone.

    Integers stay integers while slope is 1 and the intercept whole; 16-bit CT with an
    intercept is promised as int16, since values beyond are not used in practice.
    """
    layouts = {each.instance.layout for each in slices}
    layout = next(iter(layouts))
    if layout.is_colour:
        return np.dtype(np.uint8)
    if any(each.has_modality_lut for each in layouts):
        return np.dtype(np.int32)
    if any(each.is_float for each in layouts):
        return np.dtype(np.float64 if any(each.bits_allocated == 64 for each in layouts) else np.float32)
    scales = {(each.frame.slope, each.frame.intercept) for each in slices}
    if any(slope != 1 or not float(intercept).is_integer() for slope, intercept in scales):
        return np.dtype(np.float32)
    types = {stored_dtype(each) for each in layouts}
    if all(intercept == 0 for _, intercept in scales):
        return np.result_type(*types)
    low = min(_stored_range(each)[0] for each in layouts) + min(intercept for _, intercept in scales)
    high = max(_stored_range(each)[1] for each in layouts) + max(intercept for _, intercept in scales)
    return np.dtype(np.int16 if low >= -65536 and high <= 65535 and _is_at_most_16_bits(types) else np.int32)


def _is_at_most_16_bits(types: set[np.dtype[Any]]) -> bool:
    return all(each.itemsize <= 2 for each in types)


def _stored_range(layout: Any) -> tuple[int, int]:
    if layout.is_signed:
        return -(1 << (layout.bits_stored - 1)), (1 << (layout.bits_stored - 1)) - 1
    return 0, (1 << layout.bits_stored) - 1


def _padding(each: Slice) -> tuple[float, float] | None:
    """Return the padding range in rescaled values."""
    stored = each.instance.padding_stored
    if stored is None or each.instance.layout.has_modality_lut:
        return None
    ends = [value * each.frame.slope + each.frame.intercept for value in stored]
    return min(ends), max(ends)
