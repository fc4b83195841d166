"""The program without a window: thin, delegates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.events import SignalInstance
from segdesk.core.inside import Insight
from segdesk.core.prediction import Predictor
from segdesk.core.progress import Task
from segdesk.core.training import Trainer
from segdesk.edit.editor import Editor
from segdesk.edit.history import MIB, EditHistory
from segdesk.io import SeriesEntry
from segdesk.session.drafting import Drafting
from segdesk.session.drafts import Drafts
from segdesk.session.export import Export
from segdesk.session.heat import Heat
from segdesk.session.judging import Judging
from segdesk.session.lineage import Lineage
from segdesk.session.loading import WantedImage, create_project, open_project
from segdesk.session.mask_import import MaskImport
from segdesk.session.opening import Opening
from segdesk.session.panel import Panel
from segdesk.session.parts import Parts
from segdesk.session.queue import Queue
from segdesk.session.run_times import RunTimes
from segdesk.session.saving import SaveOutcome, Saving
from segdesk.session.scores import Scores
from segdesk.session.settings import SessionSettings
from segdesk.session.state import OpenCase, SessionState
from segdesk.session.teaching import Teaching
from segdesk.store.records import CaseRecord, CaseSummary, JudgementRecord, RaterKind, RaterRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project


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
    insight : Insight, optional
        Explains and measures models; without it `heat` says so.

    Attributes
    ----------
    editor : Editor
        Strokes, undo, active label.
    drafts : Drafts
        Predict, accept, reject.
    judging : Judging
        Who accepted or rejected which draft; start its `save` when it says `noted`.
    heat : Heat
        Uncertainty and explanations over the open case.
    queue : Queue
        Cases that wait for a model.
    panel : Panel
        Reads, votes, consensus, disputes.
    scores : Scores
        Readers and models against the reference.
    teaching : Teaching
        Data set, fine-tuning, promotion.
    masks : MaskImport
        Mask files to the open case.
    export : Export
        Mask and image of the open case to files.
    rater : Property of RaterRecord or None
        The present reader; `use_rater` changes it.
    is_dirty, last_saved, save_error : Property
        How the working mask on disk stands: for the status bar.
    """

    def __init__(
        self,
        predictor: Predictor | None = None,
        trainer: Trainer | None = None,
        settings: SessionSettings | None = None,
        insight: Insight | None = None,
    ) -> None:
        self.settings = settings or SessionSettings()
        state, lineage = SessionState(), Lineage()
        self.editor = Editor(EditHistory(self.settings.undo_mib * MIB))
        self.judging = Judging(state)
        saving = Saving(state, self.editor, lineage, self.judging)
        times = RunTimes(self.settings.run_times)
        drafting = None if predictor is None else Drafting(predictor, times)
        self.drafts = Drafts(state, self.editor, lineage, drafting, self.judging)
        self.heat = Heat(state, predictor, insight, times)
        self.queue = Queue(state, drafting, insight)
        self.panel = Panel(state, saving)
        self.scores = Scores(state)
        self.teaching = Teaching(state, trainer)
        self.masks = MaskImport(state, self.drafts)
        self.export = Export(state, saving)
        parts = Parts(
            state, self.editor, lineage, saving, self.drafts, self.heat, self.queue, self.panel, self.scores,
            self.teaching,
        )  # fmt: skip
        self._state, self._saving = state, saving
        self._opening = Opening(parts, self.settings)
        self.rater = state.rater
        self.is_dirty = saving.is_dirty
        self.last_saved = saving.last_saved
        self.save_error = saving.save_error

    @property
    def changed(self) -> SignalInstance:
        """Signal(Change, source): what an operation changed; connect to it."""
        return self._state.changed

    @property
    def first_slice(self) -> SignalInstance:
        """Signal(FirstSlice): a slice of the image that is being opened, to look at until the case is there.

        Emitted in the thread that reads; small images have none.
        """
        return self._state.first_slice

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
        return self._state.view.summaries

    @property
    def decisions(self) -> Mapping[str, JudgementRecord]:
        """What the present reader decided on the newest draft of each case, by the case's id."""
        return self._state.view.decisions.by_case

    @property
    def raters(self) -> tuple[RaterRecord, ...]:
        """Readers of the project, as last read from it."""
        return self._state.view.raters

    def create_project(self, folder: Path, name: str, required_reads: int | None = None) -> Task[Project]:
        """Return the task that makes a project in an empty or new folder and opens it.

        Each case needs `required_reads` blind reads; the settings' number by default.

        Raises
        ------
        StoreError
            From the task: when there is a project already or the folder cannot be used.
        """
        reads = self.settings.required_reads if required_reads is None else required_reads
        return self._opening.project(f"Creating {name}", lambda: create_project(folder, name, reads))

    def open_project(self, folder: Path) -> Task[Project]:
        """Return the task that opens a project folder; an open one is closed.

        Raises
        ------
        NotFound, SchemaTooNew, StoreError
            From the task: when there is none, a newer segdesk wrote it, or it is damaged.
        """
        return self._opening.project(f"Opening {folder.name}", lambda: open_project(folder))

    def open_path(
        self,
        path: Path,
        series_uid: str = "",
        *,
        as_stack: bool = False,
        name: str = "",
        entry: SeriesEntry | None = None,
    ) -> Task[OpenCase | None]:
        """Return the task that opens whatever `path` is.

        Parameters
        ----------
        path : Path
            A project folder (the result is None then), or an image file or folder: it
            becomes a case of the open project, or of the user's desk project, and is
            opened. An image that is a case already is opened as that case.
        series_uid : str
            Which series, where the folder holds several.
        as_stack : bool
            Open a series that is no regular volume as slices with a place each.
        name : str
            Of the case, if it is new; after the path by default.
        entry : SeriesEntry, optional
            The image as a scan of `path` found it: its headers are not read again.
        """
        return self._opening.path(WantedImage(path, series_uid, as_stack, name, entry))

    def add_images(self, images: Sequence[Path]) -> Task[tuple[CaseRecord, ...]]:
        """Return the task that adds each image file, or each series of a folder, as a case.

        Stops at the first that cannot be read; those before it stay added.
        """
        return self._opening.images(images)

    def open_case(self, case_id: str) -> Task[OpenCase]:
        """Return the task that opens a case with the present reader's working mask.

        What is unsaved is saved first. If a newer case or reader was asked for before the
        images are there, nothing is shown.

        Raises
        ------
        ReadError
            From the task: code ``image_changed`` when an image is missing or another one.
        """
        return self._opening.case(case_id)

    def use_rater(self, name: str, kind: RaterKind = RaterKind.HUMAN) -> Task[RaterRecord]:
        """Return the task that makes `name` the present reader and loads their own mask of the open case."""
        return self._opening.rater(name, kind)

    def refresh(self) -> Task[tuple[CaseSummary, ...]]:
        """Return the task that reads cases, readers and visible votes again."""
        return self._opening.refresh()

    def save_labels(self) -> Task[SaveOutcome]:
        """Return the task that saves a snapshot of the working mask; call it after each `editor.edited`."""
        return self._saving.save()

    def close(self) -> None:
        """Clear the desk and close the project.

        Raises
        ------
        SaveFailed
            If the mask has edits that are not saved, or a decision on a draft cannot be written.
        """
        self.judging.write()
        self._opening.close()
