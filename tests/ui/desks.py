"""Sessions on small real projects, for the tests of the window.

Import as ``from tests.ui.desks import desk_with_cases``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.training import Trainer, TrainingEvent, TrainingJob
from segdesk.core.volume import Volume
from segdesk.io import write_volume
from segdesk.session import Session, SessionSettings
from segdesk.store.records import RaterKind
from segdesk.ui.jobs import Jobs

Workspace = TypeVar("Workspace", bound=QWidget)
SHAPE_KJI = (9, 15, 15)
SPACING_KJI_MM = (3.0, 0.8, 1.1)


def image_file(folder: Path, name: str, seed: int = 0) -> Path:
    """Write a noisy anisotropic image with a bright middle."""
    geometry = Geometry.from_spacing(SHAPE_KJI, SPACING_KJI_MM)
    array = np.random.default_rng(seed).normal(100, 10, SHAPE_KJI).astype(np.float32)
    array[3:6, 5:10, 5:10] += 200
    path = folder / f"{name}.nii.gz"
    write_volume(Volume(array, geometry), path)
    return path


def desk_with_cases(folder: Path, number: int = 1, *, reads: int = 2, trainer: Trainer | None = None) -> Session:
    """Return a session on a new project with cases case-0, case-1..."""
    session = Session(trainer=trainer, settings=SessionSettings(desk_folder=folder / "desk", required_reads=reads))
    session.create_project(folder / "project", "Panel").run()
    images = folder / "images"
    images.mkdir()
    session.add_images([image_file(images, f"case-{n}", n) for n in range(number)]).run()
    session.use_rater("Reader 1").run()
    return session


def submit(session: Session, name: str, mask: LabelMap, kind: RaterKind = RaterKind.HUMAN) -> None:
    """Let a reader draw a mask on the open case and vote."""
    assert session.case is not None
    case_id = session.case.record.id
    session.use_rater(name, kind).run()
    session.open_case(case_id).run()
    assert session.case is not None
    session.case.labels.array[...] = mask.array
    session.panel.submit_read().run()


def read_of(offset_i: int = 0) -> LabelMap:
    """A box of label 1, moved along i."""
    array = np.zeros(SHAPE_KJI, np.uint8)
    array[3:6, 5:10, 5 + offset_i : 10 + offset_i] = 1
    return LabelMap.of(array, Geometry.from_spacing(SHAPE_KJI, SPACING_KJI_MM))


def on_screen(
    qtbot: QtBot, make: Callable[[Session, Jobs], Workspace], session: Session, *, is_shown: bool = True
) -> tuple[Workspace, Jobs]:
    """Show a workspace; when the test ends, its jobs end before it is closed."""
    jobs = Jobs()
    workspace = make(session, jobs)

    def finish(_: object) -> None:
        workspace.hide()
        jobs.shut_down()
        qtbot.waitUntil(lambda: not jobs.running)

    qtbot.addWidget(workspace, before_close_func=finish)
    workspace.resize(1280, 700)
    if is_shown:
        workspace.show()
    return workspace, jobs


class ScriptedRun:
    """A training child that says what it is told, a list of events a poll."""

    def __init__(self, folder: Path, script: Sequence[Sequence[TrainingEvent]]) -> None:
        self.folder = folder
        self._script = [list(events) for events in script]
        self.was_stopped = False

    @property
    def is_alive(self) -> bool:
        return bool(self._script) and not self.was_stopped

    @property
    def result(self) -> TrainingEvent | None:
        return None

    def poll(self) -> Sequence[TrainingEvent]:
        return self._script.pop(0) if self._script and not self.was_stopped else []

    def stop(self) -> None:
        self.was_stopped = True


class ScriptedTrainer:
    """Hands out one scripted run."""

    def __init__(self, script: Sequence[Sequence[TrainingEvent]]) -> None:
        self._script = script
        self.run: ScriptedRun | None = None

    def start(self, job: TrainingJob) -> ScriptedRun:
        self.run = ScriptedRun(job.folder, self._script)
        return self.run
