"""The panel of readers: submit a read, merge the reads, list the disputes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segdesk.core.events import Change, Property
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import ConsensusError, UsageError
from segdesk.session.saving import Saving
from segdesk.session.state import SessionState
from segdesk.store.ballots import Ballot, ConsensusDraft, standing
from segdesk.store.records import ConsensusRecord, MaskRecord, MaskRole, RaterKind, VoteRecord

if TYPE_CHECKING:
    from segdesk.review import Consensus, Dispute
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One reader's counted vote with its mask."""

    vote: VoteRecord
    labels: LabelMap

    @property
    def name(self) -> str:
        """Name of the reader."""
        return self.vote.rater.name


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """How reads are merged.

    Parameters
    ----------
    method : str
        "majority", "quorum" or "staple".
    quorum : str, optional
        Exact fraction ("2/3") or count ("2"), for "quorum".
    domain : str
        "union" (the readers' union box and a margin) or "whole".
    margin : int
        Voxels around the union box.
    """

    method: str = "staple"
    quorum: str | None = None
    domain: str = "union"
    margin: int = 10


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """A consensus with what it was made from and how."""

    case_id: str
    reads: tuple[Read, ...]
    options: MergeOptions
    consensus: Consensus
    disputes: tuple[Dispute, ...]


class Panel:
    """Votes and consensus of the open case, as far as the present reader may see them.

    Attributes
    ----------
    merged : Property of Merge or None
        The last merge of the open case with its reads and disputes.
    """

    def __init__(self, state: SessionState, saving: Saving) -> None:
        self._state = state
        self._saving = saving
        self.merged: Property[Merge | None] = Property(None)

    def votes(self) -> tuple[VoteRecord, ...]:
        """Return the votes that the present reader may see, as last read from the project."""
        return self._state.view.case_votes.votes

    @property
    def reads_done(self) -> int:
        """How many readers have voted on the open case."""
        return self._state.view.case_votes.reads_done

    @property
    def has_submitted(self) -> bool:
        """Whether the present reader has a standing vote on the open case."""
        rater = self._state.rater.value
        return rater is not None and any(
            vote.rater.id == rater.id for vote in standing(self._state.view.case_votes.votes)
        )

    @property
    def is_open(self) -> bool:
        """Whether the reads of the open case may be seen and merged now."""
        return self.has_submitted and self._state.view.case_votes.is_blind_phase_over

    @property
    def consensus(self) -> Consensus | None:
        """The last merge of the open case, None before one."""
        return None if self.merged.value is None else self.merged.value.consensus

    @property
    def reads(self) -> tuple[Read, ...]:
        """The reads that were merged last, with their masks."""
        return () if self.merged.value is None else self.merged.value.reads

    @property
    def disputes(self) -> tuple[Dispute, ...]:
        """Disputed components of the last merge."""
        return () if self.merged.value is None else self.merged.value.disputes

    def what_is_visible(self) -> str:
        """Return one sentence for the vote box: who will see what, now and after submitting."""
        if self._state.case is None or self._state.project is None:
            return "Open a case to read it."
        needed = self._state.project.required_reads
        count = f"{self.reads_done} of {needed} reads are in"
        if self.is_open:
            return f"{count}: all readers of this case see each other's masks. A new read counts instead of your last."
        if self.has_submitted:
            return f"Your read is in and hidden from the others; {count}. All become visible together."
        if self._state.view.case_votes.is_blind_phase_over:
            return f"{count}. You see them once you have submitted your own."
        return f"Reading blind: {count}. Nobody sees your mask until all are, and you have submitted yours."

    def submit_read(self, confidence: float = 1.0, comment: str = "") -> Task[VoteRecord]:
        """Return the task that stores the mask as it is now and appends the reader's vote.

        Parameters
        ----------
        confidence : float
            In [0, 1]; unsure is a legal vote.
        comment : str
            Free text for the panel.
        """
        case, rater, project = self._state.require_case(), self._state.require_rater(), self._state.require_project()
        snapshot, edits = self._saving.snapshot(rater), self._saving.edits
        saved: list[MaskRecord] = []

        def work(report: Progress) -> VoteRecord:
            mask = project.masks.save(snapshot, case.record.id, MaskRole.READ, rater.id)
            saved.append(mask)
            return project.votes.append(Ballot(case.record.id, rater.id, mask.sha256, confidence, comment))

        def apply(vote: VoteRecord) -> None:
            if self._state.is_current(case.serial):
                self._saving.note_saved(saved.pop(), edits)
            self._state.emit(Change.VOTES | Change.CASES, self)

        return self._state.refreshing("Submitting the read", Lane.DISK, work, apply)

    def merge(
        self, method: str = "staple", quorum: str | None = None, domain: str = "union", margin: int = 10
    ) -> Task[Merge]:
        """Return the task that merges the standing reads of the open case.

        Parameters
        ----------
        method, quorum, domain, margin
            See `MergeOptions`.

        Raises
        ------
        ConsensusError
            From the task: when the blind phase is not over, or the reader has not voted.
        """
        case, rater, project = self._state.require_case(), self._state.require_rater(), self._state.require_project()
        options = MergeOptions(method, quorum, domain, margin)

        def work(report: Progress) -> Merge:
            return _merge(project, case.record.id, rater.id, options, report)

        def apply(merge: Merge) -> None:
            if self._state.is_current(case.serial):
                self.merged.value = merge
                self._state.emit(Change.CONSENSUS, self)

        return Task("Merging the reads", Lane.CPU, work, apply)

    def record_consensus(self) -> Task[ConsensusRecord]:
        """Return the task that stores the last merge as the case's consensus; UsageError without a merge."""
        merge, project = self.merged.value, self._state.require_project()
        if merge is None:
            raise UsageError("There is no consensus to record; merge the reads first.")
        draft = ConsensusDraft(
            case_id=merge.case_id,
            labels=merge.consensus.labels,
            votes=[read.vote for read in merge.reads],
            method=merge.options.method,
            quorum=merge.options.quorum,
            domain=merge.options.domain,
            disputes=len(merge.disputes),
            summary=_summary(merge),
        )

        def work(report: Progress) -> ConsensusRecord:
            return project.consensuses.record(draft)

        def apply(record: ConsensusRecord) -> None:
            self._state.emit(Change.CONSENSUS | Change.CASES, self)

        return self._state.refreshing("Recording the consensus", Lane.DISK, work, apply)

    def forget(self) -> None:
        """Clear the merge: another case is on the desk."""
        self.merged.value = None


def _merge(project: Project, case_id: str, rater_id: str, options: MergeOptions, report: Progress) -> Merge:
    """Merge what the reader may see; refuse while the case is read blind."""
    # Loaded when needed: the window shows before scipy is there.
    from segdesk.review import consensus, disputes

    if not project.votes.may_see(case_id, rater_id):
        done, needed = project.votes.reads_done(case_id), project.required_reads
        raise ConsensusError(
            f"The reads of this case are still blind ({done} of {needed} are in); "
            "they are merged when all are, by somebody who has read it."
        )
    votes = project.votes.counted(case_id)
    reads = []
    for number, vote in enumerate(votes):
        report(number, len(votes) + 1, f"Loading the read of {vote.rater.name}")
        reads.append(Read(vote, project.masks.load(str(vote.mask_sha256))))
    report(len(votes), len(votes) + 1, "Merging")
    masks = [read.labels for read in reads]
    result = consensus(
        masks,
        names=[read.name for read in reads],
        weights=[read.vote.rater.weight for read in reads],
        method=options.method,
        quorum=options.quorum,
        domain=options.domain,
        margin=options.margin,
    )
    return Merge(case_id, tuple(reads), options, result, disputes(masks, result))


def _summary(merge: Merge) -> dict[str, object]:
    """Return the JSON form of the consensus, with the readers that are simulated named as such."""
    simulated = [read.name for read in merge.reads if read.vote.rater.kind is RaterKind.SIMULATED]
    return {**merge.consensus.to_json(), "simulated": simulated}
