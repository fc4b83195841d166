"""Masks of a project: files by content, rows that say what they are."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.orm import Session as OrmSession

from segdesk.core.labels import LabelMap
from segdesk.core.provenance import OriginKind
from segdesk.errors import GeometryMismatch, NotFound
from segdesk.store.database import Database
from segdesk.store.mask_file import mask_path, read_mask, write_mask
from segdesk.store.records import MaskRecord, MaskRole
from segdesk.store.schema import CaseRow, MaskRow, VoteRow
from segdesk.store.times import from_text, to_text

WORKING_KEPT = 3
"""Snapshots of unfinished work that stay per case and reader; reads and drafts always stay."""

_WORK = (MaskRole.WORKING.value, MaskRole.READ.value)


class MaskStore:
    """Saves and finds the masks of a project.

    Parameters
    ----------
    database : Database
        The project file.
    folder : Path
        Where mask files lie.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def save(self, labels: LabelMap, case_id: str, role: MaskRole, rater_id: str | None = None) -> MaskRecord:
        """Store a mask of a case.

        Parameters
        ----------
        labels : LabelMap
            On the case's grid; its origin says who made it from what.
        case_id : str
            The case.
        role : MaskRole
            What it is for. Older ``WORKING`` snapshots of the same reader are forgotten.
        rater_id : str, optional
            Whose it is; none for drafts, consensus and references.

        Raises
        ------
        GeometryMismatch
            If it lies on another grid than the case.
        WriteError, SaveFailed
            If it cannot be written; nothing was changed.
        """
        with self._database.reading() as session:
            _check_grid(session, case_id, labels)
        sha256 = write_mask(self._folder, labels)
        with self._database.writing() as session:
            row = session.scalar(select(MaskRow).where(MaskRow.sha256 == sha256))
            if row is None:
                row = _row_of(labels, sha256, case_id, role, rater_id)
                session.add(row)
                session.flush()
            stale = _forget_older_work(session, row) if role is MaskRole.WORKING else []
            record = mask_record(row)
        for name in stale:
            with suppress(OSError):
                mask_path(self._folder, name).unlink()
        return record

    def load(self, sha256: str) -> LabelMap:
        """Read a mask and check its content against its name.

        Raises
        ------
        StoreError
            If the file is missing or damaged.
        """
        return read_mask(self._folder, sha256)

    def record(self, sha256: str) -> MaskRecord:
        """Return what is known about a mask; NotFound when it is not of this project."""
        with self._database.reading() as session:
            return mask_record(mask_row(session, sha256))

    def of_case(self, case_id: str, role: MaskRole | None = None) -> tuple[MaskRecord, ...]:
        """Return the masks of a case, oldest first; one role only where given.

        These are for provenance and scores; `VoteStore.visible_to` guards blind reads.
        """
        query = select(MaskRow).where(MaskRow.case_id == case_id).order_by(MaskRow.id)
        if role is not None:
            query = query.where(MaskRow.role == role.value)
        with self._database.reading() as session:
            return tuple(mask_record(row) for row in session.scalars(query))

    def working(self, case_id: str, rater_id: str) -> MaskRecord | None:
        """Return the reader's latest work on a case, saved or submitted; None before any."""
        query = (
            select(MaskRow)
            .where(MaskRow.case_id == case_id, MaskRow.rater_id == rater_id, MaskRow.role.in_(_WORK))
            .order_by(MaskRow.id.desc())
        )
        with self._database.reading() as session:
            row = session.scalar(query.limit(1))
            return None if row is None else mask_record(row)

    def ancestors(self, sha256: str) -> tuple[MaskRecord, ...]:
        """Return every mask that a mask was made from, directly or not; nearest first."""
        with self._database.reading() as session:
            found: dict[str, MaskRecord] = {}
            queue = list(mask_record(mask_row(session, sha256)).parents)
            while queue:
                parent = queue.pop(0)
                row = session.scalar(select(MaskRow).where(MaskRow.sha256 == parent))
                if row is not None and parent not in found:
                    found[parent] = mask_record(row)
                    queue.extend(found[parent].parents)
            return tuple(found.values())


def mask_row(session: OrmSession, sha256: str) -> MaskRow:
    """Return the row of a mask; NotFound when there is none."""
    row = session.scalar(select(MaskRow).where(MaskRow.sha256 == sha256))
    if row is None:
        raise NotFound(f"There is no mask {sha256[:12]} in this project.")
    return row


def mask_record(row: MaskRow) -> MaskRecord:
    """Return the record of a row."""
    return MaskRecord(
        row.sha256, row.case_id, row.rater_id, MaskRole(row.role), OriginKind(row.origin_kind), row.author,
        tuple(json.loads(row.parents)), json.loads(row.parameters), row.weights_sha256, from_text(row.created),
    )  # fmt: skip


def _check_grid(session: OrmSession, case_id: str, labels: LabelMap) -> None:
    case = session.get(CaseRow, case_id)
    if case is None:
        raise NotFound(f"There is no case {case_id!r} in this project.")
    if labels.geometry.sha256() != case.geometry_sha256:
        raise GeometryMismatch(f"The mask lies on another grid than the case {case.name!r}; resample it first.")


def _row_of(labels: LabelMap, sha256: str, case_id: str, role: MaskRole, rater_id: str | None) -> MaskRow:
    origin = labels.origin
    return MaskRow(
        sha256=sha256,
        case_id=case_id,
        rater_id=rater_id,
        role=role.value,
        origin_kind=origin.kind.value,
        author=origin.author,
        parents=json.dumps(list(origin.parents)),
        parameters=json.dumps(dict(origin.parameters)),
        weights_sha256=origin.weights_sha256,
        created=to_text(origin.created),
    )


def _forget_older_work(session: OrmSession, newest: MaskRow) -> list[str]:
    """Delete the rows of older snapshots of one reader; the hashes of their files are returned."""
    query = (
        select(MaskRow)
        .where(MaskRow.case_id == newest.case_id, MaskRow.rater_id == newest.rater_id)
        .where(MaskRow.role == MaskRole.WORKING.value)
        .where(~exists().where(VoteRow.mask_sha256 == MaskRow.sha256))
        .order_by(MaskRow.id.desc())
        .offset(WORKING_KEPT)
    )
    old = list(session.scalars(query))
    for row in old:
        session.delete(row)
    return [row.sha256 for row in old]
