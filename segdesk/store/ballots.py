"""What readers submit, which votes stand, and what is merged from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from segdesk.core.labels import LabelMap
from segdesk.store.records import VoteRecord


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a reader submits.

    Parameters
    ----------
    case_id, rater_id : str
        Case and reader.
    mask_sha256 : str, optional
        The stored mask; None retracts the reader's vote on the case.
    confidence : float
        In [0, 1]; unsure is a legal vote.
    comment : str
        Free text.
    """

    case_id: str
    rater_id: str
    mask_sha256: str | None
    confidence: float = 1.0
    comment: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ConsensusDraft:
    """A consensus to be recorded.

    Parameters
    ----------
    case_id : str
        The case.
    labels : LabelMap
        The merged mask on the case's grid; its origin is set when it is stored.
    votes : sequence of VoteRecord
        The votes it was made from.
    method, quorum, domain : str
        How it was made.
    disputes : int
        Number of disputed components.
    summary : mapping
        The JSON form of CONTRACT (``consensus``).
    """

    case_id: str
    labels: LabelMap
    votes: Sequence[VoteRecord]
    method: str
    quorum: str | None
    domain: str
    disputes: int
    summary: Any


def standing(votes: Iterable[VoteRecord]) -> tuple[VoteRecord, ...]:
    """Return each reader's last vote that was not retracted, sorted by reader name."""
    last = {vote.rater.id: vote for vote in votes}
    kept = (vote for vote in last.values() if vote.mask_sha256 is not None)
    return tuple(sorted(kept, key=lambda vote: vote.rater.name))
