"""How large an image may be before somebody has to agree: one policy for every format.

Readers know from the header how many bytes an image will take and how many bytes the file
has. They say so here before they allocate anything. What is too large, or suspiciously
larger than its file, is refused with `NeedsConsent` unless the caller allowed it::

    with allow_large():
        volume = read_volume(path)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

from segdesk.errors import NeedsConsent, ReadError

GIB = 1 << 30

MAX_BYTES = 8 * GIB
"""Decoded pixels above this need consent: a CT of 512 x 512 x 600 takes 0.3 GiB, a long 4D series 4 GiB."""

MAX_RATIO = 200.0
"""Decoded bytes per byte of file above this need consent (RELIABILITY.md); CT and MR compress 2 to 4 times."""

RATIO_FLOOR_BYTES = GIB
"""Below this the ratio does not matter: a mask of one small organ compresses 1000 times and harms nobody."""

HARD_MAX_BYTES = 256 * GIB
"""Above this nothing is read, whatever was allowed."""

CONSENT_CODES = ("too_large", "suspicious_size")
"""Codes of `NeedsConsent`, for where an error comes back as a refusal."""

MAX_DEFLATE_RATIO = 1032
"""No deflate stream expands more than this (zlib technical details), so a header may not promise more."""

MAX_FRAMES = 1_000_000
"""Frames, pages or slices of one file; the longest cines have some thousands."""


def _not_noted(needed_bytes: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class SizePolicy:
    """What may be read without asking.

    Parameters
    ----------
    max_bytes : int
        Of decoded pixels.
    max_ratio : float
        Decoded bytes per stored byte, checked above `RATIO_FLOOR_BYTES` only.
    noted : callable
        Told of every size that is let through, before anything is allocated.
    """

    max_bytes: int = MAX_BYTES
    max_ratio: float = MAX_RATIO
    noted: Callable[[int], None] = _not_noted

    def require(self, path: Path, needed_bytes: int, stored_bytes: int) -> None:
        """Refuse what is too large.

        Parameters
        ----------
        path : Path
            For the message.
        needed_bytes : int
            What the decoded pixels will take, from the header.
        stored_bytes : int
            Size of the files that hold them.

        Raises
        ------
        NeedsConsent
            ``too_large`` or ``suspicious_size``: reading may be allowed with `allow_large`.
        ReadError
            ``too_large`` above `HARD_MAX_BYTES`.
        """
        if needed_bytes > HARD_MAX_BYTES:
            message = f"{path.name} claims {size_text(needed_bytes)} of pixels; no image is that large."
            raise ReadError(message, code="too_large", path=path)
        if needed_bytes > self.max_bytes:
            text = f"{path.name} holds {size_text(needed_bytes)} of pixels, more than {size_text(self.max_bytes)}"
            raise NeedsConsent(f"{text}; allow it if you expect an image of this size.", path=path)
        ratio = needed_bytes / max(1, stored_bytes)
        if needed_bytes > RATIO_FLOOR_BYTES and ratio > self.max_ratio:
            text = f"{path.name} would grow {ratio:.0f} times, to {size_text(needed_bytes)}, as no scan does"
            raise NeedsConsent(f"{text}; allow it only if you trust the file.", code="suspicious_size", path=path)
        self.noted(needed_bytes)


_STANDARD = SizePolicy()
_policy: ContextVar[SizePolicy] = ContextVar("size_policy", default=_STANDARD)


def size_policy() -> SizePolicy:
    """Return the policy that holds here and now."""
    return _policy.get()


@contextmanager
def use_policy(policy: SizePolicy) -> Iterator[None]:
    """Let another policy hold inside the block, in this thread."""
    token = _policy.set(policy)
    try:
        yield
    finally:
        _policy.reset(token)


@contextmanager
def allow_large() -> Iterator[None]:
    """Read images of any size inside the block: the user has agreed."""
    with use_policy(_unlimited()):
        yield


def hold_policy(policy: SizePolicy) -> None:
    """Let a policy hold in what is left of this context: threads start with the standard one."""
    _policy.set(policy)


def allow_large_from_now_on() -> None:
    """Read images of any size in what is left of this context: for a command's option."""
    hold_policy(_unlimited())


def _unlimited() -> SizePolicy:
    return replace(size_policy(), max_bytes=HARD_MAX_BYTES, max_ratio=float("inf"))


def require_size(path: Path, needed_bytes: int, stored_bytes: int) -> None:
    """Refuse what the policy of the moment does not allow; see `SizePolicy.require`."""
    size_policy().require(path, needed_bytes, stored_bytes)


def file_bytes(paths: Iterable[Path]) -> int:
    """Return the size of files together; one that cannot be looked at counts as nothing."""
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except (OSError, ValueError):
            continue
    return total


def size_text(count: int) -> str:
    """Return a number of bytes as people read it: "1.5 GiB"."""
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / (1 << 20):.1f} MiB"
