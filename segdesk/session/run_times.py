"""How long models took on this machine: what time estimates are made of."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

KEPT_RUNS = 9
"""Runs kept per model, device and way of running: the median forgives a few on a busy machine."""

_MEASURED = ("preprocess", "network", "postprocess")
"""Parts of a run that come with every image; loading the model happens once."""


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """What a prediction will take.

    Parameters
    ----------
    seconds : float
        Expected.
    windows : int
        Of the image or its region.
    runs : int
        Past runs it is the median of; 0: one window was timed a moment ago, and the rest is not in it.
    device : str
        In words.
    """

    seconds: float
    windows: int
    runs: int
    device: str


class RunTimes:
    """Seconds per window of past runs, in a file that may be deleted.

    Parameters
    ----------
    file : Path
        Made with the first run.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, weights_sha256: str, manifest: Mapping[str, Any], *, flips: bool) -> None:
        """Keep the times of a run.

        A run that says nothing of them is left out, a result from the cache too: nothing ran. A file that
        cannot be written is no error.
        """
        windows, seconds = manifest.get("windows"), manifest.get("seconds")
        if not isinstance(windows, int) or windows < 1 or not isinstance(seconds, Mapping) or manifest.get("cached"):
            return
        total = sum(float(seconds.get(part, 0.0)) for part in _MEASURED)
        kept = self._read()
        key = _key(weights_sha256, str(manifest.get("device", "")), flips=flips)
        kept[key] = [*kept.get(key, ()), total / windows][-KEPT_RUNS:]
        # An estimate is a convenience: a full disk must not cost the draft.
        with suppress(OSError):
            self._write(kept)

    def seconds_per_window(self, weights_sha256: str, device: str, *, flips: bool) -> tuple[float, int] | None:
        """Return the median over past runs and their number; None without any."""
        runs = self._read().get(_key(weights_sha256, device, flips=flips), [])
        return (median(runs), len(runs)) if runs else None

    def _read(self) -> dict[str, list[float]]:
        try:
            parsed = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): [float(x) for x in runs] for key, runs in parsed.items()} if _is_table(parsed) else {}

    def _write(self, kept: Mapping[str, list[float]]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=self._file.parent, prefix=self._file.name)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(kept, stream)
        Path(draft).replace(self._file)


def _key(weights_sha256: str, device: str, *, flips: bool) -> str:
    return f"{weights_sha256} {device}{' mirrored' if flips else ''}"


def _is_table(parsed: object) -> bool:
    """Whether a file holds lists of positive numbers by key."""
    return isinstance(parsed, dict) and all(
        isinstance(runs, list) and all(isinstance(x, int | float) and x >= 0 for x in runs) for runs in parsed.values()
    )
