"""One slice alone is that slice of the whole: values against pydicom and nibabel, place against the whole grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import RLELossless

from segdesk.core.volume import Volume
from segdesk.errors import NeedsConsent, ReadError, UsageError
from segdesk.io import SeriesEntry, read_volume, scan
from segdesk.io.limits import SizePolicy, use_policy
from segdesk.io.series import SeriesKind
from tests.io.dicom_maker import axial, enhanced, write_series


def require_slice_of(whole: Volume, alone: Volume, k: int, point: int = 0) -> None:
    """Everything but the warnings of a whole read is the same."""
    expected = whole.at_time(point).array[k : k + 1]
    np.testing.assert_array_equal(alone.array, expected)
    assert alone.array.dtype == expected.dtype
    assert (alone.unit, alone.modality, alone.windows) == (whole.unit, whole.modality, whole.windows)
    assert (alone.display_inverted, alone.padding_range) == (whole.display_inverted, whole.padding_range)
    assert alone.patient_key == whole.patient_key
    assert alone.time_points == 1
    for corner in ((0, 0), (2, 3)):
        np.testing.assert_allclose(
            alone.geometry.index_to_lps((0, *corner)), whole.geometry.index_to_lps((k, *corner)), atol=1e-9
        )


def only_entry(path: Path) -> SeriesEntry:
    (entry,) = scan(path).series
    return entry


def test_a_dicom_slice_has_its_own_rescale_and_the_type_of_the_whole(tmp_path: Path) -> None:
    def edit(dataset: FileDataset, n: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1 + 0.5 * n, -n
        dataset.WindowCenter, dataset.WindowWidth = 40 + n, 400

    stored = write_series(tmp_path, axial(9, 6, 3, 0), edit)
    entry = only_entry(tmp_path)
    assert entry.has_single_slices
    for k, n in enumerate((3, 2, 1, 0)):
        alone = entry.read_slice(k)
        np.testing.assert_array_equal(alone.array[0], (stored[n] * (1 + 0.5 * n) - n).astype(np.float32))
        require_slice_of(entry.read(), alone, k)


def test_a_slice_reads_no_file_but_its_own(tmp_path: Path) -> None:
    stored = write_series(tmp_path, axial(0, 3, 6))
    entry = only_entry(tmp_path)
    for path in (entry.paths[0], entry.paths[2]):
        path.unlink()
    np.testing.assert_array_equal(entry.read_slice(1).array[0], stored[1])
    with pytest.raises(ReadError):
        entry.read_slice(0)


def test_an_encoded_slice_is_the_one_pydicom_decodes(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 3, 6), lambda dataset, n: dataset.compress(RLELossless))
    entry = only_entry(tmp_path)
    np.testing.assert_array_equal(entry.read_slice(2).array[0], pydicom.dcmread(entry.paths[2]).pixel_array)


def test_a_frame_of_an_enhanced_object_has_the_rescale_of_its_group(tmp_path: Path) -> None:
    volume = np.random.default_rng(1).integers(-900, 900, (4, 5, 6)).astype(np.int16)
    enhanced(axial(0, 2, 4, 6), volume).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    entry = only_entry(tmp_path / "a.dcm")
    np.testing.assert_array_equal(entry.read_slice(3).array[0], volume[3] - 30)
    require_slice_of(entry.read(), entry.read_slice(3), 3)


def test_a_slice_of_an_irregular_stack_keeps_its_place(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 2, 3.1, 5))
    entry = only_entry(tmp_path)
    assert entry.kind is SeriesKind.STACK
    require_slice_of(entry.read(), entry.read_slice(2), 2)


def test_a_slice_of_one_time_point(tmp_path: Path) -> None:
    places = axial(0, 3, 6) * 2

    def edit(dataset: FileDataset, n: int) -> None:
        dataset.TemporalPositionIdentifier = 1 + n // 3
        dataset.AcquisitionNumber = 1 + n // 3

    stored = write_series(tmp_path, places, edit)
    entry = only_entry(tmp_path)
    assert entry.time_points == 2
    np.testing.assert_array_equal(entry.read_slice(1, point=1).array[0], stored[4])
    require_slice_of(entry.read(), entry.read_slice(1, point=1), 1, point=1)


def _grey(shape: tuple[int, ...], dtype: str) -> NDArray[np.generic]:
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<f4", "|u1"])
def test_a_nifti_slice_is_nibabels(tmp_path: Path, dtype: str) -> None:
    image = nibabel.Nifti1Image(_grey((6, 5, 4), dtype), np.diag([0.7, 0.8, 2.0, 1.0]))
    header = nibabel.Nifti1Header(endianness=dtype[0] if dtype[0] in "<>" else "<")
    header.set_data_dtype(dtype)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, header), tmp_path / "a.nii")
    entry = only_entry(tmp_path / "a.nii")
    expected = np.asarray(nibabel.load(tmp_path / "a.nii").dataobj).T
    np.testing.assert_array_equal(entry.read_slice(2).array[0], expected[2])
    require_slice_of(entry.read(), entry.read_slice(2), 2)


def test_a_scaled_nifti_over_time(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(_grey((6, 5, 4, 3), "<i2"), np.eye(4))
    image.header.set_slope_inter(0.25, -3)
    nibabel.save(image, tmp_path / "a.nii")
    entry = only_entry(tmp_path / "a.nii")
    expected = nibabel.load(tmp_path / "a.nii").get_fdata().T
    np.testing.assert_allclose(entry.read_slice(1, point=2).array[0], expected[2, 1], rtol=1e-6)
    require_slice_of(entry.read(), entry.read_slice(1, point=2), 1, point=2)


def test_a_coloured_nifti(tmp_path: Path) -> None:
    colours = np.random.default_rng(4).integers(0, 255, (6, 5, 4, 3)).astype(np.uint8)
    rgb = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii")
    entry = only_entry(tmp_path / "a.nii")
    np.testing.assert_array_equal(entry.read_slice(3).array[0], colours[:, :, 3].swapaxes(0, 1))


def _gzipped(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(_grey((6, 5, 4), "<i2"), np.eye(4)), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def _pair(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Pair(_grey((6, 5, 4), "<i2"), np.eye(4)), folder / "a.hdr")
    return folder / "a.hdr"


@pytest.mark.parametrize("make", [_gzipped, _pair])
def test_what_must_be_read_as_a_whole_says_so(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    entry = only_entry(make(tmp_path))
    assert not entry.has_single_slices
    with pytest.raises(UsageError, match="as a whole"):
        entry.read_slice(0)


@pytest.mark.parametrize(("k", "point"), [(-1, 0), (3, 0), (0, 1), (0, -1)])
def test_a_slice_that_is_not_there_is_refused(tmp_path: Path, k: int, point: int) -> None:
    write_series(tmp_path, axial(0, 3, 6))
    with pytest.raises(UsageError, match="has no slice"):
        only_entry(tmp_path).read_slice(k, point=point)


def test_a_file_cut_short_after_the_scan_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(_grey((6, 5, 4), "<i2"), np.eye(4)), path)
    entry = only_entry(path)
    path.write_bytes(path.read_bytes()[:-80])
    assert entry.read_slice(0).array.shape == (1, 5, 6)
    with pytest.raises(ReadError) as caught:
        entry.read_slice(3)
    assert caught.value.code == "truncated"


def test_a_slice_of_a_very_large_image_needs_consent_only_when_it_is_large_itself(tmp_path: Path) -> None:
    write_series(tmp_path, axial(*range(0, 30, 3)))
    entry = only_entry(tmp_path)
    with use_policy(SizePolicy(max_bytes=100)):
        assert entry.read_slice(5).array.shape == (1, 5, 6)
        with pytest.raises(NeedsConsent):
            entry.read()


def test_what_a_scan_takes_in_memory_is_told_from_the_header(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 3, 6))
    assert only_entry(tmp_path).decoded_bytes == read_volume(tmp_path).array.nbytes
