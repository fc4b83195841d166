"""What is decided on drafts is recorded: by whom, on which labels, of which model."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.errors import SaveFailed
from segdesk.io import write_labels
from segdesk.session import Session, SessionSettings
from segdesk.session.mask_import import MaskTarget
from segdesk.store.judgements import JudgementStore
from segdesk.store.records import RaterKind, Verdict
from tests.session.toys import ToyPredictor


def told(session: Session) -> list[tuple[str, str, tuple[int, ...]]]:
    records = session.project.judgements.of_case(session.case.record.id)
    return [(each.rater.name, each.verdict.value, each.taken) for each in records]


def test_accepting_and_rejecting_are_recorded_with_reader_and_model(opened: Session, model: Path) -> None:
    candidate = opened.drafts.predict(model).run()
    opened.drafts.accept()
    assert opened.judging.waiting == 1
    assert opened.judging.save().run() == 1
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    opened.judging.save().run()
    assert told(opened) == [("Ann", "accepted", (1,)), ("Ann", "rejected", ())]
    first = opened.project.judgements.of_case(opened.case.record.id)[0]
    assert first.draft == candidate.record
    assert (first.draft.author, first.offered) == ("toy@1", (1,))
    assert opened.judging.waiting == 0


def test_only_the_labels_that_were_taken_are_recorded(opened: Session, model: Path) -> None:
    opened.drafts.predict(model).run()
    opened.drafts.accept({1, 7})
    opened.drafts.predict(model).run()
    opened.drafts.accept({7})
    opened.judging.save().run()
    assert told(opened) == [("Ann", "accepted", (1,)), ("Ann", "accepted", ())]


def test_a_recalled_draft_is_judged_by_who_reads_now(opened: Session, model: Path) -> None:
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    opened.judging.save().run()
    opened.use_rater("Bob", RaterKind.HUMAN).run()
    (draft,) = opened.drafts.stored().run()
    assert draft.judgements == ()
    opened.drafts.recall(draft.record).run()
    opened.drafts.accept()
    opened.judging.save().run()
    assert told(opened) == [("Ann", "rejected", ()), ("Bob", "accepted", (1,))]
    (draft,) = opened.drafts.stored().run()
    assert [each.rater.name for each in draft.judgements] == ["Bob"]
    assert opened.decisions[opened.case.record.id].verdict is Verdict.ACCEPTED


def test_the_readers_own_last_decisions_are_listed(opened: Session, model: Path) -> None:
    case_id = opened.case.record.id
    opened.drafts.predict(model).run()
    assert opened.decisions == {}
    opened.drafts.reject()
    opened.judging.save().run()
    assert opened.decisions[case_id].verdict is Verdict.REJECTED
    opened.use_rater("Bob", RaterKind.HUMAN).run()
    assert opened.decisions == {}
    opened.use_rater("Ann", RaterKind.HUMAN).run()
    opened.drafts.predict(model).run()
    assert opened.decisions == {}


def test_a_mask_file_that_is_no_draft_is_not_judged(opened: Session, tmp_path: Path) -> None:
    labels = opened.case.labels.copy()
    labels.array[2, 3, 4] = 1
    write_labels(labels, tmp_path / "mine.nii.gz")
    found = opened.masks.look_at(tmp_path / "mine.nii.gz").run()
    opened.masks.attach(found, MaskTarget.MINE).run()
    opened.drafts.reject()
    assert opened.judging.waiting == 0


def test_what_was_decided_is_written_before_another_case_is_opened(opened: Session, model: Path) -> None:
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    opened.open_case(opened.case.record.id).run()
    assert told(opened) == [("Ann", "rejected", ())]


def test_what_was_decided_is_written_before_the_project_is_closed(opened: Session, model: Path, tmp_path: Path) -> None:
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    case_id = opened.case.record.id
    opened.close()
    again = Session(ToyPredictor(), settings=SessionSettings(rater_name="Ann", desk_folder=tmp_path / "desk"))
    again.open_project(tmp_path / "project").run()
    assert again.decisions[case_id].verdict is Verdict.REJECTED


def test_a_decision_that_cannot_be_written_stays_and_stops_none_of_the_others(
    opened: Session, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, failing = JudgementStore.append, [True]

    def full(store, decision):
        if failing and decision.verdict is Verdict.REJECTED:
            raise SaveFailed("The disk is full.")
        return append(store, decision)

    monkeypatch.setattr(JudgementStore, "append", full)
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    opened.drafts.predict(model).run()
    opened.drafts.accept()
    with pytest.raises(SaveFailed, match="full"):
        opened.judging.save().run()
    assert opened.judging.waiting == 1
    assert told(opened) == [("Ann", "accepted", (1,))]
    opened.save_labels().run()
    opened.open_case(opened.case.record.id).run()
    with pytest.raises(SaveFailed, match="full"):
        opened.close()
    failing.clear()
    opened.close()
    assert opened.judging.waiting == 0
