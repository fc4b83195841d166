"""The program without a window: thin, delegates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdesk.core.events import SignalInstance
from segdesk.core.prediction import Predictor
from segdesk.core.progress import Task
from segdesk.core.training import Trainer
from segdesk.edit.editor import Editor
from segdesk.edit.history import MIB, EditHistory
from segdesk.session.drafts import Drafts
from segdesk.session.lineage import Lineage
from segdesk.session.panel import Panel
from segdesk.session.saving import SaveOutcome, Saving
from segdesk.session.scores import Scores
from segdesk.session.settings import SessionSettings
from segdesk.session.state import OpenCase, SessionState
from segdesk.session.teaching import Teaching
from segdesk.store.project import Project
from segdesk.store.records import CaseRecord, CaseSummary, RaterKind, RaterRecord


class Session:
    """Holds the project and the open case; its parts do the work.

    Everything slow is returned as a `Task`: a window queues it, a script calls `.run()`.
    All methods and signals belong to one thread, the owner's.

    Parameters
    ----------
    predictor : Predictor, optional
        Runs models; without it `drafts.predict` says so.
    trainer : Trainer, optional
        Starts training children; without it `teaching.start` says so.
    settings : SessionSettings, optional
        Names and limits.

    Attributes
    ----------
    editor : Editor
        Strokes, undo, active label.
    drafts : Drafts
        Predict, accept, reject.
    panel : Panel
        Reads, votes, consensus, disputes.
    scores : Scores
        Readers and models against the reference.
    teaching : Teaching
        Data set, fine-tuning, promotion.
    """

    def __init__(
        self,
        predictor: Predictor | None = None,
        trainer: Trainer | None = None,
        settings: SessionSettings | None = None,
    ) -> None:
        self.settings = settings or SessionSettings()
        self._state = SessionState()
        self._lineage = Lineage()
        self.editor = Editor(EditHistory(self.settings.undo_mib * MIB))
        self._saving = Saving(self._state, self.editor, self._lineage)
        self.drafts = Drafts(self._state, self.editor, self._lineage, predictor)
        self.panel = Panel(self._state, self._lineage)
        self.scores = Scores(self._state)
        self.teaching = Teaching(self._state, trainer)
        self.rater = self._state.rater
        self.is_dirty = self._saving.is_dirty
        self.last_saved = self._saving.last_saved
        self.save_error = self._saving.save_error

    @property
    def changed(self) -> SignalInstance:
        """Signal(Change, source): what an operation changed; connect to it."""
        return self._state.changed

    @property
    def project(self) -> Project | None:
        """The open project."""
        return self._state.project

    @property
    def case(self) -> OpenCase | None:
        """The open case: record, volume, channels, labels, serial."""
        return self._state.case

    @property
    def cases(self) -> tuple[CaseSummary, ...]:
        """Rows of the case list, as last read from the project."""
        return self._state.summaries

    @property
    def raters(self) -> tuple[RaterRecord, ...]:
        """Readers of the project, as last read from it."""
        return self._state.raters

    def create_project(self, folder: Path, name: str) -> Task[Project]:
        """Return the task that makes a project in an empty or new folder and opens it."""
        raise NotImplementedError

    def open_project(self, folder: Path) -> Task[Project]:
        """Return the task that opens a project folder; an open one is closed."""
        raise NotImplementedError

    def open_path(self, path: Path, series_uid: str = "") -> Task[OpenCase | None]:
        """Return the task that opens whatever `path` is.

        A project folder is opened as one (the result is None). An image file or folder
        becomes a case of the open project, or of the user's desk project, and is opened.
        """
        raise NotImplementedError

    def add_images(self, images: Sequence[Path]) -> Task[tuple[CaseRecord, ...]]:
        """Return the task that adds each image file or folder as a case of the project."""
        raise NotImplementedError

    def open_case(self, case_id: str) -> Task[OpenCase]:
        """Return the task that opens a case with the present reader's working mask."""
        raise NotImplementedError

    def use_rater(self, name: str, kind: RaterKind = RaterKind.HUMAN) -> Task[RaterRecord]:
        """Return the task that makes `name` the present reader and loads their own mask of the open case."""
        raise NotImplementedError

    def refresh(self) -> Task[tuple[CaseSummary, ...]]:
        """Return the task that reads cases, readers and visible votes again."""
        raise NotImplementedError

    def save_labels(self) -> Task[SaveOutcome]:
        """Return the task that saves a snapshot of the working mask; call it after each `editor.edited`."""
        return self._saving.save()

    def close(self) -> None:
        """Close the case and the project."""
        raise NotImplementedError
