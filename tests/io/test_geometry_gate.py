"""The gate on series made with raw pydicom: right, right with a warning, or refused."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import FileDataset

from segdesk.io import read_volume, scan
from segdesk.io.series import SeriesKind
from tests.io.dicom_maker import axial, refusals_of, write_series


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


def test_one_position_again_and_again_is_no_volume(tmp_path: Path) -> None:
    write_series(tmp_path, axial(5, 5, 5))
    found = scan(tmp_path)
    assert refusals_of(found) == ["duplicate_position"]
    assert [entry.kind for entry in found.series] == [SeriesKind.STACK]


def test_heart_phases_of_one_slice_are_a_cine(tmp_path: Path) -> None:
    def phase(dataset: FileDataset, n: int) -> None:
        dataset.TriggerTime = 40.0 * n

    write_series(tmp_path, axial(5, 5, 5), phase)
    assert [(entry.kind, entry.time_points) for entry in scan(tmp_path).series] == [(SeriesKind.CINE, 3)]


def test_a_series_whose_slices_name_different_studies_is_one_volume(shared_data: Path) -> None:
    volume = read_volume(shared_data / "dicom-seg-rtstruct/rt-utils/oriented_data")
    assert volume.array.shape == (3, 50, 100)


def test_two_slices_are_a_volume(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5))
    assert scan(tmp_path).series[0].kind is SeriesKind.VOLUME


def test_no_message_names_the_patient(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5, 15))
    text = str(scan(tmp_path).to_json())
    assert "Secret" not in text
    assert "secret" not in text
