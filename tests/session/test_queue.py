"""The queue without Qt: order, errors, pausing, cancelling, and what is left when it is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import Cancelled, Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import ModelError, UsageError, WorkerError
from segdesk.session import QueueState, RunTimes, Session, SessionSettings
from segdesk.session.cached_predictor import CachedPredictor
from segdesk.session.queue_estimate import CaseEstimate
from segdesk.session.result_cache import ResultCache
from segdesk.store.records import MaskRole
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel
from tests.session.toys import SECONDS, RuleInsight, ToyPredictor, toy_model, write_scan
from tests.zoo.folders import WEIGHTS, folder


class OddPredictor(ToyPredictor):
    """Does something of its own on a call by its number, from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.on_call: dict[int, Callable[[], object]] = {}
        self.calls = 0

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        self.calls += 1
        self.on_call.get(self.calls, lambda: None)()
        return super().__call__(channels, model, options, report)


@pytest.fixture
def predictor() -> OddPredictor:
    return OddPredictor()


@pytest.fixture
def cases(session: Session, tmp_path: Path) -> list[str]:
    scans = [write_scan(tmp_path / "scans" / f"head-{number}.nii.gz", number) for number in range(3)]
    return [case.id for case in session.add_images(scans).run()]


def states(session: Session) -> list[str]:
    return [row.state.value for row in session.queue.rows]


def fail() -> None:
    raise ModelError("The model needs t2.", code="wrong_channels")


def test_all_cases_are_drafted_and_an_error_stops_none_of_the_others(session, cases, model, predictor):
    predictor.on_call[2] = fail
    session.queue.add(cases, model, "toy")
    session.queue.run_all()
    assert states(session) == ["done", "failed", "done"]
    assert session.queue.rows[1].text == "The model needs t2."
    assert [bool(session.project.masks.of_case(case, MaskRole.CANDIDATE)) for case in cases] == [True, False, True]
    assert [row.has_draft for row in session.cases] == [True, False, True]


def test_what_the_queue_drafted_is_proposed_later_and_accepted(session, cases, model):
    session.queue.add(cases, model, "toy", roi=Box((0, 0, 0), (6, 24, 20)))
    session.queue.run_all()
    session.open_case(cases[1]).run()
    (draft,) = session.drafts.stored().run()
    assert draft.record == session.queue.rows[1].record
    candidate = session.drafts.recall(draft.record).run()
    assert session.drafts.candidate.value is candidate
    assert candidate.roi == Box((0, 0, 0), (6, 24, 20))
    session.drafts.accept()
    np.testing.assert_array_equal(session.case.labels.array, candidate.labels.array)
    assert session.case.labels.array.any()


def test_a_draft_of_another_case_is_not_recalled(session, cases, model):
    session.queue.add(cases[:1], model, "toy")
    session.queue.run_all()
    session.open_case(cases[1]).run()
    with pytest.raises(UsageError, match="another case"):
        session.drafts.recall(session.queue.rows[0].record)


def test_the_queue_goes_on_while_cases_are_opened_and_leaves_the_desk_alone(session, cases, model):
    session.open_case(cases[0]).run()
    session.queue.add(cases, model, "toy")
    task = session.queue.next_task()
    outcome = task.work(silent)
    session.open_case(cases[2]).run()
    task.apply(outcome)
    session.queue.run_all()
    assert states(session) == ["done", "done", "done"]
    assert session.drafts.candidate.value is None


def test_cases_with_a_draft_of_these_weights_are_skipped_unless_asked_again(session, cases, model, tmp_path):
    session.open_case(cases[0]).run()
    session.drafts.predict(model).run()
    session.queue.add(cases[:2], model, "toy")
    session.queue.run_all()
    assert states(session) == ["skipped", "done"]
    session.queue.clear_finished()
    session.queue.add(cases[:1], model, "toy", again=True)
    session.queue.add(cases[1:2], toy_model(tmp_path / "other", 9).path, "toy")
    session.queue.run_all()
    assert states(session) == ["done", "done"]


def test_a_case_waits_only_once_for_a_model(session, cases, model):
    assert len(session.queue.add(cases, model, "toy")) == 3
    assert session.queue.add(cases, model, "toy") == ()


def test_one_runs_at_a_time_and_its_progress_is_in_its_row(session, cases, model):
    session.queue.add(cases, model, "toy")
    session.queue.next_task()
    assert session.queue.next_task() is None
    first = session.queue.rows[0].number
    session.queue.note_progress(first, 3, 8, "Window 3 of 8")
    session.queue.note_progress(first + 1, 5, 8, "not its turn")
    assert [(row.done, row.total) for row in session.queue.rows[:2]] == [(3, 8), (0, 0)]
    assert session.queue.running.name == session.cases[0].case.name


def test_cancelling_the_running_case_stops_it_and_the_next_one_runs(session, cases, model, predictor):
    queue = session.queue
    rows = queue.add(cases, model, "toy")
    predictor.on_call[1] = lambda: queue.cancel(rows[0].number)
    queue.run_all()
    assert states(session) == ["cancelled", "done", "done"]
    assert not session.project.masks.of_case(cases[0], MaskRole.CANDIDATE)


def test_pausing_the_running_case_stops_it_and_resuming_begins_anew(session, cases, model, predictor):
    queue = session.queue
    rows = queue.add(cases, model, "toy")
    predictor.on_call[1] = lambda: queue.pause(rows[0].number)
    queue.run_all()
    assert states(session) == ["paused", "done", "done"]
    queue.resume(rows[0].number)
    queue.run_all()
    assert states(session) == ["done", "done", "done"]
    assert predictor.calls == 4


def test_a_waiting_case_can_be_paused_and_cancelled_and_finished_ones_stay(session, cases, model):
    queue = session.queue
    rows = queue.add(cases, model, "toy")
    queue.pause(rows[0].number)
    queue.cancel(rows[1].number)
    queue.run_all()
    assert states(session) == ["paused", "cancelled", "done"]
    for change in (queue.pause, queue.resume, queue.cancel):
        change(rows[2].number)
    assert queue.rows[2].state is QueueState.DONE


def test_holding_finishes_the_running_case_and_begins_no_other(session, cases, model, predictor):
    queue = session.queue
    queue.add(cases, model, "toy")
    predictor.on_call[1] = queue.hold
    queue.run_all()
    assert queue.is_held
    assert states(session) == ["done", "waiting", "waiting"]
    queue.go_on()
    queue.run_all()
    assert states(session) == ["done", "done", "done"]


def test_cancelling_all_leaves_what_is_done(session, cases, model, predictor):
    queue = session.queue
    queue.add(cases, model, "toy")
    predictor.on_call[2] = queue.cancel_all
    queue.run_all()
    assert states(session) == ["done", "cancelled", "cancelled"]
    queue.clear_finished()
    assert queue.rows == ()


def test_a_task_cancelled_by_its_runner_is_a_cancelled_row(session, cases, model):
    queue = session.queue
    rows = queue.add(cases, model, "toy")

    def stop(done: int, total: int, text: str = "") -> None:
        raise Cancelled

    task = queue.next_task()
    task.apply(task.work(stop))
    queue.next_task()
    queue.give_up(rows[1].number)
    queue.give_up(rows[2].number)
    assert states(session) == ["cancelled", "cancelled", "waiting"]


def test_a_draft_that_was_finished_when_it_was_cancelled_is_done(session, cases, model):
    queue = session.queue
    rows = queue.add(cases[:1], model, "toy")
    task = queue.next_task()
    outcome = task.work(silent)
    queue.cancel(rows[0].number)
    task.apply(outcome)
    assert states(session) == ["done"]


def test_closing_the_project_empties_the_queue_and_stops_the_run(session, cases, model, predictor):
    session.queue.add(cases, model, "toy")
    session.queue.hold()
    session.queue.go_on()
    task = session.queue.next_task()
    session.close()
    task.apply(task.work(silent))
    assert session.queue.rows == ()
    assert predictor.calls == 0


def test_without_a_predictor_nothing_is_queued(tmp_path, scan, model):
    session = Session(settings=SessionSettings(desk_folder=tmp_path / "desk"))
    session.open_path(scan).run()
    with pytest.raises(WorkerError):
        session.queue.add([session.case.record.id], model, "toy")


CROPS = {"spacing_kji_mm": (1.0, 1.0, 1.0), "trained_extent_kji_mm": (9.0, 9.0, 9.0)}


def test_cases_that_show_far_more_than_the_model_knows_are_left_out_with_the_reason(session, cases, tmp_path):
    crops = folder(tmp_path / "crops", WEIGHTS, **CROPS).path
    session.queue.add(cases[:2], crops, "crops")
    session.queue.run_all()
    assert states(session) == ["unfit", "unfit"]
    row = session.queue.rows[0]
    assert row.text.startswith("The image is 18 × 19 × 20 mm; the model was trained on cut-outs of at most 9 × 9 × 9")
    session.queue.resume(row.number)
    session.queue.run_all()
    assert states(session) == ["done", "unfit"]


def test_a_region_of_the_right_size_is_drafted(session, cases, tmp_path):
    crops = folder(tmp_path / "crops", WEIGHTS, **CROPS).path
    session.queue.add(cases[:1], crops, "crops", roi=Box((2, 5, 5), (6, 15, 15)))
    session.queue.run_all()
    assert states(session) == ["done"]


def test_a_case_without_a_grid_in_its_record_is_judged_when_its_image_is_read(session, cases, tmp_path, predictor):
    with closing(sqlite3.connect(session.project.folder / "project.segdesk")) as file:
        file.execute("UPDATE cases SET grid=NULL")
        file.commit()
    session.refresh().run()
    crops = folder(tmp_path / "crops", WEIGHTS, **CROPS).path
    session.queue.add(cases[:1], crops, "crops")
    assert states(session) == ["waiting"]
    session.queue.run_all()
    assert states(session) == ["unfit"]
    assert session.queue.rows[0].fit.needs_region
    assert predictor.calls == 0


def test_a_model_that_needs_other_channels_is_not_run(session, cases, tmp_path, predictor):
    two = folder(tmp_path / "two", WEIGHTS, channels=(Channel(name="t1"), Channel(name="t2"))).path
    session.queue.add(cases[:1], two, "two")
    assert (states(session), predictor.calls) == (["unfit"], 0)
    assert session.queue.rows[0].text == "It needs the channels t1, t2; the case has image."


def test_a_model_that_is_not_there_fails_when_it_is_run(session, cases, tmp_path):
    session.queue.add(cases[:1], tmp_path / "nowhere", "nowhere")
    session.queue.run_all()
    assert states(session) == ["failed"]


@pytest.fixture
def measured(tmp_path, predictor) -> tuple[Session, RuleInsight, list[str]]:
    """A session that can measure models, on three cases of one grid."""
    insight = RuleInsight()
    settings = SessionSettings(desk_folder=tmp_path / "desk", run_times_file=tmp_path / "times.json")
    session = Session(predictor, settings=settings, insight=insight)
    session.create_project(tmp_path / "measured", "Heads").run()
    scans = [write_scan(tmp_path / "scans" / f"head-{number}.nii.gz", number) for number in range(3)]
    return session, insight, [case.id for case in session.add_images(scans).run()]


def test_what_waits_is_estimated_once_per_grid_from_one_window(measured, model):
    session, insight, cases = measured
    assert session.queue.estimate_task() is None
    session.queue.add(cases, model, "toy")
    session.queue.estimate_task().run()
    assert [row.estimate for row in session.queue.rows] == [CaseEstimate(6, 3.0)] * 3
    assert insight.asked == [False, True]
    assert session.queue.estimate_task() is None


def test_past_runs_tell_how_long_a_window_takes(measured, model, tmp_path):
    session, insight, cases = measured
    manifest = {"windows": 4, "seconds": {"network": 8.0}, "device": "CPU"}
    RunTimes(tmp_path / "times.json").note(ModelFolder.load(model).sha256, manifest, flips=False)
    session.queue.add(cases[:1], model, "toy")
    session.queue.estimate_task().run()
    assert session.queue.rows[0].estimate == CaseEstimate(6, 12.0)
    assert insight.asked == [False]


def test_what_cannot_be_estimated_stays_without(measured, tmp_path):
    session, insight, cases = measured
    session.queue.add(cases[:1], tmp_path / "nowhere", "nowhere")
    task = session.queue.estimate_task()
    session.queue.clear_finished()
    session.queue.cancel_all()
    task.run()
    assert session.queue.rows[0].estimate is None
    assert insight.asked == []


def test_an_estimate_of_a_case_that_was_taken_off_the_list_is_dropped(measured, model):
    session, _, cases = measured
    (row,) = session.queue.add(cases[:1], model, "toy")
    task = session.queue.estimate_task()
    found = task.work(silent)
    session.queue.cancel(row.number)
    session.queue.clear_finished()
    task.apply(found)
    assert session.queue.rows == ()


def test_a_result_from_the_cache_says_so(session, cases, model, tmp_path):
    cached = CachedPredictor(Timed(), ResultCache(tmp_path / "cache", 10_000_000))
    settings = SessionSettings(desk_folder=tmp_path / "desk", run_times_file=tmp_path / "times.json")
    again = Session(cached, settings=settings)
    again.open_project(session.project.folder).run()
    again.queue.add(cases[:1], model, "toy")
    again.queue.run_all()
    again.queue.clear_finished()
    again.queue.add(cases[:1], model, "toy", again=True)
    again.queue.run_all()
    (row,) = again.queue.rows
    assert row.text.startswith("From the result cache: made ")
    weights = ModelFolder.load(model).sha256
    assert RunTimes(tmp_path / "times.json").seconds_per_window(weights, "CPU", flips=False) == (2.0, 1)


class Timed(ToyPredictor):
    """Says what it cost."""

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        answer = super().__call__(channels, model, options, report)
        return replace(answer, manifest={"windows": 3, "seconds": SECONDS, "device": "CPU", "cached": False})
