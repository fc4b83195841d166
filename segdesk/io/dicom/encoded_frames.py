"""Encoded grey frames of plain streams, decoded while other threads work.

The decoders behind pydicom hold the interpreter's lock, these do not. They get only streams
whose shape, depth and sign agree with the header and that end as they should; None means
that pydicom shall decode.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from segdesk.errors import ReadError
from segdesk.io.dicom.model import PixelLayout

_ITEM = b"\xfe\xff\x00\xe0"
_END_OF_IMAGE = b"\xff\xd9"
_J2K_START = b"\xff\x4f\xff\x51"
_J2K_DEPTH_AT = 42
"""Byte of Ssiz, depth - 1 and the sign, in a codestream (ISO 15444-1 A.5.1)."""

_Decode = Callable[[bytes, PixelLayout], "NDArray[Any] | None"]
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
    # Every codec's error means the same: not plain.
    try:
        pixels = decode(b"".join(parts), layout)
    except (RuntimeError, ValueError, TypeError):
        return None
    if pixels is None or pixels.ndim != 2 or pixels.itemsize * 8 > layout.bits_allocated:
        return None
    if pixels.shape != (layout.rows, layout.columns):
        raise another_size(path)
    return pixels


def another_size(path: Path) -> ReadError:
    """Return the error of an image whose stream and header disagree."""
    message = f"{path.name}: the decoded image has another size than its header says."
    return ReadError(message, code="bad_pixels", path=path)


def _run_lengths(data: bytes, layout: PixelLayout) -> NDArray[Any] | None:
    import imagecodecs

    dtype = np.dtype(f"<u{layout.bits_allocated // 8}")
    raw = imagecodecs.dicomrle_decode(data, dtype)
    if len(raw) != layout.frame_bytes:
        return None
    return np.frombuffer(bytearray(raw), dtype).reshape(layout.rows, layout.columns)


def _jpeg_lossless(data: bytes, layout: PixelLayout) -> NDArray[Any] | None:
    import imagecodecs

    # libjpeg fills up what is missing: a stream without its end is not for it.
    return imagecodecs.jpeg8_decode(data) if _is_ended(data) else None


def _jpeg_ls(data: bytes, layout: PixelLayout) -> NDArray[Any] | None:
    import imagecodecs

    return imagecodecs.jpegls_decode(data) if _is_ended(data) else None


def _jpeg_2000(data: bytes, layout: PixelLayout) -> NDArray[Any] | None:
    import imagecodecs

    depth = data[_J2K_DEPTH_AT] if data[:4] == _J2K_START and len(data) > _J2K_DEPTH_AT else -1
    if depth != layout.bits_stored - 1 + 128 * layout.is_signed or not _is_ended(data):
        return None
    return imagecodecs.jpeg2k_decode(data)


def _is_ended(data: bytes) -> bool:
    return data[-2:] == _END_OF_IMAGE or data[-3:] == _END_OF_IMAGE + b"\0"


_DECODERS: dict[str, _Decode] = {
    RLELossless: _run_lengths,
    JPEGLossless: _jpeg_lossless,
    JPEGLosslessSV1: _jpeg_lossless,
    JPEGLSLossless: _jpeg_ls,
    JPEGLSNearLossless: _jpeg_ls,
    JPEG2000Lossless: _jpeg_2000,
}
