"""Typed values out of pydicom datasets; the one place that meets malformed text."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from typing import SupportsFloat, cast

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

BAD_VALUE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, NotImplementedError,
    RecursionError, struct.error, BytesLengthException,
)  # fmt: skip
"""What pydicom raises when a stored value is not what its VR promises."""

DAMAGED_FILE = (*BAD_VALUE, InvalidDicomError, EOFError, OSError, MemoryError, zlib.error)
"""What pydicom raises on damaged files."""


def value_of(dataset: Dataset, keyword: str) -> object:
    """Return a value; None when absent, empty or malformed."""
    try:
        value = dataset.get(keyword)
    except BAD_VALUE:
        return None
    return None if value is None or (isinstance(value, str | bytes | Sequence) and len(value) == 0) else value


def is_there(dataset: Dataset, keyword: str) -> bool:
    """Whether the element exists, be it empty or malformed."""
    return keyword in dataset


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return text, "" when there is none; the first of several values."""
    value = value_of(dataset, keyword)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0]
    return "" if value is None else str(value).strip()


def texts_of(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return all text values."""
    value = value_of(dataset, keyword)
    if value is None:
        return ()
    return (str(value),) if isinstance(value, str) else tuple(str(part) for part in _as_sequence(value))


def numbers_of(dataset: Dataset, keyword: str) -> tuple[float, ...] | None:
    """Return finite numbers, None when absent or when one is no finite number."""
    value = value_of(dataset, keyword)
    if value is None:
        return None
    try:
        numbers = tuple(float(cast(SupportsFloat, part)) for part in _as_sequence(value))
    except BAD_VALUE:
        return None
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return the first finite number or None."""
    numbers = numbers_of(dataset, keyword)
    return None if numbers is None else numbers[0]


def whole_of(dataset: Dataset, keyword: str) -> int | None:
    """Return a whole number or None."""
    number = number_of(dataset, keyword)
    return None if number is None or abs(number) > 1 << 53 else int(number)


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, empty when absent or malformed."""
    value = value_of(dataset, keyword)
    return [item for item in value if isinstance(item, Dataset)] if isinstance(value, Sequence) else []


def item_of(dataset: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence, an empty dataset when there is none."""
    items = items_of(dataset, keyword)
    return items[0] if items else Dataset()


def _as_sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
