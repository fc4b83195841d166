"""Defects that other programs had or have, named in the geometry guarantee: not here."""

from __future__ import annotations

from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pytest
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import FileDataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from segdesk.core.geometry import Geometry
from segdesk.core.resample import resample_labels
from segdesk.errors import GeometryMismatch
from segdesk.io import read_labels, read_volume, require_same_grid
from tests.io.dicom_maker import axial, enhanced, setting, slice_dataset, write_series

_SQUARE_HIDES_IT = [0.5, 1.25]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_known_defect_a_negative_spacing_between_slices_flips_nothing(tmp_path: Path, count: int) -> None:
    """SimpleITK 2214, ITK 4794."""
    pixels = write_series(tmp_path, axial(*(5.0 * n for n in range(count))), setting(SpacingBetweenSlices=-5.0))
    volume = read_volume(tmp_path)
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_array_equal(volume.array, pixels)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, 0], (0, 0, 5))


def test_known_defect_a_negative_spacing_of_a_multiframe_flips_nothing(tmp_path: Path) -> None:
    pixels = np.arange(90, dtype=np.int16).reshape(3, 5, 6)
    dataset = enhanced(axial(0, 5, 10), pixels)
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = -5.0
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "a.dcm")
    np.testing.assert_allclose(volume.geometry.index_to_lps((2, 0, 0)), (-10, -20, 10))


def _source_images(cosines: list[float], spacing: list[float]) -> list[FileDataset]:
    """Slices complete enough for highdicom, stepping along their normal."""
    normal = np.cross(cosines[:3], cosines[3:])
    images = []
    for n in range(3):
        dataset = slice_dataset(np.zeros((5, 6)), np.array([-10.0, -20.0, 4.0]) + 3.0 * n * normal, n + 1)
        dataset.ImageOrientationPatient, dataset.PixelSpacing = cosines, spacing
        dataset.SliceThickness, dataset.PatientBirthDate, dataset.PatientSex = 3.0, "", ""
        dataset.AccessionNumber, dataset.StudyID, dataset.StudyDate, dataset.StudyTime = "", "1", "20200101", "101010"
        dataset.ReferringPhysicianName, dataset.Manufacturer, dataset.SeriesNumber = "", "x", 1
        dataset.PositionReferenceIndicator = ""
        images.append(dataset)
    return images


def _segmentation(images: list[FileDataset], mask: np.ndarray, path: Path) -> Path:
    description = SegmentDescription(
        1, "Organ", codes.SCT.Organ, codes.SCT.Organ, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    )
    segmentation = Segmentation(
        images, mask, highdicom.seg.SegmentationTypeValues.BINARY, [description], generate_uid(), 2, generate_uid(), 1,
        "x", "x", "1", "1", omit_empty_frames=False,
    )  # fmt: skip
    segmentation.save_as(path)
    return path


@pytest.mark.parametrize(
    "cosines",
    [[1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, -1, 0], [-1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [0, -1, 0, 0, 0, -1]],
)
def test_known_defect_a_segmentation_of_a_negated_orientation_is_not_mirrored(
    tmp_path: Path, cosines: list[float]
) -> None:
    """OHIF 3420, and dcmqi 473: rows and columns swapped, hidden by square pixels."""
    images = _source_images(cosines, _SQUARE_HIDES_IT)
    (tmp_path / "image").mkdir()
    for n, image in enumerate(images):
        image.save_as(tmp_path / "image" / f"{n}.dcm", enforce_file_format=True)
    mask = np.zeros((3, 5, 6), np.uint8)
    mask[2, 1, 4] = 1
    labels = read_labels(_segmentation(images, mask, tmp_path / "seg.dcm"))
    normal = np.cross(cosines[:3], cosines[3:])
    marked = (
        np.array([-10.0, -20.0, 4.0]) + 6.0 * normal + 4 * 1.25 * np.array(cosines[:3]) + 0.5 * np.array(cosines[3:])
    )
    (found,) = np.argwhere(labels.array)
    np.testing.assert_allclose(labels.geometry.index_to_lps(found), marked, atol=1e-3)
    require_same_grid(labels.geometry, read_volume(tmp_path / "image").geometry)


def test_known_defect_rows_and_columns_of_unequal_pixels_are_not_swapped(tmp_path: Path) -> None:
    """dcmqi 473, on images."""
    write_series(tmp_path, axial(0, 5), setting(PixelSpacing=_SQUARE_HIDES_IT))
    volume = read_volume(tmp_path)
    np.testing.assert_allclose(volume.geometry.index_to_lps((0, 1, 2)), (-10 + 2 * 1.25, -20 + 0.5, 0))


@pytest.mark.parametrize("first_is_signed", [0, 1])
def test_known_defect_the_pixel_type_is_not_taken_from_the_first_slice(tmp_path: Path, first_is_signed: int) -> None:
    """SimpleITK 1636."""
    stored = np.full((5, 6), 0x9C40, np.uint16)

    def alternate(dataset: FileDataset, n: int) -> None:
        dataset.PixelRepresentation = first_is_signed if n == 0 else 1 - first_is_signed
        dataset.PixelData = stored.tobytes()

    write_series(tmp_path, axial(0, 5, 10), alternate)
    values = {0: 40000, 1: 40000 - 65536}
    expected = [values[first_is_signed], values[1 - first_is_signed], values[1 - first_is_signed]]
    assert [int(part[0, 0]) for part in read_volume(tmp_path).array] == expected


def test_known_defect_a_float_slope_of_a_later_slice_is_not_cut_to_the_first_ones_type(tmp_path: Path) -> None:
    """SimpleITK 1636, dcm2niix 978."""
    pixels = write_series(tmp_path, axial(0, 5), lambda dataset, n: setattr(dataset, "RescaleSlope", (1, 0.25)[n]))
    np.testing.assert_array_equal(read_volume(tmp_path).array, pixels * np.array([1, 0.25])[:, None, None])


def test_known_defect_a_multiframe_without_slice_spacing_has_that_of_its_positions(tmp_path: Path) -> None:
    """Slicer 6773 and 7496: 1.0 mm."""
    dataset = enhanced(axial(0, 2.5, 5), np.zeros((3, 5, 6), np.int16))
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    geometry = read_volume(tmp_path / "a.dcm").geometry
    assert isinstance(geometry, Geometry)
    assert geometry.spacing_kji_mm == pytest.approx((2.5, 0.8, 0.7))


def test_known_defect_a_mask_is_drawn_by_its_own_header(tmp_path: Path) -> None:
    """ITK-SNAP 87 and 171: drawn in the main image's orientation."""
    write_series(tmp_path / "image", axial(0, 5, 10))
    image = read_volume(tmp_path / "image")
    assert isinstance(image.geometry, Geometry)
    array = np.zeros((6, 5, 3), np.uint8)
    array[4, 1, 2] = 1
    stored_right_to_left = np.array([[0.7, 0, 0, 10 - 3.5], [0, -0.8, 0, 20], [0, 0, 5, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(array, stored_right_to_left), tmp_path / "mask.nii.gz")
    mask = read_labels(tmp_path / "mask.nii.gz")
    assert mask.array.shape == image.array.shape
    with pytest.raises(GeometryMismatch):
        require_same_grid(mask.geometry, image.geometry)
    assert [tuple(index) for index in np.argwhere(resample_labels(mask, image.geometry).array)] == [(2, 1, 1)]
