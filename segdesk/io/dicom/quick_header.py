"""Elements of a header kept as bytes, turned into values one by one when asked for.

The plain forms of values are converted here, a hundred times faster than pydicom does;
every other form is handed to pydicom as the raw element it would have read itself, so
both ways give one answer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.values import convert_string

SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_SEQUENCE = "SQ"
_ESCAPE = b"\x1b"
_PADDING = b" \0"
_SHORT = 64
"""Bytes of values worth remembering."""
_DECIMALS = b"0123456789+-.eE \\"
_WHOLES = b"0123456789+- \\"
_PLAIN_NAME = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ^.,_-"
_LATIN_VRS = frozenset({"CS", "DA", "TM", "DT", "AS"})
"""Text whose bytes never depend on the character set of the file."""

Scan = Callable[[bytes, bool, "bytes | None"], "Sequence[QuickHeader] | None"]
"""Takes the bytes of a sequence, implicit or not, the character set; None when they are not plain."""


class Header(Protocol):
    """What reading a header needs of it: pydicom's `Dataset` has it, and `QuickHeader`."""

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return the value of a keyword, the element of a tag, `default` when it is absent."""

    def __contains__(self, key: Any, /) -> bool:
        """Whether the element of a keyword or tag exists."""


class NotPlainError(Exception):
    """The bytes are in no plain form; pydicom shall judge them."""


class QuickHeader:
    """Elements of one file or sequence item; answers `get` and `in` as pydicom's Dataset does.

    Parameters
    ----------
    elements : mapping from tag to (VR, value)
        VR None where the file leaves it out. The value is bytes, or a sequence of
        `QuickHeader` for a sequence that had to be walked to find its end.
    is_implicit : bool
        Whether the file leaves VRs out.
    inherited_charset : bytes, optional
        SpecificCharacterSet of what this is an item of.
    scan : callable
        Takes a sequence apart.
    """

    __slots__ = ("_charset", "_elements", "_is_implicit", "_scan", "_twin")

    def __init__(
        self,
        elements: Mapping[int, tuple[str | None, Any]],
        is_implicit: bool,
        inherited_charset: bytes | None,
        scan: Scan,
    ) -> None:
        self._elements = elements
        self._is_implicit = is_implicit
        own = elements.get(SPECIFIC_CHARACTER_SET)
        self._charset: bytes | None = inherited_charset if own is None else own[1]
        self._scan = scan
        self._twin: Dataset | None = None

    def __contains__(self, key: int | str) -> bool:
        """Whether the element of a keyword or tag exists."""
        return (key if isinstance(key, int) else _tag_of(key)) in self._elements

    def get(self, key: int | str, default: Any = None) -> Any:
        """Return the value of a keyword or, as pydicom does, the element of a tag."""
        if isinstance(key, int):
            return self._as_pydicom().get(key, default) if key in self._elements else default
        tag = _tag_of(key)
        found = self._elements.get(tag)
        if found is None:
            return default
        vr, value = found
        if not value:
            return None
        expected = self._expected_vr(tag)
        if vr == _SEQUENCE or (vr is None and expected == _SEQUENCE):
            items = self._scan(value, self._is_implicit, self._charset) if isinstance(value, bytes) else value
            return self._as_pydicom().get(key, default) if items is None else items
        if vr not in (None, expected):
            return self._as_pydicom().get(key, default)
        try:
            return _remembered(expected, value) if len(value) <= _SHORT else _CONVERTERS[expected](value)
        except (NotPlainError, KeyError):
            return self._as_pydicom().get(key, default)

    def _expected_vr(self, tag: int) -> str:
        """Return the VR of the dictionary, "" where pydicom shall say."""
        vr = _dictionary_vr(tag)
        if vr != "US or SS":
            return vr
        signed = self._elements.get(_PIXEL_REPRESENTATION)
        return "" if signed is None or len(signed[1]) != 2 else "SS" if signed[1] != b"\0\0" else "US"

    def _as_pydicom(self) -> Dataset:
        """Return what pydicom would have read: the same elements, not converted yet."""
        if self._twin is None:
            encodings = _encodings(self._charset)
            same = {BaseTag(tag): self._element(BaseTag(tag), *found) for tag, found in self._elements.items()}
            self._twin = Dataset(same, parent_encoding=encodings)
            self._twin.set_original_encoding(self._is_implicit, True, encodings)
        return self._twin

    def _element(self, tag: BaseTag, vr: str | None, value: Any) -> RawDataElement | DataElement:
        if isinstance(value, bytes):
            return RawDataElement(tag, vr, len(value), value, 0, self._is_implicit, True)
        return DataElement(tag, _SEQUENCE, [item._as_pydicom() for item in value])


@lru_cache(maxsize=4096)
def _tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


@lru_cache(maxsize=4096)
def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


@lru_cache(maxsize=64)
def _encodings(charset: bytes | None) -> str | list[str]:
    """Return Python's names of the encodings that SpecificCharacterSet means, as pydicom does."""
    return default_encoding if charset is None else list(convert_encodings(convert_string(charset, True)))


@lru_cache(maxsize=64)
def is_ascii_charset(charset: bytes | None) -> bool:
    """Whether ASCII bytes without escapes mean themselves in a character set."""
    ascii_bytes = bytes(code for code in range(128) if code != _ESCAPE[0])
    try:
        encodings = _encodings(charset)
        return ascii_bytes.decode(encodings if isinstance(encodings, str) else encodings[0]) == ascii_bytes.decode()
    except (LookupError, ValueError):
        return False


def _numerals(letters: bytes, kind: Callable[[bytes], Any], value: bytes) -> Any:
    if value.translate(None, letters):
        raise NotPlainError
    try:
        numbers = [*map(kind, value.split(b"\\"))]
    except ValueError:
        raise NotPlainError from None
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _packed(one: struct.Struct, value: bytes) -> Any:
    if len(value) == one.size:
        return one.unpack(value)[0]
    count, rest = divmod(len(value), one.size)
    if rest:
        raise NotPlainError
    return struct.unpack(f"<{count}{one.format[1:]}", value)


def _strings(value: bytes) -> str | tuple[str, ...]:
    """Return text as `multi_string` does: padding of the whole stripped, then split."""
    parts = _ascii(value).rstrip(" \0").split("\\")
    return parts[0] if len(parts) == 1 else tuple(parts)


def _uids(value: bytes) -> str | tuple[str, ...]:
    parts = tuple(part.strip() for part in _ascii(value).rstrip("\0 ").split("\\"))
    return parts[0] if len(parts) == 1 else parts


def _texts(value: bytes) -> str | tuple[str, ...]:
    """Return text as `convert_text` does: split, then the padding of each stripped."""
    parts = [part.rstrip("\0 ") for part in _ascii(value).split("\\")]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _name(value: bytes) -> str:
    name = value.rstrip(_PADDING)
    if name.translate(None, _PLAIN_NAME):
        raise NotPlainError
    return name.decode("ascii")


def _ascii(value: bytes) -> str:
    if not value.isascii() or _ESCAPE in value:
        raise NotPlainError
    return value.decode("ascii")


_CONVERTERS: dict[str, Callable[[bytes], Any]] = {
    "DS": partial(_numerals, _DECIMALS, float),
    "IS": partial(_numerals, _WHOLES, int),
    "LO": _texts,
    "SH": _texts,
    "PN": _name,
    "UI": _uids,
    **dict.fromkeys(_LATIN_VRS, _strings),
    **{
        vr: partial(_packed, struct.Struct(f"<{code}"))
        for vr, code in (("US", "H"), ("SS", "h"), ("UL", "I"), ("SL", "i"), ("FL", "f"), ("FD", "d"))
    },
}
"""Those of the VRs with a plain form."""


@lru_cache(maxsize=1 << 13)
def _remembered(vr: str, value: bytes) -> Any:
    """Return a plain value, which is immutable: slices of one series share most of theirs."""
    return _CONVERTERS[vr](value)
