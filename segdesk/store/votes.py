"""Votes: appended, never changed, one hash chain per reader, blind until everybody has read."""

from __future__ import annotations

import math
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session as OrmSession

from segdesk.core.provenance import utc_now
from segdesk.errors import NotFound, StoreError
from segdesk.store.ballots import Ballot, standing
from segdesk.store.chain import link_hash
from segdesk.store.database import Database
from segdesk.store.masks import mask_row
from segdesk.store.raters import rater_record
from segdesk.store.records import RaterKind, VotePhase, VoteRecord
from segdesk.store.schema import MetaRow, RaterRow, VoteRow
from segdesk.store.times import from_text, to_text


class VoteStore:
    """The votes of a project.

    Reads are blind: `visible_to` and `counted` give nothing away before the blind phase of
    the case is over, that is before `required_reads` persons or simulated readers have voted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, ballot: Ballot) -> VoteRecord:
        """Append a vote to the reader's chain.

        Raises
        ------
        NotFound
            If reader or mask are not of this project.
        StoreError
            If the mask is of another case or reader, or the confidence is not in [0, 1].
        """
        if not (math.isfinite(ballot.confidence) and 0.0 <= ballot.confidence <= 1.0):
            raise StoreError(f"A confidence lies between 0 and 1, not {ballot.confidence}.", code="usage")
        with self._database.writing() as session:
            _check_ballot(session, ballot)
            row = _next_row(session, ballot)
            session.add(row)
            session.flush()
            session.refresh(row)
            return vote_record(row)

    def visible_to(self, case_id: str, rater_id: str) -> tuple[VoteRecord, ...]:
        """Return the votes on a case that a reader may see, oldest first.

        Before the reader has voted and the blind phase is over: only the reader's own.
        """
        with self._database.reading() as session:
            votes = _votes_on(session, case_id)
            if _may_see(session, votes, rater_id):
                return votes
            return tuple(vote for vote in votes if vote.rater.id == rater_id)

    def counted(self, case_id: str) -> tuple[VoteRecord, ...]:
        """Return the votes a consensus counts: each reader's last, by name; none while blind."""
        with self._database.reading() as session:
            votes = _votes_on(session, case_id)
            return standing(votes) if _is_blind_phase_over(session, votes) else ()

    def may_see(self, case_id: str, rater_id: str) -> bool:
        """Whether a reader may see the others' votes: has voted, and the blind phase is over."""
        with self._database.reading() as session:
            return may_see_reads(session, case_id, rater_id)

    def is_blind_phase_over(self, case_id: str) -> bool:
        """Whether as many readers as required have voted on the case."""
        with self._database.reading() as session:
            return _is_blind_phase_over(session, _votes_on(session, case_id))

    def reads_done(self, case_id: str) -> int:
        """Return how many readers have a standing vote on the case; tells nothing else."""
        with self._database.reading() as session:
            return len(_readers(_votes_on(session, case_id)))

    def broken_chains(self) -> tuple[str, ...]:
        """Return a line for each vote whose hash or link is wrong; empty when all is well."""
        with self._database.reading() as session:
            raters = list(session.scalars(select(RaterRow).order_by(RaterRow.name)))
            return tuple(line for rater in raters for line in _broken_links(session, rater))


def required_reads(session: OrmSession) -> int:
    """Return how many reads a case needs."""
    row = session.get(MetaRow, "required_reads")
    return int(row.value) if row is not None else 1


def vote_record(row: VoteRow) -> VoteRecord:
    """Return the record of a row."""
    return VoteRecord(
        row.id, row.case_id, rater_record(row.rater), row.mask_sha256, VotePhase(row.phase), row.confidence,
        row.comment, from_text(row.created), row.previous_hash, row.hash,
    )  # fmt: skip


def _check_ballot(session: OrmSession, ballot: Ballot) -> None:
    if session.get(RaterRow, ballot.rater_id) is None:
        raise NotFound("The reader who votes is not of this project.")
    if ballot.mask_sha256 is None:
        if not any(v.rater.id == ballot.rater_id for v in standing(_votes_on(session, ballot.case_id))):
            raise StoreError("There is no vote to retract.", code="usage")
        return
    mask = mask_row(session, ballot.mask_sha256)
    if (mask.case_id, mask.rater_id) != (ballot.case_id, ballot.rater_id):
        raise StoreError("A reader votes with an own mask of the same case.", code="usage")


def _next_row(session: OrmSession, ballot: Ballot) -> VoteRow:
    votes = _votes_on(session, ballot.case_id)
    phase = VotePhase.OPEN if _may_see(session, votes, ballot.rater_id) else VotePhase.BLIND
    query = select(VoteRow.hash).where(VoteRow.rater_id == ballot.rater_id).order_by(VoteRow.id.desc()).limit(1)
    row = VoteRow(
        case_id=ballot.case_id,
        rater_id=ballot.rater_id,
        mask_sha256=ballot.mask_sha256,
        phase=phase.value,
        confidence=float(ballot.confidence),
        comment=ballot.comment,
        created=to_text(utc_now()),
        previous_hash=session.scalar(query) or "",
    )
    row.hash = _hash(row)
    return row


def _hash(row: VoteRow) -> str:
    return link_hash(
        row.previous_hash, row.case_id, row.rater_id, row.mask_sha256, row.phase, row.confidence, row.comment,
        row.created,
    )  # fmt: skip


def _votes_on(session: OrmSession, case_id: str) -> tuple[VoteRecord, ...]:
    query = select(VoteRow).where(VoteRow.case_id == case_id).order_by(VoteRow.id)
    return tuple(vote_record(row) for row in session.scalars(query))


def _readers(votes: Iterable[VoteRecord]) -> set[str]:
    """Return the persons and simulated readers with a standing vote; models do not end the blind phase."""
    return {vote.rater.id for vote in standing(votes) if vote.rater.kind is not RaterKind.MODEL}


def _is_blind_phase_over(session: OrmSession, votes: tuple[VoteRecord, ...]) -> bool:
    """Whether enough readers have voted: once over, a retraction does not make anybody forget what they saw."""
    voters = {v.rater.id for v in votes if v.rater.kind is not RaterKind.MODEL and v.mask_sha256 is not None}
    return len(voters) >= required_reads(session)


def may_see_reads(session: OrmSession, case_id: str, rater_id: str) -> bool:
    """Whether a reader may see what the others did with a case: has voted, and the blind phase is over."""
    return _may_see(session, _votes_on(session, case_id), rater_id)


def _may_see(session: OrmSession, votes: tuple[VoteRecord, ...], rater_id: str) -> bool:
    has_voted = any(vote.rater.id == rater_id and vote.mask_sha256 is not None for vote in votes)
    return has_voted and _is_blind_phase_over(session, votes)


def _broken_links(session: OrmSession, rater: RaterRow) -> Iterable[str]:
    previous = ""
    for row in session.scalars(select(VoteRow).where(VoteRow.rater_id == rater.id).order_by(VoteRow.id)):
        if row.previous_hash != previous or row.hash != _hash(row):
            yield f"Vote {row.id} of {rater.name} was changed, or a vote before it was removed."
        previous = row.hash
