"""What a file is, told by its first bytes; names break ties and are never trusted."""

from __future__ import annotations

import zlib
from enum import StrEnum
from pathlib import Path
from typing import Literal

from segdesk.errors import ReadError, UnsupportedFormat
from segdesk.io.suspects import looking_at


class Format(StrEnum):
    """A file format segdesk reads."""

    NIFTI = "NIfTI"
    ANALYZE = "Analyze 7.5"
    NRRD = "NRRD"
    META = "MetaImage"
    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    DICOM = "DICOM"
    DICOM_SEG = "DICOM Segmentation"
    RTSTRUCT = "DICOM RT Structure Set"
    DICOMDIR = "DICOM directory"


_HEAD_BYTES = 1024

_MAGICS: tuple[tuple[bytes, Format], ...] = (
    (b"NRRD000", Format.NRRD),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"II*\x00", Format.TIFF),
    (b"MM\x00*", Format.TIFF),
    (b"II+\x00", Format.TIFF),
    (b"MM\x00+", Format.TIFF),
)

_META_KEYS = (b"objecttype", b"ndims", b"comment", b"objectsubtype")
_DICOM_OBJECTS = {
    b"1.2.840.10008.5.1.4.1.1.66.4": Format.DICOM_SEG,
    b"1.2.840.10008.5.1.4.1.1.66.7": Format.DICOM_SEG,
    b"1.2.840.10008.5.1.4.1.1.481.3": Format.RTSTRUCT,
    b"1.2.840.10008.1.3.10": Format.DICOMDIR,
}
"""SOP classes that are read by another way than images (PS3.4 B.5); all others are `Format.DICOM`."""

_SOP_CLASS_TAGS = (b"\x02\x00\x02\x00", b"\x08\x00\x16\x00")
"""(0002,0002) of the file meta group, and (0008,0016), which serves where that group is missing."""

_FIRST_GROUPS = (0x0002, 0x0004, 0x0008)
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_LITTLE_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT OB OW PN SH SL SQ SS ST TM UI UL UN US UT".split())


def sniff(path: Path) -> Format:
    """Tell the format of a file.

    Parameters
    ----------
    path : Path
        A file (not a folder).

    Returns
    -------
    Format
        By magic bytes first; the extension decides only for formats without magic
        (Analyze). DICOM objects that are masks are formats of their own.

    Raises
    ------
    UnsupportedFormat
        If the file is in no known format.
    ReadError
        If it does not exist, is empty, or cannot be read.
    """
    with looking_at(path):
        return _told(path)


def _told(path: Path) -> Format:
    head = _head(path)
    if not head:
        raise ReadError(f"{path.name} is empty; copy it again from its source.", path=path)
    found = _by_magic(head, path)
    if found is None and head[:2] == b"\x1f\x8b":
        found = _inside_gzip(head, path)
    if found is None:
        raise UnsupportedFormat(
            f"{path.name} is in no format segdesk reads; use DICOM, NIfTI, NRRD, MHA, PNG, JPEG or TIFF.", path=path
        )
    return found


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():
            state = "is not a regular file" if path.exists() else "does not exist"
            raise ReadError(f"{path.name} {state}.", code="not_found", path=path)
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise ReadError(f"{path.name} cannot be read: {reason}.", path=path) from error


def _by_magic(head: bytes, path: Path) -> Format | None:
    if head[128:132] == b"DICM":
        # Before TIFF: a DICOM preamble may be a TIFF header, and its image is then the DICOM one.
        return _dicom_object(head)
    for magic, found in _MAGICS:
        if head.startswith(magic):
            return found
    if _is_nifti(head):
        return Format.NIFTI
    if _is_bare_dicom(head):
        return _dicom_object(head)
    if _is_meta(head):
        return Format.META
    if _is_analyze(head, path):
        return Format.ANALYZE
    return None


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _is_analyze(head: bytes, path: Path) -> bool:
    """Analyze has no magic: a 348 byte header by size field and by name."""
    is_header_size = head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c")
    return is_header_size and path.name.lower().endswith((".hdr", ".hdr.gz"))


def _is_meta(head: bytes) -> bool:
    key, separator, _ = head.split(b"\n", 1)[0].partition(b"=")
    return bool(separator) and key.strip().lower() in _META_KEYS and b"ndims" in head.lower()


def _is_bare_dicom(head: bytes) -> bool:
    """Recognise DICOM without preamble: a low first group and a plausible VR or length."""
    if len(head) < 16:
        return False
    for order in _ORDERS:
        group = int.from_bytes(head[:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in _FIRST_GROUPS or element > 0x1155:
            continue
        if head[4:6] in _LITTLE_VRS:
            return True
        if order == "little" and int.from_bytes(head[4:8], "little") <= 128:
            return True
    return False


def _dicom_object(head: bytes) -> Format:
    """Tell masks from images by the SOP class, which stands among the first elements of any DICOM file."""
    for tag in _SOP_CLASS_TAGS:
        start = head.find(tag) + 4
        if start >= 4:
            # Explicit: "UI" and two bytes of length; implicit: four bytes of length.
            length = head[start + 2 : start + 4] if head[start : start + 2] == b"UI" else head[start : start + 4]
            uid = head[start + 4 : start + 4 + int.from_bytes(length, "little")]
            return _DICOM_OBJECTS.get(uid.rstrip(b"\0 "), Format.DICOM)
    return Format.DICOM


def _inside_gzip(head: bytes, path: Path) -> Format | None:
    """Look at the first bytes of a gzip stream, as far as they can be had."""
    try:
        inner = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except zlib.error as error:
        raise ReadError(
            f"{path.name} is a damaged gzip file; copy it again from its source.", code="truncated", path=path
        ) from error
    if _is_nifti(inner):
        return Format.NIFTI
    if _is_analyze(inner, path):
        return Format.ANALYZE
    if len(inner) < 348 and path.name.lower().endswith((".nii.gz", ".hdr.gz")):
        raise ReadError(
            f"{path.name} ends inside its header; copy it again from its source.", code="truncated", path=path
        )
    return None
