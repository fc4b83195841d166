"""Geometry checks 49 to 52: mask against image, exports read by others, where mm came from, precision."""

from __future__ import annotations

from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import FileDataset
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.resample import resample_labels
from segdesk.errors import GeometryMismatch
from segdesk.io import read_labels, read_volume, require_same_grid, scan, write_labels, write_volume
from segdesk.metrics import evaluate
from segdesk.review import agreement, consensus
from segdesk.store.project import Project
from segdesk.store.records import MaskRole
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.status_bar import StatusBar
from segdesk.ui.theme import Theme
from tests.cli.conftest import Run, run
from tests.io.dicom_maker import axial, slice_dataset, write_series
from tests.io.world import LPS_FROM_RAS, load, lps_affine

__all__ = ["run"]

_SERIES_RAS = np.array([[-0.7, 0, 0, 10], [0, -0.8, 0, 20], [0, 0, 5, 0], [0, 0, 0, 1.0]])
"""Affine of `write_series` at `axial(0, 5, 10)`, (i, j, k) in."""


def _mask_file(path: Path, affine_ras: np.ndarray, marked_ijk: tuple[int, int, int] = (4, 1, 2)) -> Path:
    """A mask of the series' shape with one voxel."""
    array = np.zeros((6, 5, 3), np.uint8)
    array[marked_ijk] = 1
    nibabel.save(nibabel.Nifti1Image(array, affine_ras), path)
    return path


def test_check_49_same_shape_elsewhere_is_not_the_same_grid() -> None:
    one = Geometry.from_spacing((4, 5, 6))
    shifted = one.affine_kji_to_lps.copy()
    shifted[2, 3] = 0.01
    with pytest.raises(GeometryMismatch, match="elsewhere"):
        require_same_grid(Geometry((4, 5, 6), shifted), one)
    with pytest.raises(GeometryMismatch, match="grid"):
        require_same_grid(Geometry.from_spacing((4, 5, 7)), one)
    shifted[2, 3] = 0.0009
    require_same_grid(Geometry((4, 5, 6), shifted), one)


@pytest.mark.parametrize("shift_mm", [0.002, 0.7, 40.0])
def test_check_49_a_shifted_mask_is_laid_over_by_nobody(tmp_path: Path, shift_mm: float) -> None:
    write_series(tmp_path / "image", axial(0, 5, 10))
    image = read_volume(tmp_path / "image")
    right = read_labels(_mask_file(tmp_path / "right.nii.gz", _SERIES_RAS))
    moved = _SERIES_RAS.copy()
    moved[0, 3] += shift_mm
    wrong = read_labels(_mask_file(tmp_path / "wrong.nii.gz", moved))
    require_same_grid(right.geometry, image.geometry)
    with pytest.raises(GeometryMismatch):
        require_same_grid(wrong.geometry, image.geometry)
    with pytest.raises(GeometryMismatch):
        evaluate(wrong, right)
    with pytest.raises(GeometryMismatch):
        consensus([right, wrong])
    with pytest.raises(GeometryMismatch):
        agreement([right, wrong])
    project = Project.create(tmp_path / "project", "p")
    try:
        case = project.add_case("c", {"image": tmp_path / "image"})
        with pytest.raises(GeometryMismatch):
            project.masks.save(wrong, case.id, MaskRole.REFERENCE)
    finally:
        project.close()


def test_check_49_resampling_puts_a_mask_where_its_own_header_says(tmp_path: Path) -> None:
    write_series(tmp_path / "image", axial(0, 5, 10))
    image = read_volume(tmp_path / "image")
    assert isinstance(image.geometry, Geometry)
    flipped = _SERIES_RAS @ np.array([[-1.0, 0, 0, 5], [0, 1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]])
    mask = read_labels(_mask_file(tmp_path / "mask.nii.gz", flipped, (4, 1, 2)))
    ours = resample_labels(mask, image.geometry)
    assert [tuple(index) for index in np.argwhere(ours.array)] == [(0, 1, 1)]


def test_check_49_the_command_line_refuses_and_offers_resampling(run: Run, tmp_path: Path) -> None:
    moved = _SERIES_RAS.copy()
    moved[0, 3] += 0.7
    one, other = _mask_file(tmp_path / "a.nii.gz", _SERIES_RAS), _mask_file(tmp_path / "b.nii.gz", moved)
    refused = run("evaluate", one, other, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (2, "geometry_mismatch")
    assert "resample" in refused.err
    done = run("evaluate", one, other, "--resample", "--json")
    assert done.code == 0, done.err
    assert "resampled" in {warning["code"] for warning in done.json["warnings"]}


def _tilted(folder: Path) -> np.ndarray:
    return write_series(folder, [(3, n, 5 * n) for n in range(4)])


def _negated(folder: Path) -> np.ndarray:
    def turn(dataset: FileDataset, n: int) -> None:
        dataset.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]

    return write_series(folder, axial(0, 5, 10), turn)


@pytest.mark.parametrize("make", [_tilted, _negated])
def test_check_50_exports_are_identical_in_nibabel_and_simpleitk(tmp_path: Path, make: object) -> None:
    assert callable(make)
    pixels = make(tmp_path / "series")
    volume = read_volume(tmp_path / "series")
    assert isinstance(volume.geometry, Geometry)
    marked = np.zeros(volume.geometry.shape_kji, np.uint8)
    marked[1, 2, 3] = 1
    write_volume(volume, tmp_path / "image.nii.gz")
    write_labels(LabelMap.of(marked, volume.geometry), tmp_path / "mask.nii.gz")
    for name, expected in (("image.nii.gz", pixels), ("mask.nii.gz", marked)):
        theirs = load(tmp_path / name)
        np.testing.assert_array_equal(np.asanyarray(theirs.dataobj).T, expected)
        there = LPS_FROM_RAS @ theirs.affine @ [3, 2, 1, 1]
        np.testing.assert_allclose(there[:3], volume.geometry.index_to_lps((1, 2, 3)), atol=0.01)
    if volume.geometry.is_sheared:
        return
    for name in ("image.nii.gz", "image.nrrd", "image.mha"):
        write_volume(volume, tmp_path / name, overwrite=True)
        image = SimpleITK.ReadImage(str(tmp_path / name))
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), pixels)
        there = image.TransformIndexToPhysicalPoint((3, 2, 1))
        np.testing.assert_allclose(there, volume.geometry.index_to_lps((1, 2, 3)), atol=0.01)


@pytest.mark.parametrize("make", [_tilted, _negated])
def test_check_50_a_dicom_segmentation_is_identical_in_highdicom(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "series")
    grid = read_volume(tmp_path / "series").geometry
    marked = np.zeros(grid.shape_kji, np.uint8)
    marked[1, 2, 3] = marked[2, 4, 0] = 1
    write_labels(LabelMap.of(marked, grid), tmp_path / "mask.dcm", reference=tmp_path / "series")
    theirs = highdicom.seg.segread(tmp_path / "mask.dcm")
    frames = np.atleast_3d(theirs.pixel_array.T).T
    groups = theirs.PerFrameFunctionalGroupsSequence
    assert len(frames) == len(groups)
    found = []
    for frame, group in zip(frames, groups, strict=True):
        corner = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        k = int(np.argmin([np.linalg.norm(grid.index_to_lps((n, 0, 0)) - corner) for n in range(grid.shape_kji[0])]))
        np.testing.assert_allclose(corner, grid.index_to_lps((k, 0, 0)), atol=0.01)
        found += [(k, int(j), int(i)) for j, i in np.argwhere(frame)]
    assert sorted(found) == [(1, 2, 3), (2, 4, 0)]


def test_check_51_every_series_and_export_says_where_its_geometry_came_from(run: Run, tmp_path: Path) -> None:
    write_series(tmp_path / "series", axial(0, 5, 10))
    assert scan(tmp_path / "series").series[0].to_json()["geometry_source"] == "DICOM positions"
    assert "geometry from DICOM positions" in run("info", tmp_path / "series").out
    volume = read_volume(tmp_path / "series")
    for name in ("a.nii.gz", "a.nrrd", "a.mha"):
        write_volume(volume, tmp_path / name)
    assert load(tmp_path / "a.nii.gz").header["descrip"].item() == b"segdesk: geometry from DICOM positions"
    nrrd = SimpleITK.ReadImage(str(tmp_path / "a.nrrd"))
    assert nrrd.GetMetaData("segdesk_geometry_source") == "DICOM positions"
    assert b"GeometrySource = DICOM positions" in (tmp_path / "a.mha").read_bytes()[:1000]
    labels = LabelMap.empty(volume.geometry)
    for name in ("m.nii.gz", "m.seg.nrrd"):
        write_labels(labels, tmp_path / name)
    assert b"DICOM positions" in load(tmp_path / "m.nii.gz").header["descrip"].item()
    masks = SimpleITK.ReadImage(str(tmp_path / "m.seg.nrrd"))
    assert masks.GetMetaData("segdesk_geometry_source") == "DICOM positions"


def test_check_51_scores_in_mm_say_where_the_mm_came_from(run: Run, tmp_path: Path) -> None:
    one, other = (_mask_file(tmp_path / name, _SERIES_RAS) for name in ("a.nii.gz", "b.nii.gz"))
    assert run("evaluate", one, other, "--json").json["geometry_source"] == "NIfTI sform"


def test_check_51_the_window_says_where_its_mm_came_from(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> None:
    write_series(tmp_path / "series", axial(0, 5, 10))
    volume = read_volume(tmp_path / "series")
    bar = StatusBar(Jobs(), Theme(qapp))
    qtbot.addWidget(bar)
    bar.show_voxel(ViewSet(volume, LabelMap.empty(volume.geometry)), (1, 2, 3))
    assert bar.place.text().endswith("mm")
    assert bar.place.toolTip() == "Geometry from DICOM positions"


def test_check_52_full_precision_positions_keep_the_far_corner(tmp_path: Path) -> None:
    step = 0.33333333333333
    write_series(tmp_path, axial(*(n * step for n in range(9))))
    geometry = read_volume(tmp_path).geometry
    np.testing.assert_allclose(geometry.index_to_lps((8, 0, 0)), (-10, -20, 8 * step), atol=1e-9)


def test_check_52_sixteen_characters_of_cosine_lose_no_tenth_of_a_micron_at_the_far_corner(tmp_path: Path) -> None:
    angle = np.deg2rad(17.3)
    row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    spacing = 0.976562
    for n in range(2):
        dataset = slice_dataset(np.zeros((512, 512)), (0, 0, 0), n + 1)
        dataset.ImageOrientationPatient = [f"{x:.13f}"[:16] for x in (*row, *column)]
        dataset.ImagePositionPatient = ["-123.45678901234", "234.56789012345", f"{-345.678901234 + n * 0.625:.9f}"]
        dataset.PixelSpacing = [str(spacing), str(spacing)]
        dataset.save_as(tmp_path / f"{n}.dcm", enforce_file_format=True)
    geometry = read_volume(tmp_path).geometry
    corner = np.array([-123.45678901234, 234.56789012345, -345.678901234 + 0.625]) + 511 * spacing * (row + column)
    np.testing.assert_allclose(geometry.index_to_lps((1, 511, 511)), corner, atol=1e-4)
    assert lps_affine_error_mm(geometry, tmp_path / "out.nii.gz") <= 1e-3


def lps_affine_error_mm(geometry: object, path: Path) -> float:
    """How far the far corner moves in a NIfTI, whose affine is float32."""
    assert isinstance(geometry, Geometry)
    write_labels(LabelMap.empty(geometry), path)
    last = np.array([*geometry.shape_kji, 1]) - [1, 1, 1, 0]
    there = lps_affine(load(path)) @ last
    return float(np.linalg.norm(there[:3] - geometry.index_to_lps(last[:3])))
