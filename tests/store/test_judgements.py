"""What readers decide on drafts: recorded once, chained, blind, and counted."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from segdesk.core.provenance import OriginKind
from segdesk.errors import NotFound, StoreError
from segdesk.store.ballots import Ballot
from segdesk.store.judgements import Decision, DraftCounts
from segdesk.store.records import MaskRole, Verdict

WEIGHTS = "a" * 64


@pytest.fixture
def draft(project, case, mask):
    def make(value=1, author="unet@1", weights=WEIGHTS):
        labels = mask(value, kind=OriginKind.MODEL, author=author, weights_sha256=weights)
        return project.masks.save(labels, case.id, MaskRole.CANDIDATE)

    return make


@pytest.fixture
def judge(project):
    def tell(name, record, verdict=Verdict.ACCEPTED, taken=(1, 2), offered=(1, 2)):
        rater = project.raters.get_or_add(name)
        taken = () if verdict is Verdict.REJECTED else taken
        return project.judgements.append(Decision(record.sha256, rater.id, verdict, taken, offered))

    return tell


def test_a_judgement_says_who_what_when_and_of_which_model(project, case, draft, judge):
    record = draft()
    told = judge("Ann", record, taken=(2,))
    assert project.judgements.of_case(case.id) == (told,)
    assert (told.rater.name, told.verdict, told.taken, told.offered) == ("Ann", Verdict.ACCEPTED, (2,), (1, 2))
    assert (told.draft.author, told.draft.weights_sha256) == ("unet@1", WEIGHTS)
    assert told.created >= record.created
    assert told.is_partial
    assert not judge("Ann", record).is_partial
    assert not judge("Ann", record, Verdict.REJECTED).is_partial


def test_only_drafts_by_readers_of_the_project_are_judged(project, case, mask, draft, judge):
    ann = project.raters.get_or_add("Ann")
    read = project.masks.save(mask(3), case.id, MaskRole.READ, ann.id)
    with pytest.raises(StoreError, match="Only drafts"):
        judge("Ann", read)
    with pytest.raises(NotFound, match="reader"):
        project.judgements.append(Decision(draft().sha256, "nobody", Verdict.REJECTED, (), ()))
    with pytest.raises(NotFound, match="mask"):
        project.judgements.append(Decision("b" * 64, ann.id, Verdict.REJECTED, (), ()))


@pytest.mark.parametrize(("verdict", "taken"), [(Verdict.ACCEPTED, (1, 9)), (Verdict.REJECTED, (1,))])
def test_labels_that_contradict_the_verdict_are_refused(project, draft, verdict, taken):
    ann = project.raters.get_or_add("Ann")
    with pytest.raises(StoreError, match="Labels were taken"):
        project.judgements.append(Decision(draft().sha256, ann.id, verdict, taken, (1, 2)))


def test_judgements_are_never_changed_or_deleted(project, draft, judge):
    judge("Ann", draft())
    with closing(sqlite3.connect(project.folder / "project.segdesk")) as file:
        for statement in ("UPDATE judgements SET verdict='rejected'", "DELETE FROM judgements"):
            with pytest.raises(sqlite3.DatabaseError, match="never changed"):
                file.execute(statement)


@pytest.mark.parametrize(
    "forgery", ["UPDATE judgements SET taken='[]' WHERE id=2", "DELETE FROM judgements WHERE id=1"]
)
def test_a_forged_judgement_is_found(project, draft, judge, forgery):
    for number in (1, 2, 3):
        judge("Ann", draft(number))
    judge("Bob", draft(1))
    assert project.verify() == ()
    with closing(sqlite3.connect(project.folder / "project.segdesk")) as file:
        file.execute("DROP TRIGGER judgements_no_update")
        file.execute("DROP TRIGGER judgements_no_delete")
        file.execute(forgery)
        file.commit()
    (problem,) = project.verify()
    assert "Judgement 2 of Ann" in problem


def test_while_a_case_is_read_blind_a_reader_sees_only_the_own_judgements(project, case, mask, draft, judge):
    record = draft()
    judge("Ann", record), judge("Bob", record, Verdict.REJECTED)
    ann, bob = (project.raters.get_or_add(name) for name in ("Ann", "Bob"))
    assert [each.rater.name for each in project.judgements.visible_to(case.id, ann.id)] == ["Ann"]
    for rater in (ann, bob):
        read = project.masks.save(mask(4, author=rater.name), case.id, MaskRole.READ, rater.id)
        project.votes.append(Ballot(case.id, rater.id, read.sha256))
    assert [each.rater.name for each in project.judgements.visible_to(case.id, ann.id)] == ["Ann", "Bob"]
    cem = project.raters.get_or_add("Cem")
    assert project.judgements.visible_to(case.id, cem.id) == ()


def test_a_readers_last_word_on_the_newest_draft_of_each_case(project, case, draft, judge):
    record = draft(1)
    judge("Ann", record, Verdict.REJECTED)
    last = judge("Ann", record)
    judge("Bob", record, Verdict.REJECTED)
    assert project.judgements.last_by(last.rater.id) == {case.id: last}
    assert project.judgements.last_by("nobody") == {}
    newer = draft(2)
    assert project.judgements.last_by(last.rater.id) == {}
    assert project.judgements.last_by(judge("Ann", newer).rater.id).keys() == {case.id}


def test_drafts_are_counted_by_what_became_of_them(project, draft, judge):
    first, second, third, _ = (draft(number) for number in (1, 2, 3, 4))
    other = draft(5, "vnet@2", None)
    judge("Ann", first, Verdict.REJECTED)
    judge("Ann", first)
    judge("Ann", second, taken=(1,))
    judge("Ann", third, Verdict.REJECTED)
    judge("Bob", other)
    assert project.judgements.counts() == (
        DraftCounts("unet@1", WEIGHTS, accepted=1, accepted_in_part=1, rejected=1, open=1),
        DraftCounts("vnet@2", None, accepted=1, accepted_in_part=0, rejected=0, open=0),
    )
