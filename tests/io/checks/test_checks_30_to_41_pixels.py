"""Geometry checks 30 to 41: colours, display, rescale, bits, padding, codecs, damage."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from segdesk.core.labels import LabelMap
from segdesk.core.window import start_window
from segdesk.errors import InconsistentSeries, ReadError
from segdesk.io import read_volume, scan
from segdesk.nn import dataset as training_data
from segdesk.nn.normalise import normalise
from segdesk.nn.output import INTENSITIES
from segdesk.nn.prepare import training_cases
from segdesk.nn.preprocess import preprocess
from segdesk.nn.recipe import RecipeLabel
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.spec import Normalisation
from tests.io.dicom_maker import axial, enhanced, setting, slice_dataset, write_series
from tests.nn.toys import toy_spec

_PIXELS = np.arange(-15, 15, dtype=np.int16).reshape(5, 6)


def _saved(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def _theirs(path: Path) -> np.ndarray:
    """RGB as pydicom decodes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(pixel_array(pydicom.dcmread(path, force=True)))


def test_check_41_a_multiframe_with_too_few_frame_groups_is_refused(tmp_path: Path) -> None:
    pixels = np.zeros((3, 5, 6), np.int16)
    dataset = enhanced(axial(0, 5, 10), pixels)
    del dataset.PerFrameFunctionalGroupsSequence[2]
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(InconsistentSeries) as caught:
        read_volume(tmp_path / "a.dcm")
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_check_30_uncompressed_colours_equal_pydicoms(tmp_path: Path, photometric: str, planar: int) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, photometric, planar
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = np.random.default_rng(0).integers(0, 255, 90, dtype=np.uint8).tobytes()
    dataset["PixelData"].VR = "OB"
    path = _saved(dataset, tmp_path / "a.dcm")
    volume = read_volume(path)
    assert volume.is_rgb
    np.testing.assert_allclose(volume.array[0], pixel_array(pydicom.dcmread(path)), atol=2)


def test_check_31_a_palette_is_applied_for_display(tmp_path: Path) -> None:
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


def test_check_34_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    def rescale(dataset: FileDataset, n: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = n + 1, 0.5

    pixels = write_series(tmp_path, axial(0, 5, 10), rescale)
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, pixels * np.array([1, 2, 3])[:, None, None] + 0.5)


def test_check_34_a_slope_of_zero_is_an_error(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5), lambda d, n: setattr(d, "RescaleSlope", 0))
    with pytest.raises(ReadError, match="slope of 0") as caught:
        read_volume(tmp_path)
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("is_signed", [0, 1])
def test_check_36_junk_in_unused_bits_is_masked_and_the_sign_extended(tmp_path: Path, is_signed: int) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, is_signed
    junk = (_PIXELS.astype(np.uint16) & 0x0FFF) | 0x5000
    dataset.PixelData = junk.astype("<u2").tobytes()
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    expected = _PIXELS if is_signed else _PIXELS.astype(np.uint16) & 0x0FFF
    np.testing.assert_array_equal(volume.array[0], expected)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_check_39_every_uncompressed_syntax_gives_the_same_pixels(tmp_path: Path, syntax: str) -> None:
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


@pytest.mark.parametrize("cut", [1, 20, 59])
def test_check_40_truncated_pixels_are_refused(tmp_path: Path, cut: int) -> None:
    path = _saved(slice_dataset(_PIXELS, (0, 0, 0)), tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ReadError) as caught:
        scan(path)
    assert caught.value.code == "truncated"


def test_check_40_encoded_pixels_that_end_early_are_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(np.tile(_PIXELS, (8, 8)), (0, 0, 0))
    dataset.compress(RLELossless)
    path = _saved(dataset, tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_volume(path).array[0], np.tile(_PIXELS, (8, 8)))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "truncated"


def test_check_41_frames_that_disagree_with_the_bytes_are_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.Rows = 4
    with pytest.raises(ReadError) as caught:
        scan(_saved(dataset, tmp_path / "a.dcm"))
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_gdcm_KY.dcm",  # JPEG 2000, YBR_RCT
        "SC_rgb_jpeg_dcmtk.dcm",  # JPEG baseline, YBR_FULL_422
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",  # JPEG baseline, YBR_FULL with subsampling
        "SC_rgb_rle.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_small_odd.dcm",
        "examples_ybr_color.dcm",  # 30 frames, RLE
        "examples_jpeg2k.dcm",  # YBR_ICT or RCT
    ],
)
def test_check_30_compressed_colours_equal_pydicoms(name: str) -> None:
    path = Path(str(get_testdata_file(name)))
    volume = read_volume(path)
    assert volume.is_rgb
    ours = volume.array[:, 0] if volume.time_points > 1 else volume.array[0]
    np.testing.assert_allclose(ours.astype(int), _theirs(path).astype(int), atol=2)


def test_check_30_an_irreversible_transform_is_within_two_grey_values(tmp_path: Path) -> None:
    smooth = np.stack([np.add.outer(np.arange(32), np.arange(32)) * factor for factor in (1, 2, 3)], axis=-1)
    pixels = smooth.astype(np.uint8)
    dataset = slice_dataset(np.zeros((32, 32)), (0, 0, 0))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_ICT", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    encoder = pydicom.pixels.get_encoder(pydicom.uid.JPEG2000)
    codestream = encoder.encode(
        pixels, rows=32, columns=32, samples_per_pixel=3, photometric_interpretation="YBR_ICT", bits_allocated=8,
        bits_stored=8, pixel_representation=0, number_of_frames=1, planar_configuration=0, j2k_psnr=[60],
    )  # fmt: skip
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000
    path = _saved(dataset, tmp_path / "ict.dcm")
    ours = read_volume(path).array[0].astype(int)
    np.testing.assert_allclose(ours, _theirs(path).astype(int), atol=2)
    np.testing.assert_allclose(ours, pixels.astype(int), atol=4)


def test_check_30_colour_images_take_2d_labels() -> None:
    volume = read_volume(str(get_testdata_file("SC_rgb_small_odd.dcm")))
    labels = LabelMap.empty(volume.geometry)
    assert labels.array.shape == volume.array.shape[:3]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_check_32_monochrome1_keeps_its_values_and_inverts_the_display(tmp_path: Path, photometric: str) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.PhotometricInterpretation = photometric
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert volume.display_inverted is (photometric == "MONOCHROME1")
    np.testing.assert_array_equal(volume.array[0], _PIXELS)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_check_33_an_inverse_presentation_inverts_the_display_once(tmp_path: Path, photometric: str) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = photometric, "INVERSE"
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert volume.display_inverted, "inverse and MONOCHROME1 say the same thing: not twice"
    np.testing.assert_array_equal(volume.array[0], _PIXELS)


def test_check_34_frames_of_a_multiframe_have_their_own_rescale(tmp_path: Path) -> None:
    pixels = np.arange(90, dtype=np.int16).reshape(3, 5, 6)
    dataset = enhanced(axial(0, 5, 10), pixels)
    for n, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        group.PixelValueTransformationSequence[0].RescaleSlope = 0.5 + n
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert volume.array.dtype == np.float32
    slopes, intercepts = np.array([0.5, 1.5, 2.5]), np.array([0.0, -10, -20])
    np.testing.assert_array_equal(volume.array, pixels * slopes[:, None, None] + intercepts[:, None, None])


def test_check_35_the_shipped_card_tells_how_mr_values_are_rescaled() -> None:
    card = (find_model("hippocampus-unet3d").path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert INTENSITIES in card
    assert "RescaleSlope" in INTENSITIES


def test_check_35_training_and_inference_take_the_same_rescaled_values(tmp_path: Path) -> None:
    pixels = write_series(
        tmp_path / "mr", axial(0, 5, 10), setting(Modality="MR", RescaleSlope=2.5, RescaleIntercept=7)
    )
    place = np.diag([-0.7, -0.8, 5.0, 1.0])
    place[:2, 3] = 10, 20
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 5, 3), np.uint8), place), tmp_path / "mask.nii.gz")
    files = training_data.CaseFiles("case", (tmp_path / "mr",), tmp_path / "mask.nii.gz", "patient")
    labels = (RecipeLabel(value=7, name="bright"),)
    data = training_data.Dataset(tmp_path, "toy", "none", ("image",), labels, (files,))
    trained_on = training_cases([training_data.load_case(data, files)], toy_spec())[0].image.numpy()
    predicted_on = preprocess({"image": read_volume(tmp_path / "mr")}, toy_spec()).array
    np.testing.assert_array_equal(trained_on, predicted_on)
    np.testing.assert_array_equal(np.sort(predicted_on, axis=None), np.sort(pixels * 2.5 + 7, axis=None))


@pytest.mark.parametrize("name", ["J2K_pixelrep_mismatch.dcm"])
def test_check_37_the_header_tells_the_sign_of_jpeg_2000(name: str) -> None:
    path = Path(str(get_testdata_file(name)))
    header = pydicom.dcmread(path, stop_before_pixels=True)
    assert header.PixelRepresentation == 1, "the code stream says unsigned"
    volume = read_volume(path)
    theirs = _theirs(path).astype(np.int64) * int(header.RescaleSlope) + int(header.RescaleIntercept)
    assert theirs.min() == -2000 + int(header.RescaleIntercept)
    np.testing.assert_array_equal(volume.array[0], theirs)


def test_check_38_padding_stays_out_of_window_and_normalisation(tmp_path: Path) -> None:
    def pad(dataset: FileDataset, n: int) -> None:
        pixels = np.full((5, 6), -2000, np.int16)
        pixels[1:4, 1:5] = 100 + np.arange(12).reshape(3, 4)
        pixels[0, 0] = -1950
        dataset.PixelData = pixels.tobytes()
        dataset.Modality = "MR"
        dataset.add_new("PixelPaddingValue", "SS", -2000)
        dataset.add_new("PixelPaddingRangeLimit", "SS", -1900)

    write_series(tmp_path, axial(0, 5), pad)
    volume = read_volume(tmp_path)
    assert volume.padding_range == (-2000, -1900)
    window = start_window(volume)
    assert 90 < window.low < window.high < 120
    tissue = volume.array[volume.array > 0].astype(float)
    values = normalise(volume, Normalisation(kind="zscore"))
    np.testing.assert_allclose(values[volume.array > 0], (tissue - tissue.mean()) / tissue.std(), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "lossy"),
    [
        ("JPEGLSNearLossless_16.dcm", True),
        ("MR_small_jpeg_ls_lossless.dcm", False),
        ("MR_small_jp2klossless.dcm", False),
        ("MR_small_RLE.dcm", False),
        ("JPEG2000.dcm", True),
        ("693_J2KI.dcm", True),
        ("image_dfl.dcm", False),
        ("MR_small_bigendian.dcm", False),
        ("SC_rgb_jpeg_lossy_gdcm.dcm", True),
    ],
)
def test_check_39_every_codec_decodes_as_pydicom_and_lossy_is_told(name: str, lossy: bool) -> None:
    path = Path(str(get_testdata_file(name)))
    header = pydicom.dcmread(path, stop_before_pixels=True)
    volume = read_volume(path, as_stack=True)
    theirs = _theirs(path)
    if not volume.is_rgb:
        theirs = theirs * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    np.testing.assert_allclose(volume.array[0], theirs, rtol=1e-6)
    assert ("lossy" in {warning.code for warning in volume.warnings}) is lossy


@pytest.mark.parametrize("syntax", ["HTJ2KLossless", "HTJ2KLosslessRPCL", "HTJ2K", "JPEGLossless", "JPEGLosslessSV1"])
def test_check_39_syntaxes_without_a_sample_have_a_decoder(syntax: str) -> None:
    assert get_decoder(getattr(pydicom.uid, syntax)).is_available


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "MR_small_RLE.dcm"])
def test_check_39_lossless_codecs_are_bit_exact(name: str) -> None:
    plain = read_volume(str(get_testdata_file("MR_small.dcm")))
    coded = read_volume(str(get_testdata_file(name)))
    np.testing.assert_array_equal(coded.array, plain.array)


def test_check_39_jpeg_extended_of_twelve_bits_equals_gdcms() -> None:
    path = str(get_testdata_file("JPGExtended.dcm"))
    np.testing.assert_array_equal(read_volume(path).array, SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)))


@pytest.mark.parametrize("name", ["MR_truncated.dcm"])
def test_check_40_a_real_truncated_file_is_refused(name: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_volume(str(get_testdata_file(name)))
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "NumberOfFrames"])
def test_check_41_a_header_that_promises_more_than_the_bytes_is_refused(tmp_path: Path, keyword: str) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    setattr(dataset, keyword, 7)
    with pytest.raises(ReadError) as caught:
        read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert caught.value.code in ("bad_pixels", "truncated")
