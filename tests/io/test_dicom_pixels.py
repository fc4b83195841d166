"""Stored values: masked, sign-extended, rescaled a slice at a time, never filled up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from segdesk.core.progress import Cancelled
from segdesk.core.volume import IntensityUnit, Window
from segdesk.errors import ReadError
from segdesk.io import read_volume, scan
from tests.io.dicom_maker import axial, slice_dataset, write_series

_PIXELS = np.arange(-15, 15, dtype=np.int16).reshape(5, 6)


def _saved(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    def rescale(dataset: FileDataset, n: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = n + 1, 0.5

    pixels = write_series(tmp_path, axial(0, 5, 10), rescale)
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, pixels * np.array([1, 2, 3])[:, None, None] + 0.5)


def test_a_whole_intercept_keeps_int16(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5), lambda d, n: setattr(d, "RescaleIntercept", -1024))
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.int16
    assert volume.unit is IntensityUnit.HU
    np.testing.assert_array_equal(volume.array, pixels - 1024)


def test_a_value_beyond_int16_widens_the_volume(tmp_path: Path) -> None:
    def extreme(dataset: FileDataset, n: int) -> None:
        dataset.RescaleIntercept = -1024
        dataset.PixelData = np.full((5, 6), -32768 if n else 7, "<i2").tobytes()

    write_series(tmp_path, axial(0, 5), extreme)
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.int32
    assert [int(part[0, 0]) for part in volume.array] == [7 - 1024, -32768 - 1024]


def test_a_slope_of_zero_is_an_error(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5), lambda d, n: setattr(d, "RescaleSlope", 0))
    with pytest.raises(ReadError, match="slope of 0") as caught:
        read_volume(tmp_path)
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("is_signed", [0, 1])
def test_junk_in_unused_bits_is_masked_and_the_sign_extended(tmp_path: Path, is_signed: int) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, is_signed
    junk = (_PIXELS.astype(np.uint16) & 0x0FFF) | 0x5000
    dataset.PixelData = junk.astype("<u2").tobytes()
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    expected = _PIXELS if is_signed else _PIXELS.astype(np.uint16) & 0x0FFF
    np.testing.assert_array_equal(volume.array[0], expected)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE"])
def test_inverse_display_is_told_and_the_values_stay(tmp_path: Path, photometric: str, shape: str) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = photometric, shape
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert volume.display_inverted is (photometric == "MONOCHROME1" or shape == "INVERSE")
    np.testing.assert_array_equal(volume.array[0], _PIXELS)


def test_padding_and_windows_come_in_rescaled_values(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.RescaleIntercept = -1000
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    dataset.add_new("PixelPaddingRangeLimit", "SS", -1900)
    dataset.WindowCenter, dataset.WindowWidth = [40, -600], [400, 1500]
    dataset.WindowCenterWidthExplanation = ["SOFT", "LUNG"]
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert volume.padding_range == (-3000.0, -2900.0)
    assert volume.windows == (Window(40, 400, "SOFT"), Window(-600, 1500, "LUNG"))


def test_padding_written_without_its_sign_is_understood(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert read_volume(_saved(dataset, tmp_path / "a.dcm")).padding_range == (-2000.0, -2000.0)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_syntax_gives_the_same_pixels(tmp_path: Path, syntax: str) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = _PIXELS.astype(">i2").tobytes()
    dataset["PixelData"].VR = "OW"
    free = Dataset(dataset)  # a FileDataset refuses to change its byte order
    free.file_meta, free.preamble = dataset.file_meta, b"\0" * 128
    free.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "a.dcm")
    np.testing.assert_array_equal(volume.array[0], _PIXELS)


def test_a_file_without_preamble_and_extension_is_read(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    whole = _saved(dataset, tmp_path / "a.dcm").read_bytes()
    (tmp_path / "IM0001").write_bytes(whole[132:])
    np.testing.assert_array_equal(read_volume(tmp_path / "IM0001").array[0], _PIXELS)


@pytest.mark.parametrize("cut", [1, 20, 59])
def test_truncated_pixels_are_refused(tmp_path: Path, cut: int) -> None:
    path = _saved(slice_dataset(_PIXELS, (0, 0, 0)), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ReadError) as caught:
        scan(path)
    assert caught.value.code == "truncated"


def test_encoded_pixels_that_end_early_are_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(np.tile(_PIXELS, (8, 8)), (0, 0, 0))
    dataset.compress(RLELossless)
    path = _saved(dataset, tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_volume(path).array[0], np.tile(_PIXELS, (8, 8)))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "truncated"


def test_frames_that_disagree_with_the_bytes_are_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.Rows = 4
    with pytest.raises(ReadError) as caught:
        scan(_saved(dataset, tmp_path / "a.dcm"))
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_colours_equal_pydicoms(tmp_path: Path, photometric: str, planar: int) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, planar
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = np.random.default_rng(0).integers(0, 255, 90, dtype=np.uint8).tobytes()
    dataset["PixelData"].VR = "OB"
    path = _saved(dataset, tmp_path / "a.dcm")
    volume = read_volume(path)
    assert volume.is_rgb
    np.testing.assert_allclose(volume.array[0], pixel_array(pydicom.dcmread(path)), atol=2)


def test_a_palette_is_applied_for_display(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = bytes(range(30))
    for colour, factor in (("Red", 1), ("Green", 2), ("Blue", 3)):
        dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        table = (np.arange(256) * factor).clip(0, 255).astype("<u2") << 8
        dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", table.tobytes())
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert volume.is_rgb
    np.testing.assert_array_equal(volume.array[0, 1, 1], (7, 14, 21))


def test_a_modality_table_takes_the_place_of_the_rescale(tmp_path: Path) -> None:
    dataset = slice_dataset(np.arange(30).reshape(5, 6), (0, 0, 0))
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.PixelRepresentation = 0
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [30, 0, 16])
    table.add_new("LUTData", "US", [100 + 3 * n for n in range(30)])
    dataset.ModalityLUTSequence = [table]
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(volume.array.ravel(), 100 + 3 * np.arange(30))


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
def test_a_film_says_where_its_mm_hold(
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


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10))
    entry = scan(tmp_path).series[0]

    def stop(done: int, total: int, text: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        entry.read(stop)


def test_segmentations_are_no_images(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    with pytest.raises(ReadError, match="segmentation") as caught:
        read_volume(_saved(dataset, tmp_path / "seg.dcm"))
    assert caught.value.code == "not_an_image"


def test_a_mosaic_without_its_private_header_is_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    with pytest.raises(ReadError, match="mosaic"):
        read_volume(_saved(dataset, tmp_path / "a.dcm"))
