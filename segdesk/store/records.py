"""What the store hands out: frozen values, never database rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from segdesk.core.box import Index3
from segdesk.core.geometry import Grid
from segdesk.core.provenance import OriginKind, Scalar

PROJECT_FILE = "project.segdesk"
"""The database of a project, in its folder."""


class RaterKind(StrEnum):
    """Who reads."""

    HUMAN = "human"
    MODEL = "model"
    SIMULATED = "simulated"


class CaseStatus(StrEnum):
    """How far a case has come."""

    NEW = "new"
    READING = "reading"
    READ = "read"
    AGREED = "agreed"


class MaskRole(StrEnum):
    """What a mask is for."""

    WORKING = "working"
    CANDIDATE = "candidate"
    READ = "read"
    CONSENSUS = "consensus"
    REFERENCE = "reference"
    IMPORT = "import"


class Verdict(StrEnum):
    """What a reader decided on a draft."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class VotePhase(StrEnum):
    """Whether the reader could see the other reads."""

    BLIND = "blind"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """One image of a case.

    Parameters
    ----------
    name : str
        "image", or the sequence: "t1c", "flair".
    path : Path
        Absolute path of the image file or folder.
    series_uid : str
        Series inside the folder, "" for the only one.
    image_hash : str
        Hash of the decoded voxels and their dtype.
    """

    name: str
    path: Path
    series_uid: str
    image_hash: str


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """One reference grid with named channels; the first channel is the reference.

    `grid` is None for a case that a segdesk before schema 2 added: only its hash was kept.
    """

    id: str
    name: str
    patient_key: str = field(repr=False)
    modality: str
    shape_kji: Index3
    geometry_sha256: str
    channels: tuple[ChannelRecord, ...]
    created: datetime
    grid: Grid | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A row of the case list.

    Parameters
    ----------
    case : CaseRecord
        The case.
    reads_done, reads_needed : int
        Readers who voted, and how many the project asks for.
    has_draft : bool
        Whether a model's candidate is stored.
    disputes : int, optional
        Disputed components of the last consensus, None without one.
    status : CaseStatus
        How far it has come.
    """

    case: CaseRecord
    reads_done: int
    reads_needed: int
    has_draft: bool
    disputes: int | None
    status: CaseStatus


@dataclass(frozen=True, slots=True)
class RaterRecord:
    """A reader: a person, a simulated one, or a model (weight 0: recorded, not counted)."""

    id: str
    name: str
    kind: RaterKind
    weight: float


@dataclass(frozen=True, slots=True)
class MaskRecord:
    """A stored mask; `sha256` is the hash of its header and voxels, and its name on disk."""

    sha256: str
    case_id: str
    rater_id: str | None
    role: MaskRole
    origin_kind: OriginKind
    author: str
    parents: tuple[str, ...]
    parameters: Mapping[str, Scalar]
    weights_sha256: str | None
    created: datetime


@dataclass(frozen=True, slots=True)
class JudgementRecord:
    """What a reader decided on a draft, as it was told; `hash` chains it to the reader's judgement before.

    Parameters
    ----------
    id : int
        In the order they were told.
    draft : MaskRecord
        The draft, with its model's name and weights.
    rater : RaterRecord
        Who decided.
    verdict : Verdict
        Accepted, with all its labels or some, or rejected.
    taken, offered : tuple of int
        Values of the labels that were accepted, and of all that the draft draws.
    created : datetime
        When.
    previous_hash, hash : str
        The chain.
    """

    id: int
    draft: MaskRecord
    rater: RaterRecord
    verdict: Verdict
    taken: tuple[int, ...]
    offered: tuple[int, ...]
    created: datetime
    previous_hash: str
    hash: str

    @property
    def is_partial(self) -> bool:
        """Whether only some labels were accepted."""
        return self.verdict is Verdict.ACCEPTED and set(self.taken) < set(self.offered)


@dataclass(frozen=True, slots=True)
class VoteRecord:
    """One read, as it was submitted; `hash` chains it to the reader's previous vote.

    `mask_sha256` is None for a retraction. `confidence` lies in [0, 1].
    """

    id: int
    case_id: str
    rater: RaterRecord
    mask_sha256: str | None
    phase: VotePhase
    confidence: float
    comment: str
    created: datetime
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class ConsensusRecord:
    """A stored consensus with the votes it was made from."""

    id: int
    case_id: str
    mask_sha256: str
    method: str
    quorum: str | None
    domain: str
    vote_hashes: tuple[str, ...]
    disputes: int
    summary_json: str = field(repr=False)
    created: datetime


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model the project knows; `name` is its line: a challenger and its base share one, and one champion."""

    id: int
    name: str
    folder: Path
    weights_sha256: str
    parent_sha256: str | None
    verdict: str
    created: datetime


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """Who became champion when, and why; a rollback is one more record."""

    id: int
    model: ModelRecord
    reason: str
    created: datetime


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A background job with a folder of its own."""

    id: int
    kind: str
    folder: Path
    status: str
    detail: str
    created: datetime
    updated: datetime
