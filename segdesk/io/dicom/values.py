"""Typed values out of headers and pydicom datasets; the one place that meets malformed text."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import ConstrainedList

from segdesk.io.dicom.quick_header import Header, QuickHeader

BAD_VALUE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, NotImplementedError,
    RecursionError, struct.error, BytesLengthException,
)  # fmt: skip
"""What pydicom raises when a stored value is not what its VR promises."""

DAMAGED_FILE = (*BAD_VALUE, InvalidDicomError, EOFError, OSError, MemoryError, zlib.error)
"""What pydicom raises on damaged files."""


_NOTHING = Dataset()
_NUMBER = (int, float)
_MANY = (list, tuple, ConstrainedList)
"""The sequences that pydicom's values are; asking for these is far quicker than for `Sequence`."""
_SIZED = (str, bytes, *_MANY)
_ITEMS = (QuickHeader, Dataset)


def value_of(dataset: Header, keyword: str) -> object:
    """Return a value; None when absent, empty or malformed."""
    try:
        value = dataset.get(keyword)
    except BAD_VALUE:
        return None
    if value is None or isinstance(value, _NUMBER):
        return value
    return None if isinstance(value, _SIZED) and not len(value) else value


def is_there(dataset: Header, keyword: str) -> bool:
    """Whether the element exists, be it empty or malformed."""
    return keyword in dataset


def text_of(dataset: Header, keyword: str) -> str:
    """Return text, "" when there is none; the first of several values."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and isinstance(value, _MANY):
        value = value[0]
    return str(value).strip()


def texts_of(dataset: Header, keyword: str) -> tuple[str, ...]:
    """Return all text values."""
    value = value_of(dataset, keyword)
    return () if value is None else tuple(map(str, value if isinstance(value, _MANY) else (value,)))


def numbers_of(dataset: Header, keyword: str) -> tuple[float, ...] | None:
    """Return finite numbers, None when absent or when one is no finite number."""
    value = value_of(dataset, keyword)
    return None if value is None else _finite(value)


def number_of(dataset: Header, keyword: str) -> float | None:
    """Return the first finite number or None."""
    value = value_of(dataset, keyword)
    numbers = None if value is None else _finite(value)
    return None if numbers is None else numbers[0]


def _finite(value: Any) -> tuple[float, ...] | None:
    is_one = isinstance(value, _NUMBER) or not isinstance(value, _MANY)
    try:
        numbers = (float(value),) if is_one else tuple(map(float, value))
    except BAD_VALUE:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def whole_of(dataset: Header, keyword: str) -> int | None:
    """Return a whole number or None."""
    number = number_of(dataset, keyword)
    return None if number is None or abs(number) > 1 << 53 else int(number)


def items_of(dataset: Header, keyword: str) -> list[Header]:
    """Return the items of a sequence, empty when absent or malformed."""
    value = value_of(dataset, keyword)
    return [item for item in value if isinstance(item, _ITEMS)] if isinstance(value, _MANY) else []


def item_of(dataset: Header, keyword: str) -> Header:
    """Return the first item of a sequence, an empty one when there is none."""
    items = items_of(dataset, keyword)
    return items[0] if items else _NOTHING
