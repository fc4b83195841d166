"""Times as text: ISO 8601, UTC, always microseconds, so that text sorts like time."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Return the text of an aware time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Return the time of `to_text`."""
    return datetime.fromisoformat(text)
