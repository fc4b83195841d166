"""Geometry checks 21 to 29: what belongs together, what is no image, frames, time, tiles."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import dcm2niix
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ImplicitVRLittleEndian

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.errors import InconsistentSeries, ReadError
from segdesk.io import read_volume, scan, write_volume
from segdesk.io.series import SeriesKind
from tests.io.dicom_maker import axial, enhanced, setting, slice_dataset, write_series
from tests.io.world import load, nibabel_array, to_grid_of

_PIXELS = np.arange(-15, 15, dtype=np.int16).reshape(5, 6)


def _saved(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_check_21_two_series_in_a_folder_are_two_entries(tmp_path: Path) -> None:
    write_series(tmp_path / "a", axial(0, 5))
    write_series(tmp_path / "b", axial(0, 5), setting(SeriesInstanceUID="1.2.3"))
    assert len(scan(tmp_path).series) == 2


def test_check_22_two_patients_are_never_merged(tmp_path: Path) -> None:
    def patient(dataset: FileDataset, n: int) -> None:
        dataset.PatientID = f"p{n % 2}"

    write_series(tmp_path, axial(0, 2.5, 5, 7.5), patient)
    assert [entry.shape_kji for entry in scan(tmp_path).series] == [(2, 5, 6)] * 2


def test_check_23_a_localiser_in_the_series_is_split_off(tmp_path: Path) -> None:
    def localise(dataset: FileDataset, n: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER" if n == 3 else "AXIAL"]

    write_series(tmp_path, axial(0, 5, 10, 15), localise)
    assert sorted(entry.shape_kji[0] for entry in scan(tmp_path).series) == [1, 3]


def test_check_25_shuffled_frames_of_a_multiframe_give_the_same_volume(tmp_path: Path) -> None:
    positions = axial(0, 5, 10, 15)
    pixels = np.random.default_rng(3).integers(0, 900, (4, 5, 6)).astype(np.int16)
    order = [2, 0, 3, 1]
    straight, shuffled = tmp_path / "a.dcm", tmp_path / "b.dcm"
    for path, ranks in ((straight, range(4)), (shuffled, order)):
        dataset = enhanced([positions[n] for n in ranks], pixels[list(ranks)])
        for rank, group in zip(ranks, dataset.PerFrameFunctionalGroupsSequence, strict=True):
            group.PixelValueTransformationSequence[0].RescaleIntercept = -10 * rank
        dataset.save_as(path, enforce_file_format=True)
    one, other = read_volume(straight), read_volume(shuffled)
    np.testing.assert_array_equal(one.array, pixels - 10 * np.arange(4, dtype=np.int16)[:, None, None])
    np.testing.assert_array_equal(one.array, other.array)
    assert one.geometry == other.geometry


def test_check_26_frames_without_functional_groups_are_a_cine_not_z(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    dataset.Modality, dataset.NumberOfFrames = "US", 3
    dataset.PixelData = np.arange(90, dtype="<i2").tobytes()
    dataset.save_as(tmp_path / "us.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "us.dcm")
    assert (volume.time_points, volume.geometry.shape_kji) == (3, (1, 5, 6))


def test_check_27_dose_planes_follow_the_grid_offsets(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 7))
    dataset.Modality, dataset.NumberOfFrames = "RTDOSE", 3
    dataset.GridFrameOffsetVector, dataset.DoseGridScaling = [0, 4, 8], 0.5
    dataset.PixelData = np.arange(90, dtype="<i2").tobytes()
    dataset.save_as(tmp_path / "dose.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "dose.dcm")
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, [0, 3]], [[0, 0], [0, 0], [4, 7]])
    np.testing.assert_allclose(volume.array.ravel(), np.arange(90) / 2)


def test_check_28_times_at_the_same_positions_become_one_4d_series(tmp_path: Path) -> None:
    def time(dataset: FileDataset, n: int) -> None:
        dataset.TemporalPositionIdentifier = n % 3 + 1
        dataset.InstanceNumber = n + 1

    pixels = write_series(tmp_path, axial(0, 0, 0, 5, 5, 5), time)
    volume = read_volume(tmp_path)
    assert volume.time_points == 3
    np.testing.assert_array_equal(volume.array, pixels.reshape(2, 3, 5, 6).swapaxes(0, 1))


def test_check_28_points_without_any_key_follow_the_instance_numbers(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 0, 5))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels.reshape(2, 2, 5, 6))


def test_check_29_a_mosaic_without_its_private_header_is_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    with pytest.raises(ReadError, match="mosaic"):
        read_volume(_saved(dataset, tmp_path / "a.dcm"))


def test_check_21_series_of_other_files_in_the_folder_are_entries_of_their_own(tmp_path: Path) -> None:
    write_series(tmp_path / "a", axial(0, 5, 10))
    write_series(tmp_path / "deep" / "er", axial(2.5, 7.5), setting(SeriesInstanceUID="1.2.3"))
    assert sorted(entry.shape_kji[0] for entry in scan(tmp_path).series) == [2, 3]


def test_check_22_one_series_uid_in_two_patients_is_two_entries(tmp_path: Path) -> None:
    write_series(tmp_path / "a", axial(0, 5), setting(PatientID="p1"))
    write_series(tmp_path / "b", axial(0, 5), setting(PatientID="p2"))
    entries = scan(tmp_path).series
    assert [entry.shape_kji[0] for entry in entries] == [2, 2]
    assert len({entry.uid for entry in entries}) == 2


def test_check_23_a_localiser_without_its_name_is_split_off_by_its_plane(tmp_path: Path) -> None:
    def localise(dataset: FileDataset, n: int) -> None:
        if n == 3:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    write_series(tmp_path, axial(0, 5, 10, 15), localise)
    assert sorted(entry.shape_kji[0] for entry in scan(tmp_path).series) == [1, 3]


def test_check_24_what_is_no_image_is_skipped_and_counted(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5))
    (tmp_path / "README").write_text("no image")
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(200))
    (tmp_path / "notes.pdf").write_bytes(b"%PDF-1.4\n" + bytes(200))
    for n, (modality, sop_class) in enumerate(
        [
            ("SR", "1.2.840.10008.5.1.4.1.1.88.22"),
            ("DOC", "1.2.840.10008.5.1.4.1.1.104.1"),
            ("PR", "1.2.840.10008.5.1.4.1.1.11.1"),
        ]
    ):
        dataset = slice_dataset(pixels[0], (0, 0, 0), 40 + n)
        dataset.Modality = modality
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        for keyword in ("PixelData", "Rows", "Columns"):
            delattr(dataset, keyword)
        _saved(dataset, tmp_path / f"{modality}.dcm")
    found = scan(tmp_path)
    assert (len(found.series), found.skipped, found.refused) == (1, 6, ())
    np.testing.assert_array_equal(found.series[0].read().array, pixels)


def test_check_24_a_dicomdir_is_skipped_and_counted(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5))
    directory = Dataset()
    directory.FileSetID, directory.DirectoryRecordSequence = "SET", Items([])
    directory.file_meta = slice_dataset(_PIXELS, (0, 0, 0)).file_meta
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.preamble = bytes(128)
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    found = scan(tmp_path)
    assert (len(found.series), found.skipped) == (1, 1)


def test_check_25_a_multiframe_follows_its_positions_and_not_the_shared_thickness(tmp_path: Path) -> None:
    pixels = np.random.default_rng(8).integers(0, 900, (3, 5, 6)).astype(np.int16)
    dataset = enhanced(axial(4, 0, 2), pixels)  # frames shuffled; SliceThickness says 5
    volume = read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, [0, 3]], [[0, -10], [0, -20], [2, 0]])
    np.testing.assert_array_equal(volume.array, (pixels + np.array([0, -10, -20])[:, None, None])[[1, 2, 0]])
    assert "spacing_disagrees" in {warning.code for warning in volume.warnings}


def test_check_25_an_irregular_multiframe_is_refused_like_a_series(tmp_path: Path) -> None:
    dataset = enhanced(axial(0, 5, 15), np.zeros((3, 5, 6), np.int16))
    with pytest.raises(InconsistentSeries) as caught:
        read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert caught.value.code == "missing_slice"


@pytest.mark.parametrize("modality", ["US", "XA", "NM", "RF"])
def test_check_26_many_frames_of_one_file_are_time_whatever_position_the_header_gives(
    tmp_path: Path, modality: str
) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    dataset.Modality, dataset.NumberOfFrames, dataset.SliceThickness = modality, 3, 2.0
    dataset.PixelData = np.arange(90, dtype="<i2").tobytes()
    entry = scan(_saved(dataset, tmp_path / "cine.dcm")).series[0]
    assert (entry.kind, entry.time_points, entry.shape_kji) == (SeriesKind.CINE, 3, (1, 5, 6))
    np.testing.assert_array_equal(entry.read().array.ravel(), np.arange(90))


@pytest.mark.parametrize(("offsets", "code"), [([0, 4, 8.5], "irregular_spacing"), ([0, 4, 12], "missing_slice")])
def test_check_27_uneven_dose_planes_are_no_volume(tmp_path: Path, offsets: list[float], code: str) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 7))
    dataset.Modality, dataset.NumberOfFrames = "RTDOSE", 3
    dataset.GridFrameOffsetVector, dataset.DoseGridScaling = offsets, 0.5
    dataset.PixelData = np.arange(90, dtype="<i2").tobytes()
    with pytest.raises(InconsistentSeries) as caught:
        read_volume(_saved(dataset, tmp_path / "dose.dcm"))
    assert caught.value.code == code


@pytest.mark.parametrize("keyword", ["EchoTime", "AcquisitionNumber", "TriggerTime", "TemporalPositionIdentifier"])
def test_check_28_echoes_and_times_become_points_in_ascending_order(tmp_path: Path, keyword: str) -> None:
    def tag(dataset: FileDataset, n: int) -> None:
        setattr(dataset, keyword, (30, 10)[n % 2])

    pixels = write_series(tmp_path, axial(0, 0, 5, 5), tag)
    volume = read_volume(tmp_path)
    assert volume.time_points == 2
    np.testing.assert_array_equal(volume.array, pixels[[1, 3, 0, 2]].reshape(2, 2, 5, 6))


def test_check_28_b_values_become_points_in_acquisition_order(tmp_path: Path) -> None:
    pixels = write_series(
        tmp_path, axial(0, 0, 0, 5, 5, 5), lambda dataset, n: setattr(dataset, "DiffusionBValue", (800, 0, 400)[n % 3])
    )
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels.reshape(2, 3, 5, 6).swapaxes(0, 1))


def test_check_28_volumes_on_different_grids_are_split(tmp_path: Path) -> None:
    def echo(dataset: FileDataset, n: int) -> None:
        dataset.EchoTime, dataset.AcquisitionNumber = (10, 1) if n < 3 else (30, 2)

    pixels = write_series(tmp_path, axial(0, 5, 10, 0, 5), echo)
    entries = sorted(scan(tmp_path).series, key=lambda entry: entry.shape_kji)
    assert [(entry.kind, entry.time_points, entry.shape_kji[0]) for entry in entries] == [
        (SeriesKind.VOLUME, 1, 2), (SeriesKind.VOLUME, 1, 3)
    ]  # fmt: skip
    np.testing.assert_array_equal(entries[0].read().array, pixels[3:])


def test_check_28_export_writes_one_4d_nifti_and_masks_are_3d(tmp_path: Path) -> None:
    def time(dataset: FileDataset, n: int) -> None:
        dataset.TemporalPositionIdentifier = n // 2 + 1

    pixels = write_series(tmp_path / "series", axial(0, 5, 0, 5, 0, 5), time)
    volume = read_volume(tmp_path / "series")
    write_volume(volume, tmp_path / "out.nii.gz")
    image = load(tmp_path / "out.nii.gz")
    assert image.shape == (6, 5, 2, 3)
    np.testing.assert_array_equal(nibabel_array(image), pixels.reshape(3, 2, 5, 6))
    assert LabelMap.empty(volume.geometry).array.shape == (2, 5, 6)


@pytest.mark.parametrize("name", ["siemens/fmri_classic/001", "philips/fmri/001", "philips_enhanced/fmri/001"])
def test_check_28_real_4d_series_are_exported_as_their_4d_truth(shared_data: Path, tmp_path: Path, name: str) -> None:
    folder = shared_data / "dicom-small-golden"
    write_volume(read_volume(folder / name), tmp_path / "out.nii.gz")
    ours, truth = load(tmp_path / "out.nii.gz"), load(folder / f"{name}_ground_truth.nii.gz")
    assert len(truth.shape) == 4
    array, off_mm = to_grid_of(read_volume(tmp_path / "out.nii.gz"), truth)
    assert sorted(ours.shape) == sorted(truth.shape)
    assert off_mm <= 0.01
    np.testing.assert_allclose(array, nibabel_array(truth), rtol=1e-6, atol=1e-6)


_TILE = (8, 6)


def _uih_tiled(
    count: int, number: int, *, implicit: bool = False, edit: object = None
) -> tuple[FileDataset, np.ndarray]:
    """A tiled image as the vendor describes it: ceil(sqrt(n)) tiles a row, an item with a position per tile."""
    across = math.ceil(math.sqrt(count))
    rows, columns = _TILE
    volume = np.random.default_rng(number).integers(0, 900, (count, rows, columns)).astype(np.int16)
    big = np.zeros((math.ceil(count / across) * rows, across * columns), np.int16)
    for n, tile in enumerate(volume):
        down, right = divmod(n, across)
        big[down * rows : (down + 1) * rows, right * columns : (right + 1) * columns] = tile
    dataset = slice_dataset(big, (-50, -60, 10), number)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.Modality, dataset.Manufacturer, dataset.ImageType = "MR", "UIH", ["ORIGINAL", "PRIMARY", "M", "VFRAME"]
    dataset.ImageOrientationPatient = [0.8, 0.6, 0, -0.6, 0.8, 0]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = 3.3
    dataset.StudyDate, dataset.StudyTime, dataset.SeriesNumber, dataset.ProtocolName = "20200101", "101010", 1, "x"
    dataset.RepetitionTime, dataset.EchoTime, dataset.AcquisitionNumber = 2000, 30, 1
    items = []
    for n in range(count):
        item = Dataset()
        item.ImagePositionPatient = [-50, -60, f"{10 + 3.3 * n:.3f}"]
        items.append(item)
    block = dataset.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", str(count))
    block.add_new(0x51, "SQ", Items(items))
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        free = Dataset(dataset)
        free.file_meta, free.preamble = dataset.file_meta, bytes(128)
        return free, volume
    return dataset, volume


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("count", [2, 12, 20])
def test_check_29_uih_tiles_are_taken_apart_as_dcm2niix_does(tmp_path: Path, count: int, implicit: bool) -> None:
    series, out = tmp_path / "series", tmp_path / "out"
    for folder in (series, out):
        folder.mkdir()
    volumes = []
    for number in (1, 2):
        dataset, volume = _uih_tiled(count, number, implicit=implicit)
        dataset.save_as(series / f"{number}.dcm", enforce_file_format=True)
        volumes.append(volume)
    ours = read_volume(series)
    np.testing.assert_array_equal(ours.array, volumes)
    np.testing.assert_allclose(
        ours.geometry.index_to_lps((1, 2, 3)), (-50 + 2.1 * 0.8 - 1.6 * 0.6, -60 + 2.1 * 0.6 + 1.6 * 0.8, 13.3)
    )
    command = [dcm2niix.bin, "-p", "n", "-b", "n", "-z", "n", "-f", "o", "-o", str(out), str(series)]
    subprocess.run(command, check=True, capture_output=True)
    theirs = load(out / "o.nii")
    array, off_mm = to_grid_of(ours, theirs)
    assert off_mm <= 1e-3
    np.testing.assert_array_equal(array, nibabel_array(theirs))


@pytest.mark.parametrize("fault", ["no count", "no positions", "one position missing", "count too high", "no place"])
def test_check_29_uih_tiles_that_cannot_be_placed_are_never_one_slice(tmp_path: Path, fault: str) -> None:
    dataset, _ = _uih_tiled(12, 1)
    block = dataset.private_block(0x0065, "Image Private Header")
    if fault == "no count":
        del block[0x50]
    elif fault == "no positions":
        del block[0x51]
    elif fault == "one position missing":
        del block[0x51].value[3].ImagePositionPatient
    elif fault == "count too high":
        block[0x50].value = "60"
    else:
        del dataset.ImageOrientationPatient
    with pytest.raises(ReadError, match="tiled") as caught:
        read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert caught.value.code == "bad_geometry"


@pytest.mark.parametrize(
    "content",
    [
        b"\xfe\xff\x00\xe0\xff\x00\x00\x00junk",
        b"\xfe\xff\x00\xe0\x08",
        b"\xfe\xff",
        b"no sequence at all, just words..",
    ],
)
def test_check_29_a_damaged_sequence_of_uih_positions_is_one_typed_error(tmp_path: Path, content: bytes) -> None:
    dataset, _ = _uih_tiled(2, 1)
    block = dataset.private_block(0x0065, "Image Private Header")
    del block[0x51]
    block.add_new(0x51, "UN", content)
    with pytest.raises(ReadError) as caught:
        read_volume(_saved(dataset, tmp_path / "a.dcm"))
    assert caught.value.code == "bad_geometry"


@pytest.mark.parametrize("name", ["ax/axasc35", "ax/axint36", "cor/cordesc36", "sag/sagint36", "axmb/AxAsc36mb2a"])
def test_check_29_siemens_mosaics_are_volumes_and_never_one_slice(shared_data: Path, name: str) -> None:
    entry = scan(shared_data / "dicom-qa/dcm_qa/In/Orientation" / name).series[0]
    assert entry.shape_kji[0] in (35, 36)
    assert entry.kind in (SeriesKind.VOLUME, SeriesKind.SERIES4D)
