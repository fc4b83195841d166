"""Limits a process sets itself before it opens a file of strangers."""

from __future__ import annotations

import sys
from pathlib import Path

MEMORY_PER_BYTE = 6
"""A checkpoint is held as read, as our network, and as what is written; twice over for what torch copies."""

MEMORY_BASE_BYTES = 2 << 30
"""For the network's own answer to a small image, and the interpreter."""

CPU_SECONDS = 600
"""No import takes longer; 1 GiB of weights takes about 10 s."""


def limit_this_process(file_bytes: int) -> None:
    """Cap memory, processor time and the size of written files; nothing where the system has no such limits.

    Parameters
    ----------
    file_bytes : int
        Size of the file that will be opened.
    """
    if sys.platform == "win32":
        return
    import resource

    allowance = MEMORY_BASE_BYTES + MEMORY_PER_BYTE * file_bytes
    _lower(resource.RLIMIT_CPU, CPU_SECONDS)
    _lower(resource.RLIMIT_FSIZE, allowance)
    _lower(resource.RLIMIT_CORE, 0)
    used = _address_space()
    if used is not None:
        _lower(resource.RLIMIT_AS, used + allowance)


def _lower(kind: int, limit: int) -> None:
    import resource

    _, hard = resource.getrlimit(kind)
    value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (value, value))


def _address_space() -> int | None:
    """Return the bytes of address space in use, which libraries fill; None where the system does not tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return None
    import resource

    return int(statm.read_text().split()[0]) * resource.getpagesize()
