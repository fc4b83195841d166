"""Background jobs of a project, each with a folder of its own."""

from __future__ import annotations

import itertools
from pathlib import Path

from sqlalchemy import select

from segdesk.core.provenance import utc_now
from segdesk.errors import NotFound, SaveFailed
from segdesk.store.database import Database
from segdesk.store.places import place_of, text_of
from segdesk.store.records import JobRecord
from segdesk.store.schema import JobRow
from segdesk.store.times import from_text, to_text


class JobStore:
    """Jobs: what was started, where it writes, how it ended.

    Parameters
    ----------
    database : Database
        The project file.
    folder : Path
        Where job folders are made.
    root : Path
        Project folder.
    """

    def __init__(self, database: Database, folder: Path, root: Path) -> None:
        self._database = database
        self._folder = folder
        self._root = root

    def add(self, kind: str) -> JobRecord:
        """Add a job with a new, empty folder ``jobs/<kind>-<number>``; a later one where that is taken."""
        with self._database.writing() as session:
            now = to_text(utc_now())
            row = JobRow(kind=kind, folder="", status="prepared", detail="", created=now, updated=now)
            session.add(row)
            session.flush()
            try:
                place = _new_folder(self._folder, f"{kind}-{row.id:04d}")
            except OSError as error:
                raise SaveFailed(f"The job's folder could not be made: {error.strerror}.", path=self._folder) from error
            row.folder = text_of(place, self._root)
            return self._record(row)

    def update(self, job_id: int, status: str, detail: str = "") -> JobRecord:
        """Set how a job stands; NotFound when there is none."""
        with self._database.writing() as session:
            row = session.get(JobRow, job_id)
            if row is None:
                raise NotFound(f"There is no job {job_id} in this project.")
            row.status, row.detail, row.updated = status, detail, to_text(utc_now())
            return self._record(row)

    def all(self) -> tuple[JobRecord, ...]:
        """Return all jobs, oldest first."""
        with self._database.reading() as session:
            return tuple(self._record(row) for row in session.scalars(select(JobRow).order_by(JobRow.id)))

    def _record(self, row: JobRow) -> JobRecord:
        place = place_of(row.folder, self._root)
        return JobRecord(
            row.id, row.kind, place, row.status, row.detail, from_text(row.created), from_text(row.updated)
        )


def _new_folder(parent: Path, name: str) -> Path:
    """Make a folder of this name, or of the next free one: a project restored from a backup counts anew."""
    parent.mkdir(parents=True, exist_ok=True)
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    place = next(parent / each for each in names if not (parent / each).exists())
    place.mkdir()
    return place
