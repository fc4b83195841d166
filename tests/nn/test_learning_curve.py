from __future__ import annotations

import csv
import io

import pytest
from PIL import Image

from segdesk.nn.fit import Fitted, History
from segdesk.nn.folds import Member
from segdesk.nn.learning_curve import curve_png, log_csv, story
from tests.nn.toys import toy_spec


def _fitted(dices: list[float], steps: int = 100, *, stopped_early: bool = False) -> Fitted:
    at = [25 * (n + 1) for n in range(len(dices))]
    best = max(range(len(dices)), key=lambda n: dices[n], default=0)
    history = History(
        seconds=150.0,
        best_dice=max(dices, default=-1.0),
        best_step=at[best] if dices else steps,
        losses=[(25 * (n + 1), 1.0 / (n + 1)) for n in range(4)],
        scores=[(step, dice, {"7": dice}) for step, dice in zip(at, dices, strict=True)],
    )
    return Fitted({}, history, steps, stopped_early)


@pytest.mark.parametrize(
    ("fitted", "words"),
    [
        (_fitted([0.5, 0.6, 0.7, 0.8]), "a longer training may help"),
        (_fitted([0.5, 0.8, 0.8 - 1e-4, 0.799]), "levelled off"),
        (_fitted([0.5, 0.9, 0.9999, 1.0]), "levelled off"),
        (_fitted([0.5, 0.8, 0.7, 0.6]), "by heart"),
        (_fitted([0.5, 0.8, 0.79, 0.795], stopped_early=True), "ended before its budget"),
        (_fitted([]), "the last one was kept"),
    ],
)
def test_the_story_says_what_the_curve_shows(fitted: Fitted, words: str) -> None:
    told = story(fitted)
    assert words in told
    assert "from 1.000 to 0.250" in told


def test_the_story_names_the_state_that_was_kept() -> None:
    assert "the best was 0.800 at step 50, and that state was kept" in story(_fitted([0.5, 0.8, 0.7, 0.6]))


def test_the_log_has_a_row_per_look_and_names_the_fold_where_there_are_several() -> None:
    one = list(csv.DictReader(io.StringIO(log_csv([Member(0, _fitted([0.5, 0.6]))]))))
    assert [row["step"] for row in one] == ["25", "50", "75", "100"]
    assert one[1] == {"step": "50", "loss": "0.5", "fold_dice": "0.6", "fold_dice_7": "0.6"}
    assert one[2]["fold_dice"] == ""
    two = list(csv.DictReader(io.StringIO(log_csv([Member(1, _fitted([0.5])), Member(2, _fitted([0.6]))]))))
    assert [row["fold"] for row in two] == ["1"] * 4 + ["2"] * 4


@pytest.mark.parametrize("dices", [[[0.5, 0.6]], [[0.5]], [[]], [[0.5, 0.6], [0.4, 0.7]]])
def test_the_curve_is_a_picture(dices: list[list[float]]) -> None:
    members = [Member(n, _fitted(each)) for n, each in enumerate(dices)]
    with Image.open(io.BytesIO(curve_png(members, toy_spec()))) as picture:
        assert picture.size[0] > 800
