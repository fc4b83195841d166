import sqlite3
from contextlib import closing

import pytest

from segdesk.errors import NotFound, StoreError
from segdesk.store.ballots import Ballot, ConsensusDraft
from segdesk.store.records import CaseStatus, MaskRole, RaterKind, VotePhase


@pytest.fixture
def vote(project, case, mask):
    def cast(name, value=1, kind=RaterKind.HUMAN, **fields):
        rater = project.raters.get_or_add(name, kind)
        record = project.masks.save(mask(value, author=name), case.id, MaskRole.READ, rater.id)
        return project.votes.append(Ballot(case.id, rater.id, record.sha256, **fields))

    return cast


def _names(votes):
    return [vote.rater.name for vote in votes]


def test_before_the_blind_phase_is_over_a_reader_sees_only_the_own_vote(project, case, vote):
    ann = vote("Ann").rater
    assert _names(project.votes_visible_to(case.id, ann.id)) == ["Ann"]
    assert project.votes.counted(case.id) == ()
    assert project.votes.reads_done(case.id) == 1
    assert not project.votes.may_see(case.id, ann.id)


def test_after_it_those_who_voted_see_all(project, case, vote):
    ann, bob = vote("Ann").rater, vote("Bob").rater
    for rater in (ann, bob):
        assert _names(project.votes_visible_to(case.id, rater.id)) == ["Ann", "Bob"]
    assert project.votes.is_blind_phase_over(case.id)


def test_a_late_reader_sees_nothing_before_voting(project, case, vote):
    vote("Ann"), vote("Bob")
    cem = project.raters.get_or_add("Cem")
    assert project.votes_visible_to(case.id, cem.id) == ()
    assert vote("Cem").phase is VotePhase.BLIND
    assert len(project.votes_visible_to(case.id, cem.id)) == 3


def test_a_models_vote_does_not_end_the_blind_phase(project, case, vote):
    ann = vote("Ann").rater
    vote("unet@1", kind=RaterKind.MODEL)
    assert _names(project.votes_visible_to(case.id, ann.id)) == ["Ann"]
    assert project.case_summaries()[0].reads_done == 1


def test_a_second_vote_after_the_reveal_is_open_and_both_stay(project, case, vote):
    vote("Ann", 1), vote("Bob", 2)
    again = vote("Ann", 3)
    assert again.phase is VotePhase.OPEN
    assert len(project.votes_visible_to(case.id, again.rater.id)) == 3
    counted = project.votes.counted(case.id)
    assert _names(counted) == ["Ann", "Bob"]
    assert counted[0].hash == again.hash


def test_a_reader_twice_is_one_read(project, case, vote):
    vote("Ann", 1), vote("Ann", 2)
    assert project.votes.reads_done(case.id) == 1
    assert not project.votes.is_blind_phase_over(case.id)


def test_a_retracted_vote_does_not_count_and_reveals_nothing_anew(project, case, vote):
    ann = vote("Ann").rater
    project.votes.append(Ballot(case.id, ann.id, None, comment="wrong case"))
    assert project.votes.reads_done(case.id) == 0
    assert project.case_summaries()[0].reads_done == 0
    vote("Bob")
    assert _names(project.votes.counted(case.id)) == ["Bob"]


def test_only_a_standing_vote_can_be_retracted(project, case):
    ann = project.raters.get_or_add("Ann")
    with pytest.raises(StoreError, match="retract"):
        project.votes.append(Ballot(case.id, ann.id, None))


def test_the_fields_are_kept(vote):
    record = vote("Ann", confidence=0.25, comment="unsure; 'quoted'")
    assert (record.confidence, record.comment, record.phase) == (0.25, "unsure; 'quoted'", VotePhase.BLIND)
    assert record.created.utcoffset().total_seconds() == 0


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_outside_its_range_is_refused(vote, confidence):
    with pytest.raises(StoreError, match="confidence"):
        vote("Ann", confidence=confidence)


def test_a_vote_with_anothers_mask_is_refused(project, case, vote):
    bob = project.raters.get_or_add("Bob")
    with pytest.raises(StoreError, match="own mask"):
        project.votes.append(Ballot(case.id, bob.id, vote("Ann").mask_sha256))


def test_unknown_readers_and_masks_are_refused(project, case):
    ann = project.raters.get_or_add("Ann")
    with pytest.raises(NotFound):
        project.votes.append(Ballot(case.id, "nobody", None))
    with pytest.raises(NotFound):
        project.votes.append(Ballot(case.id, ann.id, "ab" * 32))


def test_votes_are_chained_per_reader(vote):
    first, other, second = vote("Ann", 1), vote("Bob", 2), vote("Ann", 3)
    assert (first.previous_hash, other.previous_hash, second.previous_hash) == ("", "", first.hash)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE votes SET confidence=0",
        "DELETE FROM votes",
        "DELETE FROM consensuses",
        "UPDATE promotions SET reason=''",
    ],
)
def test_the_database_itself_refuses_to_change_history(project, case, vote, statement):
    ann = vote("Ann")
    vote("Bob")
    votes = project.votes.counted(case.id)
    labels = project.masks.load(ann.mask_sha256)
    project.consensuses.record(ConsensusDraft(case.id, labels, votes, "majority", None, "union", 0, {}))
    with closing(sqlite3.connect(project.folder / "project.segdesk")) as file:
        file.execute("PRAGMA foreign_keys=OFF")
        if "promotions" in statement:
            file.execute("INSERT INTO promotions (model_id, reason, created) VALUES (1, 'x', 'x')")
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            file.execute(statement)


@pytest.mark.parametrize("tampering", ["UPDATE votes SET comment='better' WHERE id=1", "DELETE FROM votes WHERE id=1"])
def test_verify_notices_a_chain_changed_behind_our_back(project, vote, tampering):
    vote("Ann", 1), vote("Ann", 2)
    assert project.verify() == ()
    with closing(sqlite3.connect(project.folder / "project.segdesk", isolation_level=None)) as file:
        file.execute("DROP TRIGGER votes_no_update")
        file.execute("DROP TRIGGER votes_no_delete")
        file.execute(tampering)
    (problem, *_) = project.verify()
    assert "Ann" in problem


def test_a_consensus_has_the_voted_masks_as_parents_and_the_old_one_stays(project, case, vote):
    votes = (vote("Ann", 1), vote("Bob", 2))
    labels = project.masks.load(votes[0].mask_sha256)
    record = project.consensuses.record(
        ConsensusDraft(case.id, labels, votes, "quorum", "2/3", "union", 4, {"x": None})
    )
    second = project.consensuses.record(ConsensusDraft(case.id, labels, votes, "staple", None, "whole", 2, {}))
    assert project.consensuses.of_case(case.id) == (record, second)
    assert project.masks.record(record.mask_sha256).parents == tuple(v.mask_sha256 for v in votes)
    assert record.vote_hashes == tuple(v.hash for v in votes)
    (summary,) = project.case_summaries()
    assert (summary.status, summary.disputes) == (CaseStatus.AGREED, 2)


def test_a_consensus_of_nothing_is_refused(project, case, mask):
    with pytest.raises(StoreError):
        project.consensuses.record(ConsensusDraft(case.id, mask(), (), "majority", None, "union", 0, {}))


def test_the_case_list_follows_the_reads(project, vote):
    vote("Ann")
    assert project.case_summaries()[0].status is CaseStatus.READING
    vote("Bob")
    assert project.case_summaries()[0].status is CaseStatus.READ


def test_raters_are_people_simulated_or_models(project):
    ann = project.raters.get_or_add(" Ann ")
    assert project.raters.get_or_add("Ann") == ann
    assert project.raters.get_or_add("unet@1", RaterKind.MODEL).weight == 0
    assert project.raters.get_or_add("Sim", RaterKind.SIMULATED, 0.5).weight == 0.5
    assert _sorted_names(project) == ["Ann", "Sim", "unet@1"]


def _sorted_names(project):
    return [rater.name for rater in project.raters.all()]


def test_a_person_is_never_turned_into_a_simulated_reader(project):
    project.raters.get_or_add("Ann")
    with pytest.raises(StoreError, match="human"):
        project.raters.get_or_add("Ann", RaterKind.SIMULATED)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_odd_weights_are_refused(project, weight):
    with pytest.raises(StoreError) as caught:
        project.raters.get_or_add("Ann", weight=weight)
    assert caught.value.code == "bad_weight"


def test_a_reader_needs_a_name(project):
    with pytest.raises(StoreError):
        project.raters.get_or_add("  ")
