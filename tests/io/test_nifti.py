"""NIfTI traps: forms, units, scales, axes, damage."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError, WriteError
from segdesk.io import read_volume, scan, write_volume
from segdesk.io.series import SeriesKind
from tests.builders import marker_volume, oblique_geometry
from tests.io.nifti_maker import AFFINE_RAS, ARRAY_IJK, nifti_image, saved, warning_codes
from tests.io.world import load, lps_affine, nibabel_array


def test_a_half_turn_rounded_beyond_one_is_read(tmp_path: Path) -> None:
    image = nifti_image()
    image.set_sform(None, 0)
    image.set_qform(np.diag([-2.0, -3.0, 4.0, 1.0]), 1)
    image.header["quatern_d"] = 1.0000001
    volume = read_volume(saved(image, tmp_path))
    np.testing.assert_allclose(volume.geometry.index_to_lps((0, 1, 1)), (2, 3, 0), atol=1e-5)


def test_a_scale_gives_floats(tmp_path: Path) -> None:
    path = saved(nifti_image(), tmp_path)
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([7.11, -1024], np.float32).tobytes()
    path.write_bytes(raw)
    volume = read_volume(path)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, ARRAY_IJK.T * np.float64(np.float32(7.11)) - 1024, rtol=1e-6)


def test_big_endian_pixels_come_out_native(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(ARRAY_IJK, AFFINE_RAS, header)
    path = saved(image, tmp_path)
    assert path.read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read_volume(path)
    assert volume.array.dtype == np.int16
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.array, ARRAY_IJK.T)


def test_a_flat_image_has_one_slice(tmp_path: Path) -> None:
    path = saved(nifti_image(ARRAY_IJK[..., 0]), tmp_path)
    assert scan(path).series[0].kind is SeriesKind.IMAGE2D
    assert read_volume(path).array.shape == (1, 3, 2)


def test_the_fourth_axis_is_time(tmp_path: Path) -> None:
    array = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
    path = saved(nifti_image(array), tmp_path)
    assert scan(path).series[0].kind is SeriesKind.SERIES4D
    volume = read_volume(path)
    assert volume.time_points == 5
    np.testing.assert_array_equal(volume.array, array.T)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_numbers_are_refused(tmp_path: Path, dtype: type) -> None:
    with pytest.raises(ReadError) as caught:
        read_volume(saved(nifti_image(ARRAY_IJK.astype(dtype)), tmp_path))
    assert caught.value.code == "not_an_image"


def test_a_deformation_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="vectors") as caught:
        read_volume(saved(nifti_image(np.zeros((2, 3, 4, 1, 3), np.float32)), tmp_path))
    assert caught.value.code == "not_an_image"


@pytest.mark.parametrize("letters", ["RGB", "RGBA"])
def test_colours_are_rgb(tmp_path: Path, letters: str) -> None:
    pixels = np.zeros((2, 3, 4), [(letter, "u1") for letter in letters])
    pixels["G"][1, 2, 3] = 77
    volume = read_volume(saved(nifti_image(pixels), tmp_path))
    assert volume.unit is IntensityUnit.RGB
    np.testing.assert_array_equal(volume.array[3, 2, 1], (0, 77, 0))


def test_nan_and_infinite_voxels_are_counted(tmp_path: Path) -> None:
    array = ARRAY_IJK.astype(np.float32)
    array[0, 0, :3] = [np.nan, np.inf, -np.inf]
    volume = read_volume(saved(nifti_image(array), tmp_path))
    assert warning_codes(volume) == {"nan_values"}
    assert "3 voxels" in volume.warnings[0].message


def test_a_header_without_its_image_is_a_clear_error(shared_data: Path) -> None:
    for name in ("analyze.hdr", "nifti1.hdr"):
        with pytest.raises(ReadError, match="without its image"):
            read_volume(shared_data / "geometry-torture/nibabel" / name)


def test_the_image_of_a_pair_leads_to_its_header(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(ARRAY_IJK, AFFINE_RAS), tmp_path / "a.img")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.img").array, ARRAY_IJK.T)
    assert len(scan(tmp_path).series) == 1


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("keep", [0.05, 0.5, 0.95, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    noise = np.random.default_rng(0).integers(0, 30000, (20, 20, 20)).astype(np.int16)
    path = saved(nifti_image(noise), tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "truncated"


def test_a_flipped_byte_in_a_gzip_stream_is_noticed(tmp_path: Path) -> None:
    path = saved(
        nifti_image(np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)), tmp_path, "a.nii.gz"
    )
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the checksum
    path.write_bytes(content)
    with pytest.raises(ReadError):
        read_volume(path)


@pytest.mark.parametrize("sizes", [(30000, 30000, 30000), (3000, 3000, 300)])
def test_a_header_that_promises_more_than_the_file_is_refused_before_memory(
    tmp_path: Path, sizes: tuple[int, int, int]
) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape(sizes)
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(2000)))
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "bomb.nii.gz")
    assert caught.value.code in ("too_large", "truncated")


@pytest.mark.parametrize("dim", [(0, 1, 1), (9, 1, 1), (3, -4, 4), (3, 0, 4)])
def test_impossible_dimensions_are_refused(tmp_path: Path, dim: tuple[int, ...]) -> None:
    path = saved(nifti_image(), tmp_path)
    raw = bytearray(path.read_bytes())
    raw[40 : 40 + 2 * len(dim)] = np.array(dim, np.int16).tobytes()
    path.write_bytes(raw)
    with pytest.raises(ReadError):
        read_volume(path)


def test_an_unknown_data_type_is_refused(tmp_path: Path) -> None:
    path = saved(nifti_image(), tmp_path)
    raw = bytearray(path.read_bytes())
    raw[70:72] = b"\x04\x94"
    path.write_bytes(raw)
    with pytest.raises(ReadError, match="data type"):
        read_volume(path)


def test_a_singular_affine_is_refused(tmp_path: Path) -> None:
    image = nifti_image()
    image.header["qform_code"] = 0
    path = saved(image, tmp_path)
    raw = bytearray(path.read_bytes())
    raw[252:254] = b"\0\0"
    raw[280:328] = bytes(48)
    path.write_bytes(raw)
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "bad_geometry"


_TORTURE = (
    "niivue/shear", "niivue/FLAIR", "niivue/lesion", "niivue/low_res", "niivue/ct_perfusion", "niivue/draw",
    "niivue/hippo", "niivue/labels256", "niivue-images/CT_pitch", "niivue-images/pcasl", "niivue-images/spmMotor",
    "nibabel/example4d",
)  # fmt: skip


@pytest.mark.parametrize("name", _TORTURE)
def test_a_torture_file_equals_nibabel(shared_data: Path, name: str) -> None:
    path = shared_data / "geometry-torture" / f"{name}.nii.gz"
    volume, image = read_volume(path), load(path)
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps, lps_affine(image), atol=1e-4)
    np.testing.assert_allclose(volume.array, nibabel_array(image), rtol=1e-6, atol=1e-6)


def test_every_permutation_of_one_brain_is_the_same_brain(shared_data: Path) -> None:
    folder = shared_data / "geometry-torture/nifti-space"
    reference = read_volume(folder / "LPS.nii.gz")
    probe = np.array(reference.geometry.shape_kji) // 3
    for path in sorted(folder.glob("*.nii.gz")):
        volume = read_volume(path)
        assert isinstance(volume.geometry, Geometry)
        assert volume.geometry.orientation == path.name[:3]
        index = volume.geometry.lps_to_index(reference.geometry.index_to_lps(probe))
        np.testing.assert_allclose(index, np.rint(index), atol=1e-3)
        assert volume.array[tuple(np.rint(index).astype(int))] == reference.array[tuple(probe)]


def test_the_sheared_file_says_so_and_minimal_has_no_sides(shared_data: Path) -> None:
    folder = shared_data / "geometry-torture/niivue"
    assert "sheared" in warning_codes(read_volume(folder / "shear.nii.gz"))
    assert warning_codes(read_volume(folder / "minimal.nii.gz")) == {"orientation_unknown"}


def test_every_hippocampus_image_is_one_mm_and_ras(shared_data: Path) -> None:
    paths = sorted((shared_data / "hippocampus/images").glob("*.nii.gz"))
    assert len(paths) == 156
    for path in paths[::12]:
        volume = read_volume(path)
        assert isinstance(volume.geometry, Geometry)
        assert (volume.geometry.orientation, volume.geometry.spacing_kji_mm) == ("RAS", (1.0, 1.0, 1.0))


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "f2", "?"])
def test_every_type_survives_writing(tmp_path: Path, dtype: str) -> None:
    geometry = oblique_geometry()
    array = np.random.default_rng(1).integers(0, 2, geometry.shape_kji).astype(dtype)
    write_volume(Volume(array, geometry), tmp_path / "a.nii.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = nibabel_array(load(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(theirs, array)


def test_an_orthogonal_grid_is_written_as_both_forms(tmp_path: Path) -> None:
    volume = marker_volume(oblique_geometry())
    write_volume(volume, tmp_path / "a.nii.gz")
    header = load(tmp_path / "a.nii.gz").header
    np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-4)
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)


def test_time_and_colour_survive_writing(tmp_path: Path) -> None:
    geometry = oblique_geometry()
    series = np.random.default_rng(2).normal(size=(3, *geometry.shape_kji)).astype(np.float32)
    write_volume(Volume(series, geometry, time_points=3), tmp_path / "t.nii.gz")
    np.testing.assert_array_equal(nibabel_array(load(tmp_path / "t.nii.gz")), series)
    colours = np.random.default_rng(3).integers(0, 255, (*geometry.shape_kji, 3)).astype(np.uint8)
    write_volume(Volume(colours, geometry, unit=IntensityUnit.RGB), tmp_path / "c.nii.gz")
    np.testing.assert_array_equal(nibabel_array(load(tmp_path / "c.nii.gz")), colours)


def test_long_axes_use_nifti_2(tmp_path: Path) -> None:
    array = np.zeros((1, 1, 40000), np.uint8)
    write_volume(Volume(array, Geometry.from_spacing(array.shape)), tmp_path / "a.nii.gz")
    assert isinstance(load(tmp_path / "a.nii.gz"), nibabel.Nifti2Image)


def test_equal_images_give_equal_files(tmp_path: Path) -> None:
    volume = marker_volume(oblique_geometry())
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(volume, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_nothing_is_overwritten_without_being_asked(tmp_path: Path) -> None:
    volume = marker_volume(oblique_geometry())
    write_volume(volume, tmp_path / "a.nii.gz")
    with pytest.raises(WriteError) as caught:
        write_volume(volume, tmp_path / "a.nii.gz")
    assert caught.value.code == "exists"
