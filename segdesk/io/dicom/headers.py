"""The header pass: every DICOM file to an `Instance`, no pixel touched."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from segdesk.core.progress import Progress
from segdesk.errors import ReadError
from segdesk.io.dicom.deflated import require_modest_deflate
from segdesk.io.dicom.frames import frames_of
from segdesk.io.dicom.header_scan import ScannedHeader, scan_header
from segdesk.io.dicom.model import Instance, PixelLayout
from segdesk.io.dicom.pixel_element import find_pixel_element, require_whole
from segdesk.io.dicom.pixel_size import pixel_size_of
from segdesk.io.dicom.quick_header import Header, NotPlainError
from segdesk.io.dicom.tags import HEADER_TAGS
from segdesk.io.dicom.values import DAMAGED_FILE, is_there, items_of, text_of, value_of, whole_of
from segdesk.io.limits import hold_policy, size_policy

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_NO_IMAGE_MODALITIES = ("SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "REG", "FID", "DOC", "SEG", "PLAN", "RTRECORD")
_LOSSY = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.93", "1.2.840.10008.1.2.4.203",
)  # fmt: skip
# What pydicom would log of damaged files comes back as `ReadError`; without a handler it goes to stderr.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
_WANTED = frozenset(map(int, HEADER_TAGS))
_PROBED = 16
_WAITING = 4.0
"""Wall time by processor time of the first headers from which on threads are worth it."""
_THREADS = min(8, (os.cpu_count() or 1) + 2)


@dataclass(frozen=True, slots=True)
class HeaderPass:
    """Result of reading many headers."""

    instances: tuple[Instance, ...]
    skipped: int
    failures: tuple[ReadError, ...]


def read_headers(paths: Sequence[Path], report: Progress) -> HeaderPass:
    """Read many headers; damage in one file does not stop the others."""
    instances: list[Instance] = []
    failures: list[ReadError] = []
    skipped = 0
    with warnings.catch_warnings():
        # pydicom warns of every value that bends the standard; the gate judges those that matter.
        warnings.simplefilter("ignore")
        for number, found in enumerate(_all_read(paths)):
            report(number, len(paths), "Reading headers")
            if isinstance(found, ReadError):
                failures.append(found)
            elif found is None:
                skipped += 1
            else:
                instances.append(found)
    return HeaderPass(tuple(instances), skipped, tuple(failures))


def _all_read(paths: Sequence[Path]) -> Iterator[Instance | ReadError | None]:
    """Yield what is in each file; in threads where the disk, and not this program, is what takes time."""
    probe, rest = paths[:_PROBED], paths[_PROBED:]
    start, busy = time.perf_counter(), time.thread_time()
    yield from [_read_or_error(path) for path in probe]
    waited, busy = time.perf_counter() - start, time.thread_time() - busy
    if waited < _WAITING * busy:
        # Threads would only take turns at the interpreter.
        yield from map(_read_or_error, rest)
        return
    with ThreadPoolExecutor(_THREADS, initializer=hold_policy, initargs=(size_policy(),)) as pool:
        yield from pool.map(_read_or_error, rest, chunksize=8)


def _read_or_error(path: Path) -> Instance | ReadError | None:
    try:
        return read_instance(path)
    except ReadError as error:
        return error


def read_instance(path: Path) -> Instance | None:
    """Read one header.

    Returns
    -------
    Instance or None
        None for objects that are no images (reports, plans, structure sets, DICOMDIR).

    Raises
    ------
    ReadError
        ``unreadable`` or ``truncated`` for damaged files, ``bad_pixels`` when sizes
        disagree with the bytes, ``not_an_image`` for segmentations.
    """
    try:
        with path.open("rb", buffering=0) as file:
            try:
                opened = scan_header(file, _WANTED)
            except NotPlainError:
                return read_instance_by_pydicom(path)
            return _instance_of(opened, file, path)
    except DAMAGED_FILE as error:
        raise _damaged(path) from error


def read_instance_by_pydicom(path: Path) -> Instance | None:
    """Read one header of any form; as `read_instance`, which reads plain ones itself."""
    try:
        with path.open("rb") as file:
            require_modest_deflate(file, path)
            dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=HEADER_TAGS)
            is_implicit = dataset.original_encoding[0] is True
            opened = ScannedHeader(dataset, _transfer_syntax(dataset), is_implicit, file.tell())
            return _instance_of(opened, file, path)
    except DAMAGED_FILE as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> ReadError:
    return ReadError(f"{path.name} is a damaged DICOM file; copy it again.", path=path)


def _instance_of(opened: ScannedHeader, file: BinaryIO, path: Path) -> Instance | None:
    if _is_no_image(opened.header, path):
        return None
    return _instance(opened.header, _layout(opened, file, path), path)


def _is_no_image(dataset: Header, path: Path) -> bool:
    if text_of(dataset, "SOPClassUID") in _SEGMENTATIONS:
        message = f"{path.name} is a DICOM segmentation, not an image; open the image it belongs to."
        raise ReadError(message, code="not_an_image", path=path)
    if text_of(dataset, "Modality") in _NO_IMAGE_MODALITIES:
        return True
    return not (is_there(dataset, "Rows") and is_there(dataset, "Columns"))


def _layout(opened: ScannedHeader, file: BinaryIO, path: Path) -> PixelLayout:
    dataset, syntax = opened.header, opened.transfer_syntax
    rows, columns = whole_of(dataset, "Rows") or 0, whole_of(dataset, "Columns") or 0
    samples, allocated = whole_of(dataset, "SamplesPerPixel") or 1, whole_of(dataset, "BitsAllocated") or 0
    stored = whole_of(dataset, "BitsStored") or allocated
    high = whole_of(dataset, "HighBit")
    frames = whole_of(dataset, "NumberOfFrames") or 1
    is_plausible = rows > 0 and columns > 0 and frames > 0 and 0 < stored <= allocated <= 64
    if not is_plausible or samples not in (1, 3, 4) or allocated not in (1, 8, 16, 32, 64):
        raise ReadError(f"{path.name} has impossible image sizes in its header.", code="bad_pixels", path=path)
    file.seek(opened.pixel_position)
    element = find_pixel_element(file, syntax, opened.is_implicit, path)
    layout = PixelLayout(
        rows,
        columns,
        samples,
        frames,
        allocated,
        stored,
        stored - 1 if high is None or not stored - 1 <= high < allocated else high,
        whole_of(dataset, "PixelRepresentation") == 1,
        element.is_float,
        text_of(dataset, "PhotometricInterpretation").upper(),
        syntax,
        element.offset,
        element.length,
        syntax == ExplicitVRBigEndian,
        bool(items_of(dataset, "ModalityLUTSequence")),
        element.fragments_offset,
    )
    require_whole(layout, path)
    return layout


def _transfer_syntax(dataset: FileDataset) -> str:
    named = text_of(dataset.file_meta, "TransferSyntaxUID") if getattr(dataset, "file_meta", None) else ""
    if named:
        return named
    is_implicit, is_little = dataset.original_encoding
    return str(ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian)


def _instance(dataset: Header, layout: PixelLayout, path: Path) -> Instance:
    shape = text_of(dataset, "PresentationLUTShape").upper()
    return Instance(
        path=path,
        layout=layout,
        frames=frames_of(dataset, layout, path),
        patient_key=_patient_key(dataset),
        series_uid=text_of(dataset, "SeriesInstanceUID"),
        sop_uid=text_of(dataset, "SOPInstanceUID"),
        modality=text_of(dataset, "Modality").upper(),
        description=text_of(dataset, "SeriesDescription"),
        instance_number=whole_of(dataset, "InstanceNumber"),
        images_in_acquisition=whole_of(dataset, "ImagesInAcquisition"),
        frame_of_reference_uid=text_of(dataset, "FrameOfReferenceUID") or None,
        has_functional_groups=bool(items_of(dataset, "PerFrameFunctionalGroupsSequence")),
        is_inverted=layout.photometric == "MONOCHROME1" or shape == "INVERSE",
        is_lossy=text_of(dataset, "LossyImageCompression") == "01" or layout.transfer_syntax in _LOSSY,
        rescale_type=text_of(dataset, "RescaleType"),
        padding_stored=_padding(dataset, layout),
        pixel_size=pixel_size_of(dataset, layout.rows, layout.columns),
        patient_position=text_of(dataset, "PatientPosition"),
    )


def _patient_key(dataset: Header) -> str:
    """Return a hash that tells patients apart without naming them."""
    parts = [text_of(dataset, key) for key in ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16] if any(parts) else ""


def _padding(dataset: Header, layout: PixelLayout) -> tuple[float, float] | None:
    """Return the inclusive range of stored padding values, with the sign the pixels have."""
    first = value_of(dataset, "PixelPaddingValue")
    if not isinstance(first, int):
        return None
    last = value_of(dataset, "PixelPaddingRangeLimit")
    ends = [_signed(end, layout) for end in (first, last if isinstance(last, int) else first)]
    return float(min(ends)), float(max(ends))


def _signed(value: int, layout: PixelLayout) -> int:
    """Reinterpret a 16-bit padding value written under the other sign."""
    if layout.is_signed and value >= 1 << (layout.bits_allocated - 1):
        return value - (1 << layout.bits_allocated)
    if not layout.is_signed and value < 0:
        return value + (1 << layout.bits_allocated)
    return value
