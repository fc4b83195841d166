"""A project: a folder with one database and the files it speaks of.

::

    FOLDER/project.segdesk      SQLite: cases, readers, votes, judgements, consensuses, models, jobs
    FOLDER/masks/ab/abcd….zip   masks by content
    FOLDER/models/              models made here
    FOLDER/jobs/                one folder per background job
    FOLDER/backups/             a ring of copies of the database
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from segdesk.core.progress import Progress, silent
from segdesk.errors import SaveFailed, StoreError
from segdesk.io import read_volume
from segdesk.store.cases import CaseStore, NewCase
from segdesk.store.consensuses import ConsensusStore
from segdesk.store.database import Database
from segdesk.store.images import ReadImage
from segdesk.store.jobs import JobStore
from segdesk.store.judgements import JudgementStore
from segdesk.store.masks import MaskStore
from segdesk.store.models import ModelStore
from segdesk.store.places import is_project
from segdesk.store.raters import RaterStore
from segdesk.store.records import PROJECT_FILE, CaseRecord, CaseSummary, VoteRecord
from segdesk.store.schema import MaskRow, MetaRow
from segdesk.store.votes import VoteStore


class Project:
    """An open project. Every call is a short transaction of its own, safe from any thread.

    Attributes
    ----------
    folder : Path
        Absolute project folder.
    masks, votes, judgements, consensuses, models, jobs, raters : store parts
        What is recorded, each behind its own small interface.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database
        self._cases = CaseStore(database, folder)
        self.raters = RaterStore(database)
        self.masks = MaskStore(database, folder / "masks")
        self.votes = VoteStore(database)
        self.judgements = JudgementStore(database)
        self.consensuses = ConsensusStore(database, self.masks)
        self.models = ModelStore(database, folder)
        self.jobs = JobStore(database, folder / "jobs", folder)
        self._meta = self._read_meta()

    @classmethod
    def create(cls, folder: Path, name: str, *, required_reads: int = 3) -> Project:
        """Make a project in a new or empty folder, or in one without a project.

        Parameters
        ----------
        folder : Path
            Made when it is not there.
        name : str
            Shown in the title.
        required_reads : int
            Reads a case needs before anybody sees the others'; 1 or more.

        Raises
        ------
        StoreError
            If there is a project already (``exists``), or the folder cannot be used.
        """
        if required_reads < 1:
            raise StoreError("A case needs at least one read.", code="usage")
        root = Path(os.path.abspath(folder))
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SaveFailed(f"The project folder could not be made: {error.strerror}.", path=root) from error
        meta = {"name": name, "required_reads": str(required_reads)}
        return cls(root, Database.create(root / PROJECT_FILE, meta))

    @classmethod
    def open(cls, folder: Path) -> Project:
        """Open a project folder (or its project file).

        Raises
        ------
        NotFound, SchemaTooNew, StoreError
            If there is none, a newer segdesk wrote it, or it is damaged.
        """
        root = Path(os.path.abspath(folder))
        root = root.parent if root.name == PROJECT_FILE else root
        return cls(root, Database.open(root / PROJECT_FILE))

    @staticmethod
    def is_project(path: Path) -> bool:
        """Whether the path is a project folder or its file."""
        return is_project(path)

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()

    @property
    def name(self) -> str:
        """Name of the project."""
        return self._meta.get("name", self.folder.name)

    @property
    def required_reads(self) -> int:
        """Reads a case needs before anybody sees the others'."""
        return int(self._meta.get("required_reads", "1"))

    @property
    def models_folder(self) -> Path:
        """Where models made in this project go."""
        return self.folder / "models"

    def add_case(
        self,
        name: str,
        channels: Mapping[str, Path],
        *,
        patient_key: str = "",
        series_uid: str = "",
        as_stack: bool = False,
        report: Progress = silent,
        read: ReadImage = read_volume,
    ) -> CaseRecord:
        """Read the images of a case and record it; see `NewCase` and `CaseStore.add`."""
        return self._cases.add(NewCase(name, channels, patient_key, series_uid, as_stack), report, read)

    def cases(self) -> tuple[CaseRecord, ...]:
        """Return all cases in the order they were added."""
        return self._cases.all()

    def case(self, case_id: str) -> CaseRecord:
        """Return a case by id or name; NotFound when there is none."""
        return self._cases.get(case_id)

    def case_summaries(self) -> tuple[CaseSummary, ...]:
        """Return the rows of the case list."""
        return self._cases.summaries()

    @property
    def images(self) -> CaseStore:
        """Reads the images of cases: ``images.read_channels(case_id, report)``."""
        return self._cases

    def votes_visible_to(self, case_id: str, rater_id: str) -> tuple[VoteRecord, ...]:
        """Return the votes a reader may see: only the own ones while the case is read blind."""
        return self.votes.visible_to(case_id, rater_id)

    def verify(self) -> tuple[str, ...]:
        """Check the chains of votes and judgements and the content of every mask; a line per problem."""
        problems = [*self.votes.broken_chains(), *self.judgements.broken_chains()]
        with self._database.reading() as session:
            hashes = list(session.scalars(select(MaskRow.sha256).order_by(MaskRow.id)))
        for sha256 in hashes:
            try:
                self.masks.load(sha256)
            except StoreError as error:
                problems.append(f"Mask {sha256[:12]}: {error.message}")
        return tuple(problems)

    def _read_meta(self) -> dict[str, str]:
        with self._database.reading() as session:
            return {row.key: row.value for row in session.scalars(select(MetaRow))}
