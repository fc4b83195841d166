"""Recorded consensuses of a project: appended, the old ones stay."""

from __future__ import annotations

import json

from sqlalchemy import select

from segdesk.core.labels import LabelMap
from segdesk.core.provenance import Origin, OriginKind, utc_now
from segdesk.errors import StoreError
from segdesk.store.ballots import ConsensusDraft
from segdesk.store.database import Database
from segdesk.store.masks import MaskStore
from segdesk.store.records import ConsensusRecord, MaskRole
from segdesk.store.schema import ConsensusRow
from segdesk.store.times import from_text, to_text


class ConsensusStore:
    """The recorded consensuses of a project."""

    def __init__(self, database: Database, masks: MaskStore) -> None:
        self._database = database
        self._masks = masks

    def record(self, draft: ConsensusDraft) -> ConsensusRecord:
        """Store the mask, with the voted masks as its parents, and append the record.

        Raises
        ------
        StoreError
            If there are no votes, or one is a retraction.
        """
        parents = tuple(vote.mask_sha256 for vote in draft.votes if vote.mask_sha256 is not None)
        if not parents or len(parents) != len(draft.votes):
            raise StoreError("A consensus is made of at least one vote, without retracted ones.", code="usage")
        parameters = {"method": draft.method, "quorum": draft.quorum, "domain": draft.domain}
        origin = Origin(OriginKind.CONSENSUS, draft.method, parents, parameters)
        labels = LabelMap(draft.labels.layers, draft.labels.geometry, draft.labels.table, origin)
        mask = self._masks.save(labels, draft.case_id, MaskRole.CONSENSUS)
        row = ConsensusRow(
            case_id=draft.case_id,
            mask_sha256=mask.sha256,
            method=draft.method,
            quorum=draft.quorum,
            domain=draft.domain,
            vote_hashes=json.dumps([vote.hash for vote in draft.votes]),
            disputes=draft.disputes,
            summary=json.dumps(draft.summary, sort_keys=True, allow_nan=False),
            created=to_text(utc_now()),
        )
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            return consensus_record(row)

    def of_case(self, case_id: str) -> tuple[ConsensusRecord, ...]:
        """Return the consensuses of a case, oldest first."""
        query = select(ConsensusRow).where(ConsensusRow.case_id == case_id).order_by(ConsensusRow.id)
        with self._database.reading() as session:
            return tuple(consensus_record(row) for row in session.scalars(query))


def consensus_record(row: ConsensusRow) -> ConsensusRecord:
    """Return the record of a row."""
    return ConsensusRecord(
        row.id, row.case_id, row.mask_sha256, row.method, row.quorum, row.domain, tuple(json.loads(row.vote_hashes)),
        row.disputes, row.summary, from_text(row.created),
    )  # fmt: skip
