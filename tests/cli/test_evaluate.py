"""`segdesk evaluate`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.io import read_labels, write_labels

_FIELDS = {
    "name", "status", "dice", "iou", "precision", "recall", "hd95_mm", "assd_mm", "nsd", "volume_reference_mm3",
    "volume_candidate_mm3", "volume_error_mm3",
}  # fmt: skip


def test_the_json_has_the_fields_of_the_contract(run, mask_files: list[Path]) -> None:
    found = run("evaluate", *mask_files[:2], "--json").json
    assert {"labels", "mean", "pixel_accuracy"} <= found.keys()
    assert {"dice", "iou", "n", "n_undefined"} <= found["mean"].keys()
    assert found["labels"]["1"].keys() >= _FIELDS


def test_dice_and_jaccard_agree_with_simpleitk(run, mask_files: list[Path]) -> None:
    row = run("evaluate", *mask_files[:2], "--json").json["labels"]["1"]
    oracle = SimpleITK.LabelOverlapMeasuresImageFilter()
    oracle.Execute(*(SimpleITK.ReadImage(str(path), SimpleITK.sitkUInt8) for path in mask_files[:2]))
    assert row["dice"] == pytest.approx(oracle.GetDiceCoefficient())
    assert row["iou"] == pytest.approx(oracle.GetJaccardCoefficient())


@pytest.fixture
def folders(tmp_path: Path, mask_files: list[Path]) -> tuple[Path, Path]:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    for path in mask_files:
        (ours / path.name).write_bytes(path.read_bytes())
        (theirs / path.name).write_bytes(mask_files[0].read_bytes())
    return ours, theirs


def test_folders_are_matched_by_name(run, folders: tuple[Path, Path]) -> None:
    found = run("evaluate", *folders, "--json").json
    assert [case["case"] for case in found["cases"]] == ["anna", "ben", "carla"]
    assert found["cases"][0]["labels"]["1"]["dice"] == 1.0
    assert {"mean", "median", "iqr", "worst", "n", "n_undefined"} <= found["summary"]["1"]["dice"].keys()
    assert found["summary"]["1"]["dice"]["n"] == 3


def test_a_file_without_a_partner_is_told_and_not_dropped_silently(run, folders: tuple[Path, Path]) -> None:
    (folders[0] / "ben.nii.gz").unlink()
    done = run("evaluate", *folders)
    assert done.code == 0
    assert "ben: no candidate" in done.err
    assert "ben" in str(run("evaluate", *folders, "--json").json["warnings"])


def test_folders_without_a_common_name_are_refused(run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("evaluate", folders[0], tmp_path / "empty").code == 2


def test_one_file_and_one_folder_are_refused(run, folders: tuple[Path, Path], mask_files: list[Path]) -> None:
    assert run("evaluate", mask_files[0], folders[0]).code == 2


def test_one_name_in_two_formats_is_refused(run, folders: tuple[Path, Path]) -> None:
    write_labels(read_labels(folders[0] / "ben.nii.gz"), folders[0] / "ben.nrrd")
    assert run("evaluate", *folders).code == 2


def test_the_csv_has_a_row_per_case_and_label(run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert run("evaluate", *folders, "--csv", tmp_path / "s.csv").code == 0
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["anna", "ben", "carla"]
    assert float(rows[0]["dice"]) == 1.0


def test_a_name_that_looks_like_a_formula_is_made_harmless(run, mask_files: list[Path], tmp_path: Path) -> None:
    evil = tmp_path / "=cmd.nii.gz"
    evil.write_bytes(mask_files[0].read_bytes())
    assert run("evaluate", evil, mask_files[1], "--csv", tmp_path / "s.csv").code == 0
    assert "\n'=cmd," in (tmp_path / "s.csv").read_text()


def test_the_report_lists_the_worst_case_first(run, folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert run("evaluate", *folders, "--report", tmp_path / "r.html").code == 0
    page = (tmp_path / "r.html").read_text()
    table = page[page.index("worst first") :]
    assert table.index("carla") < table.index("ben") < table.index("anna")
    assert "histogram" in page


def test_text_shows_undefined_as_a_dash(run, tmp_path: Path) -> None:
    grid = Geometry.from_spacing((3, 4, 5))
    write_labels(LabelMap.of(np.ones(grid.shape_kji, np.uint8), grid), tmp_path / "a.nii.gz")
    write_labels(LabelMap.empty(grid), tmp_path / "b.nii.gz")
    done = run("evaluate", tmp_path / "b.nii.gz", tmp_path / "a.nii.gz")
    assert done.code == 0
    assert "missed" in done.out
    assert "–" in done.out


def test_another_grid_needs_resample(run, mask_files: list[Path], tmp_path: Path) -> None:
    grid = Geometry.from_spacing((18, 62, 62), (1.5, 0.4, 0.4))
    array = np.zeros(grid.shape_kji, np.uint8)
    array[6:12, 20:40, 20:40] = 1
    write_labels(LabelMap.of(array, grid), tmp_path / "fine.nii.gz")
    assert run("evaluate", tmp_path / "fine.nii.gz", mask_files[0]).code == 2
    done = run("evaluate", tmp_path / "fine.nii.gz", mask_files[0], "--resample", "--json")
    assert done.code == 0, done.err
    assert done.json["labels"]["1"]["dice"] > 0.3


def test_an_error_in_a_folder_names_its_case(run, folders: tuple[Path, Path]) -> None:
    grid = Geometry.from_spacing((3, 4, 5))
    (folders[0] / "ben.nii.gz").unlink()
    write_labels(LabelMap.empty(grid), folders[0] / "ben.nii.gz")
    done = run("evaluate", *folders, "--json")
    assert done.code == 2
    assert done.json["error"]["message"].startswith("ben: ")


def test_membranes_in_pictures_are_scored_by_pixel_and_by_cell(run, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.png", tmp_path / "theirs.png"
    reference = np.full((9, 9), 255, np.uint8)
    reference[4] = 0
    drawn = (reference == 0).astype(np.uint8)
    drawn[4, 4] = 0
    Image.fromarray(reference).save(theirs)
    Image.fromarray(drawn).save(ours)
    arguments = ["evaluate", ours, theirs, "--wall", 1, "--relabel-reference", "0=1,255=0"]
    found = run(*arguments, "--json").json
    assert found["labels"].keys() == {"1"}
    assert found["labels"]["1"]["dice"] == pytest.approx(16 / 17)
    assert found["pixel_accuracy"] == pytest.approx(80 / 81)
    # Two cells of 36 pixels, merged through the hole: 2 * 36 * 35 of 72 * 71 pairs belong together.
    assert found["cells"]["merge"] == pytest.approx(2 * 36 * 35 / (72 * 71))
    assert found["cells"]["split"] == 1
    assert "pixel error: 0.0123" in run(*arguments).out


@pytest.mark.parametrize("text", ["x", "1", "1=2=3", "1=70000", "-1=2"])
def test_a_wrong_list_of_values_is_one_line(run, mask_files: list[Path], text: str) -> None:
    done = run("evaluate", *mask_files[:2], f"--relabel-reference={text}")
    assert done.code == 2
    assert "relabel-reference" in done.err
