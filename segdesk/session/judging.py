"""What the reader decided on drafts, kept until it is on disk."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from segdesk.core.events import Change, Signal
from segdesk.core.progress import Lane, Task
from segdesk.errors import SegdeskError
from segdesk.session.candidate import Candidate
from segdesk.session.state import SessionState
from segdesk.store.records import MaskRole, Verdict

if TYPE_CHECKING:
    from segdesk.store.judgements import Decision
    from segdesk.store.project import Project


class Judging:
    """Records who accepted or rejected which draft; a decision that cannot be written now is written later.

    Attributes
    ----------
    noted : Signal
        There is a decision to be written: start `save`.
    """

    noted = Signal()

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._decisions: list[tuple[Project, Decision]] = []
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Decisions that are not on disk yet."""
        return len(self._decisions)

    def note(self, candidate: Candidate, verdict: Verdict, taken: Collection[int]) -> None:
        """Take the present reader's decision on a draft of the open project; masks that are no drafts are left out."""
        # Loaded when needed: the database takes longer than a window may.
        from segdesk.store.judgements import Decision

        if candidate.record.role is not MaskRole.CANDIDATE:
            return
        project, rater = self._state.require_project(), self._state.require_rater()
        offered = candidate.values
        decided = tuple(value for value in offered if value in taken)
        self._decisions.append((project, Decision(candidate.record.sha256, rater.id, verdict, decided, offered)))
        self.noted.emit()

    def save(self) -> Task[int]:
        """Return the task that writes what waits, and how many that were.

        Raises
        ------
        UsageError
            If no project is open.
        SaveFailed
            From the task: what could not be written stays in memory.
        """
        return self._state.refreshing("", Lane.DISK, lambda report: self.write(), self._tell)

    def write(self) -> int:
        """Write what waits, in any thread, and return how many that were; one that fails stops none of the others."""
        problem: SegdeskError | None = None
        with self._lock:
            waiting = tuple(self._decisions)
            for entry in waiting:
                project, decision = entry
                try:
                    project.judgements.append(decision)
                except SegdeskError as error:
                    problem = problem or error
                else:
                    self._decisions.remove(entry)
            if problem is not None:
                raise problem
        return len(waiting)

    def _tell(self, written: int) -> None:
        if written:
            self._state.emit(Change.CASES | Change.CANDIDATE, self)
