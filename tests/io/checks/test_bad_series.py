"""Each row of the table of bad series in the geometry guarantee: what loaders get wrong, and the right answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.errors import InconsistentSeries, UsageError, WriteError
from segdesk.io import read_volume, scan, write_volume
from segdesk.io.series import SeriesKind
from tests.io.dicom_maker import axial, refusals_of, slice_dataset, warnings_of, write_series


def test_bad_series_one_lost_slice_is_refused_named_and_offered_as_a_stack(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 15, 20))
    with pytest.raises(InconsistentSeries, match="near z = 10 mm") as caught:
        read_volume(tmp_path)
    assert caught.value.code == "missing_slice"
    stack = read_volume(tmp_path, as_stack=True)
    assert isinstance(stack.geometry, SliceStackGeometry)
    np.testing.assert_array_equal(stack.array, pixels)
    np.testing.assert_allclose(stack.geometry.slice_affines_ji_to_lps[:, 2, 2], (0, 5, 15, 20))


def test_bad_series_uneven_slices_never_make_a_grid(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 11, 15, 20))
    entry = scan(tmp_path).series[0]
    assert entry.kind is SeriesKind.STACK
    assert entry.spacing_kji_mm is None
    assert entry.to_json()["affine_kji_to_lps"] is None
    with pytest.raises(WriteError):
        write_volume(entry.read(), tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()


@pytest.mark.parametrize("zs_mm", [(0, 5, 5, 10), (0, 5, 5, 10, 15)])
def test_bad_series_an_identical_duplicate_is_kept_once(tmp_path: Path, zs_mm: tuple[float, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 900, (len(zs_mm), 5, 6)).astype(np.int16)
    pixels[2] = pixels[1]
    for n, z in enumerate(zs_mm):
        slice_dataset(pixels[n], (-10, -20, z), n + 1).save_as(tmp_path / f"{n}.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path)
    assert isinstance(volume.geometry, Geometry)
    assert volume.geometry.spacing_kji_mm[0] == 5.0
    np.testing.assert_array_equal(volume.array, np.delete(pixels, 2, axis=0))
    assert "duplicates_dropped" in {warning.code for warning in volume.warnings}


@pytest.mark.parametrize("zs_mm", [(0, 5, 5, 10), (0, 5, 5, 10, 15)])
def test_bad_series_a_different_duplicate_is_split(tmp_path: Path, zs_mm: tuple[float, ...]) -> None:
    write_series(tmp_path, axial(*zs_mm))
    found = scan(tmp_path)
    assert sorted(entry.shape_kji[0] for entry in found.series) == [1, len(zs_mm) - 1]
    assert "duplicate_position" in warnings_of(found)
    whole = max(found.series, key=lambda entry: entry.shape_kji)
    assert whole.spacing_kji_mm is not None
    assert whole.spacing_kji_mm[0] == pytest.approx(5.0)


def test_bad_series_gantry_tilt_keeps_native_slices_and_the_shear(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, [(0, n, 5 * n) for n in range(4)])
    volume = read_volume(tmp_path)
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_array_equal(volume.array, pixels)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, 0], (0, 1, 5))
    assert volume.geometry.voxel_volume_mm3 == pytest.approx(5 * 0.8 * 0.7), "not 5.099 mm thick"
    assert warnings_of(scan(tmp_path)) == {"gantry_tilt"}


def test_bad_series_mixed_orientation_is_split(tmp_path: Path) -> None:
    def turn(dataset: FileDataset, n: int) -> None:
        if n >= 3:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            dataset.ImagePositionPatient = [0, 5.0 * n, 0]

    write_series(tmp_path, axial(0, 5, 10, 0, 0, 0), turn)
    found = scan(tmp_path)
    assert [entry.shape_kji for entry in found.series] == [(3, 5, 6)] * 2
    assert len({entry.uid for entry in found.series}) == 2
    with pytest.raises(UsageError) as caught:
        read_volume(tmp_path)
    assert caught.value.code == "several_series"


def test_bad_series_mixed_pixel_spacing_is_split(tmp_path: Path) -> None:
    def widen(dataset: FileDataset, n: int) -> None:
        dataset.PixelSpacing = [0.8, 0.7] if n < 2 else [0.8, 0.71]

    write_series(tmp_path, axial(0, 5, 10, 15, 20), widen)
    entries = scan(tmp_path).series
    assert {entry.spacing_kji_mm for entry in entries} == {(5.0, 0.8, 0.7), (5.0, 0.8, 0.71)}


def test_bad_series_slices_without_a_position_are_a_stack_without_mm(tmp_path: Path) -> None:
    def unplace(dataset: FileDataset, n: int) -> None:
        del dataset.ImagePositionPatient

    pixels = write_series(tmp_path, axial(0, 5, 10), unplace)
    found = scan(tmp_path)
    assert refusals_of(found) == ["no_position"]
    assert found.series[0].kind is SeriesKind.STACK
    volume = read_volume(tmp_path, as_stack=True)
    np.testing.assert_array_equal(volume.array, pixels)
    assert not volume.geometry.spacing_known
    with pytest.raises(WriteError):
        write_volume(volume, tmp_path / "out.nii.gz")


def test_bad_series_two_positions_and_three_times_are_three_volumes_of_two_slices(tmp_path: Path) -> None:
    def time(dataset: FileDataset, n: int) -> None:
        dataset.AcquisitionTime = f"1010{10 + n % 3}"

    pixels = write_series(tmp_path, axial(0, 0, 0, 1, 1, 1), time)
    volume = read_volume(tmp_path)
    assert (volume.time_points, volume.geometry.shape_kji) == (3, (2, 5, 6))
    np.testing.assert_array_equal(volume.array, pixels.reshape(2, 3, 5, 6).swapaxes(0, 1))


def test_bad_series_monochrome1_keeps_its_values_and_inverts_the_display_once(tmp_path: Path) -> None:
    pixels = write_series(
        tmp_path, axial(0, 5), lambda dataset, n: setattr(dataset, "PhotometricInterpretation", "MONOCHROME1")
    )
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels)
    assert volume.display_inverted


def test_bad_series_a_rescale_per_slice_is_applied_per_slice(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 10), lambda dataset, n: setattr(dataset, "RescaleSlope", n + 1))
    volume = read_volume(tmp_path)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, pixels * np.array([1, 2, 3])[:, None, None])
