"""Stored values: masked, sign-extended, rescaled a slice at a time, never filled up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset

from segdesk.core.progress import Cancelled
from segdesk.core.volume import IntensityUnit, Window
from segdesk.io import read_volume, scan
from tests.io.dicom_maker import axial, slice_dataset, write_series

_PIXELS = np.arange(-15, 15, dtype=np.int16).reshape(5, 6)


def _saved(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


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


def test_a_file_without_preamble_and_extension_is_read(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    whole = _saved(dataset, tmp_path / "a.dcm").read_bytes()
    (tmp_path / "IM0001").write_bytes(whole[132:])
    np.testing.assert_array_equal(read_volume(tmp_path / "IM0001").array[0], _PIXELS)


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


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10))
    entry = scan(tmp_path).series[0]

    def stop(done: int, total: int, text: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        entry.read(stop)
