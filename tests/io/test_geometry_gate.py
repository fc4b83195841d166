"""The gate on series made with raw pydicom: right, right with a warning, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.errors import InconsistentSeries, UsageError
from segdesk.io import read_volume, scan
from segdesk.io.series import ScanResult, SeriesKind
from tests.io.dicom_maker import Edit, axial, enhanced, slice_dataset, write_series


def _warnings(found: ScanResult) -> set[str]:
    return {warning.code for entry in found.series for warning in entry.warnings}


def _refusals(found: ScanResult) -> list[str]:
    return [refusal.code for refusal in found.refused]


def _set(**values: object) -> Edit:
    def edit(dataset: FileDataset, n: int) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return edit


def test_slices_are_ordered_by_position_not_by_name_or_number(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(15, 0, 10, 5))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels[[1, 3, 2, 0]])
    assert volume.geometry == Geometry((4, 5, 6), np.array(
        [[0, 0, 0.7, -10], [0, 0.8, 0, -20], [5, 0, 0, 0], [0, 0, 0, 1.0]]))  # fmt: skip


def test_row_spacing_comes_first_in_pixel_spacing(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5))
    geometry = read_volume(tmp_path).geometry
    assert isinstance(geometry, Geometry)
    np.testing.assert_allclose(geometry.spacing_kji_mm, (5.0, 0.8, 0.7))


def test_a_lost_slice_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 15, 20))
    found = scan(tmp_path)
    assert _refusals(found) == ["missing_slice"]
    assert "near z = 10 mm" in found.refused[0].message
    assert [entry.kind for entry in found.series] == [SeriesKind.STACK]
    assert found.series[0].spacing_kji_mm is None


def test_an_uneven_series_is_refused_as_a_volume(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 11, 15, 20))
    with pytest.raises(InconsistentSeries) as caught:
        read_volume(tmp_path)
    assert caught.value.code == "irregular_spacing"


def test_an_uneven_series_opens_as_a_stack_with_each_slice_in_its_place(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 11, 15, 20))
    volume = read_volume(tmp_path, as_stack=True)
    assert isinstance(volume.geometry, SliceStackGeometry)
    np.testing.assert_array_equal(volume.array, pixels)
    np.testing.assert_allclose(volume.geometry.index_to_lps((2, 1, 2)), (-10 + 1.4, -20 + 0.8, 11))
    np.testing.assert_allclose(volume.geometry.thickness_k_mm, (5, 5.5, 5, 4.5, 5))


def test_positions_rounded_by_the_scanner_are_regular(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 0.62, 1.25, 1.88, 2.5))
    assert scan(tmp_path).series[0].kind is SeriesKind.VOLUME


def test_a_slice_beside_the_line_is_irregular(tmp_path: Path) -> None:
    write_series(tmp_path, [(0, 0, 0), (0.05, 0, 5), (0, 0, 10)])
    assert _refusals(scan(tmp_path)) == ["irregular_spacing"]


def test_gantry_tilt_keeps_the_shear_and_is_flagged(tmp_path: Path) -> None:
    write_series(tmp_path, [(0, n, 5 * n) for n in range(4)])
    volume = read_volume(tmp_path)
    assert [warning.code for warning in volume.warnings] == ["gantry_tilt"]
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, 0], (0, 1, 5))


def test_two_orientations_in_one_series_are_split(tmp_path: Path) -> None:
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


def test_one_of_several_stacks_is_chosen_by_its_uid(tmp_path: Path) -> None:
    def widen(dataset: FileDataset, n: int) -> None:
        dataset.PixelSpacing = [0.8, 0.7] if n < 2 else [0.9, 0.9]

    write_series(tmp_path, axial(0, 5, 0, 5, 10), widen)
    found = scan(tmp_path)
    chosen = next(entry for entry in found.series if entry.shape_kji[0] == 3)
    assert read_volume(tmp_path, series_uid=chosen.uid).array.shape == (3, 5, 6)


def test_orientation_text_that_differs_in_the_seventh_decimal_is_one_stack(tmp_path: Path) -> None:
    def jitter(dataset: FileDataset, n: int) -> None:
        dataset.ImageOrientationPatient = [1.0, n * 1e-7, 0, -n * 1e-7, 1.0, 0]

    write_series(tmp_path, axial(0, 5, 10), jitter)
    assert [entry.shape_kji for entry in scan(tmp_path).series] == [(3, 5, 6)]


def test_slices_without_a_position_are_a_stack_without_mm(tmp_path: Path) -> None:
    def unplace(dataset: FileDataset, n: int) -> None:
        del dataset.ImagePositionPatient

    pixels = write_series(tmp_path, axial(0, 5, 10), unplace)
    found = scan(tmp_path)
    assert _refusals(found) == ["no_position"]
    assert found.series[0].kind is SeriesKind.STACK
    volume = read_volume(tmp_path, as_stack=True)
    np.testing.assert_array_equal(volume.array, pixels)
    assert not volume.geometry.spacing_known


def test_times_at_the_same_positions_become_one_4d_series(tmp_path: Path) -> None:
    def time(dataset: FileDataset, n: int) -> None:
        dataset.TemporalPositionIdentifier = n % 3 + 1
        dataset.InstanceNumber = n + 1

    pixels = write_series(tmp_path, axial(0, 0, 0, 5, 5, 5), time)
    volume = read_volume(tmp_path)
    assert volume.time_points == 3
    np.testing.assert_array_equal(volume.array, pixels.reshape(2, 3, 5, 6).swapaxes(0, 1))


@pytest.mark.parametrize("keyword", ["EchoTime", "DiffusionBValue", "AcquisitionNumber", "TriggerTime"])
def test_echoes_and_b_values_become_points_in_ascending_order(tmp_path: Path, keyword: str) -> None:
    def tag(dataset: FileDataset, n: int) -> None:
        setattr(dataset, keyword, (30, 10)[n % 2])

    pixels = write_series(tmp_path, axial(0, 0, 5, 5), tag)
    volume = read_volume(tmp_path)
    assert volume.time_points == 2
    np.testing.assert_array_equal(volume.array[0], pixels[[1, 3]])


def test_points_without_any_key_follow_the_instance_numbers(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 0, 5))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels.reshape(2, 2, 5, 6))


def test_the_same_file_twice_counts_once(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10))
    original = sorted(tmp_path.iterdir())[0]
    (tmp_path / "copy").write_bytes(original.read_bytes())
    found = scan(tmp_path)
    assert [entry.kind for entry in found.series] == [SeriesKind.VOLUME]
    assert "duplicates_dropped" in _warnings(found)


def test_equal_pixels_at_one_position_count_once(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 10))
    slice_dataset(pixels[1], (-10, -20, 5), 99).save_as(tmp_path / "again.dcm", enforce_file_format=True)
    found = scan(tmp_path)
    assert [entry.shape_kji for entry in found.series] == [(3, 5, 6)]
    assert "duplicates_dropped" in _warnings(found)


def test_other_pixels_at_one_position_are_split_off(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 5, 10, 15))
    found = scan(tmp_path)
    assert sorted(entry.shape_kji[0] for entry in found.series) == [1, 4]
    assert "duplicate_position" in _warnings(found)


def test_one_position_again_and_again_is_no_volume(tmp_path: Path) -> None:
    write_series(tmp_path, axial(5, 5, 5))
    found = scan(tmp_path)
    assert _refusals(found) == ["duplicate_position"]
    assert [entry.kind for entry in found.series] == [SeriesKind.STACK]


def test_heart_phases_of_one_slice_are_a_cine(tmp_path: Path) -> None:
    def phase(dataset: FileDataset, n: int) -> None:
        dataset.TriggerTime = 40.0 * n

    write_series(tmp_path, axial(5, 5, 5), phase)
    assert [(entry.kind, entry.time_points) for entry in scan(tmp_path).series] == [(SeriesKind.CINE, 3)]


def test_a_localiser_in_the_series_is_split_off(tmp_path: Path) -> None:
    def localise(dataset: FileDataset, n: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER" if n == 3 else "AXIAL"]

    write_series(tmp_path, axial(0, 5, 10, 15), localise)
    assert sorted(entry.shape_kji[0] for entry in scan(tmp_path).series) == [1, 3]


def test_two_patients_are_never_merged(tmp_path: Path) -> None:
    def patient(dataset: FileDataset, n: int) -> None:
        dataset.PatientID = f"p{n % 2}"

    write_series(tmp_path, axial(0, 2.5, 5, 7.5), patient)
    assert [entry.shape_kji for entry in scan(tmp_path).series] == [(2, 5, 6)] * 2


def test_two_series_in_a_folder_are_two_entries(tmp_path: Path) -> None:
    write_series(tmp_path / "a", axial(0, 5))
    write_series(tmp_path / "b", axial(0, 5), _set(SeriesInstanceUID="1.2.3"))
    assert len(scan(tmp_path).series) == 2


def test_a_series_whose_slices_name_different_studies_is_one_volume(shared_data: Path) -> None:
    volume = read_volume(shared_data / "dicom-seg-rtstruct/rt-utils/oriented_data")
    assert volume.array.shape == (3, 50, 100)


def test_text_and_reports_are_skipped_and_counted(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5))
    (tmp_path / "README").write_text("no image")
    report = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    report.Modality = "SR"
    report.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    found = scan(tmp_path)
    assert (len(found.series), found.skipped, found.refused) == (1, 2, ())


@pytest.mark.parametrize(
    "values",
    [
        {"ImageOrientationPatient": [1, 0, 0, 0.01, 1, 0]},
        {"ImageOrientationPatient": [1.01, 0, 0, 0, 1, 0]},
        {"PixelSpacing": [0, 0.7]},
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": [1, 0, 0]},
    ],
)
def test_impossible_geometry_is_refused(tmp_path: Path, values: dict[str, object]) -> None:
    write_series(tmp_path, axial(0, 5), _set(**values))
    assert _refusals(scan(tmp_path)) == ["bad_geometry"]


def test_nearly_unit_cosines_are_normalised(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5), _set(ImageOrientationPatient=[1.0005, 0, 0, 0, 0.9995, 0]))
    geometry = read_volume(tmp_path).geometry
    assert isinstance(geometry, Geometry)
    np.testing.assert_allclose(geometry.spacing_kji_mm, (5.0, 0.8, 0.7), atol=1e-12)


@pytest.mark.parametrize("values", [{"SliceThickness": 3.0}, {"SpacingBetweenSlices": -6.0}])
def test_spacing_tags_that_disagree_are_told_and_not_used(tmp_path: Path, values: dict[str, object]) -> None:
    write_series(tmp_path, axial(0, 5, 10), _set(**values))
    found = scan(tmp_path)
    assert _warnings(found) == {"spacing_disagrees"}
    assert found.series[0].spacing_kji_mm is not None
    np.testing.assert_allclose(found.series[0].spacing_kji_mm[0], 5.0)


def test_numbers_that_announce_more_slices_are_told(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10), _set(ImagesInAcquisition=5))
    assert _warnings(scan(tmp_path)) == {"first_or_last_missing"}


def test_two_slices_are_a_volume(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5))
    assert scan(tmp_path).series[0].kind is SeriesKind.VOLUME


def test_no_message_names_the_patient(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 15))
    text = str(scan(tmp_path).to_json())
    assert "Secret" not in text
    assert "secret" not in text


def test_shuffled_frames_of_a_multiframe_give_the_same_volume(tmp_path: Path) -> None:
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


def test_a_multiframe_with_too_few_frame_groups_is_refused(tmp_path: Path) -> None:
    pixels = np.zeros((3, 5, 6), np.int16)
    dataset = enhanced(axial(0, 5, 10), pixels)
    del dataset.PerFrameFunctionalGroupsSequence[2]
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(InconsistentSeries) as caught:
        read_volume(tmp_path / "a.dcm")
    assert caught.value.code == "bad_pixels"


def test_frames_without_functional_groups_are_a_cine_not_z(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 0))
    dataset.Modality, dataset.NumberOfFrames = "US", 3
    dataset.PixelData = np.arange(90, dtype="<i2").tobytes()
    dataset.save_as(tmp_path / "us.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "us.dcm")
    assert (volume.time_points, volume.geometry.shape_kji) == (3, (1, 5, 6))


def test_dose_planes_follow_the_grid_offsets(tmp_path: Path) -> None:
    dataset = slice_dataset(np.zeros((5, 6)), (0, 0, 7))
    dataset.Modality, dataset.NumberOfFrames = "RTDOSE", 3
    dataset.GridFrameOffsetVector, dataset.DoseGridScaling = [0, 4, 8], 0.5
    dataset.PixelData = np.arange(90, dtype="<i2").tobytes()
    dataset.save_as(tmp_path / "dose.dcm", enforce_file_format=True)
    volume = read_volume(tmp_path / "dose.dcm")
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, [0, 3]], [[0, 0], [0, 0], [4, 7]])
    np.testing.assert_allclose(volume.array.ravel(), np.arange(90) / 2)


def test_full_precision_positions_keep_the_far_corner(tmp_path: Path) -> None:
    step = 0.33333333333333
    write_series(tmp_path, axial(*(n * step for n in range(9))))
    geometry = read_volume(tmp_path).geometry
    np.testing.assert_allclose(geometry.index_to_lps((8, 0, 0)), (-10, -20, 8 * step), atol=1e-9)
