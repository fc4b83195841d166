"""The panel of readers: submit a read, merge the reads, list the disputes."""

from __future__ import annotations

from dataclasses import dataclass

from segdesk.core.events import Change, Property
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import ConsensusError
from segdesk.review.consensus import Consensus, consensus
from segdesk.review.dispute import Dispute, disputes
from segdesk.session.lineage import Lineage
from segdesk.session.state import SessionState
from segdesk.store.records import ConsensusRecord, MaskRole, VoteRecord
from segdesk.store.votes import Ballot


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One reader's counted vote with its mask."""

    vote: VoteRecord
    labels: LabelMap

    @property
    def name(self) -> str:
        """Name of the reader."""
        return self.vote.rater.name


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """A consensus with what it was made from."""

    case_id: str
    reads: tuple[Read, ...]
    consensus: Consensus
    disputes: tuple[Dispute, ...]


class Panel:
    """Votes and consensus of the open case, as far as the present reader may see them.

    Attributes
    ----------
    merged : Property of Merge or None
        The last merge of the open case with its reads and disputes.
    """

    def __init__(self, state: SessionState, lineage: Lineage) -> None:
        self._state = state
        self._lineage = lineage
        self._votes: tuple[VoteRecord, ...] = ()
        self._reads_done = 0
        self._has_submitted = False
        self.merged: Property[Merge | None] = Property(None)

    def votes(self) -> tuple[VoteRecord, ...]:
        """Return the votes that the present reader may see; read when the case was opened."""
        return self._votes

    @property
    def reads_done(self) -> int:
        """How many readers have voted on the open case."""
        return self._reads_done

    @property
    def has_submitted(self) -> bool:
        """Whether the present reader has a vote on the open case."""
        return self._has_submitted

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
        raise NotImplementedError

    def submit_read(self, confidence: float = 1.0, comment: str = "") -> Task[VoteRecord]:
        """Return the task that stores the mask as it is now and appends the reader's vote.

        Parameters
        ----------
        confidence : float
            In [0, 1].
        comment : str
            Free text for the panel.
        """
        raise NotImplementedError

    def merge(
        self, method: str = "staple", quorum: str | None = None, domain: str = "union", margin: int = 10
    ) -> Task[Merge]:
        """Return the task that merges the counted reads of the open case.

        Parameters
        ----------
        method : str
            "majority", "quorum" or "staple".
        quorum : str, optional
            Exact fraction ("2/3") or count, for "quorum".
        domain : str
            "union" or "whole".
        margin : int
            Voxels around the union box.

        Raises
        ------
        ConsensusError
            From the task: when the blind phase is not over, or the reader has not voted.
        """
        raise NotImplementedError

    def record_consensus(self) -> Task[ConsensusRecord]:
        """Return the task that stores the last merge as the case's consensus."""
        raise NotImplementedError
