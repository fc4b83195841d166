"""Deflated DICOM files: pydicom inflates them as a whole, so their size is looked at before.

Transfer syntax 1.2.840.10008.1.2.1.99: a plain file meta group, then one raw deflate stream
(DICOM PS3.5 A.5).
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

from segdesk.io.limits import RATIO_FLOOR_BYTES, require_size

_SYNTAX = b"1.2.840.10008.1.2.1.99"
_META_START = 132
_META_BYTES = 1 << 16
_STEP = 1 << 16
_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UC", b"UN", b"UR", b"UT")


def require_modest_deflate(file: BinaryIO, path: Path) -> None:
    """Refuse a deflated file that would grow beyond the size policy; leaves `file` at its start.

    Parameters
    ----------
    file : binary file
    path : Path
        For messages.

    Raises
    ------
    NeedsConsent
        As `segdesk.io.limits.require_size`.
    zlib.error
        If the stream is damaged.
    """
    file.seek(0)
    head = file.read(_META_BYTES)
    file.seek(0)
    if _SYNTAX not in head or head[128:_META_START] != b"DICM":
        return
    file.seek(_end_of_meta(head))
    inflated = _inflated_bytes(file, path)
    file.seek(0)
    require_size(path, inflated, path.stat().st_size)


def _end_of_meta(head: bytes) -> int:
    """Return the first byte after group 0002, which is explicit VR little endian in every file."""
    position = _META_START
    while head[position : position + 2] == b"\x02\x00":
        if head[position + 4 : position + 6] in _LONG_VRS:
            position += 12 + int.from_bytes(head[position + 8 : position + 12], "little")
        else:
            position += 8 + int.from_bytes(head[position + 6 : position + 8], "little")
    return position


def _inflated_bytes(file: BinaryIO, path: Path) -> int:
    """Return the size of the inflated stream without keeping it; stops early at a bomb."""
    stream, total, stored = zlib.decompressobj(-zlib.MAX_WBITS), 0, path.stat().st_size
    while chunk := stream.unconsumed_tail or file.read(_STEP):
        total += len(stream.decompress(chunk, 1 << 20))
        if total > RATIO_FLOOR_BYTES:
            require_size(path, total, stored)
        if stream.eof:
            break
    return total
