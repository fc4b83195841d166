"""Where a mask, a vote or a model came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class OriginKind(StrEnum):
    """Who or what made the thing."""

    HUMAN = "human"
    MODEL = "model"
    SIMULATED = "simulated"
    CONSENSUS = "consensus"
    IMPORT = "import"
    EMPTY = "empty"


Scalar = str | int | float | bool | None


def utc_now() -> datetime:
    """Return the present time with the UTC zone set."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """The history a mask carries: kind, author, parents, parameters, time.

    Parameters
    ----------
    kind : OriginKind
        Who or what made it.
    author : str
        Rater name, or model name and version; never a patient's name.
    parents : tuple of str
        Ids or hashes of what it was made from.
    parameters : mapping
        JSON-able settings that the result depends on.
    weights_sha256 : str, optional
        Hash of the model's weights, for ``kind="model"``.
    created : datetime
        UTC.
    """

    kind: OriginKind
    author: str = ""
    parents: tuple[str, ...] = ()
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    weights_sha256: str | None = None
    created: datetime = field(default_factory=utc_now)
