"""The report of an evaluation."""

from __future__ import annotations

import re

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.metrics import CohortScores, evaluate
from segdesk.report.document import Share, Table
from segdesk.report.render import render
from segdesk.report.scores import ScoreContext, score_document, worst_first
from tests.builders import ball

_CONTEXT = ScoreContext("ours", "theirs", ("case9: no candidate, not scored.",))


def _cohort() -> CohortScores:
    whole, empty = ball(), LabelMap.empty(ball().geometry, ball().table)
    half = ball()
    half.array[: half.array.shape[0] // 2] = 0
    return CohortScores(
        (
            ("perfect", evaluate(whole, whole)),
            ("half", evaluate(half, whole)),
            ("missed", evaluate(empty, whole)),
            ("nothing", evaluate(empty, empty)),
        )
    )


def test_the_worst_case_comes_first_and_the_undefined_one_last() -> None:
    assert [case for case, _ in worst_first(_cohort())] == ["missed", "half", "perfect", "nothing"]


def test_means_leave_undefined_cases_out_and_count_missed_ones_as_zero() -> None:
    document = score_document(_cohort(), _CONTEXT)
    table = document.sections[0].items[0]
    assert isinstance(table, Table)
    row = table.rows[0]
    half = _cohort().cases[1][1].labels[0].dice
    assert row[2] == Share((1.0 + half + 0.0) / 3)
    assert row[3:] == (0.0, 3, 1, 1, 0)


def test_the_page_names_both_sides_n_and_what_was_left_out() -> None:
    page = render(score_document(_cohort(), _CONTEXT))
    assert "ours against theirs: 4 cases." in page
    assert "n = 3" in page
    assert "case9: no candidate" in page
    assert re.search(r"<svg[^>]*histogram", page)


def test_a_report_without_any_defined_score_is_still_a_page() -> None:
    grid = Geometry.from_spacing((2, 3, 4))
    empty = LabelMap.empty(grid, ball().table)
    page = render(score_document(CohortScores((("a", evaluate(empty, empty)),)), _CONTEXT))
    assert "1 case." in page
