"""What readers decide on drafts: appended, never changed, one hash chain per reader, blind as votes are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session as OrmSession

from segdesk.core.provenance import utc_now
from segdesk.errors import NotFound, StoreError
from segdesk.store.chain import link_hash
from segdesk.store.database import Database
from segdesk.store.masks import mask_record, mask_row
from segdesk.store.raters import rater_record
from segdesk.store.records import JudgementRecord, MaskRole, Verdict
from segdesk.store.schema import JudgementRow, MaskRow, RaterRow
from segdesk.store.times import from_text, to_text
from segdesk.store.votes import may_see_reads


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reader decided, before it is recorded.

    Parameters
    ----------
    mask_sha256 : str
        The draft.
    rater_id : str
        Who decided.
    verdict : Verdict
        What.
    taken, offered : tuple of int
        Values of the labels that were accepted, and of all that the draft draws.
    """

    mask_sha256: str
    rater_id: str
    verdict: Verdict
    taken: tuple[int, ...]
    offered: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DraftCounts:
    """What became of the drafts of one model, each by its last judgement of any reader.

    Parameters
    ----------
    model : str
        Name and version.
    weights_sha256 : str or None
        Of its weights; None for drafts that came as files.
    accepted, accepted_in_part, rejected, open : int
        Drafts; open ones nobody has judged.
    """

    model: str
    weights_sha256: str | None
    accepted: int
    accepted_in_part: int
    rejected: int
    open: int


class JudgementStore:
    """The judgements of a project.

    Parameters
    ----------
    database : Database
        The project file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, decision: Decision) -> JudgementRecord:
        """Append a judgement to the reader's chain; the time is now.

        Raises
        ------
        NotFound
            If reader or mask are not of this project.
        StoreError
            If the mask is no draft, or labels were taken that it does not draw.
        """
        with self._database.writing() as session:
            _check(session, decision)
            row = _next_row(session, decision)
            session.add(row)
            session.flush()
            session.refresh(row)
            return _record(row)

    def of_case(self, case_id: str) -> tuple[JudgementRecord, ...]:
        """Return every judgement on drafts of a case, oldest first: for reports; `visible_to` guards blind reads."""
        with self._database.reading() as session:
            return _records(session, _of_case(case_id))

    def visible_to(self, case_id: str, rater_id: str) -> tuple[JudgementRecord, ...]:
        """Return the judgements on a case that a reader may see, oldest first: the own ones while it is read blind."""
        with self._database.reading() as session:
            query = _of_case(case_id)
            if not may_see_reads(session, case_id, rater_id):
                query = query.where(JudgementRow.rater_id == rater_id)
            return _records(session, query)

    def last_by(self, rater_id: str) -> dict[str, JudgementRecord]:
        """Return a reader's own last judgement of the newest draft of each case, by the case's id."""
        newest = select(func.max(MaskRow.id)).where(MaskRow.role == MaskRole.CANDIDATE.value).group_by(MaskRow.case_id)
        query = (
            select(JudgementRow)
            .join(MaskRow, MaskRow.sha256 == JudgementRow.mask_sha256)
            .where(JudgementRow.rater_id == rater_id, MaskRow.id.in_(newest))
            .order_by(JudgementRow.id)
        )
        with self._database.reading() as session:
            return {record.draft.case_id: record for record in _records(session, query)}

    def counts(self) -> tuple[DraftCounts, ...]:
        """Return what became of all drafts, one row per model in the order of their first draft; whose is not told."""
        last = select(func.max(JudgementRow.id)).group_by(JudgementRow.mask_sha256)
        with self._database.reading() as session:
            query = select(JudgementRow).where(JudgementRow.id.in_(last))
            judged = {record.draft.sha256: record for record in _records(session, query)}
            drafts = select(MaskRow).where(MaskRow.role == MaskRole.CANDIDATE.value).order_by(MaskRow.id)
            groups: dict[tuple[str, str | None], list[JudgementRecord | None]] = {}
            for row in session.scalars(drafts):
                groups.setdefault((row.author, row.weights_sha256), []).append(judged.get(row.sha256))
        return tuple(_counts(model, weights, found) for (model, weights), found in groups.items())

    def broken_chains(self) -> tuple[str, ...]:
        """Return a line for each judgement whose hash or link is wrong; empty when all is well."""
        with self._database.reading() as session:
            raters = list(session.scalars(select(RaterRow).order_by(RaterRow.name)))
            return tuple(line for rater in raters for line in _broken_links(session, rater))


def _of_case(case_id: str) -> Select[JudgementRow]:
    return (
        select(JudgementRow)
        .join(MaskRow, MaskRow.sha256 == JudgementRow.mask_sha256)
        .where(MaskRow.case_id == case_id)
        .order_by(JudgementRow.id)
    )


def _records(session: OrmSession, query: Select[JudgementRow]) -> tuple[JudgementRecord, ...]:
    return tuple(_record(row) for row in session.scalars(query))


def _record(row: JudgementRow) -> JudgementRecord:
    return JudgementRecord(
        row.id, mask_record(row.mask), rater_record(row.rater), Verdict(row.verdict), tuple(json.loads(row.taken)),
        tuple(json.loads(row.offered)), from_text(row.created), row.previous_hash, row.hash,
    )  # fmt: skip


def _check(session: OrmSession, decision: Decision) -> None:
    if session.get(RaterRow, decision.rater_id) is None:
        raise NotFound("The reader who judges is not of this project.")
    if mask_row(session, decision.mask_sha256).role != MaskRole.CANDIDATE.value:
        raise StoreError("Only drafts are accepted or rejected.", code="usage")
    if not set(decision.taken) <= set(decision.offered) or (decision.verdict is Verdict.REJECTED and decision.taken):
        raise StoreError("Labels were taken that the draft does not offer, or of a rejected draft.", code="usage")


def _next_row(session: OrmSession, decision: Decision) -> JudgementRow:
    last = select(JudgementRow.hash).where(JudgementRow.rater_id == decision.rater_id).order_by(JudgementRow.id.desc())
    row = JudgementRow(
        mask_sha256=decision.mask_sha256,
        rater_id=decision.rater_id,
        verdict=decision.verdict.value,
        taken=json.dumps(sorted(decision.taken)),
        offered=json.dumps(sorted(decision.offered)),
        created=to_text(utc_now()),
        previous_hash=session.scalar(last.limit(1)) or "",
    )
    row.hash = _hash(row)
    return row


def _hash(row: JudgementRow) -> str:
    return link_hash(
        row.previous_hash, row.mask_sha256, row.rater_id, row.verdict, row.taken, row.offered, row.created
    )  # fmt: skip


def _broken_links(session: OrmSession, rater: RaterRow) -> Iterable[str]:
    previous = ""
    query = select(JudgementRow).where(JudgementRow.rater_id == rater.id).order_by(JudgementRow.id)
    for row in session.scalars(query):
        if row.previous_hash != previous or row.hash != _hash(row):
            yield f"Judgement {row.id} of {rater.name} was changed, or one before it was removed."
        previous = row.hash


def _counts(model: str, weights: str | None, judged: list[JudgementRecord | None]) -> DraftCounts:
    known = [record for record in judged if record is not None]
    rejected = sum(record.verdict is Verdict.REJECTED for record in known)
    partial = sum(record.is_partial for record in known)
    return DraftCounts(model, weights, len(known) - rejected - partial, partial, rejected, len(judged) - len(known))
