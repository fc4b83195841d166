import json

import pytest

from segdesk.core.events import Change
from segdesk.core.provenance import OriginKind
from segdesk.errors import ConsensusError, UsageError
from segdesk.session import Session
from segdesk.store.records import CaseStatus, RaterKind, VotePhase
from tests.session.reading import dab, read


def test_a_submitted_read_stores_the_mask_as_it_is_and_votes(opened):
    dab(opened)
    vote = opened.panel.submit_read(0.5, "hard case").run()
    assert (vote.rater.name, vote.confidence, vote.comment, vote.phase) == ("Ann", 0.5, "hard case", VotePhase.BLIND)
    mask = opened.project.masks.load(vote.mask_sha256)
    assert (mask.array == opened.case.labels.array).all()
    assert mask.origin.kind is OriginKind.HUMAN
    assert not opened.is_dirty.value


def test_an_empty_mask_is_a_legal_read(opened):
    assert not opened.project.masks.load(opened.panel.submit_read().run().mask_sha256).array.any()


def test_a_vote_shows_in_the_case_list_at_once(opened):
    changes = []
    opened.changed.connect(lambda change, source: changes.append(change))
    read(opened, "Ann")
    assert any(Change.VOTES in change for change in changes)
    assert (opened.cases[0].reads_done, opened.cases[0].status) == (1, CaseStatus.READING)
    assert opened.panel.reads_done == 1


def test_reads_stay_blind_until_all_are_in(opened):
    read(opened, "Ann")
    opened.use_rater("Bob").run()
    assert opened.panel.votes() == ()
    assert not opened.panel.is_open
    read(opened, "Bob")
    assert [vote.rater.name for vote in opened.panel.votes()] == ["Ann", "Bob"]
    assert opened.panel.is_open


def test_a_late_reader_is_blind_too(opened):
    read(opened, "Ann"), read(opened, "Bob")
    opened.use_rater("Cem").run()
    assert opened.panel.votes() == ()
    with pytest.raises(ConsensusError, match="blind"):
        opened.panel.merge().run()


def test_the_vote_box_says_what_is_visible_to_whom(opened):
    texts = [Session().panel.what_is_visible(), opened.panel.what_is_visible()]
    read(opened, "Ann")
    texts.append(opened.panel.what_is_visible())
    read(opened, "Bob")
    texts.append(opened.panel.what_is_visible())
    opened.use_rater("Cem").run()
    texts.append(opened.panel.what_is_visible())
    assert len(set(texts)) == 5
    assert texts[1].startswith("Reading blind: 0 of 2 reads are in")
    assert "hidden" in texts[2]
    assert "see each other's masks" in texts[3]
    assert "once you have submitted" in texts[4]


def test_merging_before_all_reads_are_in_is_refused(opened):
    read(opened, "Ann")
    with pytest.raises(ConsensusError, match="1 of 2"):
        opened.panel.merge().run()


@pytest.mark.parametrize(("method", "quorum"), [("majority", None), ("quorum", "2/3"), ("staple", None)])
def test_reads_are_merged_by_name_with_their_masks(opened, method, quorum):
    for name in ("Cem", "Ann", "Bob"):
        read(opened, name)
    merge = opened.panel.merge(method, quorum).run()
    assert [each.name for each in opened.panel.reads] == ["Ann", "Bob", "Cem"]
    assert opened.panel.consensus is merge.consensus
    assert (merge.consensus.labels.array == merge.reads[0].labels.array).all()
    assert opened.panel.disputes == ()


def test_disputes_are_listed_where_readers_differ(opened):
    read(opened, "Ann", radius_mm=2.0), read(opened, "Bob", radius_mm=2.0)
    opened.use_rater("Bob").run()
    dab(opened, at_kji=(5.0, 4.0, 4.0), radius_mm=2.0)
    opened.panel.submit_read().run()
    opened.panel.merge("majority").run()
    assert len(opened.panel.disputes) == 1


def test_a_recorded_consensus_has_the_reads_as_parents(opened):
    first, second = read(opened, "Ann"), read(opened, "Sim", kind=RaterKind.SIMULATED)
    opened.panel.merge("majority").run()
    record = opened.panel.record_consensus().run()
    mask = opened.project.masks.record(record.mask_sha256)
    assert set(mask.parents) == {first.mask_sha256, second.mask_sha256}
    assert mask.origin_kind is OriginKind.CONSENSUS
    assert json.loads(record.summary_json)["simulated"] == ["Sim"]
    assert opened.cases[0].status is CaseStatus.AGREED


def test_without_a_merge_there_is_nothing_to_record(opened):
    with pytest.raises(UsageError, match="merge"):
        opened.panel.record_consensus()


def test_another_reader_starts_without_the_merge(opened):
    read(opened, "Ann"), read(opened, "Bob")
    opened.panel.merge("majority").run()
    opened.use_rater("Cem").run()
    assert opened.panel.consensus is None
    assert opened.panel.reads == ()
