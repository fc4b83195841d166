"""Bringing projects, cases and readers onto the desk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from segdesk.core.events import Change
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.volume import Volume
from segdesk.errors import SaveFailed
from segdesk.session.loading import (
    LoadedCase,
    LoadedProject,
    WantedImage,
    add_images,
    desk_project,
    load_case,
    load_image,
    load_project,
    open_project,
)
from segdesk.session.parts import Parts
from segdesk.session.settings import SessionSettings
from segdesk.session.state import OpenCase
from segdesk.session.view import ProjectView, read_view
from segdesk.store.places import is_project
from segdesk.store.records import CaseRecord, CaseSummary, RaterKind, RaterRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project

T = TypeVar("T")

WHOLE_CASE = (
    Change.VOLUME | Change.LABELS | Change.TABLE | Change.HISTORY | Change.CANDIDATE | Change.VOTES
    | Change.CONSENSUS | Change.SCORES | Change.CASES | Change.SAVED
)  # fmt: skip
"""What another case on the desk changes."""


@dataclass(frozen=True, slots=True, eq=False)
class _Arrival:
    """What a finished load brings to the desk."""

    project: LoadedProject | None = None
    case: OpenCase | None = None
    loaded: LoadedCase | None = None

    @classmethod
    def of(cls, case: OpenCase, loaded: LoadedCase, project: LoadedProject | None = None) -> _Arrival:
        """Return the arrival of a case, with its project where that is new too."""
        return cls(project, case, loaded)


class Opening:
    """Makes the tasks that change what lies on the desk."""

    def __init__(self, parts: Parts, settings: SessionSettings) -> None:
        self._parts = parts
        self._state = parts.state
        self._settings = settings

    def project(self, title: str, make: Callable[[], Project]) -> Task[Project]:
        """Return the task that shows the project that `make` opens or creates."""

        def load(serial: int, report: Progress) -> tuple[Project, _Arrival]:
            loaded = load_project(make(), self._settings)
            return loaded.project, _Arrival(loaded)

        return self._arriving(title, load)

    def path(self, wanted: WantedImage) -> Task[OpenCase | None]:
        """Return the task that opens a project folder or an image."""
        present, rater = self._state.project, self._state.rater.value

        def load(serial: int, report: Progress) -> tuple[OpenCase | None, _Arrival]:
            if is_project(wanted.path):
                return None, _Arrival(load_project(open_project(wanted.path), self._settings))
            desk = None
            project, reader = present, rater
            if project is None or reader is None:
                desk = load_project(desk_project(self._settings), self._settings)
                project, reader = desk.project, desk.rater
            loaded = load_image(project, wanted, reader, report, self._state.first_slice.emit)
            case = _on_desk(serial, loaded)
            return case, _Arrival.of(case, loaded, desk)

        return self._arriving(f"Opening {wanted.path.name}", load)

    def case(self, case_id: str) -> Task[OpenCase]:
        """Return the task that opens a case of the project."""
        project, rater = self._state.require_project(), self._state.require_rater()
        channels = self._channels_of(case_id)

        def load(serial: int, report: Progress) -> tuple[OpenCase, _Arrival]:
            loaded = load_case(project, case_id, rater, report, channels, self._state.first_slice.emit)
            case = _on_desk(serial, loaded)
            return case, _Arrival.of(case, loaded)

        return self._arriving("Opening the case", load)

    def rater(self, name: str, kind: RaterKind) -> Task[RaterRecord]:
        """Return the task that changes the reader, and the mask with them."""
        project, present = self._state.require_project(), self._state.case

        def load(serial: int, report: Progress) -> tuple[RaterRecord, _Arrival]:
            rater = project.raters.get_or_add(name, kind)
            if present is None:
                return rater, _Arrival(LoadedProject(project, rater, read_view(project, None, rater)))
            loaded = load_case(project, present.record.id, rater, report, present.channels)
            return rater, _Arrival.of(_on_desk(serial, loaded), loaded)

        return self._arriving(f"Switching to {name}", load)

    def images(self, paths: Sequence[Path]) -> Task[tuple[CaseRecord, ...]]:
        """Return the task that adds images as cases of the project."""
        project = self._state.require_project()

        def work(report: Progress) -> tuple[CaseRecord, ...]:
            added: list[CaseRecord] = []
            for number, path in enumerate(paths):
                report(number, len(paths), f"Adding {path.name}")
                added += add_images(project, path, report)
            return tuple(added)

        return self._state.refreshing("Adding images", Lane.DISK, work, lambda added: self._tell(Change.CASES))

    def refresh(self) -> Task[tuple[CaseSummary, ...]]:
        """Return the task that reads cases, readers, models and visible votes again."""
        project = self._state.require_project()
        return self._state.refreshing(
            "Reading the project",
            Lane.DISK,
            lambda report: project.case_summaries(),
            lambda summaries: self._tell(Change.CASES | Change.VOTES | Change.MODEL),
        )

    def close(self) -> None:
        """Clear the desk and close the project; SaveFailed while the mask is not saved."""
        if self._parts.saving.is_dirty.value:
            raise SaveFailed("The mask has edits that are not saved yet; save it, then close.")
        self._clear_project()
        self._tell(Change.PROJECT | WHOLE_CASE)

    def _arriving(self, title: str, load: Callable[[int, Progress], tuple[T, _Arrival]]) -> Task[T]:
        """Return a task that first saves what is unsaved, and shows what came unless newer was asked for."""
        save, check = self._parts.saving.before_leaving()
        self._state.serial += 1
        serial = self._state.serial
        arrivals: list[_Arrival] = []

        def work(report: Progress) -> T:
            save()
            result, arrival = load(serial, report)
            arrivals.append(arrival)
            return result

        def apply(result: T) -> None:
            if serial == self._state.serial:
                check()
                self._show(arrivals.pop())

        return Task(title, Lane.DISK, work, apply)

    def _show(self, arrival: _Arrival) -> None:
        change = Change.CASES
        if arrival.project is not None:
            change |= self._put_project(arrival.project)
        if arrival.case is not None and arrival.loaded is not None:
            change |= self._put_case(arrival.case, arrival.loaded)
        self._tell(change)

    def _put_project(self, loaded: LoadedProject) -> Change:
        if loaded.project is not self._state.project:
            self._clear_project()
            self._state.project = loaded.project
        self._state.view = loaded.view
        self._state.rater.value = loaded.rater
        return Change.PROJECT | Change.MODEL | WHOLE_CASE

    def _put_case(self, case: OpenCase, loaded: LoadedCase) -> Change:
        self._clear_case()
        self._state.case = case
        self._state.view = loaded.view
        self._parts.lineage.start(loaded.parents)
        self._parts.saving.forget(loaded.saved)
        self._parts.editor.attach(case.labels)
        # Last: who listens to the reader finds that reader's mask on the desk.
        self._state.rater.value = loaded.rater
        return WHOLE_CASE

    def _clear_case(self) -> None:
        self._state.case = None
        self._parts.forget_case()

    def _clear_project(self) -> None:
        self._clear_case()
        self._parts.teaching.forget()
        self._parts.queue.forget()
        if self._state.project is not None:
            self._state.project.close()
        self._state.project = None
        self._state.rater.value = None
        self._state.view = ProjectView()

    def _channels_of(self, case_id: str) -> Mapping[str, Volume] | None:
        """Return the channels when the case is open already: no need to read them again."""
        present = self._state.case
        return present.channels if present is not None and present.record.id == case_id else None

    def _tell(self, change: Change) -> None:
        self._state.emit(change, self)


def _on_desk(serial: int, loaded: LoadedCase) -> OpenCase:
    reference = next(iter(loaded.channels.values()))
    return OpenCase(serial, loaded.record, reference, loaded.channels, loaded.labels)
