"""What lists and boxes show of a project, read in one go off the owner's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segdesk.store.records import CaseSummary, JudgementRecord, ModelRecord, RaterRecord, VoteRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True)
class CaseVotes:
    """Votes on one case, as far as one reader may see them.

    Parameters
    ----------
    case_id, rater_id : str
        Whose view of what.
    votes : tuple of VoteRecord
        Visible votes, oldest first.
    reads_done : int
        Readers with a standing vote.
    is_blind_phase_over : bool
        Whether as many readers as required have voted.
    """

    case_id: str = ""
    rater_id: str = ""
    votes: tuple[VoteRecord, ...] = ()
    reads_done: int = 0
    is_blind_phase_over: bool = False


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one reader decided on drafts.

    Parameters
    ----------
    rater_id : str
        Whose.
    by_case : mapping of str to JudgementRecord
        The last word on the newest draft of each case, by the case's id; cases without one are left out.
    """

    rater_id: str = ""
    by_case: Mapping[str, JudgementRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A snapshot of the project's lists."""

    summaries: tuple[CaseSummary, ...] = ()
    raters: tuple[RaterRecord, ...] = ()
    models: tuple[ModelRecord, ...] = ()
    case_votes: CaseVotes = CaseVotes()
    decisions: Decisions = Decisions()


def read_view(project: Project, case_id: str | None, rater: RaterRecord | None) -> ProjectView:
    """Read the lists, the reader's own decisions, and the votes of one case as the reader may see them."""
    votes = CaseVotes()
    decisions = Decisions() if rater is None else Decisions(rater.id, project.judgements.last_by(rater.id))
    if case_id is not None and rater is not None:
        votes = CaseVotes(
            case_id,
            rater.id,
            project.votes.visible_to(case_id, rater.id),
            project.votes.reads_done(case_id),
            project.votes.is_blind_phase_over(case_id),
        )
    return ProjectView(project.case_summaries(), project.raters.all(), project.models.all(), votes, decisions)
