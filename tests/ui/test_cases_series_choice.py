from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.errors import Warn
from segdesk.io import scan
from segdesk.io.series import Refusal, ScanResult, SeriesEntry, SeriesKind
from segdesk.store.project import Project
from segdesk.ui.models.case_list_model import CaseListModel
from segdesk.ui.models.series_choice import SERIES_COLUMNS, SeriesChoice, add_series, look_through
from segdesk.ui.models.thumbnails import SIDE_PX, Thumbnails, thumbnail
from tests.builders import oblique_geometry
from tests.ui.desks import desk_with_cases, image_file


def entry(uid: str, **changes: object) -> SeriesEntry:
    fields: dict[str, object] = {
        "uid": uid,
        "kind": SeriesKind.VOLUME,
        "modality": "CT",
        "geometry": Geometry.from_spacing((3, 4, 5), (2.0, 0.5, 0.5)),
        "dtype": "int16",
        "files": 3,
        "reader": lambda report: None,
        "description": "Thorax",
    }
    return SeriesEntry(**{**fields, **changes})  # type: ignore[arg-type]


def choice(
    *entries: SeriesEntry, refused: tuple[Refusal, ...] = (), skipped: int = 0, taken: tuple[str, ...] = ()
) -> SeriesChoice:
    return SeriesChoice(ScanResult(Path("study"), entries, skipped, refused), taken)


def test_series_of_one_name_and_taken_names_are_told_apart() -> None:
    rows = choice(entry("1"), entry("2"), taken=("Thorax",)).rows
    assert [row.name for row in rows] == ["Thorax 2", "Thorax 3"]


def test_a_series_without_a_description_is_named_after_its_folder() -> None:
    assert choice(entry("1", description="")).rows[0].name == "study"


def test_a_dicom_series_is_opened_by_folder_and_uid() -> None:
    (row,) = choice(entry("1.2.3")).rows
    assert (row.path, row.series_uid) == (Path("study"), "1.2.3")


def test_a_file_is_opened_by_itself(tmp_path: Path) -> None:
    image_file(tmp_path, "head")
    (row,) = SeriesChoice(scan(tmp_path)).rows
    assert (row.name, row.path, row.series_uid) == ("head", tmp_path / "head.nii.gz", "")


def test_a_stack_is_shown_with_its_reason_and_not_chosen() -> None:
    stack = entry("1", kind=SeriesKind.STACK, refusal=Refusal("irregular_spacing", "The slices are uneven.", 3))
    shown = choice(stack, entry("2"))
    assert [row.entry.uid for row in shown.chosen] == ["2"]
    assert shown.rows[0].remarks == ("The slices are uneven (3 files). Open as a per-slice stack.",)


def test_one_plain_series_needs_no_question_and_everything_else_does() -> None:
    assert choice(entry("1")).is_simple
    assert not choice(entry("1"), entry("2")).is_simple
    assert not choice(entry("1", warnings=(Warn("lossy", "Compressed with loss."),))).is_simple
    assert not choice(entry("1"), refused=(Refusal("truncated", "Ends early.", 1),)).is_simple


def test_a_refusal_says_why_how_many_and_what_to_do() -> None:
    shown = choice(refused=(Refusal("truncated", "Pixel data end early.", 2),))
    assert shown.refusals() == ("Pixel data end early (2 files). Copy the file again.",)


@pytest.mark.parametrize(
    ("skipped", "text"),
    [(0, ""), (1, "1 file is no image and was skipped."), (3, "3 files are no images and were skipped.")],
)
def test_skipped_files_are_counted(skipped: int, text: str) -> None:
    assert choice(skipped=skipped).skipped_text() == text


def test_choosing_twice_is_announced_once() -> None:
    shown, heard = choice(entry("1")), []
    shown.changed.connect(lambda: heard.append(1))
    shown.choose(shown.rows[0], False)
    shown.choose(shown.rows[0], False)
    assert heard == [1]
    assert shown.chosen == ()


def test_the_table_shows_geometry_and_remarks() -> None:
    two = (Warn("lossy", "Loss."), Warn("sheared", "Shear."))
    rows = choice(entry("1", warnings=two), entry("2", warnings=two[:1])).rows
    cells = [{column.title: column.text(row) for column in SERIES_COLUMNS} for row in rows]
    assert cells[0]["Size"] == "5 × 4 × 3 · 0.5 × 0.5 × 2 mm"
    assert [each["Remarks"] for each in cells] == ["2 remarks", "Loss."]


def test_one_series_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    image_file(folder, "good")
    image_file(folder, "gone")
    rows = SeriesChoice(scan(folder)).rows
    (folder / "gone.nii.gz").unlink()
    added = add_series(Project.create(tmp_path / "p", "p"), rows).run()
    assert [case.name for case in added.cases] == ["good"]
    assert added.problems[0].startswith("gone: ")


def test_a_project_is_not_looked_through(tmp_path: Path) -> None:
    Project.create(tmp_path / "p", "p").close()
    assert look_through(tmp_path / "p").run() is None


def test_a_thumbnail_keeps_the_true_proportions_of_an_oblique_grid() -> None:
    geometry = oblique_geometry((4, 20, 10))
    picture = thumbnail(Volume(np.full((4, 20, 10), 7.0), geometry))
    assert picture.shape == (SIDE_PX, SIDE_PX, 3)
    lit = np.argwhere(picture.any(axis=2))
    assert lit.size == 0 or lit.max() < SIDE_PX


def test_a_thumbnail_shows_the_middle_slice_and_fills_the_longer_side() -> None:
    array = np.zeros((3, 10, 20), np.float32)
    array[1] = 100.0
    array[1, :, :10] = 50.0
    volume = Volume(array, Geometry.from_spacing((3, 10, 20), (5.0, 1.0, 1.0)), windows=(Window(50, 100),))
    grey = thumbnail(volume, 40)[..., 0]
    assert np.flatnonzero(grey.any(axis=0)).tolist() == list(range(40))
    assert np.flatnonzero(grey.any(axis=1)).tolist() == list(range(10, 30))
    assert grey[20, 5] == pytest.approx(127, abs=1)
    assert grey[20, 35] == 255


def test_a_thumbnail_of_a_colour_image_is_in_colour() -> None:
    array = np.zeros((1, 6, 6, 3), np.uint8)
    array[..., 0] = 200
    volume = Volume(array, Geometry.from_spacing((1, 6, 6)), unit=IntensityUnit.RGB)
    assert thumbnail(volume, 12)[6, 6].tolist() == [200, 0, 0]


def test_a_picture_is_asked_for_once_and_one_that_fails_is_no_news(tmp_path: Path) -> None:
    session = desk_with_cases(tmp_path, 2)
    model = CaseListModel()
    model.set_summaries(session.cases)
    first, second = (row.case for row in model.rows)
    (tmp_path / "images" / f"{second.name}.nii.gz").unlink()
    pictures, wanted = Thumbnails(), []
    pictures.wanted.connect(lambda: wanted.append(1))
    for case in (first, first, second):
        assert pictures.of(case) is None
    assert len(wanted) == 2
    while (task := pictures.next_task()) is not None:
        task.run()
    assert pictures.of(first) is not None
    assert pictures.of(second) is None
    pictures.forget()
    assert pictures.next_task() is None
