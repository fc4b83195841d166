"""Geometry checks 42 to 48: which form of a NIfTI counts, units, scales, and files without sides."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.reslice import planes_of
from segdesk.io import read_volume
from tests.io.nifti_maker import AFFINE_RAS, ARRAY_IJK, nifti_image, saved, warning_codes
from tests.io.world import LPS_FROM_RAS, load, lps_affine


def test_check_42_the_qform_counts_when_there_is_no_sform(tmp_path: Path) -> None:
    image = nifti_image()
    image.set_sform(None, 0)
    image.set_qform(AFFINE_RAS, 1)
    volume = read_volume(saved(image, tmp_path))
    assert volume.geometry.source == "NIfTI qform"
    np.testing.assert_allclose(volume.geometry.index_to_lps((3, 2, 1)), (-2, -6, 12), atol=1e-6)


def test_check_42_without_forms_left_and_right_are_unknown(tmp_path: Path) -> None:
    image = nifti_image()
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    volume = read_volume(saved(image, tmp_path))
    assert isinstance(volume.geometry, Geometry)
    assert volume.geometry.orientation == "unknown"
    assert warning_codes(volume) == {"orientation_unknown"}
    np.testing.assert_allclose(volume.geometry.spacing_kji_mm, (4, 3, 2))


def test_check_43_the_sform_wins_over_the_qform_with_a_warning(tmp_path: Path) -> None:
    image = nifti_image()
    other = AFFINE_RAS.copy()
    other[0, 3] = 5.0
    image.set_sform(AFFINE_RAS, 1)
    image.set_qform(other, 1)
    volume = read_volume(saved(image, tmp_path))
    assert warning_codes(volume) == {"sform_qform_differ"}
    assert volume.geometry.source == "NIfTI sform"
    np.testing.assert_allclose(volume.geometry.index_to_lps((0, 0, 0)), 0, atol=1e-6)


def test_check_45_an_sform_scale_against_pixdim_is_told(tmp_path: Path) -> None:
    image = nifti_image()
    image.set_sform(AFFINE_RAS, 1)
    image.header["qform_code"] = 0
    image.header["pixdim"][1:4] = 1
    volume = read_volume(saved(image, tmp_path))
    assert warning_codes(volume) == {"sform_pixdim_differ"}
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.spacing_kji_mm, (4, 3, 2))


def test_check_46_a_negative_qfac_mirrors_the_third_axis(tmp_path: Path) -> None:
    image = nifti_image()
    flipped = AFFINE_RAS @ np.diag([1, 1, -1, 1])
    image.set_sform(None, 0)
    image.set_qform(flipped, 1)
    assert image.header["pixdim"][0] == -1
    volume = read_volume(saved(image, tmp_path))
    np.testing.assert_allclose(volume.geometry.index_to_lps((1, 0, 0)), (0, 0, -4), atol=1e-6)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("mm", 1.0), ("micron", 1e-3), ("unknown", 1.0)])
def test_check_46_lengths_come_out_in_mm(tmp_path: Path, unit: str, factor: float) -> None:
    image = nifti_image()
    image.header.set_xyzt_units(unit, "sec")
    geometry = read_volume(saved(image, tmp_path)).geometry
    assert isinstance(geometry, Geometry)
    np.testing.assert_allclose(geometry.spacing_kji_mm, np.array([4, 3, 2]) * factor)


@pytest.mark.parametrize("slope", [0.0, np.nan, 1.0])
def test_check_47_no_scale_keeps_the_integers(tmp_path: Path, slope: float) -> None:
    path = saved(nifti_image(), tmp_path)
    raw = bytearray(path.read_bytes())
    raw[112:116] = np.float32(slope).tobytes()
    raw[116:120] = np.float32(np.nan if np.isnan(slope) else 0).tobytes()
    path.write_bytes(raw)
    volume = read_volume(path)
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, ARRAY_IJK.T)


def test_check_47_axes_of_length_one_are_dropped(tmp_path: Path) -> None:
    volume = read_volume(saved(nifti_image(ARRAY_IJK[..., None, None]), tmp_path))
    assert volume.array.shape == (4, 3, 2)
    assert warning_codes(volume) == {"axis_dropped"}


def test_check_48_analyze_is_read_without_sides(tmp_path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(ARRAY_IJK, AFFINE_RAS), tmp_path / "a.img")
    volume = read_volume(tmp_path / "a.hdr")
    np.testing.assert_array_equal(volume.array, ARRAY_IJK.T)
    assert volume.geometry.orientation_known is False


@pytest.mark.parametrize("cls", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_check_42_any_positive_code_counts_and_zero_does_not(tmp_path: Path, cls: type, code: int) -> None:
    other = np.diag([-2.0, 3.0, 4.0, 1.0])
    image = nifti_image(cls=cls)
    image.set_sform(AFFINE_RAS, code)
    image.set_qform(other, 0)
    np.testing.assert_allclose(read_volume(saved(image, tmp_path)).geometry.index_to_lps((0, 0, 1)), (-2, 0, 0))
    image.set_sform(AFFINE_RAS, 0)
    image.set_qform(other, code)
    volume = read_volume(saved(image, tmp_path))
    np.testing.assert_allclose(volume.geometry.index_to_lps((0, 0, 1)), (2, 0, 0), atol=1e-6)
    assert volume.geometry.source == "NIfTI qform"


def test_check_42_without_forms_no_edge_has_a_letter(tmp_path: Path) -> None:
    image = nifti_image()
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    for plane in planes_of(read_volume(saved(image, tmp_path)).geometry):
        assert {plane.edges.left, plane.edges.right, plane.edges.top, plane.edges.bottom} == {"?"}


@pytest.mark.parametrize(("apart_mm", "told"), [(0.05, False), (0.2, True)])
def test_check_43_a_tenth_of_a_millimetre_at_a_corner_is_the_limit(tmp_path: Path, apart_mm: float, told: bool) -> None:
    other = AFFINE_RAS.copy()
    other[1, 3] = apart_mm
    image = nifti_image()
    image.set_sform(AFFINE_RAS, 1)
    image.set_qform(other, 1)
    assert ("sform_qform_differ" in warning_codes(read_volume(saved(image, tmp_path)))) is told


def test_check_43_a_rotation_shows_at_the_far_corner_only(tmp_path: Path) -> None:
    angle = 0.002
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    image = nifti_image(np.zeros((100, 100, 2), np.int16))
    image.set_sform(AFFINE_RAS, 1)
    image.set_qform(turn @ AFFINE_RAS, 1)
    assert warning_codes(read_volume(saved(image, tmp_path))) == {"sform_qform_differ"}


def test_check_44_a_sheared_sform_is_kept(tmp_path: Path) -> None:
    sheared = AFFINE_RAS.copy()
    sheared[1, 2] = 1.5
    image = nifti_image(affine=None)
    image.set_qform(None, 0)
    image.set_sform(sheared, 1)
    volume = read_volume(saved(image, tmp_path))
    assert "sheared" in warning_codes(volume)
    np.testing.assert_allclose(volume.geometry.index_to_lps((3, 2, 1)), (-2, -(3 * 2 + 1.5 * 3), 12))
    assert volume.geometry.voxel_volume_mm3 == pytest.approx(24)


def test_check_44_the_real_sheared_file_keeps_its_affine(shared_data: Path) -> None:
    path = shared_data / "geometry-torture/niivue/shear.nii.gz"
    volume = read_volume(path)
    assert isinstance(volume.geometry, Geometry)
    assert volume.geometry.is_sheared
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps, lps_affine(load(path)), atol=1e-4)


def test_check_46_negative_pixdim_flips_nothing(tmp_path: Path) -> None:
    image = nifti_image()
    image.set_sform(None, 0)
    image.set_qform(AFFINE_RAS, 1)
    path = saved(image, tmp_path)
    raw = bytearray(path.read_bytes())
    raw[80:92] = np.array([-2, -3, -4], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.geometry.index_to_lps((1, 1, 1)), (-2, -3, 4), atol=1e-6)


def test_check_46_a_left_handed_qform_lies_where_nibabel_puts_it(tmp_path: Path) -> None:
    turned = np.array([[-1.8, 0.6, 0.4, 7], [0.7, 2.8, -0.3, -5], [-0.4, 0.5, -3.9, 3], [0, 0, 0, 1]])
    orthogonal, _ = np.linalg.qr(turned[:3, :3])
    turned[:3, :3] = orthogonal * [2, 3, 4]
    if np.linalg.det(turned[:3, :3]) > 0:
        turned[:3, 2] *= -1
    image = nifti_image()
    image.set_sform(None, 0)
    image.set_qform(turned, 1)
    path = saved(image, tmp_path)
    geometry = read_volume(path).geometry
    assert isinstance(geometry, Geometry)
    np.testing.assert_allclose(geometry.affine_kji_to_lps, lps_affine(load(path)), atol=1e-5)


def test_check_47_a_slope_that_is_no_number_with_an_intercept_is_none(tmp_path: Path) -> None:
    path = saved(nifti_image(), tmp_path)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([np.nan, 50], "<f4").tobytes()
    path.write_bytes(raw)
    np.testing.assert_array_equal(read_volume(path).array, ARRAY_IJK.T)


@pytest.mark.parametrize("shape", [(2, 3, 4, 1), (2, 3, 4, 1, 1), (2, 3, 1, 1), (2, 1, 1)])
def test_check_47_singletons_never_become_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    volume = read_volume(saved(nifti_image(array), tmp_path))
    assert volume.time_points == 1
    np.testing.assert_array_equal(volume.array, array.reshape([*shape, 1][:3]).T)


def test_check_48_an_analyze_pair_has_no_letters_whatever_spm_says(tmp_path: Path) -> None:
    image = nibabel.Spm99AnalyzeImage(ARRAY_IJK, LPS_FROM_RAS @ AFFINE_RAS)
    nibabel.save(image, tmp_path / "a.img")
    volume = read_volume(tmp_path / "a.hdr")
    assert volume.geometry.orientation == "unknown"
    assert "orientation_unknown" in warning_codes(volume)
    np.testing.assert_array_equal(volume.array, ARRAY_IJK.T)


def test_check_48_a_nifti_pair_without_forms_has_no_sides(tmp_path: Path) -> None:
    image = nibabel.Nifti1Pair(ARRAY_IJK, None)
    nibabel.save(image, tmp_path / "a.img")
    assert read_volume(tmp_path / "a.img").geometry.orientation == "unknown"
