"""Cases of a project."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session as OrmSession

from segdesk.core.progress import Progress, silent
from segdesk.core.provenance import utc_now
from segdesk.core.volume import Volume
from segdesk.errors import NotFound, StoreError
from segdesk.io import read_volume
from segdesk.store.database import Database
from segdesk.store.grid_json import grid_from_json, grid_to_json
from segdesk.store.images import ReadImage, image_hash, read_images, read_recorded_images
from segdesk.store.places import place_of, text_of
from segdesk.store.records import CaseRecord, CaseStatus, CaseSummary, ChannelRecord, MaskRole, RaterKind
from segdesk.store.schema import CaseRow, ChannelRow, ConsensusRow, MaskRow, RaterRow, VoteRow
from segdesk.store.times import from_text, to_text
from segdesk.store.votes import required_reads


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to be added.

    Parameters
    ----------
    name : str
        Unique in the project; must not tell who the patient is.
    channels : mapping of str to Path
        Image of each channel on one grid; the first is the reference.
    patient_key : str
        What groups cases of one patient; the image's own key, else the name, by default.
    series_uid : str
        Series inside a folder with several.
    as_stack : bool
        Take a series that is no regular volume as slices with a place each.
    """

    name: str
    channels: Mapping[str, Path]
    patient_key: str = ""
    series_uid: str = ""
    as_stack: bool = False


class CaseStore:
    """Adds, lists and reads the cases of a project."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def add(self, new: NewCase, report: Progress = silent, read: ReadImage = read_volume) -> CaseRecord:
        """Read the images, with `read`, and record the case.

        Raises
        ------
        StoreError
            If there are no channels, or (``exists``) the name is taken.
        ReadError, GeometryMismatch
            If an image cannot be read or the channels lie on different grids.
        """
        if not new.channels or not new.name.strip():
            raise StoreError("A case needs a name and at least one image.", code="usage")
        self._refuse_taken(new.name)
        volumes = read_images(new.channels, new.series_uid, report, as_stack=new.as_stack, read=read)
        with self._database.writing() as session:
            number = (session.scalar(select(func.max(CaseRow.number))) or 0) + 1
            row = self._row(new, volumes, number)
            session.add(row)
            session.flush()
            return self._record(row)

    def all(self) -> tuple[CaseRecord, ...]:
        """Return all cases in the order they were added."""
        with self._database.reading() as session:
            return tuple(self._record(row) for row in session.scalars(select(CaseRow).order_by(CaseRow.number)))

    def get(self, case_id: str) -> CaseRecord:
        """Return a case by id or name; NotFound when there is none."""
        with self._database.reading() as session:
            row = session.get(CaseRow, case_id) or session.scalar(select(CaseRow).where(CaseRow.name == case_id))
            if row is None:
                raise NotFound(f"There is no case {case_id!r} in this project.")
            return self._record(row)

    def read_channels(
        self, case_id: str, report: Progress = silent, read: ReadImage = read_volume
    ) -> dict[str, Volume]:
        """Read the images of a case with `read`, the reference first, and check them against the record.

        Raises
        ------
        ReadError
            Code ``image_changed`` when an image is missing or another one.
        """
        return read_recorded_images(self.get(case_id), report, read)

    def summaries(self) -> tuple[CaseSummary, ...]:
        """Return a row of the case list for each case, in a fixed number of queries."""
        with self._database.reading() as session:
            reads, drafts, disputes = _reads_by_case(session), _cases_with_draft(session), _disputes_by_case(session)
            needed = required_reads(session)
            rows = session.scalars(select(CaseRow).order_by(CaseRow.number))
            return tuple(
                CaseSummary(
                    self._record(row), done := reads.get(row.id, 0), needed, row.id in drafts, disputes.get(row.id),
                    _status(done, needed, row.id in disputes),
                )
                for row in rows
            )  # fmt: skip

    def _refuse_taken(self, name: str) -> None:
        with self._database.reading() as session:
            if session.scalar(select(CaseRow.id).where(CaseRow.name == name)) is not None:
                raise StoreError(f"There is a case {name!r} already; choose another name.", code="exists")

    def _row(self, new: NewCase, volumes: Mapping[str, Volume], number: int) -> CaseRow:
        reference = next(iter(volumes.values()))
        channels = [
            ChannelRow(
                position=position,
                name=name,
                path=text_of(new.channels[name], self._root),
                series_uid=new.series_uid,
                image_hash=image_hash(volume),
            )
            for position, (name, volume) in enumerate(volumes.items())
        ]
        return CaseRow(
            id=uuid.uuid4().hex,
            number=number,
            name=new.name,
            patient_key=new.patient_key or reference.patient_key or new.name,
            modality=reference.modality,
            shape=json.dumps(list(reference.geometry.shape_kji)),
            geometry_sha256=reference.geometry.sha256(),
            created=to_text(utc_now()),
            grid=json.dumps(grid_to_json(reference.geometry), separators=(",", ":")),
            channels=channels,
        )

    def _record(self, row: CaseRow) -> CaseRecord:
        channels = tuple(
            ChannelRecord(each.name, place_of(each.path, self._root), each.series_uid, each.image_hash)
            for each in row.channels
        )
        k, j, i = json.loads(row.shape)
        return CaseRecord(
            row.id, row.name, row.patient_key, row.modality, (k, j, i), row.geometry_sha256, channels,
            from_text(row.created), None if row.grid is None else grid_from_json(json.loads(row.grid)),
        )  # fmt: skip


def _reads_by_case(session: OrmSession) -> dict[str, int]:
    """Count the readers per case whose last vote was not a retraction; models do not count."""
    last = (
        select(VoteRow.case_id, func.max(VoteRow.id).label("last_id"))
        .join(RaterRow, RaterRow.id == VoteRow.rater_id)
        .where(RaterRow.kind != RaterKind.MODEL.value)
        .group_by(VoteRow.case_id, VoteRow.rater_id)
        .subquery()
    )
    query = (
        select(VoteRow.case_id, func.count())
        .join(last, VoteRow.id == last.c.last_id)
        .where(VoteRow.mask_sha256.is_not(None))
        .group_by(VoteRow.case_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _cases_with_draft(session: OrmSession) -> set[str]:
    query = select(MaskRow.case_id).where(MaskRow.role == MaskRole.CANDIDATE.value).distinct()
    return set(session.scalars(query))


def _disputes_by_case(session: OrmSession) -> dict[str, int]:
    """Return the disputes of each case's last consensus."""
    query = select(ConsensusRow.case_id, ConsensusRow.disputes).order_by(ConsensusRow.id)
    return {row[0]: row[1] for row in session.execute(query)}


def _status(done: int, needed: int, has_consensus: bool) -> CaseStatus:
    if has_consensus:
        return CaseStatus.AGREED
    if done >= needed:
        return CaseStatus.READ
    return CaseStatus.READING if done else CaseStatus.NEW
