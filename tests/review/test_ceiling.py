from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from segdesk.errors import GeometryMismatch, UsageError
from segdesk.review import PanelDice, human_ceiling, panel_dice
from tests.builders import ball
from tests.review.reads import ball_reads, line


def cases(count=12, seed=3):
    rng = np.random.default_rng(seed)
    return [PanelDice(f"p{n:02}", *rng.uniform(0.7, 0.9, 2)) for n in range(count)]


def test_a_case_compares_the_model_with_experts_and_experts_with_each_other():
    case = panel_dice(line(1, 1, 0, 2), [line(1, 1, 1, 0), line(1, 0, 0, 0), line(1, 1, 0, 0)], 1, "p")
    assert case.model_expert == pytest.approx((4 / 5 + 2 / 3 + 1) / 3)
    assert case.expert_expert == pytest.approx((2 / 4 + 4 / 5 + 2 / 3) / 3)
    assert case.difference == pytest.approx(case.model_expert - case.expert_expert)


def test_the_interval_is_that_of_scipys_percentile_bootstrap():
    found = human_ceiling(cases())
    differences = np.array([case.difference for case in cases()])
    assert found.difference == pytest.approx(differences.mean())
    oracle = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    width = oracle.high - oracle.low
    assert found.low == pytest.approx(oracle.low, abs=0.05 * width)
    assert found.high == pytest.approx(oracle.high, abs=0.05 * width)


def test_a_seed_gives_one_answer_whatever_the_order():
    assert human_ceiling(cases(), seed=5) == human_ceiling(cases()[::-1], seed=5)
    assert human_ceiling(cases(), seed=5) != human_ceiling(cases(), seed=6)


def test_cases_of_one_patient_are_averaged_first():
    found = human_ceiling([PanelDice("a", 0.5, 0.9), PanelDice("a", 0.7, 0.9), PanelDice("b", 0.9, 0.9)])
    assert found.model_expert == pytest.approx((0.6 + 0.9) / 2)
    assert (found.n_patients, found.n_cases) == (2, 3)


def test_undefined_cases_are_counted_and_left_out():
    nothing = panel_dice(line(0, 0), [line(0, 0), line(0, 0)], 1, "empty")
    assert math.isnan(nothing.difference)
    found = human_ceiling([nothing, *cases(4)])
    assert (found.n_cases, found.n_undefined) == (4, 1)


def test_one_patient_has_no_interval_and_none_has_nothing():
    one, none = human_ceiling(cases(1)), human_ceiling([])
    assert math.isnan(one.low)
    assert not math.isnan(one.difference)
    assert math.isnan(none.difference)
    assert json.loads(json.dumps(none.to_json(), allow_nan=False))["difference"] is None


def test_one_expert_is_no_ceiling():
    with pytest.raises(UsageError, match="two experts"):
        panel_dice(line(1), [line(1)], 1, "p")


def test_masks_on_different_grids_are_refused():
    with pytest.raises(GeometryMismatch, match="expert 2"):
        panel_dice(ball_reads(1)[0], [ball_reads(1)[0], ball()], 1, "p")
