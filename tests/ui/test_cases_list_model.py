from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from segdesk.core.provenance import OriginKind
from segdesk.store.records import (
    CaseRecord,
    CaseStatus,
    CaseSummary,
    ChannelRecord,
    JudgementRecord,
    MaskRecord,
    MaskRole,
    RaterKind,
    RaterRecord,
    Verdict,
)
from segdesk.ui.models.case_list_model import CASE_COLUMNS, CaseFilter, CaseListModel


def summary(
    name: str,
    reads: int = 0,
    *,
    needed: int = 3,
    draft: bool = False,
    disputes: int | None = None,
    status: CaseStatus = CaseStatus.NEW,
    modality: str = "MR",
) -> CaseSummary:
    channel = ChannelRecord("image", Path(f"{name}.nii.gz"), "", "0" * 64)
    case = CaseRecord(
        name, name, "DOE^JANE", modality, (30, 40, 50), "f" * 64, (channel,), datetime(2026, 1, 1, tzinfo=UTC)
    )
    return CaseSummary(case, reads, needed, draft, disputes, status)


@pytest.fixture
def model() -> CaseListModel:
    model = CaseListModel()
    model.set_summaries(
        [
            summary("untouched"),
            summary("drafted", draft=True),
            summary("begun", 2, status=CaseStatus.READING),
            summary("complete", 3, status=CaseStatus.READ),
            summary("disputed", 3, disputes=4, status=CaseStatus.AGREED),
            summary("agreed", 3, disputes=0, status=CaseStatus.AGREED, modality="CT"),
        ]
    )
    return model


def names(model: CaseListModel) -> list[str]:
    return [row.case.name for row in model.visible_rows]


def test_the_case_whose_next_step_is_worth_most_comes_first(model: CaseListModel) -> None:
    assert names(model) == ["complete", "begun", "drafted", "untouched", "disputed", "agreed"]


def test_the_next_case_comes_with_its_reason(model: CaseListModel) -> None:
    assert model.next_row is not None
    assert model.next_row.reason == "All reads are in, merge them"


def test_a_finished_project_has_no_next_case() -> None:
    model = CaseListModel()
    model.set_summaries([summary("a", 3, disputes=0, status=CaseStatus.AGREED)])
    assert model.next_row is None


def test_an_empty_project_has_no_next_case() -> None:
    assert CaseListModel().next_row is None


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (CaseFilter.TO_READ, ["begun", "drafted", "untouched"]),
        (CaseFilter.TO_MERGE, ["complete"]),
        (CaseFilter.DISPUTED, ["disputed"]),
        (CaseFilter.AGREED, ["disputed", "agreed"]),
    ],
)
def test_a_filter_shows_its_cases_and_knows_their_number(
    model: CaseListModel, chosen: CaseFilter, expected: list[str]
) -> None:
    model.filter = chosen
    assert names(model) == expected
    assert model.number_in(chosen) == len(expected)


def test_search_asks_for_every_word_in_any_case(model: CaseListModel) -> None:
    model.search = "READ missing mr"
    assert names(model) == ["begun", "drafted", "untouched"]


def test_search_never_finds_a_patient(model: CaseListModel) -> None:
    model.search = "jane"
    assert names(model) == []


def test_no_cell_shows_the_patient_key(model: CaseListModel) -> None:
    cells = [column.text(row) + column.tip(row) for row in model.rows for column in CASE_COLUMNS]
    assert not any("DOE" in cell for cell in cells)


def test_a_case_without_consensus_shows_a_dash_and_why(model: CaseListModel) -> None:
    column = next(column for column in CASE_COLUMNS if column.title == "Disputes")
    row = next(row for row in model.rows if row.case.name == "untouched")
    assert column.text(row) == "-"
    assert column.tip(row) == "No consensus has been built yet"


def test_setting_the_same_search_twice_is_announced_once(model: CaseListModel) -> None:
    heard: list[int] = []
    model.changed.connect(lambda: heard.append(1))
    model.search = "x"
    model.search = "x"
    model.filter = CaseFilter.ALL
    assert len(heard) == 1


def test_the_line_below_the_list_counts_what_is_to_do(model: CaseListModel) -> None:
    assert model.summary_text() == "6 cases · 3 to read · 1 to merge · 1 disputed · 2 agreed"


def test_an_agreed_case_with_disputes_says_so_and_comes_late(model: CaseListModel) -> None:
    reasons = {row.case.name: row.reason for row in model.rows}
    assert reasons["disputed"] == "Agreed, with 4 disputes to look at"
    assert reasons["agreed"] == "Agreed, nothing to do"


def decision(name: str, verdict: Verdict, taken: tuple[int, ...] = ()) -> JudgementRecord:
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)
    draft = MaskRecord("a" * 64, name, None, MaskRole.CANDIDATE, OriginKind.MODEL, "toy@1", (), {}, "b" * 64, when)
    ann = RaterRecord("r", "Ann", RaterKind.HUMAN, 1.0)
    return JudgementRecord(1, draft, ann, verdict, taken, (1, 2), when, "", "c" * 64)


@pytest.mark.parametrize(
    ("told", "text", "reason", "tip"),
    [
        (None, "yes", "Draft to correct, 3 reads missing", "A model's draft is stored"),
        (decision("a", Verdict.REJECTED), "rejected", "Draft rejected, 3 reads missing", "toy@1: rejected by you, "),
        (decision("a", Verdict.ACCEPTED, (1, 2)), "accepted", "Draft accepted, 3 reads missing", "toy@1: accepted by"),
        (
            decision("a", Verdict.ACCEPTED, (2,)), "in part", "Draft accepted, 3 reads missing",
            "toy@1: accepted in part (labels 2 of 2) by you, ",
        ),
    ],
)  # fmt: skip
def test_a_row_says_what_the_reader_decided_on_the_draft(
    told: JudgementRecord | None, text: str, reason: str, tip: str
) -> None:
    model = CaseListModel()
    model.set_summaries([summary("a", draft=True)], {} if told is None else {"a": told})
    (column,) = (each for each in CASE_COLUMNS if each.title == "Draft")
    assert column.text(model.rows[0]) == text
    assert model.rows[0].reason == reason
    assert column.tip(model.rows[0]).startswith(tip)
