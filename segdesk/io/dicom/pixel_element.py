"""Where the pixels begin in a DICOM file, and whether they are all there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from segdesk.errors import ReadError
from segdesk.io.dicom.model import PixelLayout
from segdesk.io.limits import file_bytes

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_GROUP = 0x7FE0
_FLOATS = (0x0008, 0x0009)
_PIXELS = 0x0010
_UNDEFINED = 0xFFFFFFFF
_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Place of the pixel element; offset -1 where pixels must be decoded, then their fragments' place."""

    offset: int
    length: int
    is_float: bool = False
    fragments_offset: int = -1


def find_pixel_element(file: BinaryIO, syntax: str, is_implicit: bool, path: Path) -> PixelElement:
    """Look at the element a header pass stopped before.

    Parameters
    ----------
    file : binary file
        Standing at the first byte of the element's tag.
    syntax : str
        Transfer syntax UID.
    is_implicit : bool
        Whether value representations are left out.
    path : Path
        For messages.

    Raises
    ------
    ReadError
        ``truncated`` when there are no pixels or fewer bytes than announced: decoders
        and readers would fill them up.
    """
    if syntax == DeflatedExplicitVRLittleEndian:
        return PixelElement(-1, -1)
    order: Literal["little", "big"] = "big" if syntax == ExplicitVRBigEndian else "little"
    head = file.read(8 if is_implicit else 12)
    group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
    if group != _GROUP or element not in (*_FLOATS, _PIXELS):
        raise ReadError(f"{path.name} ends before its pixels; copy it again.", code="truncated", path=path)
    length, start = int.from_bytes(head[-4:], order), file.tell()
    if syntax not in _NATIVE:
        if length != _UNDEFINED:
            return PixelElement(-1, -1)
        _require_all_fragments(file, path)
        return PixelElement(-1, -1, fragments_offset=start)
    available = os.fstat(file.fileno()).st_size - start
    if available < length:
        text = f"{path.name} ends early: {available} of {length} bytes of pixels are there."
        raise ReadError(text, code="truncated", path=path)
    return PixelElement(start, length, element in _FLOATS)


def require_whole(layout: PixelLayout, path: Path) -> None:
    """Refuse when frames x rows x columns disagree with the bytes (GEOMETRY check 41)."""
    if layout.data_offset < 0:
        # Every frame of encapsulated pixels lies in at least one fragment with a head of 8 bytes.
        if layout.transfer_syntax != DeflatedExplicitVRLittleEndian and layout.frames > file_bytes([path]) // 8:
            raise ReadError(f"{path.name} cannot hold the frames it announces.", code="truncated", path=path)
        return
    pixels = layout.rows * layout.columns * layout.samples * layout.frames
    expected = (pixels * layout.bits_allocated + 7) // 8
    if layout.photometric == "YBR_FULL_422":
        expected = expected * 2 // 3
    if layout.data_length not in (expected, expected + expected % 2):
        short = layout.data_length < expected
        raise ReadError(
            f"{path.name} holds {layout.data_length} bytes of pixels where its header says {expected}.",
            code="truncated" if short else "bad_pixels",
            path=path,
        )


def _require_all_fragments(file: BinaryIO, path: Path) -> None:
    """Walk the fragments of encapsulated pixels up to their end mark (GEOMETRY check 40)."""
    size = os.fstat(file.fileno()).st_size
    while True:
        head = file.read(8)
        if head[:4] == _END:
            return
        position = file.tell() + int.from_bytes(head[4:], "little")
        if len(head) < 8 or head[:4] != _ITEM or position > size:
            raise ReadError(f"{path.name} ends inside its pixels; copy it again.", code="truncated", path=path)
        file.seek(position)
