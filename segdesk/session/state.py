"""What the parts of a session share: project, open case, reader, signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from segdesk.core.events import Change, Property, Signal
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.session.view import CaseVotes, ProjectView, read_view
from segdesk.store.records import CaseRecord, RaterRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class OpenCase:
    """The case on the desk.

    Parameters
    ----------
    serial : int
        Grows with every case or reader switch; an answer that carries an older one is dropped.
    record : CaseRecord
        As stored.
    volume : Volume
        The reference channel.
    channels : mapping of str to Volume
        All channels, the reference first.
    labels : LabelMap
        The present reader's working mask; only `session.editor` writes to it.
    """

    serial: int
    record: CaseRecord
    volume: Volume
    channels: Mapping[str, Volume]
    labels: LabelMap


class SessionState:
    """Shared by `Session` and its parts; lives in the owner's thread."""

    changed = Signal(Change, object)
    first_slice = Signal(object)

    def __init__(self) -> None:
        self.project: Project | None = None
        self.case: OpenCase | None = None
        self.rater: Property[RaterRecord | None] = Property(None)
        self.view = ProjectView()
        self.serial = 0

    def emit(self, change: Change, source: object) -> None:
        """Tell everybody what changed."""
        self.changed.emit(change, source)

    def require_project(self) -> Project:
        """Return the project; UsageError when none is open."""
        if self.project is None:
            raise UsageError("No project is open; open or create one first.")
        return self.project

    def require_case(self) -> OpenCase:
        """Return the open case; UsageError when there is none."""
        if self.case is None:
            raise UsageError("No case is open; open an image first.")
        return self.case

    def require_rater(self) -> RaterRecord:
        """Return the present reader; UsageError when there is none."""
        if self.rater.value is None:
            raise UsageError("No reader is chosen; choose one first.")
        return self.rater.value

    def is_current(self, serial: int) -> bool:
        """Whether the case with this serial is still the open one."""
        return self.case is not None and self.case.serial == serial

    def take_view(self, view: ProjectView) -> None:
        """Show what was read, unless it speaks of another case or reader than the present ones."""
        case_id = "" if self.case is None else self.case.record.id
        rater_id = "" if self.rater.value is None else self.rater.value.id
        votes = view.case_votes
        if (votes.case_id, votes.rater_id) != (case_id, rater_id):
            kept = self.view.case_votes
            votes = kept if (kept.case_id, kept.rater_id) == (case_id, rater_id) else CaseVotes()
        decisions = view.decisions if view.decisions.rater_id == rater_id else self.view.decisions
        self.view = replace(view, case_votes=votes, decisions=decisions)

    def refreshing(self, title: str, lane: Lane, work: Callable[[Progress], T], apply: Callable[[T], None]) -> Task[T]:
        """Return a task that reads the project's lists again after `work` and shows them before `apply`."""
        project, rater = self.require_project(), self.rater.value
        case_id = None if self.case is None else self.case.record.id
        views: list[ProjectView] = []

        def work_and_read(report: Progress) -> T:
            result = work(report)
            views.append(read_view(project, case_id, rater))
            return result

        def show_and_apply(result: T) -> None:
            if self.project is project:
                self.take_view(views.pop())
                apply(result)

        return Task(title, lane, work_and_read, show_and_apply)
