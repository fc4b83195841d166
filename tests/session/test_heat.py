"""Heat, looks inside and estimates, with an insight that answers by rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.inside import InsideOptions
from segdesk.core.prediction import Uncertainty
from segdesk.core.progress import silent
from segdesk.errors import UsageError, WorkerError
from segdesk.session import HeatMap, RunTimes, Session, SessionSettings
from tests.session.toys import RuleInsight, UnsurePredictor, write_scan
from tests.zoo.folders import edit_spec


@pytest.fixture
def insight() -> RuleInsight:
    return RuleInsight()


@pytest.fixture
def session(tmp_path: Path, insight: RuleInsight) -> Session:
    settings = SessionSettings(
        rater_name="Ann", desk_folder=tmp_path / "desk", run_times_file=tmp_path / "cache" / "times.json"
    )
    session = Session(UnsurePredictor(), settings=settings, insight=insight)
    session.create_project(tmp_path / "project", "Heads").run()
    return session


@pytest.mark.parametrize(
    ("kind", "flips", "title"),
    [
        (Uncertainty.ENTROPY, False, "Uncertainty (entropy)"),
        (Uncertainty.FLIPS, True, "Uncertainty (mirrored copies)"),
    ],
)
def test_uncertainty_lies_over_the_case_and_goes_with_it(opened, model, scan, tmp_path, kind, flips, title):
    edit_spec(model, lambda fields: fields.update(flip_axes=["i"]))
    heat = opened.heat.uncertainty(model, kind).run()
    assert opened.heat.shown.value is heat
    assert (heat.title, heat.model, heat.is_signed, heat.largest) == (title, "toy@1", False, 0.25)
    assert heat.heat.shape == opened.case.volume.array.shape
    (other,) = opened.add_images([write_scan(tmp_path / "other.nii.gz", 5)]).run()
    opened.open_case(other.id).run()
    assert opened.heat.shown.value is None


@pytest.mark.parametrize(("axes", "words"), [(None, "does not say whether"), ([], "was not trained on mirrored")])
def test_mirrored_copies_are_not_asked_of_a_model_that_does_not_know_them(opened, model, axes, words):
    edit_spec(model, lambda fields: fields.update(flip_axes=axes))
    with pytest.raises(UsageError, match=words):
        opened.heat.uncertainty(model, Uncertainty.FLIPS).run()
    assert opened.heat.shown.value is None


@pytest.mark.parametrize(
    ("values", "peak_kji", "largest"),
    [((0.25, 0.5), (1, 0, 1), 0.5), ((0.25, -0.5), (1, 0, 1), 0.5), ((0.0, 0.0), None, 0.0)],
)
def test_the_peak_is_the_largest_magnitude(values, peak_kji, largest):
    array = np.zeros((2, 2, 2), np.float32)
    array[0, 1, 0], array[1, 0, 1] = values
    heat = HeatMap.of(ExplainMethod.GUIDED_BACKPROP, "x", "m", array, {})
    assert (heat.peak_kji, heat.largest) == (peak_kji, largest)


def test_it_is_no_edit_and_leaves_the_draft_alone(opened, model):
    opened.drafts.predict(model).run()
    before = opened.drafts.candidate.value
    opened.heat.uncertainty(model, Uncertainty.ENTROPY).run()
    assert opened.drafts.candidate.value is before
    assert not opened.editor.can_undo.value


@pytest.mark.parametrize(
    ("method", "title", "is_signed"),
    [
        (ExplainMethod.GRADCAM, "Grad-CAM: thing", False),
        (ExplainMethod.GUIDED_BACKPROP, "Guided backpropagation: thing", True),
        (ExplainMethod.GUIDED_GRADCAM, "Guided Grad-CAM: thing", True),
    ],
)
def test_a_label_is_explained(opened, model, insight, method, title, is_signed):
    roi = Box((1, 1, 1), (5, 5, 5))
    heat = opened.heat.explain(model, 1, method, roi=roi, device="cpu").run()
    assert (heat.title, heat.is_signed, heat.largest) == (title, is_signed, 1.0)
    assert insight.asked == [ExplainOptions(1, method, "cpu", roi)]
    opened.heat.forget()
    assert opened.heat.shown.value is None


def test_heat_that_arrives_for_another_case_is_not_shown(opened, model, tmp_path):
    (other,) = opened.add_images([write_scan(tmp_path / "other.nii.gz", 5)]).run()
    task = opened.heat.explain(model, 1, ExplainMethod.GRADCAM)
    result = task.work(silent)
    opened.open_case(other.id).run()
    task.apply(result)
    assert opened.heat.shown.value is None


def test_a_look_inside_is_passed_on(opened, model, insight):
    found = opened.heat.look_inside(model, (1, 2, 3), 2, layer="conv", device="cpu").run()
    assert found.layer.name == "conv"
    assert insight.asked == [InsideOptions((1, 2, 3), 2, "conv", "cpu")]


def test_an_estimate_says_whether_it_comes_from_past_runs_or_from_one_window(opened, model, insight):
    first = opened.heat.estimate(model).run()
    assert (first.seconds, first.windows, first.runs) == (3.0, 6, 0)
    opened.drafts.predict(model).run()
    second = opened.heat.estimate(model).run()
    # 6 s without loading, for 3 windows; 6 windows here.
    assert (second.seconds, second.windows, second.runs) == (12.0, 6, 1)
    assert insight.asked == [False, True, False]


def test_without_a_worker_it_is_told(tmp_path, scan, model):
    session = Session(settings=SessionSettings(desk_folder=tmp_path / "desk"))
    session.open_path(scan).run()
    assert not session.heat.is_available
    for make in (
        lambda: session.heat.uncertainty(model, Uncertainty.ENTROPY),
        lambda: session.heat.explain(model, 1, ExplainMethod.GRADCAM),
        lambda: session.heat.estimate(model),
    ):
        with pytest.raises(WorkerError):
            make()


def test_no_case_no_heat(session, model):
    with pytest.raises(UsageError, match="No case"):
        session.heat.uncertainty(model, Uncertainty.ENTROPY)


class TestRunTimes:
    def test_the_median_of_the_last_runs_counts(self, tmp_path):
        times = RunTimes(tmp_path / "sub" / "times.json")
        assert times.seconds_per_window("a", "CPU", flips=False) is None
        for seconds in (100.0, *range(1, 10)):
            times.note("a", {"windows": 2, "device": "CPU", "seconds": {"network": seconds}}, flips=False)
        assert times.seconds_per_window("a", "CPU", flips=False) == (2.5, 9)
        assert times.seconds_per_window("a", "CPU", flips=True) is None
        assert times.seconds_per_window("a", "GPU", flips=False) is None

    @pytest.mark.parametrize("manifest", [{}, {"windows": 0, "seconds": {}}, {"windows": 2, "seconds": "x"}])
    def test_runs_that_say_nothing_of_time_are_left_out(self, tmp_path, manifest):
        RunTimes(tmp_path / "times.json").note("a", manifest, flips=False)
        assert not (tmp_path / "times.json").exists()

    @pytest.mark.parametrize("text", ["no json", "[1]", '{"a CPU": 3}', '{"a CPU": ["x"]}', '{"a CPU": [-1]}'])
    def test_a_damaged_file_is_as_none(self, tmp_path, text):
        (tmp_path / "times.json").write_text(text)
        assert RunTimes(tmp_path / "times.json").seconds_per_window("a", "CPU", flips=False) is None

    def test_a_file_that_cannot_be_written_costs_nothing(self, tmp_path):
        (tmp_path / "sub").write_text("a file")
        RunTimes(tmp_path / "sub" / "times.json").note("a", {"windows": 1, "seconds": {"network": 1}}, flips=False)
