"""The pixel pass: stored values of frames, decoded, masked and sign-extended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGExtended12Bit

from segdesk.errors import ReadError
from segdesk.io.dicom.encoded_frames import another_size, cannot_decode, decoded_frame, decoder_of, fragments_of_frames
from segdesk.io.dicom.jp2_boxes import has_endless_box
from segdesk.io.dicom.model import Instance, PixelLayout
from segdesk.io.dicom.values import DAMAGED_FILE

_DECODE_ERRORS = (*DAMAGED_FILE, RuntimeError)


def stored_dtype(layout: PixelLayout) -> np.dtype[Any]:
    """Return the native type of decoded grey frames."""
    if layout.is_float:
        return np.dtype(np.float32 if layout.bits_allocated == 32 else np.float64)
    bits = max(8, layout.bits_allocated)
    return np.dtype(f"{'i' if layout.is_signed else 'u'}{bits // 8}")


def decoded_frames(
    instance: Instance, numbers: Sequence[int], lent: Mapping[int, NDArray[Any]] | None = None
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (number, pixels) for frames of one file.

    Parameters
    ----------
    instance : Instance
    numbers : sequence of int
        Frames, ascending.
    lent : mapping from frame number to ndarray, optional
        Arrays to read into, C-contiguous, of shape (rows, columns) and `stored_dtype`; what is
        yielded for a number is its array where that could be done.

    Yields
    ------
    int, ndarray
        Grey: (rows, columns) stored values, unused bits masked and the sign extended,
        before any rescale. Colour: (rows, columns, 3) RGB uint8.

    Raises
    ------
    ReadError
        ``truncated`` or ``bad_pixels``: nothing is filled up with zeros.
    """
    if is_native(instance.layout):
        yield from _native_frames(instance, numbers, lent or {})
        return
    yield from _encoded_frames(instance, numbers)


def is_native(layout: PixelLayout) -> bool:
    """Whether frames lie in the file as whole-byte grey values."""
    is_grey = layout.samples == 1 and not layout.is_colour
    return layout.data_offset >= 0 and is_grey and layout.bits_allocated >= 8 and not layout.has_modality_lut


def _native_frames(
    instance: Instance, numbers: Sequence[int], lent: Mapping[int, NDArray[Any]]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Read uncompressed frames straight from their place in the file."""
    layout, dtype = instance.layout, stored_dtype(instance.layout)
    try:
        with instance.path.open("rb", buffering=0) as file:
            for number in numbers:
                frame = lent[number] if number in lent else np.empty((layout.rows, layout.columns), dtype)
                file.seek(layout.data_offset + number * layout.frame_bytes)
                _read_whole(file, frame, instance.path)
                if layout.is_big_endian and dtype.itemsize > 1:
                    frame = frame.byteswap(inplace=True)
                yield number, masked(frame, layout)
    except OSError as error:
        raise ReadError(f"{instance.path.name} cannot be read: {error.strerror}.", path=instance.path) from error


def _encoded_frames(instance: Instance, numbers: Sequence[int]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Decode frames, plain streams here and all others by pydicom."""
    dataset: FileDataset | None = None
    for number, pixels in _quickly_decoded(instance, numbers):
        if pixels is None:
            dataset = dataset or _whole_dataset(instance)
            pixels = _decoded(dataset, instance, number)
        yield number, pixels


def _quickly_decoded(instance: Instance, numbers: Sequence[int]) -> Iterator[tuple[int, NDArray[Any] | None]]:
    """Yield frames of plain streams, None for those that are not."""
    layout = instance.layout
    if decoder_of(layout) is None:
        yield from ((number, None) for number in numbers)
        return
    try:
        with instance.path.open("rb") as file:
            places = fragments_of_frames(file, layout)
            for number in numbers:
                pixels = None if places is None else decoded_frame(file, places[number], layout, instance.path)
                yield number, None if pixels is None else masked(_as_stored(pixels, layout), layout)
    except OSError as error:
        raise ReadError(f"{instance.path.name} cannot be read: {error.strerror}.", path=instance.path) from error


def _as_stored(pixels: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    """Give decoded words the sign of the header; narrower ones are widened."""
    dtype = stored_dtype(layout)
    return pixels.view(dtype) if pixels.itemsize == dtype.itemsize else pixels.astype(dtype)


def _read_whole(file: Any, frame: NDArray[Any], path: Path) -> None:
    target = memoryview(frame.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    done = 0
    while done < len(target):
        got = file.readinto(target[done:])
        if not got:
            raise ReadError(f"{path.name} ends early; copy it again.", code="truncated", path=path)
        done += got


def masked(frame: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    """Keep the stored bits only and extend the sign (junk may sit in the unused bits)."""
    if layout.is_float or (layout.bits_stored == layout.bits_allocated and layout.high_bit == layout.bits_stored - 1):
        return frame
    bits = frame.dtype.itemsize * 8
    below = layout.high_bit + 1 - layout.bits_stored
    # Two shifts on the type itself: left drops what is above, right (arithmetic when signed) what is below.
    np.left_shift(frame, bits - layout.high_bit - 1, out=frame)
    np.right_shift(frame, bits - layout.high_bit - 1 + below, out=frame)
    return frame


def _whole_dataset(instance: Instance) -> FileDataset:
    try:
        dataset = pydicom.dcmread(instance.path, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = UID(instance.layout.transfer_syntax)
    except _DECODE_ERRORS as error:
        raise ReadError(
            f"{instance.path.name} is damaged; copy it again.", code="truncated", path=instance.path
        ) from error
    return dataset


def _decoded(dataset: FileDataset, instance: Instance, number: int) -> NDArray[Any]:
    layout = instance.layout
    if layout.transfer_syntax == JPEGExtended12Bit and layout.bits_stored > 8:
        return _stored_by_gdcm(dataset, instance)
    try:
        if layout.transfer_syntax in JPEG2000TransferSyntaxes and has_endless_box(dataset.PixelData):
            raise cannot_decode(instance.path)
        decoder = get_decoder(UID(layout.transfer_syntax))
        pixels, _ = decoder.as_array(dataset, index=number, raw=layout.samples == 1)
    except _DECODE_ERRORS as error:
        # No second try by GDCM: on a stream that one decoder refuses it takes gigabytes and seconds.
        raise cannot_decode(instance.path) from error
    pixels = np.array(pixels)
    if pixels.shape[:2] != (layout.rows, layout.columns):
        raise another_size(instance.path)
    if layout.photometric == "PALETTE COLOR":
        return _eight_bits(_coloured(pixels, dataset, instance), 16)
    if layout.samples >= 3:
        return _eight_bits(pixels[..., :3], layout.bits_stored)
    pixels = masked(pixels.astype(stored_dtype(layout), copy=False), layout)
    return np.asarray(apply_modality_lut(pixels, dataset)) if layout.has_modality_lut else pixels


def _coloured(pixels: NDArray[Any], dataset: Dataset, instance: Instance) -> NDArray[Any]:
    try:
        return np.asarray(apply_color_lut(pixels, dataset))[..., :3]
    except _DECODE_ERRORS as error:
        raise ReadError(
            f"{instance.path.name} has a damaged colour palette.", code="bad_pixels", path=instance.path
        ) from error


def _eight_bits(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return uint8 colours; wider ones are scaled, not cut."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    return np.ascontiguousarray(pixels >> max(0, bits - 8), dtype=np.uint8)


def _stored_by_gdcm(dataset: Dataset, instance: Instance) -> NDArray[Any]:
    # Imported when needed: SimpleITK takes a fifth of a second.
    from segdesk.io.dicom.gdcm_frame import decoded_by_gdcm

    return masked(decoded_by_gdcm(dataset, instance).astype(stored_dtype(instance.layout)), instance.layout)
