from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.provenance import OriginKind
from segdesk.errors import UsageError, WriteError
from segdesk.metrics import evaluate
from segdesk.session import ScoreEntry, ScoreSheet
from segdesk.store.records import MaskRecord, MaskRole, RaterKind
from segdesk.ui.models.score_export import export_scores, scores_csv, scores_json
from segdesk.ui.models.score_model import worst_place
from segdesk.ui.models.score_rows import SCORE_COLUMNS, rater_summaries, score_rows

GEOMETRY = Geometry.from_spacing((3, 4, 5), (2.0, 1.0, 1.0))
TABLE = LabelTable([Label(1, "=liver", (1, 2, 3)), Label(2, "spleen", (4, 5, 6)), Label(3, "cyst", (7, 8, 9))])


def mask(ones: int, twos: int = 0) -> LabelMap:
    """The first voxels carry label 1, the last ones label 2; label 3 is never drawn."""
    array = np.zeros(60, np.uint8)
    array[:ones] = 1
    array[60 - twos :] = 2 if twos else array[60 - twos :]
    return LabelMap.of(array.reshape(3, 4, 5), GEOMETRY, TABLE)


@pytest.fixture
def sheet() -> ScoreSheet:
    reference = mask(10, 4)
    record = MaskRecord(
        "r" * 64,
        "c",
        None,
        MaskRole.CONSENSUS,
        OriginKind.CONSENSUS,
        "",
        (),
        {},
        None,
        datetime(2026, 1, 2, tzinfo=UTC),
    )
    entries = (
        ScoreEntry("net@1", RaterKind.MODEL, "m" * 64, evaluate(mask(5, 4), reference), ("Began as its draft.",)),
        ScoreEntry("Reader 1", RaterKind.SIMULATED, "n" * 64, evaluate(mask(10), reference), ("Simulated.",)),
    )
    return ScoreSheet("c", record, "consensus", entries)


def test_the_worst_label_of_all_raters_comes_first_and_the_undefined_last(sheet: ScoreSheet) -> None:
    rows = score_rows(sheet)
    assert [(row.rater.name, row.value) for row in rows[:2]] == [("Reader 1", 2), ("net@1", 1)]
    assert [row.value for row in rows[-2:]] == [3, 3]


def test_dice_is_that_of_the_definition(sheet: ScoreSheet) -> None:
    row = next(row for row in score_rows(sheet) if row.rater.name == "net@1" and row.value == 1)
    assert row.dice == pytest.approx(2 * 5 / (5 + 10))
    assert row.error_mm3 == pytest.approx(-5 * 2.0)
    assert row.error_fraction == pytest.approx(-0.5)


def cell(sheet: ScoreSheet, title: str, rater: str, value: int) -> tuple[str, str]:
    column = next(column for column in SCORE_COLUMNS if column.title == title)
    row = next(row for row in score_rows(sheet) if row.rater.name == rater and row.value == value)
    return column.text(row), column.tip(row)


def test_a_label_empty_in_both_is_a_dash_with_its_reason(sheet: ScoreSheet) -> None:
    assert cell(sheet, "Dice", "net@1", 3) == ("-", "Undefined: both empty: agree")
    assert cell(sheet, "Error mm³", "net@1", 3)[0] == "0"


def test_a_missed_label_has_dice_zero_and_no_distance(sheet: ScoreSheet) -> None:
    assert cell(sheet, "Dice", "Reader 1", 2)[0] == "0.000"
    assert cell(sheet, "HD95 mm", "Reader 1", 2) == ("-", "Undefined: missed")
    assert cell(sheet, "Error mm³", "Reader 1", 2)[0] == "-8 (-100 %)"


def test_a_mean_says_how_many_labels_it_counts(sheet: ScoreSheet) -> None:
    summaries = rater_summaries(sheet)
    assert [each.rater.label for each in summaries] == ["Reader 1 (simulated)", "net@1 (model)"]
    assert summaries[0].dice_text == "0.500 (n 2, 1 undefined)"


def test_every_column_has_something_to_show_and_to_sort_by(sheet: ScoreSheet) -> None:
    for row in score_rows(sheet):
        for column in SCORE_COLUMNS:
            assert isinstance(column.text(row), str)
            key = column.sort_key(row)
            assert not (isinstance(key, float) and math.isnan(key))


def test_csv_leaves_undefined_cells_empty_and_disarms_formulas(sheet: ScoreSheet) -> None:
    rows = list(csv.DictReader(io.StringIO(scores_csv(sheet))))
    assert len(rows) == 6
    undefined = next(row for row in rows if row["label"] == "3")
    assert undefined["dice"] == ""
    assert {row["name"] for row in rows if row["label"] == "1"} == {"'=liver"}
    assert float(next(r for r in rows if r["label"] == "1" and r["kind"] == "model")["dice"]) == pytest.approx(2 / 3)


def test_json_has_null_for_undefined_and_keeps_the_notes(sheet: ScoreSheet) -> None:
    payload = json.loads(scores_json(sheet))
    candidate = payload["candidates"][0]
    assert candidate["labels"]["3"]["dice"] is None
    assert candidate["notes"] == ["Began as its draft."]
    assert payload["reference"]["name"] == "consensus"


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_an_export_is_the_file_that_was_meant(sheet: ScoreSheet, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"scores{ending}"
    assert export_scores(sheet, path, overwrite=False).run() == path
    assert path.read_text(encoding="utf-8") == {".csv": scores_csv, ".json": scores_json}[ending](sheet)
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_only_replaced_when_asked(sheet: ScoreSheet, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("old")
    with pytest.raises(WriteError):
        export_scores(sheet, path, overwrite=False).run()
    assert path.read_text() == "old"
    export_scores(sheet, path, overwrite=True).run()
    assert path.read_text() != "old"


def test_another_ending_is_refused_before_anything_is_written(sheet: ScoreSheet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv or \.json"):
        export_scores(sheet, tmp_path / "scores.xls", overwrite=False)


def test_the_worst_place_is_a_wrong_voxel_amid_the_errors_of_the_worst_slice() -> None:
    wrong = np.zeros((4, 6, 7), np.bool_)
    wrong[1, 2, 3] = True
    wrong[2, 1:4, 2:5] = True
    assert worst_place(wrong, 0) == (2, 2, 3)
    assert worst_place(wrong, 2)[2] == 3


def test_the_worst_place_of_a_perfect_mask_is_the_middle() -> None:
    assert worst_place(np.zeros((4, 6, 8), np.bool_), 0) == (2, 3, 4)
