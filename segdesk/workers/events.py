"""Follow a file of JSON lines that another process is writing."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from segdesk.core.training import TrainingEvent

_LOG = logging.getLogger(__name__)


class EventsReader:
    """Reads what was appended since the last look; half a line waits for its end.

    Parameters
    ----------
    path : Path
        The file; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[TrainingEvent]:
        """Return the new events, oldest first."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError:
            # Not there yet, or a share that is away for a moment: the next look reads on.
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := _event(line)) is not None]

    def changed_ns(self) -> int | None:
        """Return when the file was written or touched last: the writer's heartbeat; None before it exists."""
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return None


def _event(line: bytes) -> TrainingEvent | None:
    """Parse a line; a damaged one (the writer was killed, and started again) is left out."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or "event" not in event:
        _LOG.warning("a line of the training events is damaged and was left out")
        return None
    return event
