from __future__ import annotations

import os
import shutil
from pathlib import Path

import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from segdesk.errors import ReadError
from segdesk.io import read_volume, scan
from segdesk.io.dicom import dicomdir

TESTS = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """Return a folder with pydicom's own DICOMDIR and the files of one of its three patients."""
    shutil.copytree(TESTS / "77654033", tmp_path / "77654033")
    shutil.copy(TESTS / "DICOMDIR", tmp_path)
    return tmp_path


def directory(path: Path, *names: object, flag: int = 0xFFFF) -> Path:
    """Write a DICOMDIR with a record for each name, by raw pydicom."""
    records = []
    for name in names:
        record = Dataset()
        record.RecordInUseFlag, record.DirectoryRecordType = flag, "IMAGE"
        record.add(DataElement("ReferencedFileID", "CS", name, validation_mode=config.IGNORE))
        records.append(record)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MediaStorageDirectoryStorage, "1.2.3"
    made = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    made.DirectoryRecordSequence = records
    made.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "DICOMDIR",
        "DICOMDIR-bigEnd",
        "DICOMDIR-implicit",
        "DICOMDIR-nooffset",
        "DICOMDIR-nopatient",
        "DICOMDIR-reordered",
    ],
)
def test_a_directory_of_any_form_lists_the_files_below_it(name: str) -> None:
    listing = dicomdir.list_directory(TESTS / name)
    assert listing.refused == ()
    listed = {path.name for path in listing.files}
    below = {path.name for folder in TESTS.iterdir() if folder.name.isdigit() for path in folder.rglob("*")}
    assert listed == {name for name in below if not name.startswith(("CT", "MR", "CR"))}


def test_a_series_of_a_directory_is_read_by_its_uid() -> None:
    found = scan(TESTS / "DICOMDIR")
    entry = next(each for each in found.series if each.modality == "CR")
    pixels = pydicom.dcmread(entry.paths[0]).pixel_array
    assert read_volume(TESTS / "DICOMDIR", series_uid=entry.uid).array.shape[1:] == pixels.shape


def test_what_is_missing_is_named_and_the_rest_opens(medium: Path) -> None:
    (medium / "77654033" / "CR1" / "6154").unlink()
    found = scan(medium / "DICOMDIR")
    refusal = next(each for each in found.refused if each.code == "not_found")
    assert "'77654033/CR1/6154'" in refusal.message
    assert refusal.files == 1 + sum(1 for path in TESTS.glob("9889*/*/*") if path.is_file())
    assert {path.name for entry in found.series for path in entry.paths} >= {"6247", "6278"}


def test_names_match_in_either_case(medium: Path) -> None:
    (medium / "77654033" / "CR1").rename(medium / "77654033" / "cr1")
    assert "6154" in {path.name for entry in scan(medium / "DICOMDIR").series for path in entry.paths}


def test_names_that_differ_by_case_only_are_ambiguous(medium: Path) -> None:
    folder = medium / "77654033"
    (folder / "CR1").rename(folder / "cr1")
    if (folder / "CR1").exists():
        pytest.skip("this file system ignores upper and lower case")
    shutil.copytree(folder / "cr1", folder / "Cr1")
    refusal = next(each for each in scan(medium / "DICOMDIR").refused if each.code == "ambiguous_name")
    assert "CR1" in refusal.message


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", ["..", "secret.dcm"], ["..\\secret.dcm"], ["C:", "secret.dcm"], ["a"] * 17, ["A", "..", "B"]],
)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: object) -> None:
    image = pydicom.data.get_testdata_file("CT_small.dcm")
    shutil.copy(image, tmp_path / "secret.dcm")
    (tmp_path / "root").mkdir()
    path = directory(tmp_path / "root" / "DICOMDIR", name)
    with pytest.raises(ReadError) as caught:
        scan(path)
    assert caught.value.code == "outside_root"


@pytest.mark.parametrize("is_folder", [False, True])
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, is_folder: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(pydicom.data.get_testdata_file("CT_small.dcm"), tmp_path / "elsewhere" / "CT")
    (tmp_path / "root").mkdir()
    if is_folder:
        (tmp_path / "root" / "A").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "root" / "A").mkdir()
        (tmp_path / "root" / "A" / "CT").symlink_to(tmp_path / "elsewhere" / "CT")
    with pytest.raises(ReadError) as caught:
        scan(directory(tmp_path / "root" / "DICOMDIR", ["A", "CT"]))
    assert caught.value.code in ("outside_root", "not_found")


def test_a_device_is_no_file(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes with names")
    os.mkfifo(tmp_path / "PIPE")
    with pytest.raises(ReadError) as caught:
        scan(directory(tmp_path / "DICOMDIR", ["PIPE"]))
    assert caught.value.code == "not_found"


def test_records_out_of_use_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="names no files"):
        scan(directory(tmp_path / "DICOMDIR", ["A"], flag=0))


def test_the_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomdir, "MAX_FILES", 2)
    with pytest.raises(ReadError) as caught:
        scan(directory(tmp_path / "DICOMDIR", ["A"], ["B"], ["C"]))
    assert caught.value.code == "too_large"


def test_many_missing_files_are_counted_and_some_are_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"names 7 files that are missing: 'N0', .* and 2 more"):
        scan(directory(tmp_path / "DICOMDIR", *(f"N{n}" for n in range(7))))


def test_a_damaged_directory_is_refused(tmp_path: Path) -> None:
    path = directory(tmp_path / "DICOMDIR", ["A"], ["B"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReadError):
        scan(path)


def test_in_a_folder_the_directory_is_skipped_and_counted(medium: Path) -> None:
    only = medium / "77654033" / "CR1"
    shutil.copy(medium / "DICOMDIR", only / "DICOMDIR")
    found = scan(only)
    assert (len(found.series), found.skipped) == (1, 1)
