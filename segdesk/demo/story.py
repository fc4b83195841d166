"""The demo as a series of steps on a `Session`; every step is what the window does on a click."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from segdesk.core.geometry import Geometry
from segdesk.core.training import TrainingEvent, TrainingRun
from segdesk.demo import sources
from segdesk.demo.camera import Camera, Photo, Shot
from segdesk.demo.readers import READERS, Reader, correct
from segdesk.errors import WorkerError
from segdesk.session import Budget, Candidate, ScoreSheet, Session
from segdesk.session.panel import Merge
from segdesk.store.records import CaseRecord, ConsensusRecord, RaterKind

Tell = Callable[[str], None]
"""Takes one line for the person who watches."""

_POLL_S = 0.2
_TRAINING_GRACE_S = 90.0
"""Starting the child (torch and MONAI take seconds), caching the data and the evaluation after the loop."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the demo runs with.

    Parameters
    ----------
    folder : Path
        New folder for everything the demo makes.
    model : str or Path
        Three-dimensional model for the two boxes.
    slice_model : Path
        Two-dimensional model for the slice; made by the caller, untrained.
    training_seconds : float
        Budget of the training loop.
    readers : tuple of Reader
        The simulated panel.
    """

    folder: Path
    model: str | Path
    slice_model: Path
    training_seconds: float = 10.0
    readers: tuple[Reader, ...] = READERS


@dataclass(slots=True)
class DemoOutcome:
    """What came of it, for the report and the JSON output."""

    project: Path
    drafts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    strokes: dict[str, int] = field(default_factory=dict)
    merges: dict[str, Merge] = field(default_factory=dict)
    record: ConsensusRecord | None = None
    sheet: ScoreSheet | None = None
    verdict: TrainingEvent = field(default_factory=dict)
    slice_draft: Mapping[str, Any] = field(default_factory=dict)
    photos: dict[str, Photo] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class Demo:
    """Plays the main job once.

    Parameters
    ----------
    session : Session
        With a predictor and a trainer.
    settings : DemoSettings
        Where and with what.
    camera : Camera
        Photographs the window after each step.
    tell : callable
        Told what is being done, one line a step.
    """

    def __init__(self, session: Session, settings: DemoSettings, camera: Camera, tell: Tell) -> None:
        self._session = session
        self._settings = settings
        self._camera = camera
        self._tell = tell
        self._candidates: list[Candidate] = []
        self.outcome = DemoOutcome(settings.folder / "project")

    def run(self) -> DemoOutcome:
        """Play all steps; whatever fails stops the demo with its error."""
        scan, image = self._timed("open", self._open)
        self._timed("read", lambda: self._read(scan))
        self._timed("agree", self._agree)
        self._timed("score", self._score)
        self._timed("teach", self._teach)
        self._timed("slice", lambda: self._draft_slice(image))
        self._session.open_case(scan.id).run()
        return self.outcome

    def _timed(self, name: str, step: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = step()
        self.outcome.seconds[name] = time.perf_counter() - started
        return result

    def _open(self) -> tuple[CaseRecord, CaseRecord]:
        self._tell("Creating a project and adding the T1 template and a two-dimensional DICOM image")
        images = self._settings.folder / "images"
        images.mkdir()
        paths = (sources.copy_template(images), sources.copy_slice(images))
        self._session.create_project(self.outcome.project, "segdesk demo").run()
        scan, image = self._session.add_images(paths).run()
        self._use(self._settings.readers[0])
        self._session.open_case(scan.id).run()
        self._photograph("1-open", "cases", "The case list of the new project: a T1 volume and one DICOM slice.")
        return scan, image

    def _read(self, scan: CaseRecord) -> None:
        """Draft once; let each reader take the draft, correct it and vote, blind to the others."""
        for side in sources.SIDES:
            self._tell(f"Drafting the {side.name} hippocampus with the model")
            self._draft(side)
        for number, reader in enumerate(self._settings.readers):
            self._tell(f"{reader.name}: correcting the draft with the brush, then voting")
            self._use(reader)
            self._session.open_case(scan.id).run()
            for candidate in self._candidates:
                self._session.drafts.candidate.value = candidate
                self._session.drafts.accept()
            self.outcome.strokes[reader.name] = correct(reader, self._session.editor)
            self._session.save_labels().run()
            if number == 0:
                self._photograph("3-corrected", "read", f"The draft after the strokes of {reader.name}.", close=True)
            self._session.panel.submit_read(reader.confidence, "Simulated reader of the demo.").run()

    def _draft(self, side: sources.Side) -> None:
        case = self._session.case
        if case is None or not isinstance(case.volume.geometry, Geometry):
            raise WorkerError("The demo's scan could not be opened.")
        candidate = self._session.drafts.predict(self._settings.model, roi=side.box(case.volume.geometry)).run()
        self._candidates.append(candidate)
        self.outcome.drafts[side.name] = candidate.manifest
        if side.name == "left":
            caption = "The model's proposal in the left box, not yet accepted."
            self._photograph("2-draft", "read", caption, close=True)

    def _agree(self) -> None:
        for method in ("majority", "staple"):
            self._tell(f"Merging the {len(self._settings.readers)} blind reads: {method}")
            self.outcome.merges[method] = self._session.panel.merge(method).run()
        self.outcome.record = self._session.panel.record_consensus().run()
        self._photograph("4-agree", "agree", "Blind reads, consensus and the list of disputes.", close=True)

    def _score(self) -> None:
        self._tell("Scoring model and readers against the consensus")
        self.outcome.sheet = self._session.scores.evaluate_against_reference().run()
        self._photograph("5-score", "score", "Scores against a reference that began as the model's own draft.")

    def _teach(self) -> None:
        self._tell(f"Fine-tuning in a background process ({self._settings.training_seconds:g} s of training)")
        budget = Budget(seconds=self._settings.training_seconds)
        run = self._session.teaching.start(self._settings.model, budget, device="cpu").run()
        self._await_verdict(run)
        self._session.teaching.record_result().run()
        self._photograph("6-teach", "teach", "Fine-tuning, and the gate's verdict on champion and challenger.")

    def _await_verdict(self, run: TrainingRun) -> None:
        """Poll as the window does, until the gate has spoken; what never ends is stopped."""
        teaching, pause = self._session.teaching, Event()
        deadline = time.monotonic() + self._settings.training_seconds + _TRAINING_GRACE_S
        while teaching.verdict.value is None:
            teaching.poll()
            if teaching.failure.value:
                raise WorkerError(teaching.failure.value)
            if time.monotonic() > deadline:
                teaching.stop()
                raise WorkerError(f"The training did not end in time; read the log in {run.folder}.")
            pause.wait(_POLL_S)
        self.outcome.verdict = teaching.verdict.value

    def _draft_slice(self, image: CaseRecord) -> None:
        self._tell("Running the classic two-dimensional U-Net, untrained, on a DICOM slice")
        self._session.open_case(image.id).run()
        candidate = self._session.drafts.predict(self._settings.slice_model).run()
        self.outcome.slice_draft = candidate.manifest
        self._photograph(
            "7-slice", "read", "The 2D path on a DICOM slice. The network is untrained: its mask means nothing."
        )
        self._session.drafts.reject()

    def _use(self, reader: Reader) -> None:
        self._session.use_rater(reader.name, RaterKind.SIMULATED).run()

    def _photograph(self, name: str, workspace: str, caption: str, *, close: bool = False) -> None:
        photo = self._camera.take(Shot(name, workspace, caption, sources.SIDES[0].middle_lps if close else None))
        if photo is not None:
            self.outcome.photos[name] = photo
