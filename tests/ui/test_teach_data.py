from __future__ import annotations

from datetime import UTC, datetime

from segdesk.store.records import CaseRecord, CaseStatus, CaseSummary
from segdesk.ui.models.training_data import TrainingData


def summary(name: str, status: CaseStatus, patient: str = "") -> CaseSummary:
    case = CaseRecord(name, name, patient or name, "MR", (1, 2, 3), "", (), datetime(2026, 1, 1, tzinfo=UTC))
    return CaseSummary(case, 3, 3, False, 0, status)


def test_only_agreed_cases_are_used_and_the_others_say_why_not() -> None:
    data = TrainingData.of(
        [
            summary("a", CaseStatus.AGREED, "p1"),
            summary("b", CaseStatus.NEW),
            summary("c", CaseStatus.NEW),
            summary("d", CaseStatus.READING),
            summary("e", CaseStatus.READ),
        ]
    )
    assert data.usable == 1
    assert data.left_out_text() == "2 cases not read yet · 1 case with reads missing · 1 case not merged yet"


def test_two_cases_of_one_patient_count_as_one_patient() -> None:
    data = TrainingData.of([summary("a", CaseStatus.AGREED, "p"), summary("b", CaseStatus.AGREED, "p")])
    assert (data.patients, data.patients_unknown) == (1, 0)


def test_a_case_that_only_knows_its_name_counts_as_its_own_unknown_patient() -> None:
    data = TrainingData.of([summary("a", CaseStatus.AGREED), summary("b", CaseStatus.AGREED)])
    assert (data.patients, data.patients_unknown) == (2, 2)
    assert "is not known; these are split by case name" in data.notes()[-1]


def test_nothing_agreed_says_what_to_do() -> None:
    data = TrainingData.of([])
    assert not data.can_train
    assert data.left_out_text() == ""
    assert "record a consensus in Agree" in data.notes()[0]


def test_few_patients_are_told_that_there_will_be_no_verdict() -> None:
    data = TrainingData.of([summary("a", CaseStatus.AGREED, "p")])
    assert "cannot be judged" in data.notes()[0]


def test_enough_known_patients_need_no_note() -> None:
    data = TrainingData.of([summary(f"c{n}", CaseStatus.AGREED, f"p{n}") for n in range(10)])
    assert data.notes() == ()
