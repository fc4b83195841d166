from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.errors import ReadError, Warn
from segdesk.io import scan
from segdesk.io.limits import SizePolicy, use_policy
from segdesk.io.series import MaskSummary, Refusal, ScanResult, SeriesEntry, SeriesKind
from segdesk.session.consent import allowing_large
from segdesk.store.project import Project
from segdesk.ui.models.case_list_model import CaseListModel
from segdesk.ui.models.series_choice import SeriesChoice, refusal_remark
from segdesk.ui.models.series_facts import facts_of, spacing_text, voxels_text
from segdesk.ui.models.series_previews import KEPT, LARGE_PX, MOST_SLICES, SMALL_PX, SeriesPreviews, preview_of
from segdesk.ui.models.series_tasks import add_series, look_through
from segdesk.ui.models.thumbnails import SIDE_PX, Thumbnails, thumbnail
from tests.builders import oblique_geometry, sheared_geometry
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


def test_a_stack_is_shown_with_its_reason_once_and_not_chosen() -> None:
    refusal = Refusal("irregular_spacing", "The slices are uneven.", 3)
    warnings = (Warn("irregular_spacing", "The slices are uneven."), Warn("lossy", "Compressed with loss."))
    shown = choice(
        entry("1", kind=SeriesKind.STACK, refusal=refusal, warnings=warnings), entry("2"), refused=(refusal,)
    )
    assert [row.entry.uid for row in shown.chosen] == ["2"]
    assert [(each.text, each.is_refusal) for each in shown.rows[0].remarks] == [
        ("The slices are uneven.", True), ("Compressed with loss.", False),
    ]  # fmt: skip
    assert shown.rows[0].remarks[0].what_to_do == "Open as a per-slice stack."
    assert shown.refused == ()


def test_one_plain_series_needs_no_question_and_everything_else_does() -> None:
    assert choice(entry("1")).is_simple
    assert not choice(entry("1"), entry("2")).is_simple
    assert not choice(entry("1", warnings=(Warn("lossy", "Compressed with loss."),))).is_simple
    assert not choice(entry("1"), refused=(Refusal("truncated", "Ends early.", 1),)).is_simple


def test_a_refusal_says_why_how_many_and_what_to_do() -> None:
    (refusal,) = choice(refused=(Refusal("truncated", "Pixel data end early.", 2),)).refused
    remark = refusal_remark(refusal)
    assert (remark.text, remark.what_to_do) == ("Pixel data end early (2 files).", "Copy the file again.")


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


def test_words_filter_by_name_modality_and_kind() -> None:
    shown = choice(
        entry("1"), entry("2", modality="MR", description="Head"), entry("3", kind=SeriesKind.CINE, time_points=4)
    )
    heard = []
    shown.filtered.connect(lambda: heard.append(1))
    shown.words = "mr head"
    assert [row.entry.uid for group in shown.groups for row in group.rows] == ["2"]
    shown.words = "mr head "
    assert heard == [1]
    shown.choose_shown(False)
    assert [row.entry.uid for row in shown.chosen] == ["1", "3"]
    shown.words = "cine 4 frames"
    assert [row.entry.uid for group in shown.groups for row in group.rows] == ["3"]
    shown.words = "nothing like it"
    assert shown.groups == ()


def test_all_that_is_shown_can_be_chosen_and_is_announced_once() -> None:
    shown, heard = choice(entry("1", refusal=Refusal("no_position", "No place.", 3)), entry("2")), []
    shown.changed.connect(lambda: heard.append(1))
    shown.choose_shown(True)
    shown.choose_shown(True)
    assert ([row.entry.uid for row in shown.chosen], heard) == (["1", "2"], [1])


def test_patients_are_told_apart_by_number() -> None:
    two = choice(entry("1", patient_key="a"), entry("2", patient_key="b"), entry("3", patient_key="a"), entry("4"))
    assert [(group.title, [row.entry.uid for row in group.rows]) for group in two.groups] == [
        ("Patient 1", ["1", "3"]), ("Patient 2", ["2"]), ("Files", ["4"]),
    ]  # fmt: skip
    assert [group.title for group in choice(entry("1", patient_key="a")).groups] == [""]
    assert [group.title for group in choice(entry("1", patient_key="a"), entry("2")).groups] == ["DICOM", "Files"]


def test_a_mask_says_its_segments_and_is_not_chosen() -> None:
    summary = MaskSummary("BINARY", (Label.default(1), Label.default(2)))
    shown = choice(entry("1", mask=summary), entry("2"))
    assert shown.rows[0].kind_text == "Mask · 2 segments"
    assert [row.entry.uid for row in shown.chosen] == ["2"]


def test_a_series_without_a_description_is_named_after_its_own_folder() -> None:
    paths = (Path("study/head/1.dcm"), Path("study/head/2.dcm"))
    assert choice(entry("1", description="", paths=paths)).rows[0].name == "head"


def facts(**changes: object) -> dict[str, str]:
    return {fact.name: fact.value for fact in facts_of(choice(entry("1", **changes)).rows[0])}


def test_the_facts_of_a_plain_volume() -> None:
    told = facts(worst_deviation_mm=0.0123, patient_position="HFS")
    assert told == {
        "Kind": "Volume",
        "Voxels": "5 × 4 × 3",
        "Spacing": "0.5 × 0.5 × 2 mm",
        "Extent": "2.5 × 2 × 6 mm",
        "Axes": "LPS: columns to left, rows to posterior, slices to superior",
        "Tilt": "none",
        "Slices": "at most 0.012 mm off their place",
        "Place from": "axis-aligned",
        "Patient": "HFS",
        "Values": "int16, 0.000114 MiB",
        "Files": "3 files",
    }


def test_rounding_is_no_deviation() -> None:
    assert facts(worst_deviation_mm=1e-13)["Slices"] == "evenly spaced"


def test_a_tilt_is_told_in_degrees_and_strikes() -> None:
    (fact,) = [
        each for each in facts_of(choice(entry("1", geometry=sheared_geometry())).rows[0]) if each.name == "Tilt"
    ]
    # 1 mm along y for 5 mm along z: atan(1/5).
    assert (fact.value, fact.is_striking) == ("11.3°, kept as shear", True)


def test_a_film_has_no_slices_and_unknown_sides() -> None:
    film = Geometry((1, 4, 5), np.diag([1.0, 0.2, 0.1, 1.0])[[2, 1, 0, 3]], orientation_known=False, source="none")
    told = facts(geometry=film, kind=SeriesKind.IMAGE2D)
    assert (told["Voxels"], told["Spacing"], told["Extent"]) == ("5 × 4", "0.1 × 0.2 mm", "0.5 × 0.8 mm")
    assert (told["Axes"], told["Place from"]) == ("left and right not known", "nowhere: no position")
    assert "Tilt" not in told


def test_a_stack_has_a_spacing_in_its_slices_only() -> None:
    affines = np.zeros((3, 4, 3)) + np.eye(4)[:, [1, 0, 3]]
    stack = entry("1", geometry=SliceStackGeometry((3, 4, 5), affines, np.ones(3)))
    assert (voxels_text(stack), spacing_text(stack)) == ("5 × 4 × 3", "1 × 1 × uneven")
    unplaced = SliceStackGeometry((3, 4, 5), affines, np.ones(3), spacing_known=False)
    assert facts(geometry=unplaced)["Spacing"] == "not known"


def test_much_is_told_in_gib() -> None:
    assert facts(geometry=Geometry.from_spacing((1024, 1024, 1024)))["Values"] == "int16, 2.0 GiB"


def read_series(array: np.ndarray, uid: str = "1", **changes: object) -> SeriesEntry:
    shape = array.shape[-3:]
    volume = Volume(array, Geometry.from_spacing(shape), time_points=1 if array.ndim == 3 else len(array))
    return entry(uid, geometry=volume.geometry, reader=lambda report: volume, **changes)


def run_all(previews: SeriesPreviews) -> int:
    number = 0
    while (task := previews.next_task()) is not None:
        task.run()
        number += 1
    return number


def test_pictures_are_read_once_and_the_last_asked_first() -> None:
    rows = choice(read_series(np.ones((3, 4, 5)), "1"), read_series(np.ones((3, 4, 5)), "2")).rows
    previews, wanted = SeriesPreviews(), []
    previews.wanted.connect(lambda: wanted.append(1))
    assert previews.small(rows[0]) is None
    assert previews.small(rows[1]) is None
    assert previews.large(rows[0]) is None
    task = previews.next_task()
    assert task is not None
    assert task.title == f"Picture of {rows[0].name}"
    task.run()
    assert previews.small(rows[0]).shape == (SMALL_PX, SMALL_PX, 3)
    assert previews.large(rows[0]).slices[0].shape == (LARGE_PX, LARGE_PX, 3)
    assert run_all(previews) == 1


def test_a_very_large_series_is_read_only_when_it_is_selected() -> None:
    row = choice(entry("1", geometry=Geometry.from_spacing((600, 1024, 1024)))).rows[0]
    previews = SeriesPreviews()
    assert previews.small(row) is None
    assert previews.next_task() is None
    assert previews.large(row) is None
    assert previews.next_task() is not None


def sliced_series(array: np.ndarray, asked: list[tuple[int, int]], **changes: object) -> SeriesEntry:
    """A series whose slices can be had alone, and that must not be read as a whole."""
    points = array if array.ndim == 4 else array[None]

    def read_slice(k: int, point: int, report: object) -> Volume:
        asked.append((k, point))
        return Volume(points[point, k : k + 1], Geometry.from_spacing((1, *array.shape[-2:])))

    def whole(report: object) -> Volume:
        raise AssertionError("the whole series was read")

    grid = Geometry.from_spacing(array.shape[-3:])
    return entry("1", geometry=grid, reader=whole, slice_reader=read_slice, time_points=len(points), **changes)


def test_the_picture_of_a_large_series_takes_one_slice_and_the_leaves_come_after_it() -> None:
    array = np.zeros((200, 3, 3), np.int16)
    array[100], array[120] = 900, 900
    asked: list[tuple[int, int]] = []
    row = choice(sliced_series(array, asked)).rows[0]
    previews = SeriesPreviews()
    previews.small(row)
    assert run_all(previews) == 1
    assert len(asked) == 1
    middle = previews.large(row)
    assert (len(middle.slices), middle.numbers, middle.count, middle.is_whole) == (1, (asked[0][0] + 1,), 200, False)
    assert run_all(previews) == 1
    leaves = previews.large(row)
    assert leaves.is_whole
    assert len(leaves.slices) == MOST_SLICES
    assert leaves.numbers[leaves.middle] == middle.numbers[0]
    assert previews.next_task() is None


def test_a_picture_that_came_late_does_not_take_the_leaves_away() -> None:
    row = choice(sliced_series(np.zeros((200, 3, 3), np.int16), [])).rows[0]
    previews = SeriesPreviews()
    previews.large(row)
    late = previews.next_task()
    for _ in range(2):
        previews.large(row)
        run_all(previews)
    late.run()
    assert previews.large(row).is_whole


def test_the_frames_of_a_cine_are_read_one_by_one() -> None:
    asked: list[tuple[int, int]] = []
    row = choice(sliced_series(np.zeros((3, 1, 4, 4), np.int16), asked)).rows[0]
    previews = SeriesPreviews()
    for _ in range(2):
        previews.large(row)
        run_all(previews)
    assert asked[-3:] == [(0, 0), (0, 1), (0, 2)]
    assert previews.large(row).noun == "Frame"


def test_a_series_that_cannot_be_read_says_why_and_is_not_read_again() -> None:
    def fails(report: object) -> Volume:
        raise ReadError("It is damaged.")

    row = choice(entry("1", reader=fails)).rows[0]
    previews = SeriesPreviews()
    previews.large(row)
    assert run_all(previews) == 1
    assert previews.problem(row) == "It is damaged."
    assert (previews.large(row), previews.small(row), previews.next_task()) == (None, None, None)


def test_only_the_last_large_pictures_are_kept_and_all_small_ones() -> None:
    rows = choice(*(read_series(np.ones((2, 3, 3)), str(n)) for n in range(KEPT + 1))).rows
    previews = SeriesPreviews()
    for row in rows:
        previews.large(row)
        run_all(previews)
    assert previews.large(rows[-1]) is not None
    assert previews.large(rows[0]) is None
    assert previews.small(rows[0]) is not None
    previews.forget_queue()
    assert previews.next_task() is None


def test_slices_are_spread_evenly_and_named_by_their_numbers() -> None:
    preview = preview_of(Volume(np.zeros((200, 3, 3), np.int16), Geometry.from_spacing((200, 3, 3))))
    assert len(preview.slices) == MOST_SLICES
    assert (preview.numbers[0], preview.numbers[-1], preview.count, preview.noun) == (1, 200, 200, "Slice")


def test_a_cine_is_leafed_through_in_time() -> None:
    array = np.zeros((4, 1, 3, 3), np.float32)
    array[2] = 100.0
    preview = preview_of(Volume(array, Geometry.from_spacing((1, 3, 3)), time_points=4))
    assert (preview.count, preview.noun) == (4, "Frame")
    assert [bool(each.any()) for each in preview.slices] == [False, False, True, False]


def test_a_mask_is_shown_in_its_colours() -> None:
    array = np.zeros((1, 2, 2), np.uint8)
    array[0, 0] = 2
    grid = Geometry.from_spacing((1, 2, 2))
    labels = LabelMap.of(array, grid, LabelTable((Label(2, "Liver", (10, 20, 30)),)))
    summary = MaskSummary("BINARY", tuple(labels.table))
    row = choice(entry("1", geometry=grid, mask=summary, mask_reader=lambda report: labels)).rows[0]
    previews = SeriesPreviews()
    previews.large(row)
    run_all(previews)
    assert previews.large(row).slices[0][10, 10].tolist() == [10, 20, 30]


def test_what_needs_consent_is_kept_apart_from_what_failed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    image_file(tmp_path / "in", "large")
    rows = SeriesChoice(scan(tmp_path / "in")).rows
    project = Project.create(tmp_path / "p", "p")
    with use_policy(SizePolicy(max_bytes=100)):
        added = add_series(project, rows).run()
        assert (added.cases, added.problems, added.too_large) == ((), (), rows)
        assert added.consent is not None
        again = allowing_large(add_series(project, rows)).run()
    assert [case.name for case in again.cases] == ["large"]


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
