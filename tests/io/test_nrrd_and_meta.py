"""NRRD and MetaImage against SimpleITK, and their damaged forms."""

from __future__ import annotations

import bz2
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from segdesk.core.geometry import Geometry
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError, WriteError
from segdesk.io import read_volume, scan, write_volume
from segdesk.io.series import SeriesKind
from tests.builders import marker_volume, oblique_geometry
from tests.io.world import load, nibabel_array

_ARRAY = np.random.default_rng(0).integers(-900, 900, (3, 4, 5)).astype(np.int16)


def _image(array: np.ndarray = _ARRAY, is_vector: bool = False) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array, isVector=is_vector)
    image.SetSpacing([0.5, 1.5, 2.5][: image.GetDimension()] + [1.0] * (image.GetDimension() - 3))
    image.SetOrigin([-1.0, 20.0, 3.0][: image.GetDimension()] + [0.0] * (image.GetDimension() - 3))
    return image


def _nrrd(path: Path, fields: str, data: bytes) -> Path:
    path.write_bytes(b"NRRD0004\n" + fields.encode() + b"\n\n" + data)
    return path


_PLAIN = "type: int16\ndimension: 3\nsizes: 5 4 3\nendian: little\n"
_PLACED = "space: right-anterior-superior\nspace directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (1,2,3)\n"


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_what_itk_writes_is_read(tmp_path: Path, name: str, compressed: bool, dtype: str) -> None:
    image = _image(_ARRAY.astype(dtype))
    SimpleITK.WriteImage(image, str(tmp_path / name), useCompression=compressed)
    volume = read_volume(tmp_path / name)
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.array, _ARRAY.astype(dtype))
    there = image.TransformIndexToPhysicalPoint((4, 3, 2))
    np.testing.assert_allclose(volume.geometry.index_to_lps((2, 3, 4)), there, atol=1e-9)
    assert len(scan(tmp_path).series) == 1


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_colour_and_time_are_told_apart(tmp_path: Path, name: str) -> None:
    colours = np.random.default_rng(1).integers(0, 255, (3, 4, 5, 3)).astype(np.uint8)
    SimpleITK.WriteImage(_image(colours, is_vector=True), str(tmp_path / name))
    volume = read_volume(tmp_path / name)
    assert volume.unit is IntensityUnit.RGB
    np.testing.assert_array_equal(volume.array, colours)
    series = np.random.default_rng(1).integers(0, 255, (6, 3, 4, 5)).astype(np.int16)
    SimpleITK.WriteImage(_image(series), str(tmp_path / f"t{name}"))
    assert scan(tmp_path / f"t{name}").series[0].kind is SeriesKind.SERIES4D
    np.testing.assert_array_equal(read_volume(tmp_path / f"t{name}").array, series)


def test_a_list_of_three_is_time_and_no_colour(tmp_path: Path) -> None:
    fields = "type: uint8\ndimension: 4\nsizes: 3 5 4 3\nkinds: list domain domain domain\nencoding: raw"
    points = np.random.default_rng(5).integers(0, 255, (3, 4, 5, 3)).astype(np.uint8)
    path = _nrrd(tmp_path / "a.nrrd", fields, points.tobytes())
    assert scan(path).series[0].time_points == 3
    np.testing.assert_array_equal(read_volume(path).array, np.moveaxis(points, -1, 0))
    colours = _nrrd(tmp_path / "c.nrrd", fields.replace("list", "vector"), points.tobytes())
    assert scan(colours).series[0].time_points == 1
    np.testing.assert_array_equal(read_volume(colours).array, points)


def test_three_time_points_of_bytes_are_exported(tmp_path: Path) -> None:
    points = np.random.default_rng(5).integers(0, 255, (3, 2, 4, 5)).astype(np.uint8)
    volume = Volume(points, Geometry.from_spacing((2, 4, 5)), time_points=3)
    write_volume(volume, tmp_path / "a.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nrrd").array, points)


def test_colours_of_16_bits_are_refused(tmp_path: Path) -> None:
    fields = "type: uint16\nendian: little\ndimension: 4\nsizes: 3 5 4 3\nkinds: RGB-color domain domain domain"
    path = _nrrd(tmp_path / "a.nrrd", f"{fields}\nencoding: raw", np.full(180, 256, "<u2").tobytes())
    with pytest.raises(ReadError, match="8 bits"):
        read_volume(path)


def test_data_named_relative_to_their_header_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(_ARRAY.tobytes())
    (tmp_path / "a.nhdr").write_text(f"NRRD0004\n{_PLAIN}{_PLACED}encoding: raw\ndata file: ./a.raw\n")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nhdr").array, _ARRAY)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_vectors_are_refused(tmp_path: Path, name: str) -> None:
    SimpleITK.WriteImage(_image(np.zeros((3, 4, 5, 2), np.float32), is_vector=True), str(tmp_path / name))
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / name)
    assert caught.value.code == "not_an_image"


def test_the_two_forms_of_flair_are_one_image(shared_data: Path) -> None:
    folder = shared_data / "geometry-torture/niivue"
    one, other = read_volume(folder / "FLAIR.nrrd"), read_volume(folder / "FLAIR.nii.gz")
    np.testing.assert_array_equal(one.array, nibabel_array(load(folder / "FLAIR.nii.gz")))
    np.testing.assert_array_equal(one.array, other.array)
    assert one.geometry.matches(other.geometry)


def test_every_shared_nrrd_equals_simpleitk(shared_data: Path) -> None:
    paths = sorted(shared_data.rglob("*.nrrd"))
    assert len(paths) > 10
    for path in paths:
        image, volume = SimpleITK.ReadImage(str(path)), read_volume(path)
        np.testing.assert_array_equal(volume.array, SimpleITK.GetArrayFromImage(image))
        last = [n - 1 for n in image.GetSize()]
        there = image.TransformIndexToPhysicalPoint(last)
        np.testing.assert_allclose(volume.geometry.index_to_lps(last[::-1]), there, atol=1e-3)


def test_ras_space_is_turned_into_lps(tmp_path: Path) -> None:
    volume = read_volume(_nrrd(tmp_path / "a.nrrd", _PLAIN + _PLACED + "encoding: raw", _ARRAY.tobytes()))
    np.testing.assert_allclose(volume.geometry.index_to_lps((1, 1, 1)), (-3, -5, 7))


def test_shear_in_space_directions_is_kept_and_flagged(tmp_path: Path) -> None:
    placed = _PLACED.replace("(0,0,4)", "(0,1,4)")
    volume = read_volume(_nrrd(tmp_path / "a.nrrd", _PLAIN + placed + "encoding: raw", _ARRAY.tobytes()))
    assert [warning.code for warning in volume.warnings] == ["sheared"]
    np.testing.assert_allclose(volume.geometry.index_to_lps((1, 0, 0)), (-1, -3, 7))


@pytest.mark.parametrize(
    ("extra", "known"), [("spacings: 0.5 0.6 0.7\n", True), ("", False), ("space: scanner-xyz\n", False)]
)
def test_without_a_patient_space_sides_are_unknown(tmp_path: Path, extra: str, known: bool) -> None:
    volume = read_volume(_nrrd(tmp_path / "a.nrrd", _PLAIN + extra + "encoding: raw", _ARRAY.tobytes()))
    assert (volume.geometry.orientation_known, volume.geometry.spacing_known) == (False, known)


def test_every_encoding_is_decoded(tmp_path: Path) -> None:
    text = " ".join(map(str, _ARRAY.ravel())).encode()
    for encoding, content in (("ascii", text), ("bzip2", bz2.compress(_ARRAY.tobytes()))):
        path = _nrrd(tmp_path / f"{encoding}.nrrd", _PLAIN + f"encoding: {encoding}", content)
        np.testing.assert_array_equal(read_volume(path).array, _ARRAY)


def test_big_endian_and_skips_are_honoured(tmp_path: Path) -> None:
    (tmp_path / "d.raw").write_bytes(b"a line\nxx" + _ARRAY.astype(">i2").tobytes())
    fields = _PLAIN.replace("little", "big") + "encoding: raw\nline skip: 1\nbyte skip: 2\ndata file: d.raw"
    np.testing.assert_array_equal(read_volume(_nrrd(tmp_path / "a.nhdr", fields, b"")).array, _ARRAY)
    fields = fields.replace("line skip: 1\nbyte skip: 2", "byte skip: -1")
    np.testing.assert_array_equal(read_volume(_nrrd(tmp_path / "b.nhdr", fields, b"")).array, _ARRAY)


@pytest.mark.parametrize("target", ["../secret.raw", "/etc/passwd", "LIST", "slice%03d.raw 1 9 1", "gone.raw"])
@pytest.mark.parametrize("name", ["a.nhdr", "a.mhd"])
def test_data_outside_the_folder_are_not_read(tmp_path: Path, target: str, name: str) -> None:
    if name == "a.nhdr":
        path = _nrrd(tmp_path / name, _PLAIN + f"encoding: raw\ndata file: {target}", b"")
    else:
        path = tmp_path / name
        path.write_text(
            f"ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_SHORT\nElementDataFile = {target}\n"
        )
    with pytest.raises(ReadError):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_files_are_refused(tmp_path: Path, name: str, compressed: bool) -> None:
    SimpleITK.WriteImage(_image(), str(tmp_path / name), useCompression=compressed)
    victim = next((p for p in tmp_path.iterdir() if p.suffix in (".raw", ".zraw")), tmp_path / name)
    victim.write_bytes(victim.read_bytes()[:-15])
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / name)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    "fields",
    [
        "type: block\ndimension: 3\nsizes: 5 4 3", "type: int16\ndimension: 2\nsizes: 5 4 3", "type: int16",
        "type: int16\ndimension: 3\nsizes: 5 4 x", "type: int16\ndimension: 3\nsizes: 5 4 3\nencoding: hex",
        "type: int16\ndimension: 3\nsizes: 5 4 0",
    ],
)  # fmt: skip
def test_damaged_headers_are_typed_errors(tmp_path: Path, fields: str) -> None:
    with pytest.raises(ReadError):
        read_volume(_nrrd(tmp_path / "a.nrrd", fields, _ARRAY.tobytes()))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_images_survive_writing(tmp_path: Path, name: str) -> None:
    volume = marker_volume(oblique_geometry())
    write_volume(volume, tmp_path / name)
    back = read_volume(tmp_path / name)
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.geometry.matches(volume.geometry)


def test_time_and_colour_survive_writing(tmp_path: Path) -> None:
    geometry = oblique_geometry()
    series = np.random.default_rng(2).normal(size=(3, *geometry.shape_kji)).astype(np.float32)
    write_volume(Volume(series, geometry, time_points=3), tmp_path / "t.nrrd")
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "t.nrrd")))
    np.testing.assert_array_equal(theirs, np.moveaxis(series, 0, -1))
    assert read_volume(tmp_path / "t.nrrd").time_points == 3
    colours = np.random.default_rng(3).integers(0, 255, (*geometry.shape_kji, 3)).astype(np.uint8)
    for name in ("c.nrrd", "c.mha"):
        write_volume(Volume(colours, geometry, unit=IntensityUnit.RGB), tmp_path / name)
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / name))), colours)


def test_unknown_sides_are_never_turned_into_known_ones(tmp_path: Path) -> None:
    for slices in (1, 3):
        plain = Geometry.from_spacing((slices, 4, 5))
        unknown = Geometry(plain.shape_kji, plain.affine_kji_to_lps, orientation_known=False)
        volume = Volume(_ARRAY[:slices], unknown)
        write_volume(volume, tmp_path / f"{slices}.nrrd")
        assert not read_volume(tmp_path / f"{slices}.nrrd").geometry.orientation_known
        if slices == 1:
            write_volume(volume, tmp_path / "a.mha")
            assert not read_volume(tmp_path / "a.mha").geometry.orientation_known
        else:
            with pytest.raises(WriteError, match="left and right"):
                write_volume(volume, tmp_path / "b.mha")


def test_a_flat_meta_image_has_one_slice_without_sides(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(_ARRAY[0]), str(tmp_path / "a.mha"))
    volume = read_volume(tmp_path / "a.mha")
    assert volume.array.shape == (1, 4, 5)
    assert isinstance(volume.geometry, Geometry)
    assert not volume.geometry.orientation_known


@pytest.mark.parametrize(("letters", "known"), [("RAI", True), ("???", True), ("LPI", False), ("RAS", False)])
def test_axes_with_a_name_but_without_directions_are_not_trusted(tmp_path: Path, letters: str, known: bool) -> None:
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", f"AnatomicalOrientation = {letters}"]
    lines += ["ElementSpacing = 1 2 3", "DimSize = 5 4 3", "ElementType = MET_SHORT", "ElementDataFile = LOCAL"]
    path = tmp_path / "a.mha"
    path.write_bytes("\n".join([*lines, ""]).encode() + _ARRAY.tobytes())
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, _ARRAY)
    assert volume.geometry.orientation_known is known
    assert [warning.code for warning in volume.warnings] == ([] if known else ["orientation_unknown"])
    turned = tmp_path / "b.mha"
    turned.write_bytes(path.read_bytes().replace(b"DimSize", b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nDimSize"))
    assert read_volume(turned).geometry.orientation_known
