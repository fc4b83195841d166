"""Geometry checks 16 to 20: pixel sizes that hold elsewhere or nowhere, impossible orientations and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.errors import ReadError
from segdesk.io import read_volume, scan
from segdesk.io.series import SeriesEntry
from segdesk.ui.models.view_set import ViewSet
from tests.cli.conftest import Run, run
from tests.io.dicom_maker import axial, refusals_of, setting, slice_dataset, write_series
from tests.io.world import load

__all__ = ["run"]

_PIXELS = np.arange(-15, 15, dtype=np.int16).reshape(5, 6)


def _saved(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    ("values", "spacing", "code"),
    [
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": None}, (0.2, 0.1), None),
        ({"PixelSpacing": None, "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "detector_spacing"),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "detector_spacing"),
        ({"PixelSpacing": [0.15, 0.07], "ImagerPixelSpacing": [0.2, 0.1]}, (0.15, 0.07), None),
        ({"PixelSpacing": None}, None, "spacing_unknown"),
    ],
)
def test_check_16_a_film_says_where_its_mm_hold(
    tmp_path: Path, values: dict[str, object], spacing: tuple[float, float] | None, code: str | None
) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.Modality = "DX"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    entry = scan(_saved(dataset, tmp_path / "a.dcm")).series[0]
    codes = {warning.code for warning in entry.warnings} - {"orientation_unknown"}
    assert codes == ({code} if code else set())
    assert (entry.spacing_kji_mm[1:] if entry.spacing_kji_mm else None) == spacing
    assert entry.orientation == "unknown"


def test_check_16_detector_mm_are_divided_by_a_known_magnification(tmp_path: Path) -> None:
    film = slice_dataset(_PIXELS, (0, 0, 0))
    film.Modality, film.ImagerPixelSpacing, film.PixelSpacing = "DX", [0.3, 0.15], None
    film.EstimatedRadiographicMagnificationFactor = 1.5
    entry = scan(_saved(film, tmp_path / "film.dcm")).series[0]
    assert entry.spacing_kji_mm is not None
    assert entry.spacing_kji_mm[1:] == pytest.approx((0.2, 0.1))
    assert "detector_spacing" not in {warning.code for warning in entry.warnings}


def test_check_16_detector_mm_are_labelled_and_never_used_in_3d(tmp_path: Path) -> None:
    film = slice_dataset(_PIXELS, (0, 0, 0))
    film.Modality, film.ImagerPixelSpacing, film.PixelSpacing = "DX", [0.2, 0.1], None
    volume = read_volume(_saved(film, tmp_path / "film.dcm"))
    assert volume.geometry.source == "detector mm"
    write_series(tmp_path / "ct", axial(0, 5), setting(PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.1]))
    assert refusals_of(scan(tmp_path / "ct")) == ["bad_geometry"]


def _ultrasound(regions: Sequence[dict[str, object]], path: Path) -> SeriesEntry:
    dataset = slice_dataset(np.zeros((40, 60)), (0, 0, 0))
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing
    dataset.Modality = "US"
    dataset.SequenceOfUltrasoundRegions = []
    for values in regions:
        region = Dataset()
        plain: dict[str, object] = {
            "RegionSpatialFormat": 1, "RegionDataType": 1, "RegionLocationMinX0": 5, "RegionLocationMinY0": 4,
            "RegionLocationMaxX1": 50, "RegionLocationMaxY1": 39, "PhysicalUnitsXDirection": 3,
            "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": 0.02, "PhysicalDeltaY": 0.03,
        }  # fmt: skip
        for keyword, value in {**plain, **values}.items():
            setattr(region, keyword, value)
        dataset.SequenceOfUltrasoundRegions.append(region)
    return scan(_saved(dataset, path)).series[0]


_TRACE = {"RegionSpatialFormat": 4, "PhysicalUnitsXDirection": 4, "PhysicalDeltaX": 0.009}
_WHOLE = {
    "RegionLocationMinX0": 0, "RegionLocationMinY0": 0, "RegionLocationMaxX1": 59, "RegionLocationMaxY1": 39
}  # fmt: skip


@pytest.mark.parametrize(
    ("regions", "spacing", "code"),
    [
        ([{}], (0.3, 0.2), "region_spacing"),
        ([_WHOLE], (0.3, 0.2), None),
        ([{}, {"RegionLocationMinX0": 20}], (0.3, 0.2), "region_spacing"),
        ([{}, _TRACE], (0.3, 0.2), "region_spacing"),
        ([{}, {"PhysicalDeltaX": 0.04}], None, "spacing_unknown"),
        ([{}, {"PhysicalUnitsYDirection": 4}], None, "spacing_unknown"),
        ([{"PhysicalDeltaY": 0.0}], None, "spacing_unknown"),
        ([{"RegionLocationMaxX1": 61}], None, "spacing_unknown"),
        ([{"RegionLocationMinX0": None}], None, "spacing_unknown"),
        ([_TRACE], None, "spacing_unknown"),
        ([], None, "spacing_unknown"),
    ],
)
def test_check_16_ultrasound_has_mm_only_where_all_regions_have_one_scale(
    tmp_path: Path, regions: list[dict[str, object]], spacing: tuple[float, float] | None, code: str | None
) -> None:
    entry = _ultrasound(regions, tmp_path / "us.dcm")
    assert {warning.code for warning in entry.warnings} - {"orientation_unknown"} == ({code} if code else set())
    assert (None if entry.spacing_kji_mm is None else entry.spacing_kji_mm[1:]) == (
        None if spacing is None else pytest.approx(spacing)
    )
    assert entry.geometry.source == ("none" if spacing is None else "ultrasound region calibration")


def test_check_16_a_real_ultrasound_image_is_calibrated_and_a_resized_one_is_not(shared_data: Path) -> None:
    entry = scan(shared_data / "dicom-codecs/pydicom-data/JPGLosslessP14SV1_1s_1f_8b.dcm").series[0]
    assert entry.spacing_kji_mm is not None
    assert entry.spacing_kji_mm[1:] == pytest.approx((0.25476696592378157,) * 2)
    # Its region ends at column 595, and the image has 320: the calibration is that of the image before it was resized.
    resized = scan(str(get_testdata_file("examples_ybr_color.dcm"))).series[0]
    assert resized.spacing_kji_mm is None


def test_check_17_without_any_size_lengths_are_off_and_nifti_has_both_codes_zero(run: Run, tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.Modality, dataset.PixelSpacing = "DX", None
    path = _saved(dataset, tmp_path / "film.dcm")
    volume = read_volume(path)
    views = ViewSet(volume, LabelMap.empty(volume.geometry))
    assert not views.has_mm
    assert views.place_text((0, 1, 1)) == ""
    done = run("convert", path, tmp_path / "out.nii", "--json")
    assert "spacing_unknown" in {warning["code"] for warning in done.json["warnings"]}
    assert done.json["spacing_kji_mm"] is None
    image = load(tmp_path / "out.nii")
    assert image.shape == (6, 5, 1)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 0)
    assert image.header.get_xyzt_units()[0] == "unknown", "1.0 is no mm"
    np.testing.assert_array_equal(np.asanyarray(image.dataobj)[..., 0].T, _PIXELS)
    assert not read_volume(tmp_path / "out.nii").geometry.orientation_known


def test_check_17_a_placed_slice_without_a_pixel_size_is_pixels_only(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    del dataset.PixelSpacing
    entry = scan(_saved(dataset, tmp_path / "ct.dcm")).series[0]
    assert (entry.kind, entry.spacing_kji_mm, entry.orientation) == ("image2d", None, "unknown")
    assert "spacing_unknown" in {warning.code for warning in entry.warnings}
    np.testing.assert_array_equal(entry.read().array[0], _PIXELS)


def test_check_17_placed_slices_without_a_pixel_size_are_no_volume(tmp_path: Path) -> None:
    for number, z in enumerate((0.0, 5.0, 10.0)):
        dataset = slice_dataset(_PIXELS, (0, 0, z))
        del dataset.PixelSpacing
        _saved(dataset, tmp_path / f"{number}.dcm")
    entry = scan(tmp_path).series[0]
    assert entry.kind == "stack"
    assert entry.refusal is not None
    assert entry.refusal.code == "no_position"


@pytest.mark.parametrize(("tilt", "code"), [(0.9e-4, []), (1.2e-4, ["bad_geometry"]), (0.01, ["bad_geometry"])])
def test_check_18_axes_that_are_not_at_a_right_angle_are_refused(tmp_path: Path, tilt: float, code: list[str]) -> None:
    write_series(tmp_path, axial(0, 5), setting(ImageOrientationPatient=[1, 0, 0, tilt, 1, 0]))
    assert refusals_of(scan(tmp_path)) == code


def test_check_19_nearly_unit_cosines_are_normalised(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5), setting(ImageOrientationPatient=[1.0005, 0, 0, 0, 0.9995, 0]))
    geometry = read_volume(tmp_path).geometry
    assert isinstance(geometry, Geometry)
    np.testing.assert_allclose(geometry.spacing_kji_mm, (5.0, 0.8, 0.7), atol=1e-12)


@pytest.mark.parametrize("cosines", [[1.0011, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0.9985, 0], [0, 0, 0, 0, 1, 0]])
def test_check_19_cosines_far_from_length_one_are_refused(tmp_path: Path, cosines: list[float]) -> None:
    write_series(tmp_path, axial(0, 5), setting(ImageOrientationPatient=cosines))
    assert refusals_of(scan(tmp_path)) == ["bad_geometry"]


@pytest.mark.parametrize(
    "values",
    [
        {"PixelSpacing": [0, 0.7]},
        {"PixelSpacing": [-0.8, 0.7]},
        {"PixelSpacing": [0.8]},
        {"ImagePositionPatient": None},
        {"ImagePositionPatient": [0, 0]},
        {"ImageOrientationPatient": [1, 0, 0]},
        {"ImageOrientationPatient": None},
    ],
)
def test_check_20_empty_or_zero_geometry_is_refused(tmp_path: Path, values: dict[str, object]) -> None:
    write_series(tmp_path, axial(0, 5), setting(**values))
    found = scan(tmp_path)
    assert refusals_of(found) == ["bad_geometry"]
    assert found.series == ()


@pytest.mark.parametrize("word", [b"nan   ", b"inf   ", b"-inf  ", b"1e999 ", b"abcdef"])
@pytest.mark.parametrize("number", [b"-20.25", b"0.8125", b"0.9999"])
def test_check_20_numbers_that_are_none_are_refused(tmp_path: Path, word: bytes, number: bytes) -> None:
    place = {"PixelSpacing": ["0.8125", "0.7"], "ImageOrientationPatient": ["0.9999", "0", "0", "0", "1", "0"]}
    write_series(tmp_path, [(-10, -20.25, 0), (-10, -20.25, 5)], setting(**place))
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert content.count(number) == 1
        path.write_bytes(content.replace(number, word))
    found = scan(tmp_path)
    assert refusals_of(found) == ["bad_geometry"]
    assert found.series == ()


@pytest.mark.parametrize("entry", [np.nan, np.inf, 0.0])
def test_check_20_a_nifti_affine_that_is_none_is_refused(tmp_path: Path, entry: float) -> None:
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header["qform_code"], image.header["srow_y"] = 0, [0.0, entry, 0.0, 0.0]
    path = tmp_path / "a.nii"
    nibabel.save(image, path)
    raw = bytearray(path.read_bytes())
    raw[252:254], raw[296:312] = b"\0\0", np.array([0.0, entry, 0.0, 0.0], "<f4").tobytes()
    path.write_bytes(raw)
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "bad_geometry"


@pytest.mark.parametrize("word", ["nan", "inf", "0"])
def test_check_20_an_nrrd_direction_that_is_none_is_refused(tmp_path: Path, word: str) -> None:
    fields = (
        "type: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nspace: left-posterior-superior\n"
        f"space directions: (1,0,0) (0,{word},0) (0,0,1)\nspace origin: (0,0,0)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n" + fields.encode() + bytes(8))
    with pytest.raises(ReadError):
        read_volume(tmp_path / "a.nrrd")
