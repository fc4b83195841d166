"""What a decoder may take: memory and time, from the size its header promises."""

from __future__ import annotations

import os
from pathlib import Path

BASE_BYTES = 1 << 30
"""Memory of the decoder itself: libraries (0.2 GiB) and the headers of a large folder."""

MEMORY_FACTOR = 6
"""Memory per byte of the decoded image.

Stored values, result, and temporaries in float64 while a scale is applied or a mask is
checked: the readers of `segdesk.io` take at most 4 times.
"""

SILENCE_S = 10.0
"""A decoder that gives no sign of life for this long, and its share below, hangs.

A busy machine may starve it for seconds; the user can cancel at any time.
"""

STEP_S = 30.0
"""A decoder that gets no further for this long, and its share below, hangs: a slow share needs seconds a file."""

SLOWEST_BYTES_PER_S = 8 << 20
"""Of decoded pixels: JPEG 2000 on a busy laptop; a codec may hold Python's lock for a whole frame."""

WATCHDOG_FACTOR = 4.0
"""A decoder whose parent died in the middle of a hang ends itself after this many times `silence_limit_s`."""

PLACE_BYTES = 4096
"""Room for the name of the file that is being looked at (PATH_MAX of Linux)."""


def memory_limit_bytes(image_bytes: int) -> int:
    """Return what a decoder may hold of its own for an image of `image_bytes` decoded bytes."""
    return BASE_BYTES + MEMORY_FACTOR * image_bytes


def silence_limit_s(image_bytes: int) -> float:
    """Return how long a decoder may give no sign of life."""
    return SILENCE_S + image_bytes / SLOWEST_BYTES_PER_S


def step_limit_s(image_bytes: int) -> float:
    """Return how long a decoder may work without getting further."""
    return STEP_S + image_bytes / SLOWEST_BYTES_PER_S


def private_bytes(pid: int) -> int:
    """Return the memory that a process holds for itself; 0 where the system does not tell (no /proc)."""
    try:
        # proc(5), statm: size, resident, shared ... in pages; shared counts mapped files and shared memory.
        _, resident, shared = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[:3]
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
