"""The size an encoded frame claims, read before a decoder believes it.

Damaged streams claim any size and any number of tiles, on which decoders take minutes.
"""

from __future__ import annotations

import struct

_JPEG_2000 = b"\xff\x4f\xff\x51"
_JPEG = b"\xff\xd8"
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xF7)
"""Frame headers of DCT and lossless JPEG (ISO 10918-1 B.2.2) and of JPEG-LS (ISO 14495-1 C.2.2)."""

_MOST_TILES = 65535
"""ISO 15444-1 A.4.2: the index of a tile has 16 bits."""


def claimed_size(stream: bytes) -> tuple[int, int] | None:
    """Return rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream claims; None for others.

    Raises
    ------
    ValueError
        If the stream claims an impossible division into tiles, or ends in its header.
    """
    if stream.startswith(_JPEG_2000):
        return _jpeg_2000_size(stream)
    return _jpeg_size(stream) if stream.startswith(_JPEG) else None


def _jpeg_2000_size(stream: bytes) -> tuple[int, int]:
    if len(stream) < 40:
        raise ValueError
    width, height, left, top, tile_width, tile_height, tile_left, tile_top = struct.unpack_from(">8I", stream, 8)
    if 0 in (tile_width, tile_height) or tile_left > left or tile_top > top:
        raise ValueError
    across, down = -(-(width - tile_left) // tile_width), -(-(height - tile_top) // tile_height)
    if across * down > _MOST_TILES:
        raise ValueError
    return height - top, width - left


def _jpeg_size(stream: bytes) -> tuple[int, int]:
    position = 2
    while position + 9 <= len(stream) and stream[position] == 0xFF:
        if stream[position + 1] in _JPEG_FRAMES:
            rows, columns = struct.unpack_from(">HH", stream, position + 5)
            return rows, columns
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    raise ValueError
