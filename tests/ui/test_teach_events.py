from __future__ import annotations

import math

import pytest

from segdesk.ui.models.training_curves import TrainingStory
from segdesk.ui.models.training_events import GateResult, Told, Verdict, parse_event, progress_text

PROGRESS = {"event": "progress", "step": 20, "steps": 400, "loss": 0.5, "seconds": 4.0, "seconds_left": 76.0}
VALIDATION = {"event": "validation", "step": 40, "mean_dice": 0.8, "labels": {"1": 0.85, "2": 0.75}, "n_cases": 3}
RESULT = {
    "event": "result",
    "verdict": "cannot_judge",
    "reason": "There is 1 test patient; a verdict needs 5.",
    "champion": {"dice": {"mean": 0.87}},
    "challenger": {"mean": {"dice": 0.88}},
    "test_cases": ["a"],
    "promoted": False,
    "model": "m",
}


def story(*events: dict[str, object]) -> TrainingStory:
    told = TrainingStory()
    told.add(events)
    return told


def test_progress_becomes_a_point_of_the_loss_curve() -> None:
    last = story(PROGRESS).last_loss
    assert last is not None
    assert (last.step, last.loss) == (20, 0.5)
    assert progress_text(last) == "step 20 of 400 · 1:16 left"


def test_progress_without_a_loss_is_told_in_words() -> None:
    told = story({"event": "progress", "step": 20, "text": "Resumed at step 20."})
    assert told.last_loss is None
    assert told.log == [Told("Resumed at step 20.")]


def test_progress_that_says_nothing_is_left_out() -> None:
    assert parse_event({"event": "progress", "step": 1}) == ()


def test_a_run_of_unknown_length_tells_no_total() -> None:
    last = story({"event": "progress", "step": 3, "loss": 1.0}).last_loss
    assert last is not None
    assert progress_text(last) == "step 3"


def test_validation_gives_a_point_per_label_and_a_line() -> None:
    told = story(VALIDATION)
    assert told.label_names() == ("1", "2")
    assert told.log == [Told("Step 40: Dice 0.800 on 3 validation cases.")]


def test_the_best_validation_is_kept_in_mind() -> None:
    worse = {**VALIDATION, "step": 80, "mean_dice": 0.7}
    best = story(VALIDATION, worse).best_dice
    assert best is not None
    assert best.step == 40


def test_only_the_best_checkpoint_is_told() -> None:
    told = story(
        {"event": "checkpoint", "step": 40, "best_step": 40}, {"event": "checkpoint", "step": 80, "best_step": 40}
    )
    assert told.log == [Told("Step 40 is the best state so far and is kept.")]


def test_a_result_is_found_at_either_depth_of_its_metrics() -> None:
    result = story(RESULT).result
    assert result is not None
    assert (result.champion_dice, result.challenger_dice) == (0.87, 0.88)
    assert result.verdict is Verdict.CANNOT_JUDGE
    assert result.difference is None


def test_a_result_without_metrics_is_undefined_not_zero() -> None:
    result = story({"event": "result", "verdict": "tie"}).result
    assert result is not None
    assert math.isnan(result.champion_dice)


@pytest.mark.parametrize(
    "difference",
    [[0.01, -0.02, 0.04], {"mean": 0.01, "ci95": [-0.02, 0.04]}, {"mean": 0.01, "low": -0.02, "high": 0.04}],
)
def test_a_difference_comes_with_its_interval(difference: object) -> None:
    result = story({**RESULT, "difference": difference}).result
    assert result is not None
    assert result.difference == (0.01, -0.02, 0.04)


def test_the_verdict_is_told_in_plain_words() -> None:
    line = story(RESULT).log[-1]
    assert line == Told("Cannot be judged yet. There is 1 test patient; a verdict needs 5.")


def test_a_worse_challenger_is_a_problem_in_the_log() -> None:
    assert story({**RESULT, "verdict": "worse"}).log[-1].is_problem


def test_the_end_of_a_training_from_scratch_has_no_verdict() -> None:
    told = story({"event": "result", "model": "m", "metrics": {}})
    assert told.result is None
    assert told.log == [Told("Training finished.")]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"event": "error", "error": {"code": "x", "message": "No cases."}}, "No cases."),
        ({"event": "error", "error": "Out of memory."}, "Out of memory."),
        ({"event": "error"}, "Training failed; the log in the run's folder says more."),
        ({"event": "warning", "message": "Patients are not known."}, "Patients are not known."),
    ],
)
def test_problems_are_told_as_problems(event: dict[str, object], text: str) -> None:
    assert story(event).log == [Told(text, is_problem=True)]


def test_an_unknown_event_is_told_if_it_has_words_and_dropped_otherwise() -> None:
    assert story({"event": "news", "text": "Hello."}, {"event": "news"}).log == [Told("Hello.")]


def test_the_same_line_twice_in_a_row_is_told_once() -> None:
    assert len(story({"event": "x", "text": "a"}, {"event": "x", "text": "a"}).log) == 1


def test_headlines_name_every_verdict() -> None:
    for verdict in Verdict:
        assert GateResult(verdict, "", 0, 0, (), False, "").headline


def test_without_validation_no_state_is_called_the_best() -> None:
    told = story({"event": "checkpoint", "step": 30, "best_step": -1})
    assert told.log == [Told("Step 30 is saved.")]
