"""Sizes from headers: what is refused before anything is allocated, and what consent allows."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
import tifffile
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless

from segdesk.errors import NeedsConsent, ReadError
from segdesk.io import read_labels, read_volume, scan
from segdesk.io.limits import (
    GIB,
    HARD_MAX_BYTES,
    SizePolicy,
    allow_large,
    allow_large_from_now_on,
    file_bytes,
    require_size,
    size_policy,
    use_policy,
)

VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
HEAD = "NRRD0005\ntype: short\ndimension: 3\nsizes: {}\nspacings: 1 1 1\nendian: little\nencoding: {}\n\n"

Make = Callable[[Path], Path]


def nifti(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.eye(4)), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def nrrd(folder: Path) -> Path:
    (folder / "a.nrrd").write_bytes(HEAD.format("6 5 4", "raw").encode() + VOXELS.tobytes())
    return folder / "a.nrrd"


def ascii_nrrd(folder: Path) -> Path:
    text = " ".join(map(str, VOXELS.ravel()))
    (folder / "a.nrrd").write_text(HEAD.format("6 5 4", "ascii") + text)
    return folder / "a.nrrd"


def meta(folder: Path) -> Path:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VOXELS), str(folder / "a.mha"))
    return folder / "a.mha"


def png(folder: Path) -> Path:
    Image.fromarray(VOXELS[0].astype(np.uint8)).save(folder / "a.png")
    return folder / "a.png"


def jpeg(folder: Path) -> Path:
    Image.fromarray(VOXELS[0].astype(np.uint8)).save(folder / "a.jpg")
    return folder / "a.jpg"


def tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", VOXELS, photometric="minisblack", metadata=None)
    return folder / "a.tif"


def dicom(folder: Path) -> Path:
    (folder / "a.dcm").write_bytes(Path(get_testdata_file("MR_small.dcm")).read_bytes())
    return folder / "a.dcm"


def encapsulated(folder: Path) -> Path:
    (folder / "a.dcm").write_bytes(Path(get_testdata_file("MR_small_RLE.dcm")).read_bytes())
    return folder / "a.dcm"


ALL = [nifti, nrrd, ascii_nrrd, meta, png, jpeg, tiff, dicom, encapsulated]


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("read", [read_volume, read_labels])
def test_every_format_asks_before_it_allocates(tmp_path: Path, make: Make, read: Callable[[Path], object]) -> None:
    path = make(tmp_path)
    with use_policy(SizePolicy(max_bytes=20)), pytest.raises(NeedsConsent) as caught:
        read(path)
    assert caught.value.code == "too_large"
    assert path.name in caught.value.message


@pytest.mark.parametrize("make", ALL)
def test_with_consent_every_format_is_read(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path)
    with use_policy(SizePolicy(max_bytes=20)), allow_large():
        assert read_volume(path).array.size > 20


@pytest.mark.parametrize("make", ALL)
def test_the_estimate_is_not_below_the_image(tmp_path: Path, make: Make) -> None:
    noted: list[int] = []
    with use_policy(SizePolicy(noted=noted.append)):
        volume = read_volume(make(tmp_path))
    assert max(noted) >= volume.array.nbytes
    assert max(noted) <= 8 * volume.array.nbytes


def test_a_scan_needs_no_consent(tmp_path: Path) -> None:
    nifti(tmp_path)
    png(tmp_path)
    with use_policy(SizePolicy(max_bytes=20)):
        assert len(scan(tmp_path).series) == 2


def test_small_images_may_be_empty_as_masks_are() -> None:
    require_size(Path("mask.nii.gz"), GIB, 1000)


def test_a_large_image_of_a_tiny_file_needs_consent() -> None:
    with pytest.raises(NeedsConsent, match="would grow 2000 times") as caught:
        require_size(Path("bomb.nii.gz"), 2 * GIB, 2 * GIB // 2000)
    assert caught.value.code == "suspicious_size"
    with allow_large():
        require_size(Path("bomb.nii.gz"), 2 * GIB, 2 * GIB // 2000)


def test_no_consent_lifts_the_hard_limit() -> None:
    with allow_large(), pytest.raises(ReadError) as caught:
        require_size(Path("bomb"), HARD_MAX_BYTES + 1, HARD_MAX_BYTES)
    assert not isinstance(caught.value, NeedsConsent)


def test_consent_ends_with_its_block() -> None:
    with use_policy(SizePolicy(max_bytes=20)):
        with allow_large():
            assert size_policy().max_bytes == HARD_MAX_BYTES
        assert size_policy().max_bytes == 20
        allow_large_from_now_on()
        assert size_policy().max_ratio == math.inf


def test_files_that_are_gone_have_no_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(7))
    assert file_bytes([tmp_path / "a", tmp_path / "b", Path("\0")]) == 7


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
def test_an_nrrd_that_promises_more_than_it_holds_is_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(HEAD.format("60000 50000 40000", encoding).encode() + gzip.compress(bytes(500)))
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "a.nrrd")
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("field", ["byte skip: 99999999999999", "line skip: 99999999999999"])
def test_skips_beyond_the_file_end_at_once(tmp_path: Path, field: str) -> None:
    head = HEAD.format("6 5 4", "raw").replace("encoding", f"{field}\nencoding")
    (tmp_path / "a.nrrd").write_bytes(head.encode() + VOXELS.tobytes())
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "a.nrrd")
    assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({b"6 5 4": b"60000 50000 40000"}, "truncated"),
        ({b"6 5 4": b"60000 50000 40000", b"CompressedData = False": b"CompressedData = True"}, "truncated"),
        ({b"6 5 4": b"600 500 400", b"BinaryData = True": b"BinaryData = False"}, "truncated"),
        ({b"6 5 4": b"6 -5 4"}, "unreadable"),
        ({b"6 5 4": b"six 5 4"}, "unreadable"),
        ({b"MET_SHORT": b"MET_WORDS"}, "unreadable"),
    ],
)
def test_a_meta_image_that_cannot_be_is_refused_before_itk_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[bytes, bytes], code: str
) -> None:
    path = meta(tmp_path)
    content = path.read_bytes()
    for old, new in changes.items():
        assert old in content
        content = content.replace(old, new)
    path.write_bytes(content)
    monkeypatch.setattr("segdesk.io.meta_image._reader", None)
    with pytest.raises(ReadError) as caught:
        scan(path)
    assert caught.value.code == code


def test_a_nifti_that_promises_more_than_it_holds_is_refused_by_a_scan(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "a.nii")
    (tmp_path / "a.nii").write_bytes((tmp_path / "a.nii").read_bytes()[:-1])
    with pytest.raises(ReadError) as caught:
        scan(tmp_path / "a.nii")
    assert caught.value.code == "truncated"


def test_a_picture_of_many_pixels_is_refused_from_its_header(tmp_path: Path) -> None:
    """A PNG of 60000 x 60000 pixels in a file of 80 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(ReadError) as caught:
        scan(tmp_path / "bomb.png")
    assert caught.value.code == "too_large"


def test_more_frames_than_fragments_fit_are_refused(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(get_testdata_file("MR_small_RLE.dcm"))
    dataset.NumberOfFrames = 100_000_000
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(ReadError) as caught:
        scan(tmp_path / "a.dcm")
    assert caught.value.code == "truncated"


def deflated(path: Path, zeros: int) -> Path:
    """Write a deflated DICOM file with a private element of zeros behind its header."""
    content = Path(get_testdata_file("image_dfl.dcm")).read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    inflated = zlib.decompress(content[start:], -15)
    private = b"\x09\x00\x10\x00UN\0\0" + zeros.to_bytes(4, "little")
    at = inflated.index(b"\x10\x00\x10\x00PN")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(inflated[:at] + private)
    for _ in range(zeros >> 20):
        body += squeeze.compress(bytes(1 << 20))
    body += squeeze.compress(inflated[at:]) + squeeze.flush()
    path.write_bytes(content[:start] + body)
    return path


def test_a_deflated_file_is_measured_before_it_is_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = deflated(tmp_path / "a.dcm", 8 << 20)
    assert read_volume(path).array.shape == (1, 512, 512)
    monkeypatch.setattr("segdesk.io.limits.RATIO_FLOOR_BYTES", 1 << 20)
    monkeypatch.setattr("segdesk.io.dicom.deflated.RATIO_FLOOR_BYTES", 1 << 20)
    with use_policy(SizePolicy(max_ratio=20)):
        with pytest.raises(NeedsConsent) as caught:
            read_volume(path)
        assert caught.value.code == "suspicious_size"
        with allow_large():
            assert read_volume(path).array.shape == (1, 512, 512)


@pytest.mark.parametrize("offset", [math.nan, math.inf])
def test_a_nifti_that_does_not_say_where_its_voxels_begin_is_refused(tmp_path: Path, offset: float) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[108:112] = struct.pack("<f", offset)
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(ReadError) as caught:
        scan(tmp_path / "a.nii")
    assert caught.value.code == "unreadable"
