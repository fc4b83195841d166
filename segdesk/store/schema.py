"""Tables of a project file. Rows never leave this package; see `segdesk.store.records`.

Votes, judgements, consensuses and promotions are history: triggers refuse to change or delete them,
whoever asks. Times are ISO 8601 text in UTC, lists and mappings are JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = 2
"""PRAGMA user_version of the files this segdesk writes."""

APPLICATION_ID = 0x5E6DE5C1
"""PRAGMA application_id: tells a project from any other SQLite file (as signed 32 bit in the header)."""

APPEND_ONLY = ("votes", "judgements", "consensuses", "promotions")
"""Tables that refuse UPDATE and DELETE."""


class Base(DeclarativeBase):
    """Root of the tables."""


class MetaRow(Base):
    """A fact about the project."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class CaseRow(Base):
    """A case."""

    __tablename__ = "cases"
    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    patient_key: Mapped[str]
    modality: Mapped[str]
    shape: Mapped[str]
    geometry_sha256: Mapped[str]
    created: Mapped[str]
    grid: Mapped[str | None]
    channels: Mapped[list[ChannelRow]] = relationship(order_by="ChannelRow.position", lazy="selectin")


class ChannelRow(Base):
    """An image of a case."""

    __tablename__ = "channels"
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    path: Mapped[str]
    series_uid: Mapped[str]
    image_hash: Mapped[str]
    __table_args__ = (UniqueConstraint("case_id", "name"),)


class RaterRow(Base):
    """A reader."""

    __tablename__ = "raters"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    weight: Mapped[float]
    __table_args__ = (CheckConstraint("weight >= 0"),)


class MaskRow(Base):
    """A mask file."""

    __tablename__ = "masks"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    sha256: Mapped[str] = mapped_column(unique=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    rater_id: Mapped[str | None] = mapped_column(ForeignKey("raters.id"))
    role: Mapped[str]
    origin_kind: Mapped[str]
    author: Mapped[str]
    parents: Mapped[str]
    parameters: Mapped[str]
    weights_sha256: Mapped[str | None]
    created: Mapped[str]
    __table_args__ = ({"sqlite_autoincrement": True},)


class VoteRow(Base):
    """A vote, chained to the reader's one before."""

    __tablename__ = "votes"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"), index=True)
    mask_sha256: Mapped[str | None] = mapped_column(ForeignKey("masks.sha256"))
    phase: Mapped[str]
    confidence: Mapped[float]
    comment: Mapped[str]
    created: Mapped[str]
    previous_hash: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    rater: Mapped[RaterRow] = relationship(lazy="joined")
    # One successor per vote: a chain cannot fork, also when two windows vote at once.
    __table_args__ = (UniqueConstraint("rater_id", "previous_hash"), {"sqlite_autoincrement": True})


class JudgementRow(Base):
    """What a reader decided on a draft, chained to the reader's judgement before."""

    __tablename__ = "judgements"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    mask_sha256: Mapped[str] = mapped_column(ForeignKey("masks.sha256"), index=True)
    rater_id: Mapped[str] = mapped_column(ForeignKey("raters.id"), index=True)
    verdict: Mapped[str]
    taken: Mapped[str]
    offered: Mapped[str]
    created: Mapped[str]
    previous_hash: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)
    mask: Mapped[MaskRow] = relationship(lazy="joined")
    rater: Mapped[RaterRow] = relationship(lazy="joined")
    __table_args__ = (UniqueConstraint("rater_id", "previous_hash"), {"sqlite_autoincrement": True})


class ConsensusRow(Base):
    """A recorded consensus."""

    __tablename__ = "consensuses"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    mask_sha256: Mapped[str] = mapped_column(ForeignKey("masks.sha256"))
    method: Mapped[str]
    quorum: Mapped[str | None]
    domain: Mapped[str]
    vote_hashes: Mapped[str]
    disputes: Mapped[int]
    summary: Mapped[str]
    created: Mapped[str]
    __table_args__ = ({"sqlite_autoincrement": True},)


class ModelRow(Base):
    """A model folder the project uses or made."""

    __tablename__ = "models"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str]
    folder: Mapped[str]
    weights_sha256: Mapped[str] = mapped_column(unique=True)
    parent_sha256: Mapped[str | None]
    verdict: Mapped[str]
    created: Mapped[str]


class PromotionRow(Base):
    """Who became champion, when and why."""

    __tablename__ = "promotions"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    reason: Mapped[str]
    created: Mapped[str]
    model: Mapped[ModelRow] = relationship(lazy="joined")
    __table_args__ = ({"sqlite_autoincrement": True},)


class JobRow(Base):
    """A background job."""

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str]
    folder: Mapped[str]
    status: Mapped[str]
    detail: Mapped[str]
    created: Mapped[str]
    updated: Mapped[str]


def append_only_triggers(tables: Iterable[str] = APPEND_ONLY) -> list[str]:
    """Return the statements that make history tables append-only."""
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} are never changed or deleted'); END"
        for table in tables
        for verb in ("UPDATE", "DELETE")
    ]
