"""`segdesk info` and `segdesk convert` on DICOM masks."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from segdesk.io import read_labels
from tests.io.dicom_seg.sources import SHAPE, affine_of, save, seg_dataset, write_source

AXIAL = affine_of([1, 0, 0], [0, 1, 0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CT and a mask of it with two overlapping segments, in one folder."""
    write_source(tmp_path / "case", AXIAL)
    one, two = np.zeros((2, *SHAPE[1:]), np.uint8)
    one[:3], two[2:] = 1, 1
    position = [float(x) for x in AXIAL[:3, 3] + AXIAL[:3, 0]]
    save(seg_dataset("BINARY", [1, 2], [(1, position, one), (2, position, two)]), tmp_path / "case" / "mask.dcm")
    return tmp_path / "case"


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    """A mask of the CT made with raw nibabel, rows from foot to head as other programs store them."""
    array = np.zeros(SHAPE, np.uint8)
    array[1, 2, 3], array[3, 1, 1] = 1, 2
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    stored = array.transpose(2, 1, 0)[:, ::-1]
    flip = np.array([[1, 0, 0, 0], [0, -1, 0, SHAPE[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(stored, to_ras @ AXIAL @ np.eye(4)[[2, 1, 0, 3]] @ flip), tmp_path / "m.nii.gz")
    return tmp_path / "m.nii.gz"


def test_info_shows_the_segments_of_a_mask(run, folder: Path) -> None:
    done = run("info", folder / "mask.dcm", "--json")
    assert done.code == 0
    series = done.json["series"][0]
    assert (series["modality"], series["is_mask"]) == ("SEG", True)
    segments = series["segmentation"]["segments"]
    assert [segment["number"] for segment in segments] == [1, 2]
    assert segments[0]["concept"]["type"] == {"value": "T-D0050", "scheme": "SRT", "meaning": "Tissue"}
    text = run("info", folder / "mask.dcm").out
    assert "Part 2" in text
    assert "Tissue (SRT T-D0050)" in text


def test_info_lists_a_mask_beside_its_image(run, folder: Path) -> None:
    series = run("info", folder, "--json").json["series"]
    assert [(each["modality"], each["is_mask"]) for each in series] == [("CT", False), ("SEG", True)]


def test_a_mask_does_not_block_the_image_of_its_folder(run, folder: Path, tmp_path: Path) -> None:
    assert run("convert", folder, tmp_path / "o.nii.gz").code == 0
    assert nibabel.load(tmp_path / "o.nii.gz").shape == SHAPE[::-1]


def test_overlaps_are_refused_where_they_would_be_flattened_or_split_on_request(
    run, folder: Path, tmp_path: Path
) -> None:
    refused = run("convert", folder / "mask.dcm", tmp_path / "o.nii.gz")
    assert refused.code == 2
    assert "--split-layers" in refused.err
    assert not (tmp_path / "o.nii.gz").exists()
    done = run("convert", folder / "mask.dcm", tmp_path / "o.nii.gz", "--split-layers", "--json")
    assert [Path(file).name for file in done.json["files"]] == ["o_1.nii.gz", "o_2.nii.gz"]
    assert read_labels(tmp_path / "o_2.nii.gz").values() == (2,)
    assert run("convert", folder / "mask.dcm", tmp_path / "o.seg.nrrd", "--reference", folder).code == 0
    assert [layer.shape for layer in read_labels(tmp_path / "o.seg.nrrd").layers] == [SHAPE, SHAPE]


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_a_mask_becomes_dicom_at_its_place(run, nifti: Path, folder: Path, tmp_path: Path, kind: str) -> None:
    done = run("convert", nifti, tmp_path / "o.dcm", "--reference", folder, "--seg-type", kind)
    assert done.code == 0, done.err
    assert pydicom.dcmread(tmp_path / "o.dcm").SegmentationType == kind.upper()
    labels = read_labels(tmp_path / "o.dcm")
    assert [tuple(index) for index in np.argwhere(labels.array)] == [(1, 2, 3), (3, 1, 1)]


def test_dicom_is_written_for_masks_with_their_image_only(run, nifti: Path, folder: Path, tmp_path: Path) -> None:
    for words, code in (
        ((nifti, tmp_path / "o.dcm"), "no_reference"),
        ((folder, tmp_path / "o.dcm"), "unsupported_format"),
        ((nifti, tmp_path / "o.dcm", "--reference", nifti), "no_reference"),
    ):
        done = run("convert", *words, "--json")
        assert done.code == 2
        assert done.json["error"]["code"] == code
    assert not (tmp_path / "o.dcm").exists()


def test_an_image_is_not_taken_for_a_mask_of_hundreds_of_segments(run, folder: Path, tmp_path: Path) -> None:
    many = np.arange(np.prod((7, 6, 5)) * 2, dtype=np.int16)[::2].reshape(7, 6, 5) + np.int16(300)
    nibabel.save(nibabel.Nifti1Image(np.concatenate([many, many + 1]), np.eye(4)), tmp_path / "mr.nii.gz")
    done = run("convert", tmp_path / "mr.nii.gz", tmp_path / "o.dcm")
    assert done.code == 2
    assert "--mask" in done.err


def test_fractions_are_cut_with_a_warning(run, tmp_path: Path) -> None:
    values = np.full(SHAPE[1:], 200, np.uint8)
    dataset = seg_dataset("FRACTIONAL", [1], [(1, (0, 0, 0), values)], 8)
    dataset.SegmentationFractionalType, dataset.MaximumFractionalValue = "OCCUPANCY", 255
    done = run("convert", save(dataset, tmp_path / "s.dcm"), tmp_path / "o.nii.gz", "--json")
    assert [warning["code"] for warning in done.json["warnings"]] == ["thresholded"]


def test_the_one_mask_of_a_folder_is_what_is_converted(run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (folder / "mask.dcm").rename(tmp_path / "masks" / "mask.dcm")
    assert run("convert", tmp_path / "masks", tmp_path / "o.seg.nrrd").code == 0
    assert [label.name for label in read_labels(tmp_path / "o.seg.nrrd").table] == ["Part 1", "Part 2"]


def test_one_of_several_masks_is_named_by_its_series(run, folder: Path, tmp_path: Path) -> None:
    frame = np.ones(SHAPE[1:], np.uint8)
    other = seg_dataset("BINARY", [7], [(7, [float(x) for x in AXIAL[:3, 3]], frame)])
    save(other, folder / "other.dcm")
    assert run("convert", "--mask", folder, tmp_path / "o.nii.gz").code == 2
    for flags in ([], ["--mask"]):
        done = run("convert", folder, tmp_path / "o.nii.gz", "--series", other.SeriesInstanceUID, "--overwrite", *flags)
        assert done.code == 0, done.err
        assert np.unique(np.asarray(nibabel.load(tmp_path / "o.nii.gz").dataobj)).tolist() == [7]


@pytest.mark.parametrize(("name", "told"), [("o.seg.nrrd", 0), ("o.mha", 1), ("o.tif", 2)])
def test_what_a_format_cannot_hold_is_told(run, nifti: Path, tmp_path: Path, name: str, told: int) -> None:
    (tmp_path / "names.ctbl").write_text("1 Liver 200 10 20 255\n2 Cyst 1 2 3 255\n")
    done = run("convert", nifti, tmp_path / name, "--labels", tmp_path / "names.ctbl", "--json")
    assert done.code == 0, done.err
    assert [each["code"] for each in done.json["warnings"]] == ["not_kept"] * told
    assert run("convert", "--mask", nifti, tmp_path / name, "--overwrite").err.count("not_kept") == (told == 2)
