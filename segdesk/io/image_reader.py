"""Where files are read: in this process, or wherever the program said.

The window and the commands read unknown files in a child process
(`segdesk.workers.decoder`), so that a decoder that crashes takes nothing with it.
Scripts, tests and that child itself read right here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class ReadElsewhere(Protocol):
    """Calls a reading function of `segdesk.io` somewhere else and returns what it returned."""

    def __call__(self, function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
        """Return ``function(*args, **kwargs)``, computed elsewhere; raises what it raises."""


_elsewhere: ReadElsewhere | None = None


def routed(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that is called where the program said, here by default."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if _elsewhere is None:
            return function(*args, **kwargs)
        return _elsewhere(function, *args, **kwargs)

    return call


def read_elsewhere(elsewhere: ReadElsewhere | None) -> ReadElsewhere | None:
    """Let the whole process read through `elsewhere` (None: here); returns what held before."""
    global _elsewhere
    before, _elsewhere = _elsewhere, elsewhere
    return before


@contextmanager
def reading_elsewhere(elsewhere: ReadElsewhere) -> Iterator[None]:
    """Read through `elsewhere` inside the block, in all threads."""
    before = read_elsewhere(elsewhere)
    try:
        yield
    finally:
        read_elsewhere(before)
