"""`segdesk convert` and `segdesk info` with RT Structure Sets and tables of labels."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from tests.io.rtstruct.structure_sets import DrawnRoi, axial, closed, save, square, structure_set


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A structure set beside the folder of its image."""
    planes = axial()
    planes.write(tmp_path / "image")
    roi = DrawnRoi(7, "Liver", closed(*(planes.points(k, square(2.5, 3.5, 10.5, 20.5)) for k in (1, 3))), (1, 2, 3))
    return save(structure_set([roi]), tmp_path / "RS.dcm")


def test_info_lists_the_regions_of_a_lone_structure_set(run, plan: Path) -> None:
    done = run("info", plan, "--json")
    assert done.code == 0, done.err
    (described,) = done.json["structure_sets"]
    assert described["kind"] == "rtstruct"
    assert described["rois"] == [{"number": 7, "name": "Liver", "colour_rgb": [1, 2, 3], "contours": 2}]
    assert "secret" not in done.out
    text = run("info", plan).out
    assert "Liver" in text
    assert "#010203" in text


def test_contours_become_a_mask_on_the_image(run, plan: Path, tmp_path: Path) -> None:
    done = run("convert", plan, tmp_path / "mask.nii.gz", "--reference", tmp_path / "image", "--json")
    assert done.code == 0, done.err
    assert done.json["labels"] == {"7": "Liver"}
    assert [warning["code"] for warning in done.json["warnings"]] == ["contour_gaps"]
    voxels = np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj)
    assert voxels.shape == (30, 24, 5)
    assert int((voxels == 7).sum()) == 2 * 8 * 17


def test_contours_without_an_image_name_the_option(run, plan: Path, tmp_path: Path) -> None:
    done = run("convert", plan, tmp_path / "mask.nii.gz", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "no_reference"
    assert not (tmp_path / "mask.nii.gz").exists()


def test_a_mask_becomes_contours_of_its_image(run, plan: Path, tmp_path: Path) -> None:
    run("convert", plan, tmp_path / "mask.nii.gz", "--reference", tmp_path / "image")
    done = run(
        "convert", tmp_path / "mask.nii.gz", tmp_path / "out.dcm", "--reference", tmp_path / "image",
        "--seg-type", "rtstruct", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    dataset = pydicom.dcmread(tmp_path / "out.dcm")
    assert dataset.Modality == "RTSTRUCT"
    assert dataset.StructureSetROISequence[0].ROIName == "Liver"
    assert len(dataset.ROIContourSequence[0].ContourSequence) == 2


def test_an_unknown_kind_of_dicom_mask_is_refused_with_the_known_ones(run, plan: Path, tmp_path: Path) -> None:
    run("convert", plan, tmp_path / "mask.nii.gz", "--reference", tmp_path / "image")
    words = ("convert", tmp_path / "mask.nii.gz", tmp_path / "out.dcm", "--reference", tmp_path / "image")
    done = run(*words, "--seg-type", "contours")
    assert done.code == 2
    assert "rtstruct" in done.err


def test_a_mask_gets_names_and_colours_of_a_table(run, plan: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.ctbl"
    table.write_text("# Color table file\n7 right_lobe 9 8 7 255\n8 other 1 1 1 255\n")
    done = run(
        "convert", plan, tmp_path / "mask.seg.nrrd", "--reference", tmp_path / "image", "--labels", table, "--json"
    )
    assert done.code == 0, done.err
    assert done.json["labels"] == {"7": "right lobe"}
    header = (tmp_path / "mask.seg.nrrd").read_bytes()[:4000].decode("latin-1")
    assert "Segment0_Name:=right lobe" in header


def test_a_table_that_names_none_of_the_labels_is_refused(run, plan: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.ctbl"
    table.write_text("# Color table file\n1 a 9 8 7 255\n")
    done = run("convert", plan, tmp_path / "m.nii.gz", "--reference", tmp_path / "image", "--labels", table)
    assert done.code == 2
    assert not (tmp_path / "m.nii.gz").exists()


def test_the_table_of_a_mask_is_written_and_turned_into_other_formats(run, plan: Path, tmp_path: Path) -> None:
    done = run("convert", plan, tmp_path / "names.ctbl", "--json")
    assert done.code == 0, done.err
    assert done.json["labels"] == [{"value": 7, "name": "Liver", "colour_rgb": [1, 2, 3]}]
    assert "7 Liver 1 2 3 255" in (tmp_path / "names.ctbl").read_text()
    assert run("convert", tmp_path / "names.ctbl", tmp_path / "names.label").code == 0
    assert '"Liver"' in (tmp_path / "names.label").read_text()
    again = run("convert", plan, tmp_path / "names.ctbl", "--json")
    assert again.json["error"]["code"] == "exists"


def test_a_bad_line_of_a_table_is_one_clear_error(run, plan: Path, tmp_path: Path) -> None:
    table = tmp_path / "names.ctbl"
    table.write_text("# Color table file\n7 a 9 8 7 255\n7 b 9 8 7 255\n")
    done = run("convert", plan, tmp_path / "m.nii.gz", "--reference", tmp_path / "image", "--labels", table, "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "bad_label_table"
    assert "line 3" in done.json["error"]["message"]
