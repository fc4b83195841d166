"""A quick walk over the elements of a plain DICOM file, up to its pixels.

Plain means: a preamble, group 2 as the standard wants it, little endian, ascending tags,
known VRs, lengths that end where they should. Whatever else there is in the world
(`NotPlainError`) is pydicom's to read; a walk never guesses.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from segdesk.io.dicom.quick_header import SPECIFIC_CHARACTER_SET, Header, NotPlainError, QuickHeader, is_ascii_charset

_CHUNK = 1 << 13
_MAX_VALUE_BYTES = 1 << 26
_MAX_DEPTH = 16
_META_START = 132
_META_GROUP = b"\2\0"
_GROUP_LENGTH = 0x00020000
_TRANSFER_SYNTAX = 0x00020010
_META_VRS = frozenset({"UI", "OB", "SH", "AE", "UR"})
_FIRST_DATA_TAG = 0x00080000
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_UNDEFINED = 0xFFFFFFFF
_ITEM = b"\xfe\xff\x00\xe0"
_ITEM_END = b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_FIRST_DELIMITER = 0xFFFE0000
_ITEM_END_TAG = 0xFFFEE00D

_SHORT_VRS = {vr.encode(): str(vr) for vr in EXPLICIT_VR_LENGTH_16}
_LONG_VRS = {vr.encode(): str(vr) for vr in EXPLICIT_VR_LENGTH_32}
_explicit_at = struct.Struct("<HH2sH").unpack_from
_implicit_at = struct.Struct("<HHI").unpack_from
_length_at = struct.Struct("<I").unpack_from

_Elements = dict[int, tuple[str | None, Any]]


@dataclass(frozen=True, slots=True)
class ScannedHeader:
    """A header, its transfer syntax, and where the pixel element begins.

    Parameters
    ----------
    header : Header
    transfer_syntax : str
        UID.
    is_implicit : bool
    pixel_position : int
        First byte of the tag of the pixel element.
    """

    header: Header
    transfer_syntax: str
    is_implicit: bool
    pixel_position: int


def scan_header(file: FileIO, wanted: Container[int]) -> ScannedHeader:
    """Read the wanted elements of a file, jumping over the others.

    Parameters
    ----------
    file : unbuffered binary file
        Standing anywhere; stands anywhere afterwards.
    wanted : container of int
        Tags to keep.

    Raises
    ------
    NotPlainError
        When the file is in any way out of the ordinary, without pixels included.
    """
    file.seek(0)
    walk = _Walk(file.read(_CHUNK), file)
    syntax, position = _transfer_syntax(walk)
    is_implicit = syntax == ImplicitVRLittleEndian
    if is_implicit and _looks_explicit(walk, position):
        raise NotPlainError
    elements, position = _Level(walk, is_implicit, wanted).until_pixels(position)
    return ScannedHeader(QuickHeader(elements, is_implicit, None, scan_items), syntax, is_implicit, position)


def scan_items(value: bytes, is_implicit: bool, charset: bytes | None) -> list[QuickHeader] | None:
    """Take the bytes of a sequence apart; None when they are not plain."""
    try:
        items, _ = _Level(_Walk(value), is_implicit, None, charset, 1).items(0, len(value))
    except NotPlainError:
        return None
    return items


def _transfer_syntax(walk: _Walk) -> tuple[str, int]:
    """Return the transfer syntax and where the data set begins."""
    if walk.data[128:_META_START] != b"DICM":
        raise NotPlainError
    syntax, position, last = "", _META_START, 0
    while walk.value(position, 2) == _META_GROUP:
        tag, vr, start, length = _explicit_head(walk, position)
        is_plain = (vr, length) == ("UL", 4) if tag == _GROUP_LENGTH else vr in _META_VRS
        if tag <= last or length == _UNDEFINED or not is_plain:
            raise NotPlainError
        if tag == _TRANSFER_SYNTAX and vr == "UI":
            syntax = walk.value(start, length).rstrip(b" \0").decode("latin-1")
        last, position = tag, start + length
    if not _is_plain_syntax(syntax):
        raise NotPlainError
    return syntax, position


def _looks_explicit(walk: _Walk, position: int) -> bool:
    """Whether two capitals stand where an explicit file has the first VR, which pydicom believes."""
    offset = walk.at(position, 6) + 4
    return all(ord("A") <= code <= ord("Z") for code in walk.data[offset : offset + 2])


@lru_cache(maxsize=256)
def _is_plain_syntax(syntax: str) -> bool:
    """Whether a transfer syntax is a registered little endian one, not deflated as a whole."""
    if syntax in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        return False
    return UID(syntax).type == "Transfer Syntax"


class _Walk:
    """A window of bytes that moves along a file, or all there is."""

    __slots__ = ("_file", "base", "data")

    def __init__(self, data: bytes, file: FileIO | None = None) -> None:
        self.data = data
        self.base = 0
        self._file = file

    def at(self, position: int, count: int) -> int:
        """Return where in `data` a position of the file is, with `count` bytes from there."""
        offset = position - self.base
        if offset + count <= len(self.data):
            return offset
        if self._file is None:
            raise NotPlainError
        self._file.seek(position)
        self.data = self._file.read(max(count, _CHUNK))
        self.base = position
        if len(self.data) < count:
            raise NotPlainError
        return 0

    def value(self, position: int, length: int) -> bytes:
        """Return the bytes of a value."""
        if length > _MAX_VALUE_BYTES:
            raise NotPlainError
        offset = self.at(position, length)
        return self.data[offset : offset + length]


def _explicit_head(walk: _Walk, position: int) -> tuple[int, str | None, int, int]:
    """Return tag, VR, first byte of the value, and length; no VR for delimiters."""
    offset = walk.at(position, 8)
    group, number, code, length = _explicit_at(walk.data, offset)
    tag = group << 16 | number
    vr = _SHORT_VRS.get(code)
    if vr is not None or tag >= _FIRST_DELIMITER:
        return tag, vr, position + 8, length
    vr = _LONG_VRS.get(code)
    if vr is None:
        raise NotPlainError
    offset = walk.at(position + 8, 4)
    return tag, vr, position + 12, _length_at(walk.data, offset)[0]


def _implicit_head(walk: _Walk, position: int) -> tuple[int, str | None, int, int]:
    """Return tag, no VR, first byte of the value, and length."""
    offset = walk.at(position, 8)
    group, number, length = _implicit_at(walk.data, offset)
    return group << 16 | number, None, position + 8, length


class _Level:
    """One nesting level of a data set: the file itself, or the items of a sequence.

    Parameters
    ----------
    walk : _Walk
    is_implicit : bool
    wanted : container of int, optional
        Tags to keep, all when None.
    charset : bytes, optional
        SpecificCharacterSet that holds here unless an item has its own.
    depth : int
        0 for the file.
    """

    __slots__ = ("_charset", "_depth", "_is_implicit", "_walk", "_wanted")

    def __init__(
        self,
        walk: _Walk,
        is_implicit: bool,
        wanted: Container[int] | None,
        charset: bytes | None = None,
        depth: int = 0,
    ) -> None:
        if depth > _MAX_DEPTH:
            raise NotPlainError
        self._walk = walk
        self._is_implicit = is_implicit
        self._wanted = wanted
        self._charset = charset
        self._depth = depth

    def until_pixels(self, position: int) -> tuple[_Elements, int]:
        """Read elements up to the pixel element; return them and its position."""
        return self._elements(position, -1, _PIXELS)

    def items(self, position: int, end: int) -> tuple[list[QuickHeader], int]:
        """Read the items of a sequence; `end` -1 when a delimiter ends it."""
        walk = self._walk
        found: list[QuickHeader] = []
        while position != end:
            head = walk.value(position, 8)
            if head == _SEQUENCE_END and end == -1:
                return found, position + 8
            if head[:4] != _ITEM or 0 <= end < position:
                raise NotPlainError
            elements, position = self._item(position + 8, _length_at(head, 4)[0])
            found.append(QuickHeader(elements, self._is_implicit, self._charset, scan_items))
        return found, position

    def _item(self, position: int, length: int) -> tuple[_Elements, int]:
        if length != _UNDEFINED:
            return self._elements(position, position + length, ())
        elements, position = self._elements(position, -1, (_ITEM_END_TAG,))
        if self._walk.value(position, 8) != _ITEM_END:
            raise NotPlainError
        return elements, position + 8

    def _elements(self, position: int, end: int, stops: Container[int]) -> tuple[_Elements, int]:
        """Read elements up to `end` or to a tag of `stops`."""
        walk, wanted, head_at = self._walk, self._wanted, _implicit_head if self._is_implicit else _explicit_head
        found: _Elements = {}
        last = 0 if self._depth else _FIRST_DATA_TAG - 1
        while position != end:
            tag, vr, start, length = head_at(walk, position)
            if tag in stops:
                break
            if not last < tag < _FIRST_DELIMITER or 0 <= end < position:
                raise NotPlainError
            last = tag
            if length == _UNDEFINED:
                position = self._sequence(tag, vr, start, found)
                continue
            position = start + length
            if wanted is None or tag in wanted:
                found[tag] = (vr, walk.value(start, length))
        return self._checked(found), position

    @staticmethod
    def _checked(found: _Elements) -> _Elements:
        """Return the elements unless their character set is an unusual one."""
        vr, charset = found.get(SPECIFIC_CHARACTER_SET, ("CS", None))
        if vr not in (None, "CS") or not is_ascii_charset(charset):
            raise NotPlainError
        return found

    def _sequence(self, tag: int, vr: str | None, start: int, found: _Elements) -> int:
        """Walk a sequence without a length to its end; keep it if it is wanted."""
        is_wanted = self._wanted is None or tag in self._wanted
        if (vr or _dictionary_vr(tag)) != "SQ":
            raise NotPlainError
        charset = found.get(SPECIFIC_CHARACTER_SET, (None, self._charset))[1]
        kept = None if is_wanted else (SPECIFIC_CHARACTER_SET,)
        below = _Level(self._walk, self._is_implicit, kept, charset, self._depth + 1)
        items, position = below.items(start, -1)
        if is_wanted:
            found[tag] = ("SQ", items)
        return position


def _dictionary_vr(tag: int) -> str:
    """Return the VR an implicit file means; private sequences are told by their first item, as by pydicom."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "SQ"
