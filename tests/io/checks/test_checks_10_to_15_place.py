"""Geometry checks 10, 11, 13, 14 and 15: tilt written out, sides on the screen, oblique cuts, spacing order."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import FileDataset
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.reslice import planes_of
from segdesk.core.volume import Window
from segdesk.edit.editor import Editor
from segdesk.errors import WriteError
from segdesk.io import read_volume, scan, write_volume
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.views.slice_view import SliceView
from tests.builders import marker_volume, sheared_geometry
from tests.cli.conftest import Run, run
from tests.io.dicom_maker import axial, setting, slice_dataset, write_series
from tests.io.world import load, lps_affine, nibabel_array

__all__ = ["run"]


def test_check_10_a_sheared_grid_is_written_without_a_qform(tmp_path: Path) -> None:
    volume = marker_volume(sheared_geometry())
    write_volume(volume, tmp_path / "a.nii.gz")
    image = load(tmp_path / "a.nii.gz")
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(lps_affine(image), volume.geometry.affine_kji_to_lps, atol=1e-5)


def test_check_10_a_tilted_series_is_converted_with_its_shear_and_a_flag(run: Run, tmp_path: Path) -> None:
    pixels = write_series(tmp_path / "tilted", [(3, n, 5 * n) for n in range(4)])
    done = run("convert", tmp_path / "tilted", tmp_path / "out.nii.gz", "--json")
    assert [warning["code"] for warning in done.json["warnings"]] == ["gantry_tilt"]
    image = load(tmp_path / "out.nii.gz")
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    expected = [[0, 0, 0.7, 3], [1, 0.8, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(lps_affine(image), expected, atol=1e-5)
    np.testing.assert_array_equal(nibabel_array(image), pixels)


def test_check_10_a_tilted_series_is_resampled_at_right_angles_on_request(run: Run, tmp_path: Path) -> None:
    def ramp(dataset: FileDataset, n: int) -> None:
        j, i = np.indices((5, 6))
        # 10 x + 20 y + 3 z of each pixel: linear resampling must give it again.
        values = 10 * (3 + 0.7 * i) + 20 * (n + 0.8 * j) + 3 * 5 * n
        dataset.RescaleSlope, dataset.PixelData = 0.5, np.rint(values * 2).astype("<i2").tobytes()

    write_series(tmp_path / "tilted", [(3, n, 5 * n) for n in range(4)], ramp)
    done = run("convert", tmp_path / "tilted", tmp_path / "out.nii.gz", "--straighten", "--json")
    assert done.code == 0, done.err
    assert [warning["code"] for warning in done.json["warnings"]] == ["gantry_tilt"]
    assert done.json["geometry_source"] == "DICOM positions, resampled at right angles"
    image = SimpleITK.ReadImage(str(tmp_path / "out.nii.gz"))  # ITK takes no shear
    direction = np.array(image.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-6)
    for point in ((4.4, 1.6, 5.0), (5.1, 2.4, 10.0)):
        x, y, z = point
        index = image.TransformPhysicalPointToContinuousIndex(point)
        assert image.EvaluateAtContinuousIndex(index) == pytest.approx(10 * x + 20 * y + 3 * z, abs=0.6)


def test_check_10_what_is_not_tilted_stays_as_it_is_and_masks_are_not_straightened(run: Run, tmp_path: Path) -> None:
    pixels = write_series(tmp_path / "plain", axial(0, 5, 10))
    assert run("convert", tmp_path / "plain", tmp_path / "out.nii.gz", "--straighten").code == 0
    np.testing.assert_array_equal(nibabel_array(load(tmp_path / "out.nii.gz")), pixels)
    assert run("convert", tmp_path / "plain", tmp_path / "m.seg.nrrd", "--straighten").code == 2
    four = nibabel.Nifti1Image(np.zeros((3, 3, 3, 2), np.int16), np.eye(4))
    nibabel.save(four, tmp_path / "four.nii.gz")
    assert run("convert", tmp_path / "four.nii.gz", tmp_path / "o.nii.gz", "--straighten").code == 2


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_check_10_formats_whose_readers_refuse_shear_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(WriteError) as caught:
        write_volume(marker_volume(sheared_geometry()), tmp_path / name)
    assert caught.value.code == "no_shear_in_format"


def _left_marked(folder: Path) -> None:
    """A head-first axial series whose one bright voxel lies on the patient's left, in front, at the top slice."""
    for n in range(3):
        pixels = np.zeros((20, 30), np.int16)
        if n == 2:
            pixels[4, 25] = 1000
        folder.mkdir(exist_ok=True)
        slice_dataset(pixels, (-10, -8, 5.0 * n), n + 1).save_as(folder / f"{n}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("turned", [False, True])
def test_check_11_the_left_of_the_patient_is_on_the_right_of_the_screen(
    qtbot: QtBot, tmp_path: Path, turned: bool
) -> None:
    _left_marked(tmp_path / "scan")
    volume = read_volume(tmp_path / "scan")
    if turned:  # the same patient stored right to left, back to front
        image = nibabel.Nifti1Image(volume.array.T[::-1, ::-1], _ras_affine_of_turned(volume.geometry))
        nibabel.save(image, tmp_path / "turned.nii.gz")
        volume = read_volume(tmp_path / "turned.nii.gz")
    labels = LabelMap.empty(volume.geometry)
    views = ViewSet(volume, labels)
    views.window.value = Window(500, 1000)
    views.go_to((2, 10, 15))
    axial_model = views.slices[0]
    assert (axial_model.plane.edges.left, axial_model.plane.edges.right) == ("R", "L")
    view = SliceView(axial_model, ToolModel(_editor(labels)))
    view.shows_crosshair = view.shows_letters = False
    view.resize(420, 320)
    qtbot.addWidget(view)
    with qtbot.waitExposed(view):
        view.show()
    picture = view.grab().toImage()
    lit = [(x, y) for x in range(20, 400, 3) for y in range(40, 250, 3) if picture.pixelColor(x, y).red() > 200]
    assert lit
    assert min(x for x, _ in lit) > 210, "left is right of the middle"
    assert max(y for _, y in lit) < 160, "front is above the middle"


def _editor(labels: LabelMap) -> Editor:
    editor = Editor()
    editor.attach(labels)
    return editor


def _ras_affine_of_turned(geometry: Geometry) -> np.ndarray:
    """The RAS affine, (i, j, k) in, of the same voxels with i and j reversed."""
    _, j, i = geometry.shape_kji
    flip = np.array([[-1.0, 0, 0, i - 1], [0, -1, 0, j - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    lps = geometry.affine_kji_to_lps @ np.eye(4)[[2, 1, 0, 3]]
    return np.diag([-1.0, -1, 1, 1]) @ lps @ flip


def _cosines(about_x: float, about_z: float) -> np.ndarray:
    """Row and column cosines of an axial slice turned about two axes, in degrees."""
    a, b = np.deg2rad(about_x), np.deg2rad(about_z)
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return (turn_z @ turn_x)[:, :2].T


@pytest.mark.parametrize(("about_x", "about_z"), [(20.0, 0.0), (20.0, 35.0), (44.0, 44.0), (-30.0, 40.0)])
def test_check_13_the_cursor_of_an_oblique_series_lies_where_its_headers_say(
    tmp_path: Path, about_x: float, about_z: float
) -> None:
    row, column = _cosines(about_x, about_z)
    normal = np.cross(row, column)
    origin = np.array([-31.0, 12.5, 140.25])
    cosines = [f"{x:.12f}" for x in (*row, *column)]
    positions = [tuple(origin + 3.0 * n * normal) for n in range(4)]
    write_series(tmp_path, positions, setting(ImageOrientationPatient=cosines))
    volume = read_volume(tmp_path)
    views = ViewSet(volume, LabelMap.empty(volume.geometry))
    for plane in planes_of(volume.geometry):
        edges = plane.edges
        assert len({edges.left, edges.right, edges.top, edges.bottom}) == 4
    views.go_to((2, 3, 4))
    expected = origin + 3.0 * 2 * normal + 0.8 * 3 * column + 0.7 * 4 * row
    np.testing.assert_allclose(volume.geometry.index_to_lps(views.cursor_kji.value), expected, atol=1e-3)
    assert views.place_text((2, 3, 4)) == "  ".join(f"{n} {x:.1f}" for n, x in zip("LPS", expected, strict=True))


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP", "HFDR", "FFDL"])
def test_check_14_patient_position_is_text_and_changes_no_geometry(tmp_path: Path, position: str) -> None:
    turned = [-1, 0, 0, 0, -1, 0]  # prone in the scanner, as the cosines say
    write_series(tmp_path, axial(0, 5), setting(PatientPosition=position, ImageOrientationPatient=turned))
    entry = scan(tmp_path).series[0]
    assert entry.patient_position == position
    assert entry.to_json()["patient_position"] == position
    np.testing.assert_allclose(entry.geometry.index_to_lps((0, 1, 2)), (-10 - 1.4, -20 - 0.8, 0))
    assert entry.orientation == "".join(nibabel.aff2axcodes(np.diag([1.0, 1, 1, 1])))


def test_check_15_row_spacing_comes_first_in_pixel_spacing(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5))
    geometry = read_volume(tmp_path).geometry
    assert isinstance(geometry, Geometry)
    np.testing.assert_allclose(geometry.spacing_kji_mm, (5.0, 0.8, 0.7))


def test_check_15_anisotropic_pixels_lie_where_pydicoms_values_put_them(shared_data: Path) -> None:
    folder = shared_data / "dicom-small-golden/generic/anatomical/002_non_isotropic"
    geometry = read_volume(folder).geometry
    assert isinstance(geometry, Geometry)
    first = pydicom.dcmread(min(path for path in folder.rglob("*") if path.is_file()), stop_before_pixels=True)
    np.testing.assert_allclose(geometry.spacing_kji_mm[1:], [float(x) for x in first.PixelSpacing], rtol=1e-9)
