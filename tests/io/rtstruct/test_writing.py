"""What we write, read with raw pydicom and filled by scikit-image in the image plane of DICOM's equation."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from skimage.measure import points_in_poly

from segdesk.core.geometry import Geometry, Grid
from segdesk.core.labels import Code, Concept, Label, LabelMap, LabelTable
from segdesk.core.provenance import Origin, OriginKind
from segdesk.errors import GeometryMismatch, ReadError, WriteError
from segdesk.io import read_labels, scan, write_volume
from segdesk.io import read_volume as read_image
from segdesk.io.rtstruct import writing
from segdesk.io.rtstruct.dataset import decimal_string
from segdesk.io.rtstruct.writing import write_rtstruct
from tests.io.dicom_maker import FRAME_OF_REFERENCE, SERIES, STUDY, enhanced
from tests.io.rtstruct.structure_sets import ALL_PLANES, Planes, axial, oblique

_IRREGULAR = Planes((1, 0, 0, 0, 1, 0), (0.8, 0.7), tuple((-10.0, -20.0, z) for z in (0.0, 5.0, 11.0, 15.0, 20.0)))
_PLANES: dict[str, Callable[[], Planes]] = {**ALL_PLANES, "irregular": lambda: _IRREGULAR, "one": lambda: axial(1)}


def _shapes(shape_kji: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A ring with an island, scattered voxels, regions on the border, one voxel, a full slice."""
    array = np.zeros(shape_kji, np.uint8)
    array[0, 3:15, 4:20] = 1
    array[0, 6:12, 8:15] = 0
    array[0, 8, 10] = 1
    array[-1, 18:, 22:] = 2
    array[-1, 0, :5] = 2
    array[-1, 5, 5] = 3
    noise = np.random.default_rng(5).random(shape_kji[1:]) < 0.6
    array[shape_kji[0] // 2][noise] = 4
    return array


def _labels(grid: Grid) -> LabelMap:
    names = ("ring", "edge", "one voxel", "Größe, noise")
    table = LabelTable([*(Label(n, name, (n, 2 * n, 255 - n)) for n, name in enumerate(names, 1))])
    return LabelMap((_shapes(grid.shape_kji),), grid, table)


def _image_plane(dataset: pydicom.Dataset, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Patient mm to (row, column) of one image, by its own header."""
    orientation = np.array(dataset.ImageOrientationPatient, float)
    position = np.array(dataset.ImagePositionPatient, float)
    spacing = np.array(dataset.PixelSpacing, float)
    offset = points - position
    normal = np.cross(orientation[:3], orientation[3:])
    assert np.abs(offset @ normal).max() < 1e-3
    return np.column_stack([offset @ orientation[3:] / spacing[0], offset @ orientation[:3] / spacing[1]])


def _filled_by_scikit_image(path: Path, folder: Path) -> dict[tuple[int, str], NDArray[np.bool_]]:
    """Masks by region number and image; contours of a region on an image are added up."""
    images = {dataset.SOPInstanceUID: dataset for dataset in map(pydicom.dcmread, folder.glob("*.dcm"))}
    masks: dict[tuple[int, str], NDArray[np.bool_]] = {}
    for item in pydicom.dcmread(path).ROIContourSequence:
        for contour in item.get("ContourSequence", ()):
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
            image = images[uid]
            polygon = _image_plane(image, np.array(contour.ContourData, float).reshape(-1, 3))
            assert len(polygon) == contour.NumberOfContourPoints
            shape = (image.Rows, image.Columns)
            centres = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).reshape(-1, 2)
            inside = points_in_poly(centres, polygon).reshape(shape)
            key = (int(item.ReferencedROINumber), str(uid))
            masks[key] = masks.get(key, np.zeros(shape, np.bool_)) | inside
    return masks


@pytest.mark.parametrize("name", _PLANES)
def test_every_voxel_is_found_by_other_code_on_the_image_it_belongs_to(tmp_path: Path, name: str) -> None:
    planes = _PLANES[name]()
    planes.write(tmp_path / "image")
    entry = scan(tmp_path / "image").series[0]
    labels = _labels(entry.geometry)
    write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path / "image")
    found = _filled_by_scikit_image(tmp_path / "RS.dcm", tmp_path / "image")
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in entry.paths]
    expected = {
        (value, uids[k]): labels.array[k] == value
        for k in range(len(uids))
        for value in np.unique(labels.array[k]).tolist()
        if value
    }
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", _PLANES)
def test_reading_it_back_gives_the_mask(tmp_path: Path, name: str) -> None:
    _PLANES[name]().write(tmp_path)
    labels = _labels(scan(tmp_path).series[0].geometry)
    write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path)
    back = read_labels(tmp_path / "RS.dcm")
    assert np.array_equal(back.array, labels.array)
    assert back.table == labels.table
    assert back.geometry.matches(labels.geometry)


def test_patient_study_frame_and_images_are_those_of_the_series(tmp_path: Path) -> None:
    dataset, _ = _written(tmp_path)
    assert (dataset.PatientID, str(dataset.PatientName), dataset.StudyInstanceUID) == (
        "secret-id",
        "Secret^Name",
        STUDY,
    )
    assert (dataset.Modality, dataset.FrameOfReferenceUID) == ("RTSTRUCT", FRAME_OF_REFERENCE)
    assert dataset.SeriesInstanceUID != SERIES
    (frame,) = dataset.ReferencedFrameOfReferenceSequence
    (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    assert (frame.FrameOfReferenceUID, series.SeriesInstanceUID) == (FRAME_OF_REFERENCE, SERIES)
    images = {dataset.SOPInstanceUID for dataset in map(pydicom.dcmread, (tmp_path / "image").glob("*.dcm"))}
    assert {item.ReferencedSOPInstanceUID for item in series.ContourImageSequence} == images
    assert dataset.ApprovalStatus == "UNAPPROVED"


def test_regions_carry_number_name_colour_code_and_how_they_were_made(tmp_path: Path) -> None:
    dataset, _ = _written(tmp_path, OriginKind.MODEL)
    named = [(int(roi.ROINumber), roi.ROIName, roi.ROIGenerationAlgorithm) for roi in dataset.StructureSetROISequence]
    assert named == [(1, "Leber – ä", "AUTOMATIC"), (700, "empty", "AUTOMATIC")]
    assert [list(map(int, item.ROIDisplayColor)) for item in dataset.ROIContourSequence] == [[1, 2, 3], [4, 5, 6]]
    assert "ContourSequence" not in dataset.ROIContourSequence[1]
    code = dataset.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("10200004", "SCT", "Liver")


def test_a_mask_of_unknown_origin_claims_no_method(tmp_path: Path) -> None:
    dataset, _ = _written(tmp_path, OriginKind.CONSENSUS)
    assert dataset.StructureSetROISequence[0].ROIGenerationAlgorithm in (None, "")


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    _, path = _written(tmp_path)
    report = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert "RTStructureSet" in report
    assert [line for line in report.splitlines() if line.startswith("Error")] == []


def test_overlapping_labels_are_written_as_overlapping_regions(tmp_path: Path) -> None:
    axial().write(tmp_path)
    grid = scan(tmp_path).series[0].geometry
    one, two = np.zeros(grid.shape_kji, np.uint8), np.zeros(grid.shape_kji, np.uint8)
    one[1, 2:9, 2:9], two[1, 5:14, 5:14] = 1, 2
    write_rtstruct(LabelMap((one, two), grid, LabelTable.for_values((1, 2))), tmp_path / "RS.dcm", tmp_path)
    back = read_labels(tmp_path / "RS.dcm")
    assert np.array_equal(np.stack(back.layers), np.stack([one, two]))


def test_frames_of_a_multi_frame_image_are_named_by_number(tmp_path: Path) -> None:
    positions = [(-10.0, -20.0, z) for z in (10.0, 0.0, 5.0)]
    enhanced(positions, np.zeros((3, 5, 6), np.int16)).save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    grid = scan(tmp_path / "ct.dcm").series[0].geometry
    array = np.zeros(grid.shape_kji, np.uint8)
    array[0, 1:3, 1:3] = 1  # the lowest slice: the second frame of the file
    write_rtstruct(LabelMap.of(array, grid), tmp_path / "RS.dcm", tmp_path / "ct.dcm")
    dataset = pydicom.dcmread(tmp_path / "RS.dcm")
    image = dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    assert image.ReferencedFrameNumber == 2
    series = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert len(series.ContourImageSequence) == 1


def test_a_contour_longer_than_64_kilobytes_is_written_whole(tmp_path: Path) -> None:
    planes = Planes((1, 0, 0, 0, 1, 0), (0.123457, 0.123457), ((-10.1234567, -20.7654321, 30.0),), (120, 120))
    planes.write(tmp_path)
    grid = scan(tmp_path).series[0].geometry
    array = np.zeros(grid.shape_kji, np.uint8)
    array[0, ::2] = array[0, :, 0] = 1
    array[0, 1::2, ::3] = 1
    write_rtstruct(LabelMap.of(array, grid), tmp_path / "RS.dcm", tmp_path)
    longest = max(
        len("\\".join(map(str, contour.ContourData)))
        for contour in pydicom.dcmread(tmp_path / "RS.dcm").ROIContourSequence[0].ContourSequence
    )
    assert longest > 1 << 16
    assert np.array_equal(read_labels(tmp_path / "RS.dcm").array, array)


@pytest.mark.parametrize("scale", [1e-9, 1e-5, 1.0, 123.456, 98765.4321, 1e9])
def test_coordinates_take_sixteen_characters_and_lose_nothing_that_matters(scale: float) -> None:
    points = np.random.default_rng(3).normal(0, scale, (50, 3))
    text = decimal_string(points)
    assert len(text) % 2 == 0
    parts = text.decode("ascii").strip().split("\\")
    assert max(map(len, parts)) <= 16
    assert np.abs(np.array(parts, float) - points.ravel()).max() <= 1e-9 * max(scale, 1.0)


@pytest.mark.parametrize("name", ["", "  ", "a\\b", "line\nbreak", "x" * 65])
def test_a_name_that_dicom_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    axial().write(tmp_path)
    grid = scan(tmp_path).series[0].geometry
    with pytest.raises(WriteError, match="label 3"):
        write_rtstruct(LabelMap.empty(grid, LabelTable([Label(3, name, (1, 2, 3))])), tmp_path / "RS.dcm", tmp_path)
    assert not (tmp_path / "RS.dcm").exists()


def test_a_mask_without_labels_is_refused(tmp_path: Path) -> None:
    axial().write(tmp_path)
    with pytest.raises(WriteError, match="at least one label"):
        write_rtstruct(LabelMap.empty(scan(tmp_path).series[0].geometry), tmp_path / "RS.dcm", tmp_path)


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    axial().write(tmp_path)
    labels = LabelMap.empty(Geometry.from_spacing((5, 24, 30)), LabelTable.for_values([1]))
    with pytest.raises(GeometryMismatch):
        write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path)


def test_an_image_that_is_no_dicom_series_is_refused(tmp_path: Path) -> None:
    axial().write(tmp_path / "image")
    volume = read_image(tmp_path / "image")
    write_volume(volume, tmp_path / "image.nii.gz")
    labels = LabelMap.empty(volume.geometry, LabelTable.for_values([1]))
    with pytest.raises(ReadError) as caught:
        write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path / "image.nii.gz")
    assert caught.value.code == "no_reference"


def _without(keyword: str, folder: Path) -> None:
    axial().write(folder)
    for path in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        delattr(dataset, keyword)
        dataset.save_as(path)


def test_a_series_without_a_frame_of_reference_gets_one_of_its_own(tmp_path: Path) -> None:
    _without("FrameOfReferenceUID", tmp_path / "image")
    labels = _labels(scan(tmp_path / "image").series[0].geometry)
    for name in ("one.dcm", "two.dcm"):
        write_rtstruct(labels, tmp_path / name, tmp_path / "image")
    one, two = (pydicom.dcmread(tmp_path / name) for name in ("one.dcm", "two.dcm"))
    assert (
        one.FrameOfReferenceUID
        == two.FrameOfReferenceUID
        == one.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    )
    assert one.FrameOfReferenceUID.is_valid
    back = read_labels(tmp_path / "one.dcm", reference=tmp_path / "image")
    assert np.array_equal(back.array, labels.array)
    assert back.warnings == ()


def test_a_series_that_cannot_be_referred_to_is_refused(tmp_path: Path) -> None:
    _without("StudyInstanceUID", tmp_path)
    grid = scan(tmp_path).series[0].geometry
    with pytest.raises(WriteError, match="StudyInstanceUID"):
        write_rtstruct(LabelMap.empty(grid, LabelTable.for_values([1])), tmp_path / "RS.dcm", tmp_path)


def test_a_file_that_is_there_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    axial().write(tmp_path / "image")
    (tmp_path / "RS.dcm").write_text("precious")
    labels = _labels(scan(tmp_path / "image").series[0].geometry)
    with pytest.raises(WriteError) as caught:
        write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path / "image")
    assert caught.value.code == "exists"
    write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path / "image", overwrite=True)
    assert read_labels(tmp_path / "RS.dcm", reference=tmp_path / "image").values() == (1, 2, 3, 4)


def test_what_reads_back_differently_never_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oblique().write(tmp_path)
    labels = _labels(scan(tmp_path).series[0].geometry)
    monkeypatch.setattr(writing, "outlines", lambda mask: [])
    with pytest.raises(WriteError) as caught:
        write_rtstruct(labels, tmp_path / "RS.dcm", tmp_path)
    assert caught.value.code == "verify_failed"
    assert not (tmp_path / "RS.dcm").exists()


def _written(tmp_path: Path, kind: OriginKind = OriginKind.HUMAN) -> tuple[FileDataset, Path]:
    axial().write(tmp_path / "image")
    grid = scan(tmp_path / "image").series[0].geometry
    liver = Concept(Code("10200004", "SCT", "Liver"))
    table = LabelTable([Label(1, "Leber – ä", (1, 2, 3), liver), Label(700, "empty", (4, 5, 6))])
    array = np.zeros(grid.shape_kji, np.uint16)
    array[1:4, 3:9, 4:12] = 1
    array[2, 5, 6] = 0
    write_rtstruct(LabelMap((array,), grid, table, Origin(kind)), tmp_path / "RS.dcm", tmp_path / "image")
    return pydicom.dcmread(tmp_path / "RS.dcm"), tmp_path / "RS.dcm"
