"""Encoded grey frames of plain streams, decoded while other threads work.

The decoders behind pydicom hold the interpreter's lock, these do not. They get only streams
whose shape, depth and sign agree with the header and that end as they should; None means
that pydicom shall decode.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from segdesk.errors import ReadError
from segdesk.io.dicom.model import PixelLayout

_ITEM = b"\xfe\xff\x00\xe0"
_END_OF_IMAGE = b"\xff\xd9"
_J2K_START = b"\xff\x4f\xff\x51"
_J2K_HEAD_BYTES = 45
_JPEG_FRAMES = (0xC3, 0xF7)
"""Frame headers of lossless JPEG and of JPEG-LS."""

_Decode = Callable[[bytes], NDArray[Any]]
Fragment = tuple[int, int]
"""First byte in the file, and length."""


def decoder_of(layout: PixelLayout) -> _Decode | None:
    """Return what decodes one frame of this layout, None for kinds that are left to pydicom."""
    is_plain = layout.samples == 1 and not layout.is_colour and not layout.has_modality_lut
    if layout.fragments_offset < 0 or not is_plain or layout.bits_allocated not in (8, 16):
        return None
    return _DECODERS.get(layout.transfer_syntax)


def fragments_of_frames(file: BinaryIO, layout: PixelLayout) -> list[list[Fragment]] | None:
    """Return where the fragments of each frame lie; None when that takes an offset table.

    Parameters
    ----------
    file : binary file
    layout : PixelLayout
        Of a file whose fragments are all there (`find_pixel_element` looked).
    """
    fragments: list[Fragment] = []
    file.seek(layout.fragments_offset)
    while (head := file.read(8))[:4] == _ITEM:
        fragments.append((file.tell(), int.from_bytes(head[4:], "little")))
        file.seek(fragments[-1][1], 1)
    frames = fragments[1:]  # the first item is the offset table
    if layout.frames == 1:
        return [frames]
    return [[fragment] for fragment in frames] if len(frames) == layout.frames else None


def decoded_frame(file: BinaryIO, fragments: list[Fragment], layout: PixelLayout, path: Path) -> NDArray[Any] | None:
    """Return one frame of stored values, not masked yet; None when pydicom shall decode it.

    Raises
    ------
    ReadError
        ``bad_pixels`` when the image in the stream has another size than the header says:
        decoders that only hand on bytes would shear it.
    """
    decode = decoder_of(layout)
    if decode is None:
        return None
    parts = []
    for start, length in fragments:
        file.seek(start)
        parts.append(file.read(length))
    data = b"".join(parts)
    size = _SIZES[layout.transfer_syntax](data, layout)
    # Before anything is allocated: a damaged stream may claim any size.
    if size not in (None, (layout.rows, layout.columns)):
        raise another_size(path)
    try:
        pixels = None if size is None else decode(data)
    except (RuntimeError, ValueError, TypeError):
        # Every codec's error means the same: not plain.
        return None
    is_right = pixels is not None and pixels.shape == size and pixels.itemsize * 8 <= layout.bits_allocated
    return pixels if is_right else None


def cannot_decode(path: Path) -> ReadError:
    """Return the error of pixels that no decoder takes."""
    message = f"{path.name}: the pixels cannot be decoded; convert the file with another program."
    return ReadError(message, code="bad_pixels", path=path)


def another_size(path: Path) -> ReadError:
    """Return the error of an image whose stream and header disagree."""
    message = f"{path.name}: the decoded image has another size than its header says."
    return ReadError(message, code="bad_pixels", path=path)


def _jpeg_lossless(data: bytes) -> NDArray[Any]:
    import imagecodecs

    return imagecodecs.jpeg8_decode(data)


def _jpeg_ls(data: bytes) -> NDArray[Any]:
    import imagecodecs

    return imagecodecs.jpegls_decode(data)


def _jpeg_2000(data: bytes) -> NDArray[Any]:
    import imagecodecs

    return imagecodecs.jpeg2k_decode(data)


def _jpeg_size(data: bytes, layout: PixelLayout) -> tuple[int, int] | None:
    """Return rows and columns of a grey JPEG or JPEG-LS stream; None when it is not plain.

    Markers as in ISO 10918-1 B.2 and ISO 14495-1 C.2. A stream without its end is not
    plain: libjpeg would fill up what is missing.
    """
    if data[:2] != b"\xff\xd8" or not _is_ended(data):
        return None
    position = 2
    while data[position : position + 1] == b"\xff" and position + 10 <= len(data):
        if data[position + 1] in _JPEG_FRAMES:
            depth, rows, columns, components = struct.unpack_from(">BHHB", data, position + 4)
            return (rows, columns) if components == 1 and depth <= layout.bits_allocated else None
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _jpeg_2000_size(data: bytes, layout: PixelLayout) -> tuple[int, int] | None:
    """Return rows and columns of a grey codestream of the header's depth and sign (ISO 15444-1 A.5.1)."""
    if data[:4] != _J2K_START or len(data) < _J2K_HEAD_BYTES or not _is_ended(data):
        return None
    width, height, left, top = struct.unpack_from(">4I", data, 8)
    components, depth = struct.unpack_from(">HB", data, 40)
    # Depth - 1, and the sign in the highest bit.
    is_grey = components == 1 and depth == layout.bits_stored - 1 + 128 * layout.is_signed
    return (height - top, width - left) if is_grey else None


def _is_ended(data: bytes) -> bool:
    return data[-2:] == _END_OF_IMAGE or data[-3:] == _END_OF_IMAGE + b"\0"


_DECODERS: dict[str, _Decode] = {
    JPEGLossless: _jpeg_lossless,
    JPEGLosslessSV1: _jpeg_lossless,
    JPEGLSLossless: _jpeg_ls,
    JPEGLSNearLossless: _jpeg_ls,
    JPEG2000Lossless: _jpeg_2000,
}

_Size = Callable[[bytes, PixelLayout], "tuple[int, int] | None"]
_SIZES: dict[str, _Size] = {
    JPEGLossless: _jpeg_size,
    JPEGLosslessSV1: _jpeg_size,
    JPEGLSLossless: _jpeg_size,
    JPEGLSNearLossless: _jpeg_size,
    JPEG2000Lossless: _jpeg_2000_size,
}
