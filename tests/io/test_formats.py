"""Formats are told by content; names are not trusted."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from segdesk.errors import ReadError, UnsupportedFormat
from segdesk.io import read_volume, scan
from segdesk.io.formats import Format, sniff
from tests.io.dicom_maker import slice_dataset

_ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def _nifti(path: Path, cls: type = nibabel.Nifti1Image) -> Path:
    nibabel.save(cls(_ARRAY, np.eye(4)), path)
    return path


def test_every_format_is_told_by_its_bytes_under_a_wrong_name(tmp_path: Path) -> None:
    made = {
        Format.NIFTI: _nifti(tmp_path / "a.nii"),
        Format.PNG: tmp_path / "a.png",
        Format.JPEG: tmp_path / "a.jpg",
        Format.TIFF: tmp_path / "a.tif",
        Format.NRRD: tmp_path / "a.nrrd",
        Format.META: tmp_path / "a.mha",
        Format.DICOM: tmp_path / "a.dcm",
    }
    for kind in (Format.PNG, Format.JPEG, Format.TIFF):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(made[kind])
    for kind in (Format.NRRD, Format.META):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(_ARRAY), str(made[kind]))
    slice_dataset(_ARRAY[0], (0, 0, 0)).save_as(made[Format.DICOM], enforce_file_format=True)
    for kind, path in made.items():
        wrong = path.rename(tmp_path / f"{kind}.wrong.txt".replace(" ", ""))
        assert sniff(wrong) is kind
        read_volume(wrong)


@pytest.mark.parametrize("cls", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
def test_nifti_is_told_in_all_its_layouts(tmp_path: Path, cls: type, name: str) -> None:
    if name == "a.hdr":
        cls = nibabel.Nifti1Pair if cls is nibabel.Nifti1Image else nibabel.Nifti2Pair
    path = _nifti(tmp_path / name, cls)
    assert sniff(path) is Format.NIFTI
    np.testing.assert_array_equal(read_volume(path).array, _ARRAY.T)


def test_a_gzipped_file_named_nii_and_a_plain_one_named_nii_gz_are_read(tmp_path: Path) -> None:
    plain = _nifti(tmp_path / "a.nii")
    (tmp_path / "b.nii").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "c.nii.gz").write_bytes(plain.read_bytes())
    for name in ("b.nii", "c.nii.gz"):
        np.testing.assert_array_equal(read_volume(tmp_path / name).array, _ARRAY.T)


def test_x_nii_gz_never_reads_the_x_nii_beside_it(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(_ARRAY * 2, np.eye(4)), tmp_path / "x.nii")
    _nifti(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "x.nii.gz").array, _ARRAY.T)


def test_a_dicom_file_with_a_tiff_preamble_is_dicom(tmp_path: Path) -> None:
    dataset = slice_dataset(_ARRAY[0], (0, 0, 0))
    dataset.preamble = b"II*\0".ljust(128, b"\0")
    dataset.save_as(tmp_path / "a", enforce_file_format=True)
    assert sniff(tmp_path / "a") is Format.DICOM


@pytest.mark.parametrize("content", [b"just words\n", b"{}", b"\0" * 2000, b"\x1f\x8b" + b"\0" * 30, b"x"])
@pytest.mark.parametrize("name", ["a.txt", "a.nii.gz", "a.dcm", "a.nrrd", "a.mha", "a.png", "a.hdr"])
def test_what_is_no_image_is_one_typed_line(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert "\n" not in caught.value.message
    assert caught.value.code in ("unsupported_format", "truncated", "unreadable")


def test_an_empty_file_and_a_missing_one_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    with pytest.raises(ReadError, match="empty"):
        scan(tmp_path / "a.nii")
    with pytest.raises(ReadError, match="does not exist") as caught:
        scan(tmp_path / "b.nii")
    assert caught.value.code == "not_found"
    with pytest.raises(ReadError):
        sniff(tmp_path)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path)
    assert caught.value.code == "empty"


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    assert scan(tmp_path).skipped == 1
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path)
    assert caught.value.code == "empty"


def test_an_unknown_file_is_of_no_known_format(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(UnsupportedFormat):
        scan(tmp_path / "a.txt")


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path: str) -> object:
        # The superuser may read every folder.
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = scan(tmp_path)
    assert len(found.series) == 1
    assert [(each.code, each.message) for each in found.refused] == [
        ("unreadable", "closed cannot be read: Permission denied.")
    ]
    with pytest.raises(ReadError) as caught:
        scan(tmp_path / "closed")
    assert caught.value.code == "unreadable"
