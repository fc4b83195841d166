"""`segdesk info`."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def test_the_json_has_the_fields_of_the_contract(run, scan_file: Path) -> None:
    found = run("info", scan_file, "--json").json
    assert {"path", "series", "skipped", "refused"} <= found.keys()
    fields = {
        "uid", "kind", "modality", "shape_kji", "spacing_kji_mm", "affine_kji_to_lps", "dtype", "orientation", "files",
        "warnings",
    }  # fmt: skip
    assert fields <= found["series"][0].keys()


def test_geometry_agrees_with_nibabel(run, scan_file: Path) -> None:
    series = run("info", scan_file, "--json").json["series"][0]
    image = nib.load(scan_file)
    assert series["orientation"] == "".join(nib.aff2axcodes(image.affine))
    assert series["shape_kji"] == list(image.shape[::-1])
    np.testing.assert_allclose(series["spacing_kji_mm"], image.header.get_zooms()[::-1], rtol=1e-5)
    np.testing.assert_allclose(
        np.array(series["affine_kji_to_lps"]), _RAS @ image.affine @ np.eye(4)[[2, 1, 0, 3]], atol=1e-4
    )


def test_text_for_people_names_the_series_and_its_size(run, scan_file: Path) -> None:
    done = run("info", scan_file)
    assert done.code == 0
    assert "scan.nii.gz" in done.out
    assert "9x20x17" in done.out


def test_a_folder_where_everything_is_refused_exits_2_with_error_and_refused(run, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a.nii.gz").write_bytes(b"\x1f\x8b\x08\x00 cut")
    done = run("info", folder, "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == done.json["refused"][0]["code"]
    assert done.json["refused"][0]["files"] == 1


def test_a_folder_without_images_is_empty(run, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    done = run("info", folder, "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "empty"
    assert done.json["skipped"] == 1


def test_dicom_names_of_patients_are_never_shown(run, shared_data: Path) -> None:
    folder = shared_data / "dicom-brain-tumor-progression" / "PGBM-003" / "11_HCropVolume"
    for words in (["info", folder], ["info", folder, "--json"]):
        done = run(*words)
        assert done.code == 0
        assert "PGBM-003" not in done.out.replace(str(folder), "")
