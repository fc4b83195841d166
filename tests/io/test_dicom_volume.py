"""Assembling a volume: rescale in place, encoded frames, the middle slice first."""

from __future__ import annotations

from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.errors import ReadError
from segdesk.io import read_volume, scan
from segdesk.io.dicom.encoded_frames import decoded_frame, decoder_of, fragments_of_frames
from segdesk.io.dicom.headers import read_instance
from segdesk.io.dicom.volume import DicomVolume
from tests.io.dicom_maker import axial, slice_dataset, write_series

_SHAPE = (48, 40)
_SYNTAXES = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


def _set_values(dataset: FileDataset, values: NDArray[np.integer], bits_stored: int | None = None) -> None:
    bits = values.dtype.itemsize * 8
    stored = bits_stored or bits
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, stored, stored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.astype(values.dtype.newbyteorder("<")).tobytes()
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"


def _values(dtype: str, bits_stored: int, frames: int = 1) -> NDArray[np.integer]:
    """A ramp with noise over the whole range of the stored bits."""
    is_signed = np.dtype(dtype).kind == "i"
    low = -(1 << (bits_stored - 1)) if is_signed else 0
    shape = (frames, *_SHAPE) if frames > 1 else _SHAPE
    values = np.random.default_rng(bits_stored).integers(low, low + (1 << bits_stored), shape)
    ramp = low + np.arange(values.size).reshape(shape) % (1 << bits_stored)
    return np.where(values % 3 == 0, values, ramp).astype(dtype)


@pytest.mark.parametrize("intercept", [0, 1, -24, -1024, -40000, 60000])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_a_whole_intercept_is_exact_for_every_stored_type(tmp_path: Path, dtype: str, intercept: int) -> None:
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.max, 0, 1, limits.max // 3, limits.min // 3] * 320, dtype).reshape(_SHAPE)

    def edit(dataset: FileDataset, n: int) -> None:
        _set_values(dataset, values if n else np.zeros_like(values))
        dataset.RescaleIntercept = intercept

    write_series(tmp_path, axial(0, 5), edit)
    array = read_volume(tmp_path).array
    assert array.dtype.kind in "iu"
    np.testing.assert_array_equal(array[1].astype(np.int64), values.astype(np.int64) + intercept)
    assert (array[0] == intercept).all()


@pytest.mark.parametrize(("dtype", "bits_stored"), [("uint8", 8), ("uint16", 12), ("int16", 12), ("int16", 16)])
@pytest.mark.parametrize("syntax", _SYNTAXES)
def test_encoded_frames_are_decoded_here_and_equal(tmp_path: Path, syntax: str, dtype: str, bits_stored: int) -> None:
    values = _values(dtype, bits_stored)
    dataset = slice_dataset(values, (0, 0, 0))
    _set_values(dataset, values, bits_stored)
    dataset.compress(syntax)
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_volume(path).array[0], values)
    # The quick decoder of run lengths does not survive damaged ones.
    assert _is_decoded_here(path) is (syntax != RLELossless)


def _is_decoded_here(path: Path) -> bool:
    instance = read_instance(path)
    assert instance is not None
    if decoder_of(instance.layout) is None:
        return False
    with path.open("rb") as file:
        places = fragments_of_frames(file, instance.layout)
        return places is not None and decoded_frame(file, places[0], instance.layout, path) is not None


def _as_jpeg_lossless(source: Path, target: Path) -> None:
    """Encode with GDCM: JPEG lossless, process 14."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize(("dtype", "bits_stored"), [("uint8", 8), ("uint16", 12), ("int16", 16)])
def test_jpeg_lossless_is_decoded_here_and_equal(tmp_path: Path, dtype: str, bits_stored: int) -> None:
    values = _values(dtype, bits_stored)
    dataset = slice_dataset(values, (0, 0, 0))
    _set_values(dataset, values, bits_stored)
    dataset.save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    _as_jpeg_lossless(tmp_path / "plain.dcm", tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.dcm").array[0], values)
    assert _is_decoded_here(tmp_path / "a.dcm")


@pytest.mark.parametrize("syntax", _SYNTAXES)
def test_every_frame_of_an_encoded_cine_is_its_own(tmp_path: Path, syntax: str) -> None:
    values = _values("uint16", 12, frames=19)
    dataset = slice_dataset(values[0], (0, 0, 0))
    _set_values(dataset, values, 12)
    dataset.NumberOfFrames = len(values)
    dataset.compress(syntax)
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_volume(path).array[:, 0], values)


def test_frames_in_several_fragments_are_left_to_pydicom(tmp_path: Path) -> None:
    values = _values("uint16", 12, frames=2)
    dataset = slice_dataset(values[0], (0, 0, 0))
    _set_values(dataset, values, 12)
    dataset.NumberOfFrames = 2
    dataset.compress(JPEGLSLossless)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=2))
    dataset.PixelData = encapsulate(frames, fragments_per_frame=2)
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    assert not _is_decoded_here(path)
    np.testing.assert_array_equal(read_volume(path).array[:, 0], values)


@pytest.mark.parametrize("syntax", _SYNTAXES)
def test_a_stream_that_ends_early_is_refused(tmp_path: Path, syntax: str) -> None:
    dataset = slice_dataset(np.zeros(_SHAPE), (0, 0, 0))
    _set_values(dataset, _values("uint16", 12), 12)
    dataset.compress(syntax)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([stream[: len(stream) // 2]])
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    assert not _is_decoded_here(path)
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "bad_pixels"


def test_a_jpeg_that_ends_early_is_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros(_SHAPE), (0, 0, 0))
    _set_values(dataset, _values("uint16", 12), 12)
    dataset.save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    _as_jpeg_lossless(tmp_path / "plain.dcm", tmp_path / "a.dcm")
    encoded = pydicom.dcmread(tmp_path / "a.dcm")
    stream = next(generate_frames(encoded.PixelData, number_of_frames=1))
    encoded.PixelData = encapsulate([stream[: len(stream) // 2]])
    encoded.save_as(tmp_path / "a.dcm")
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "a.dcm")
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_a_stream_that_claims_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path, syntax: str) -> None:
    dataset = slice_dataset(np.zeros(_SHAPE), (0, 0, 0))
    _set_values(dataset, _values("uint16", 12), 12)
    dataset.compress(syntax)
    stream = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    size_at = stream.index(b"\xff\xf7") + 5 if syntax == JPEGLSLossless else 10
    stream[size_at : size_at + 2] = b"\xff\xff"
    dataset.PixelData = encapsulate([bytes(stream)])
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ReadError, match="another size"):
        read_volume(path)


def test_a_jpeg_2000_stream_of_another_sign_is_judged_by_pydicom(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros(_SHAPE), (0, 0, 0))
    _set_values(dataset, _values("uint16", 16), 16)
    dataset.compress(JPEG2000Lossless)
    dataset.PixelRepresentation = 1
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    assert not _is_decoded_here(path)
    np.testing.assert_array_equal(read_volume(path).array[0], pixel_array(path, raw=True))


def test_a_stream_of_another_size_is_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros(_SHAPE), (0, 0, 0))
    _set_values(dataset, _values("uint16", 12), 12)
    dataset.compress(JPEGLSLossless)
    dataset.Columns = 39
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    with pytest.raises(ReadError, match="another size"):
        read_volume(path)


@pytest.mark.filterwarnings("ignore")
def test_every_grey_encoded_file_of_pydicom_is_the_same_here_and_there() -> None:
    decoded = 0
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        try:
            instance = read_instance(path)
        except ReadError:
            continue
        if instance is None or decoder_of(instance.layout) is None:
            continue
        with path.open("rb") as file:
            places = fragments_of_frames(file, instance.layout)
            pixels = None if places is None else decoded_frame(file, places[0], instance.layout, path)
        if pixels is not None:
            expected = pixel_array(path, index=0, raw=True)
            np.testing.assert_array_equal(pixels.astype(expected.dtype), expected, err_msg=path.name)
            decoded += 1
    assert decoded >= 4


def test_the_middle_slice_comes_first_and_the_rest_after(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(*range(0, 45, 5)), lambda d, n: setattr(d, "RescaleIntercept", -1000))
    reader = scan(tmp_path).series[0].reader
    assert isinstance(reader, DicomVolume)
    seen: list[tuple[Volume, NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]] = []

    def started(volume: Volume, is_read: NDArray[np.bool_]) -> None:
        seen.append((volume, volume.array.copy(), is_read, is_read.copy()))

    whole = reader.stream(silent, started)
    [(early, then, is_read, was_read)] = seen
    assert was_read.tolist() == [n == 4 for n in range(9)]
    np.testing.assert_array_equal(then[4], pixels[4] - 1000)
    assert not then[~was_read].any()
    assert is_read.all()
    assert whole.array is early.array or np.shares_memory(whole.array, early.array)
    np.testing.assert_array_equal(whole.array, pixels - 1000)
    assert (early.windows, early.unit, early.geometry) == (whole.windows, whole.unit, whole.geometry)
