"""Geometry checks 1 to 9: which slices make a volume, in which order, how far apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import LabelMap
from segdesk.errors import InconsistentSeries
from segdesk.io import read_volume, scan
from segdesk.io.series import SeriesKind
from segdesk.metrics.volumetry import volumes_mm3
from tests.io.dicom_maker import axial, refusals_of, setting, slice_dataset, warnings_of, write_series


def test_check_01_slices_are_ordered_by_position_not_by_name_or_number(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(15, 0, 10, 5))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels[[1, 3, 2, 0]])
    assert volume.geometry == Geometry((4, 5, 6), np.array(
        [[0, 0, 0.7, -10], [0, 0.8, 0, -20], [5, 0, 0, 0], [0, 0, 0, 1.0]]))  # fmt: skip


@pytest.mark.parametrize("values", [{"SliceThickness": 3.0}, {"SpacingBetweenSlices": -6.0}])
def test_check_02_spacing_tags_that_disagree_are_told_and_not_used(tmp_path: Path, values: dict[str, object]) -> None:
    write_series(tmp_path, axial(0, 5, 10), setting(**values))
    found = scan(tmp_path)
    assert warnings_of(found) == {"spacing_disagrees"}
    assert found.series[0].spacing_kji_mm is not None
    np.testing.assert_allclose(found.series[0].spacing_kji_mm[0], 5.0)


def test_check_03_an_uneven_series_is_refused_as_a_volume(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 11, 15, 20))
    with pytest.raises(InconsistentSeries) as caught:
        read_volume(tmp_path)
    assert caught.value.code == "irregular_spacing"


def test_check_03_positions_rounded_by_the_scanner_are_regular(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 0.62, 1.25, 1.88, 2.5))
    assert scan(tmp_path).series[0].kind is SeriesKind.VOLUME


def test_check_03_a_slice_beside_the_line_is_irregular(tmp_path: Path) -> None:
    write_series(tmp_path, [(0, 0, 0), (0.05, 0, 5), (0, 0, 10)])
    assert refusals_of(scan(tmp_path)) == ["irregular_spacing"]


def test_check_04_a_lost_slice_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 15, 20))
    found = scan(tmp_path)
    assert refusals_of(found) == ["missing_slice"]
    assert "near z = 10 mm" in found.refused[0].message
    assert [entry.kind for entry in found.series] == [SeriesKind.STACK]
    assert found.series[0].spacing_kji_mm is None


def test_check_05_headers_that_announce_more_slices_are_told(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10), setting(ImagesInAcquisition=5))
    assert warnings_of(scan(tmp_path)) == {"first_or_last_missing"}


def test_check_06_the_same_file_twice_counts_once(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10))
    original = sorted(tmp_path.iterdir())[0]
    (tmp_path / "copy").write_bytes(original.read_bytes())
    found = scan(tmp_path)
    assert [entry.kind for entry in found.series] == [SeriesKind.VOLUME]
    assert "duplicates_dropped" in warnings_of(found)


def test_check_07_same_position_equal_pixels_count_once(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 10))
    slice_dataset(pixels[1], (-10, -20, 5), 99).save_as(tmp_path / "again.dcm", enforce_file_format=True)
    found = scan(tmp_path)
    assert [entry.shape_kji for entry in found.series] == [(3, 5, 6)]
    assert "duplicates_dropped" in warnings_of(found)


def test_check_07_same_position_different_pixels_are_split_off(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 5, 10, 15))
    found = scan(tmp_path)
    assert sorted(entry.shape_kji[0] for entry in found.series) == [1, 4]
    assert "duplicate_position" in warnings_of(found)


def test_check_08_an_uneven_series_opens_as_a_stack_with_each_slice_in_its_place(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 11, 15, 20))
    volume = read_volume(tmp_path, as_stack=True)
    assert isinstance(volume.geometry, SliceStackGeometry)
    np.testing.assert_array_equal(volume.array, pixels)
    np.testing.assert_allclose(volume.geometry.index_to_lps((2, 1, 2)), (-10 + 1.4, -20 + 0.8, 11))
    np.testing.assert_allclose(volume.geometry.thickness_k_mm, (5, 5.5, 5, 4.5, 5))


def test_check_09_gantry_tilt_keeps_the_shear_and_is_flagged(tmp_path: Path) -> None:
    write_series(tmp_path, [(0, n, 5 * n) for n in range(4)])
    volume = read_volume(tmp_path)
    assert [warning.code for warning in volume.warnings] == ["gantry_tilt"]
    assert isinstance(volume.geometry, Geometry)
    np.testing.assert_allclose(volume.geometry.affine_kji_to_lps[:3, 0], (0, 1, 5))


def test_check_01_instance_number_location_and_name_against_the_positions_change_nothing(tmp_path: Path) -> None:
    def mislead(dataset: FileDataset, n: int) -> None:
        dataset.InstanceNumber, dataset.SliceLocation = 9 - n, -5.0 * n

    pixels = write_series(tmp_path, axial(0, 5, 10), mislead)
    np.testing.assert_array_equal(read_volume(tmp_path).array, pixels)


def test_check_01_the_normal_is_row_times_column_also_when_it_points_down(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 10), setting(ImageOrientationPatient=[0, 1, 0, 1, 0, 0]))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, pixels[::-1])
    np.testing.assert_allclose(volume.geometry.index_to_lps((0, 2, 1)), (-10 + 2 * 0.8, -20 + 0.7, 10))


def test_check_02_thickness_and_spacing_tags_are_never_positions(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10), setting(SliceThickness=4.96, SpacingBetweenSlices=5.04))
    found = scan(tmp_path)
    assert warnings_of(found) == set(), "within one percent"
    assert found.series[0].spacing_kji_mm == pytest.approx((5.0, 0.8, 0.7))


@pytest.mark.parametrize(("third_mm", "kind"), [(10.049, SeriesKind.VOLUME), (10.21, SeriesKind.STACK)])
def test_check_03_one_percent_of_the_step_is_the_limit(tmp_path: Path, third_mm: float, kind: SeriesKind) -> None:
    write_series(tmp_path, axial(0, 5, third_mm, 15, 20))
    assert [entry.kind for entry in scan(tmp_path).series] == [kind]


def test_check_03_the_worst_deviation_is_told(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10.5, 15, 20))
    message = scan(tmp_path).refused[0].message
    # The line through 0, 5, 10.5, 15, 20 is 5 n + 0.1: the third lies 0.4 mm off it.
    assert "up to 0.40 mm off" in message


def test_check_04_several_gaps_of_several_slices_are_named(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 2, 8, 10, 14))
    found = scan(tmp_path)
    assert refusals_of(found) == ["missing_slice"]
    assert "3 slices are missing near z = 4, 6, 12 mm" in found.refused[0].message
    with pytest.raises(InconsistentSeries):
        read_volume(tmp_path)


@pytest.mark.parametrize(
    ("zs_mm", "code"), [((0, 3.33, 6.67, 13.33, 16.66), "missing_slice"), ((0, 5, 10, 17, 22), "irregular_spacing")]
)
def test_check_04_a_gap_of_rounded_positions_is_a_gap_and_an_odd_step_is_none(
    tmp_path: Path, zs_mm: tuple[float, ...], code: str
) -> None:
    write_series(tmp_path, axial(*zs_mm))
    assert refusals_of(scan(tmp_path)) == [code]


def test_check_05_numbers_that_do_not_start_at_one_are_told(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 10), lambda dataset, n: setattr(dataset, "InstanceNumber", n + 2))
    assert warnings_of(scan(tmp_path)) == {"first_or_last_missing"}


def test_check_06_one_uid_with_other_pixels_is_never_dropped(tmp_path: Path) -> None:
    pixels = write_series(tmp_path, axial(0, 5, 10), setting(SOPInstanceUID="1.2.3"))
    assert len(pixels) == 3
    kept = sum(entry.shape_kji[0] for entry in scan(tmp_path).series)
    assert kept == 3


def test_check_08_a_volume_in_mm3_uses_the_extent_of_each_slice(tmp_path: Path) -> None:
    thickness = (4.0, 4.0, 7.0)
    write_series(tmp_path, axial(0, 4.2, 11), lambda dataset, n: setattr(dataset, "SliceThickness", thickness[n]))
    grid = read_volume(tmp_path, as_stack=True).geometry
    mask = np.zeros(grid.shape_kji, np.uint8)
    mask[0, 0, :2] = mask[2, 0, :3] = 1
    assert volumes_mm3(LabelMap.of(mask, grid)) == pytest.approx({1: 0.8 * 0.7 * (2 * 4 + 3 * 7)})


def test_check_09_the_tilt_comes_from_positions_and_not_from_the_tag(tmp_path: Path) -> None:
    write_series(tmp_path / "tagged", axial(0, 5, 10), setting(GantryDetectorTilt=18.5))
    assert warnings_of(scan(tmp_path / "tagged")) == set()
    write_series(tmp_path / "tilted", [(0, n, 5 * n) for n in range(3)], setting(GantryDetectorTilt=0))
    assert warnings_of(scan(tmp_path / "tilted")) == {"gantry_tilt"}


@pytest.mark.parametrize(("shift_mm", "flagged"), [(0.008, False), (0.0095, True)])
def test_check_09_a_tenth_of_a_degree_is_the_limit(tmp_path: Path, shift_mm: float, flagged: bool) -> None:
    write_series(tmp_path, [(0, shift_mm * n, 5.0 * n) for n in range(4)])  # 5 mm x sin(0.1 degree) = 0.0087 mm
    assert ("gantry_tilt" in warnings_of(scan(tmp_path))) is flagged
