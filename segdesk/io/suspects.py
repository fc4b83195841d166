"""Files on which a decoder died: known by name, refused at once, so that the rest of their folder is read.

Who runs the decoders (a child process) notes each file that is looked at; who saw the
child die marks the file and lets it start again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from segdesk.errors import SegdeskError


def _ignore(path: Path | None) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Lookout:
    """What is known of bad files, and who is told which file is being looked at.

    Parameters
    ----------
    marked : mapping of Path to SegdeskError
        Raised instead of looking at the file.
    looking_at : callable
        Called with each file before it is touched, with None afterwards.
    """

    marked: Mapping[Path, SegdeskError] = field(default_factory=dict)
    looking_at: Callable[[Path | None], None] = _ignore


_NOTHING_KNOWN = Lookout()
_lookout: ContextVar[Lookout] = ContextVar("lookout", default=_NOTHING_KNOWN)


@contextmanager
def use_lookout(lookout: Lookout) -> Iterator[None]:
    """Let a lookout hold inside the block, in this thread."""
    token = _lookout.set(lookout)
    try:
        yield
    finally:
        _lookout.reset(token)


@contextmanager
def looking_at(path: Path) -> Iterator[None]:
    """Say that a file is about to be opened; raises its error when it is marked."""
    lookout = _lookout.get()
    if path in lookout.marked:
        raise lookout.marked[path]
    lookout.looking_at(path)
    try:
        yield
    finally:
        lookout.looking_at(None)
