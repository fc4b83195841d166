"""`segdesk convert`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.io import read_labels, read_volume, write_labels, write_volume
from tests.builders import ball, oblique_geometry


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_voxels_and_place_survive(suffix: str, run, scan_file: Path, tmp_path: Path) -> None:
    done = run("convert", scan_file, tmp_path / f"out{suffix}", "--json")
    assert done.code == 0, done.err
    before, after = SimpleITK.ReadImage(str(scan_file)), SimpleITK.ReadImage(str(tmp_path / f"out{suffix}"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(before), SimpleITK.GetArrayFromImage(after))
    index = (3, 5, 7)
    np.testing.assert_allclose(
        before.TransformIndexToPhysicalPoint(index), after.TransformIndexToPhysicalPoint(index), atol=1e-3
    )
    assert done.json["shape_kji"] == [9, 20, 17]


def test_the_names_of_labels_survive_without_being_asked_for(run, tmp_path: Path) -> None:
    labels = ball()
    named = LabelMap(labels.layers, labels.geometry, LabelTable([Label(1, "tumour", (1, 2, 3))]))
    write_labels(named, tmp_path / "m.nii.gz")
    assert run("convert", tmp_path / "m.nii.gz", tmp_path / "m.seg.nrrd").code == 0
    assert read_labels(tmp_path / "m.seg.nrrd").table.name_of(1) == "tumour"


def test_one_slice_becomes_a_png(run, tmp_path: Path) -> None:
    pixels = np.arange(80, dtype=np.uint8).reshape(1, 8, 10)
    write_volume(Volume(pixels, oblique_geometry((1, 8, 10))), tmp_path / "s.nii.gz")
    assert run("convert", tmp_path / "s.nii.gz", tmp_path / "s.png").code == 0
    np.testing.assert_array_equal(read_volume(tmp_path / "s.png").array, pixels)


def test_dicom_becomes_nifti_on_the_same_grid(run, shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "dicom-brain-tumor-progression" / "PGBM-003" / "11_HCropVolume"
    assert run("convert", folder, tmp_path / "o.nii.gz").code == 0
    assert read_volume(tmp_path / "o.nii.gz").geometry.matches(read_volume(folder).geometry)


def test_several_series_without_a_name_are_refused_with_a_list(run, scan_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        (folder / name).write_bytes(scan_file.read_bytes())
    done = run("convert", folder, tmp_path / "o.nii.gz", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "several_series"
    assert [series["uid"] for series in done.json["series"]] == ["a.nii.gz", "b.nii.gz"]
    assert "a.nii.gz" in done.err
    assert not (tmp_path / "o.nii.gz").exists()
    assert run("convert", folder, tmp_path / "o.nii.gz", "--series", "b.nii.gz").code == 0


def test_an_unknown_extension_is_refused(run, scan_file: Path, tmp_path: Path) -> None:
    done = run("convert", scan_file, tmp_path / "o.docx")
    assert done.code == 2
    assert not (tmp_path / "o.docx").exists()


def test_a_picture_of_a_placed_slice_tells_what_it_lost(run, scan_file: Path, tmp_path: Path) -> None:
    done = run("convert", scan_file, tmp_path / "o.tif", "--json")
    assert [each["code"] for each in done.json["warnings"]] == ["not_kept"]
    assert (
        run("convert", tmp_path / "o.tif", tmp_path / "again.tif", "--json").json["warnings"][0]["code"] != "not_kept"
    )


def test_a_film_in_colours_is_no_nrrd(run, tmp_path: Path) -> None:
    colours = np.zeros((2, 1, 8, 10, 3), np.uint8)
    volume = Volume(colours, oblique_geometry((1, 8, 10)), unit=IntensityUnit.RGB, time_points=2)
    write_volume(volume, tmp_path / "film.nii.gz")
    done = run("convert", tmp_path / "film.nii.gz", tmp_path / "film.nrrd")
    assert (done.code, "use .nii.gz" in done.err) == (2, True)
    assert not (tmp_path / "film.nrrd").exists()
