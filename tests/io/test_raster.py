"""Pictures: PNG, JPEG and TIFF, without mm and without sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from segdesk.core.geometry import Geometry
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError, WriteError
from segdesk.io import read_labels, read_volume, scan, write_volume
from segdesk.io.series import SeriesKind

_GREY = np.random.default_rng(0).integers(0, 255, (7, 9)).astype(np.uint8)
_COLOUR = np.random.default_rng(1).integers(0, 255, (7, 9, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("pixels", [_GREY, _GREY.astype(np.uint16) * 200, _COLOUR])
def test_lossless_pictures_keep_their_pixels(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    volume = read_volume(tmp_path / name)
    assert volume.array.dtype == pixels.dtype
    np.testing.assert_array_equal(volume.array[0], pixels)
    assert {warning.code for warning in volume.warnings} == {"spacing_unknown", "orientation_unknown"}
    assert (volume.geometry.spacing_known, volume.geometry.orientation_known) == (False, False)


def test_jpeg_is_near_its_source(tmp_path: Path) -> None:
    smooth = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (24, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(read_volume(tmp_path / "a.jpg").array[0], smooth, atol=4)


def test_alpha_is_dropped_and_palettes_are_colours(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([_COLOUR, _GREY])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.png").array[0], _COLOUR)
    grey_alpha = Image.merge("LA", [Image.fromarray(_GREY), Image.fromarray(_GREY)])
    grey_alpha.save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "la.png").array[0], _GREY)
    Image.fromarray(_COLOUR).quantize(8).save(tmp_path / "p.png")
    assert read_volume(tmp_path / "p.png").unit is IntensityUnit.RGB


def test_one_bit_pictures_are_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(_GREY > 100).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.png").array[0], (_GREY > 100).astype(np.uint8))


@pytest.mark.parametrize("compression", [None, "zlib", "tiff_lzw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_of_a_tiff_are_slices(tmp_path: Path, compression: str | None, dtype: type) -> None:
    pages = np.random.default_rng(2).integers(0, 255, (4, 7, 9)).astype(dtype)
    images = [Image.fromarray(page) for page in pages]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:], compression=(
        {"zlib": "tiff_adobe_deflate"}.get(compression, compression) if compression else None))  # fmt: skip
    assert scan(tmp_path / "a.tif").series[0].kind is SeriesKind.STACK
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array, pages)


def test_white_is_zero_pages_are_turned_around(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", _GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array[0], 255 - _GREY)


@pytest.mark.parametrize("compression", ["raw", "packbits", "tiff_lzw", "group3", "group4"])
@pytest.mark.parametrize("is_white_zero", [False, True])
def test_a_scanned_drawing_is_what_pillow_shows(tmp_path: Path, compression: str, is_white_zero: bool) -> None:
    drawing = Image.fromarray(np.random.default_rng(4).random((16, 24)) > 0.5)
    drawing.save(tmp_path / "a.tif", compression=compression, tiffinfo={262: 0 if is_white_zero else 1})
    with Image.open(tmp_path / "a.tif") as shown:
        expected = np.asarray(shown)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array[0], expected)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").array[0], expected)


def test_ycbcr_pages_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(_COLOUR).convert("YCbCr").save(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as picture:
        np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array[0], np.asarray(picture.convert("RGB")))


def test_the_colours_of_a_printer_are_refused(tmp_path: Path) -> None:
    Image.fromarray(_COLOUR).convert("CMYK").save(tmp_path / "a.tif")
    with pytest.raises(ReadError, match="save it as RGB"):
        read_volume(tmp_path / "a.tif")


def test_float_and_planar_tiffs_are_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "f.tif", _GREY.astype(np.float32) / 7)
    np.testing.assert_array_equal(read_volume(tmp_path / "f.tif").array[0], _GREY.astype(np.float32) / 7)
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(_COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_volume(tmp_path / "p.tif").array[0], _COLOUR)
    tifffile.imwrite(tmp_path / "w.tif", _COLOUR.astype(np.uint16) << 8, photometric="rgb")
    np.testing.assert_array_equal(read_volume(tmp_path / "w.tif").array[0], _COLOUR)


def test_pages_of_different_size_are_refused(tmp_path: Path) -> None:
    images = [Image.fromarray(_GREY), Image.fromarray(_GREY[:5])]
    images[0].save(tmp_path / "a.tif", save_all=True, append_images=images[1:])
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "a.tif")
    assert caught.value.code == "mixed_size"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("keep", [0.3, 0.7])
def test_truncated_pictures_are_refused(tmp_path: Path, name: str, keep: float) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (64, 64)).astype(np.uint8)).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ReadError):
        read_volume(tmp_path / name)


def test_a_picture_of_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(_GREY).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "a.png")
    assert caught.value.code == "too_large"


def test_pictures_are_written_and_read_back(tmp_path: Path) -> None:
    grid = Geometry.from_spacing((1, 7, 9))
    write_volume(Volume(_GREY[None], grid), tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), _GREY)
    write_volume(Volume(_COLOUR[None], grid, unit=IntensityUnit.RGB), tmp_path / "c.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif").reshape(_COLOUR.shape), _COLOUR)
    floats = Volume(_GREY[None].astype(np.float32), grid)
    write_volume(floats, tmp_path / "f.tif")
    with pytest.raises(WriteError, match="8 or 16 bit"):
        write_volume(floats, tmp_path / "f.png")
    with pytest.raises(WriteError, match="time axis"):
        write_volume(Volume(np.zeros((2, 1, 7, 9), np.uint8), grid, time_points=2), tmp_path / "t.tif")


def test_the_membrane_sections_and_lzw_slices_are_read(shared_data: Path) -> None:
    assert read_volume(shared_data / "em-isbi2012/image/00.png").array.shape == (1, 512, 512)
    path = sorted((shared_data / "lidc-readers/ct-slices").rglob("images/*.tif"))[0]
    with Image.open(path) as picture:
        np.testing.assert_array_equal(read_volume(path).array[0], np.asarray(picture))
