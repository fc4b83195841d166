"""The array of a volume under construction: each slice gets its own rescale, in place where it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.errors import ReadError
from segdesk.io.dicom.model import PixelLayout, Slice
from segdesk.io.dicom.pixels import is_native, stored_dtype
from segdesk.io.nifti import rescale_into

Target = tuple[int, Slice]
"""Place in the flat (time x slice) axis, and what goes there."""


class Slots:
    """Takes slices from several threads, each with its own number.

    Parameters
    ----------
    array : ndarray
        Shape (N, rows, columns[, 3]), of `value_dtype`.

    Attributes
    ----------
    is_read : ndarray of bool, shape (N,)
        Which slices are there.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self.is_read = np.zeros(len(array), np.bool_)
        self._array = array
        self._wide: dict[int, NDArray[Any]] = {}

    def lend(self, wanted: Mapping[int, Sequence[Target]], layout: PixelLayout) -> dict[int, NDArray[Any]]:
        """Return, by frame number, the slots that stored values can be read into as they are."""
        stored = stored_dtype(layout)
        is_same_size = stored.kind in "iu" and self._array.dtype.kind in "iu" and stored.itemsize == self._itemsize
        if not is_native(layout) or not is_same_size:
            return {}
        single = {number: targets[0] for number, targets in wanted.items() if len(targets) == 1}
        return {number: self._array[n].view(stored) for number, (n, each) in single.items() if each.frame.tile is None}

    def put(self, n: int, stored: NDArray[Any], each: Slice, *, is_lent: bool = False) -> None:
        """Store slice `n`, rescaled by its own slope and intercept (GEOMETRY check 34).

        Parameters
        ----------
        n : int
        stored : ndarray
            Stored values, or the slot itself, filled.
        each : Slice
        is_lent : bool
            Whether it is the slot.

        Raises
        ------
        ReadError
            ``bad_pixels`` for a slope of 0.
        """
        slope, intercept = _scale(each)
        if slope == 0:
            raise ReadError(
                f"{each.instance.path.name} has a rescale slope of 0.", code="bad_pixels", path=each.instance.path
            )
        if self._array.dtype.kind == "f":
            rescale_into(stored, slope, intercept, self._array[n])
        elif is_lent and intercept == 0 and stored.dtype == self._array.dtype:
            pass
        elif self._holds(stored, int(intercept), each.instance.layout):
            self._shift(n, stored, int(intercept), is_lent=is_lent)
        else:
            self._wide[n] = stored.astype(self._wide_dtype) + self._wide_dtype.type(intercept)
        self.is_read[n] = True

    def whole(self) -> NDArray[Any]:
        """Return the array, in a wider type when a value did not fit what the headers promised."""
        if not self._wide:
            return self._array
        array = self._array.astype(self._wide_dtype)
        for n, values in self._wide.items():
            array[n] = values
        return array

    @property
    def _itemsize(self) -> int:
        return self._array.dtype.itemsize

    @property
    def _wide_dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int32 if self._itemsize < 4 else np.int64)

    def _holds(self, stored: NDArray[Any], intercept: int, layout: PixelLayout) -> bool:
        """Whether every value + intercept fits the array; looks at the values only if their range does not tell."""
        limits = np.iinfo(self._array.dtype)
        low, high = stored_range(layout)
        if layout.has_modality_lut or low + intercept < limits.min:
            low = int(stored.min())
        if layout.has_modality_lut or high + intercept > limits.max:
            high = int(stored.max())
        return low + intercept >= limits.min and high + intercept <= limits.max

    def _shift(self, n: int, stored: NDArray[Any], intercept: int, *, is_lent: bool) -> None:
        """Write stored + intercept, which fits: arithmetic modulo the word size gives it."""
        words = self._array[n].view(f"u{self._itemsize}")
        offset = words.dtype.type(intercept % (1 << 8 * self._itemsize))
        np.add(words if is_lent else stored, offset, out=words, dtype=words.dtype, casting="unsafe")


def _scale(each: Slice) -> tuple[float, float]:
    """Return slope and intercept; a table or colours have taken their place."""
    layout = each.instance.layout
    if layout.is_colour or layout.has_modality_lut:
        return 1.0, 0.0
    return each.frame.slope, each.frame.intercept


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
    ranges = [stored_range(each) for each in layouts]
    low = min(low for low, _ in ranges) + min(intercept for _, intercept in scales)
    high = max(high for _, high in ranges) + max(intercept for _, intercept in scales)
    is_at_most_16_bits = all(each.itemsize <= 2 for each in types)
    return np.dtype(np.int16 if low >= -65536 and high <= 65535 and is_at_most_16_bits else np.int32)


def stored_range(layout: PixelLayout) -> tuple[int, int]:
    """Return the smallest and largest value that the stored bits can mean."""
    if layout.is_signed:
        return -(1 << (layout.bits_stored - 1)), (1 << (layout.bits_stored - 1)) - 1
    return 0, (1 << layout.bits_stored) - 1
