"""Stored values of a segmentation's frames, from bits, bytes and compressed streams."""

from __future__ import annotations

import warnings
import zlib
from typing import Any, cast

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from segdesk.errors import ReadError
from segdesk.io.dicom.values import DAMAGED_FILE
from segdesk.io.dicom_seg.model import SegHeader
from segdesk.io.dicom_seg.stream_size import claimed_size

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
"""Deflated Image Frame Compression (PS3.5 A.4.13): each frame is a raw deflate stream."""

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_PLUGINS: dict[str, str] = {
    JPEG2000Lossless: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    RLELossless: "pydicom",
}
"""One decoder for each encoding: the next one in pydicom's list (GDCM) may not return from damaged streams."""

_BITS_ALLOCATED = Tag(0x0028, 0x0100)
_PIXELS = Tag(0x7FE0, 0x0010)

StoredFrame = NDArray[np.uint8] | NDArray[np.uint16]


class SegPixels:
    """The pixel element of one file; frames are taken out one at a time.

    Parameters
    ----------
    header : SegHeader

    Raises
    ------
    ReadError
        ``truncated`` when bytes are missing.
    """

    def __init__(self, header: SegHeader) -> None:
        self._header = header
        self._layout = header.layout
        self._dataset = _pixel_dataset(header)
        self._data = cast(bytes, self._dataset.PixelData)
        self._streams: list[bytes] | None = None
        self._is_native = header.layout.transfer_syntax in _NATIVE
        if self._is_native:
            self._data = self._native_bytes()

    def frame(self, number: int) -> StoredFrame:
        """Return the stored values of a frame, shape (rows, columns), uint8 or uint16.

        Raises
        ------
        ReadError
            ``bad_pixels`` when the frame cannot be decoded.
        """
        if self._is_native:
            return self._native_frame(number)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._decoded(number)
        except (*DAMAGED_FILE, RuntimeError) as error:
            raise self._bad(f"frame {number + 1} cannot be decoded", "bad_pixels") from error

    def _native_bytes(self) -> bytes:
        bits = self._layout.frames * self._layout.rows * self._layout.columns * self._layout.bits_allocated
        expected = (bits + 7) // 8
        if len(self._data) < expected:
            raise self._bad(f"{len(self._data)} of {expected} bytes of pixels are there", "truncated")
        if len(self._data) > expected + 1:
            raise self._bad(f"{len(self._data)} bytes of pixels where its header says {expected}", "bad_pixels")
        is_big = self._layout.transfer_syntax == ExplicitVRBigEndian
        if is_big and self._dataset[_PIXELS].VR == "OW":
            return np.frombuffer(self._data, ">u2").astype("<u2").tobytes()
        return self._data

    def _native_frame(self, number: int) -> StoredFrame:
        shape = self._layout.rows, self._layout.columns
        size = shape[0] * shape[1]
        if self._layout.bits_allocated == 1:
            # Frames follow each other bit by bit: one may begin inside a byte (PS3.5 8.1.1).
            first, last = number * size, (number + 1) * size
            part = np.frombuffer(self._data, np.uint8)[first // 8 : (last + 7) // 8]
            return np.unpackbits(part, bitorder="little")[first % 8 : first % 8 + size].reshape(shape)
        dtype = np.dtype("<u2" if self._layout.bits_allocated == 16 else np.uint8)
        values = np.frombuffer(self._data, dtype, size, number * size * dtype.itemsize)
        return cast(StoredFrame, values.reshape(shape))

    def _decoded(self, number: int) -> StoredFrame:
        syntax, shape = self._layout.transfer_syntax, (self._layout.rows, self._layout.columns)
        if self._streams is None:
            self._streams = list(generate_frames(self._data, number_of_frames=self._layout.frames))
        stored = self._streams[number]
        if syntax == DEFLATED_FRAMES:
            return self._unpacked(_inflated(stored, self._frame_bytes()))
        if syntax == RLELossless and self._layout.bits_allocated == 1:
            # As bytes of one row: pydicom refuses run lengths of one bit.
            return self._unpacked(_decoded_stream(stored, syntax, (1, self._frame_bytes()), 8).tobytes())
        if claimed_size(stored) not in (None, shape):
            raise ValueError
        pixels = _decoded_stream(stored, syntax, shape, self._layout.bits_allocated)
        if pixels.shape != shape:
            raise ValueError
        return cast(StoredFrame, pixels.astype(np.uint16 if pixels.dtype.itemsize > 1 else np.uint8, copy=False))

    def _frame_bytes(self) -> int:
        return (self._layout.rows * self._layout.columns * self._layout.bits_allocated + 7) // 8

    def _unpacked(self, frame: bytes) -> StoredFrame:
        """Return the values of a frame that begins at a byte of its own."""
        shape = self._layout.rows, self._layout.columns
        if self._layout.bits_allocated > 1:
            return cast(StoredFrame, np.frombuffer(frame, f"<u{self._layout.bits_allocated // 8}").reshape(shape))
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
        return bits[: shape[0] * shape[1]].reshape(shape)

    def _bad(self, what: str, code: str) -> ReadError:
        return ReadError(f"{self._header.path.name}: {what}; copy it again.", code=code, path=self._header.path)


def _pixel_dataset(header: SegHeader) -> FileDataset:
    """Read the pixel element and nothing else of the file."""
    path = header.path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True, specific_tags=[_BITS_ALLOCATED, _PIXELS])
    except DAMAGED_FILE as error:
        raise ReadError(f"{path.name} is damaged; copy it again.", code="truncated", path=path) from error
    if "PixelData" not in dataset or not dataset.PixelData:
        raise ReadError(f"{path.name} ends before its pixels; copy it again.", code="truncated", path=path)
    return dataset


def _inflated(stored: bytes, size: int) -> bytes:
    """Inflate a frame, and never more than it may hold."""
    frame = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(stored, size + 2)
    if not size <= len(frame) <= size + 1:
        raise ValueError
    return frame[:size]


def _decoded_stream(stored: bytes, syntax: str, shape: tuple[int, int], bits: int) -> NDArray[Any]:
    """Decode one frame by the one decoder of its encoding."""
    options: dict[str, Any] = {
        "rows": shape[0],
        "columns": shape[1],
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "bits_allocated": bits,
        "bits_stored": bits,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_keyword": "PixelData",
    }
    plugin = _PLUGINS.get(syntax, "")
    decoder = get_decoder(UID(syntax))
    pixels, _ = decoder.as_array(encapsulate([stored]), index=0, raw=True, decoding_plugin=plugin, **options)
    return pixels
