"""Predictions that were made before: a folder of bounded size that may be deleted at any time.

Safe for several processes without a lock: an entry appears whole under its final name, is read
through one open file, and whoever finds it gone or damaged computes again. The modification time
of a file says when its result was last used.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segdesk import paths
from segdesk.errors import UsageError, WriteError
from segdesk.io.atomic import replace_file
from segdesk.session.stored_result import DAMAGE, StoredResult, read_result, write_result

LIMIT_VARIABLE = "SEGDESK_RESULT_CACHE_GB"
"""Environment variable that sets the size of the cache in GB (10^9 bytes); 0 turns it off."""

DEFAULT_LIMIT_GB = 4.0
"""A mask takes 0.1 to 1 MB: room for thousands."""

_SUFFIX = ".zip"
_UNFINISHED = ".tmp-"
_ABANDONED_S = 3600.0
"""An unfinished file this old was left by a process that was killed."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheSize:
    """How much lies in the cache.

    Parameters
    ----------
    results : int
        Stored predictions.
    bytes : int
        On disk.
    """

    results: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _File:
    used_ns: int
    bytes: int
    path: Path


class ResultCache:
    """Keeps predictions by their key; the least recently used ones go first.

    Parameters
    ----------
    folder : Path
        Made with the first result, for its owner alone.
    limit_bytes : int
        Largest size of all entries together; 0: nothing is kept or found.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes

    @classmethod
    def of_user(cls) -> ResultCache:
        """Return the user's own cache.

        Raises
        ------
        UsageError
            If the environment variable of its size holds no number.
        """
        return cls(paths.user_cache_folder() / "predictions", round(_limit_gb() * 1e9))

    def find(self, key: str) -> StoredResult | None:
        """Return a result, None when it is not there; a damaged one is put away and logged."""
        path = self._path(key)
        if not self.limit_bytes:
            return None
        try:
            with path.open("rb") as file:
                result = read_result(file, key)
        except FileNotFoundError:
            return None
        except DAMAGE as error:
            _LOG.warning("result cache: entry %s is damaged (%s) and was dropped", key[:12], error)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return result

    def keep(self, key: str, result: StoredResult) -> None:
        """Store a result and make room for it; what cannot be stored is logged, never raised."""
        if not self.limit_bytes:
            return
        try:
            self._make_folder()
            path = self._path(key)
            replace_file(
                path, partial(write_result, key=key, result=result), lambda draft: _holds(draft, key, result),
                overwrite=True,
            )  # fmt: skip
            self._shrink(path)
        except (OSError, WriteError) as error:
            _LOG.warning("result cache: a result was not kept (%s)", error)

    def size(self) -> CacheSize:
        """Return what is there."""
        files = list(self._files())
        return CacheSize(len(files), sum(file.bytes for file in files))

    def clear(self) -> CacheSize:
        """Remove every result, and what killed processes left; return what was there.

        Raises
        ------
        WriteError
            If something cannot be removed.
        """
        before = self.size()
        try:
            for path in [*(file.path for file in self._files()), *self._unfinished(0.0)]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise WriteError(f"The result cache cannot be cleared: {error.strerror}.", path=self.folder) from error
        return before

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def _shrink(self, newest: Path) -> None:
        """Remove what was not used for longest until the rest fits, and what killed processes left."""
        if newest.stat().st_size > self.limit_bytes:
            newest.unlink()
        files = sorted(self._files(), key=lambda file: file.used_ns)
        total = sum(file.bytes for file in files)
        for file in files:
            if total <= self.limit_bytes:
                break
            file.path.unlink(missing_ok=True)
            total -= file.bytes
        for path in self._unfinished(_ABANDONED_S):
            path.unlink(missing_ok=True)

    def _files(self) -> Iterator[_File]:
        return (file for file in self._all() if not file.path.name.startswith(_UNFINISHED))

    def _unfinished(self, older_than_s: float) -> list[Path]:
        latest_ns = time.time_ns() - round(older_than_s * 1e9)
        files = [file for file in self._all() if file.path.name.startswith(_UNFINISHED)]
        return [file.path for file in files if file.used_ns <= latest_ns]

    def _all(self) -> Iterator[_File]:
        """Yield every file of the cache; other processes may remove some meanwhile."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX):
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        yield _File(status.st_mtime_ns, status.st_size, Path(entry.path))


def _holds(draft: Path, key: str, result: StoredResult) -> bool:
    """Whether what was written reads back the same."""
    try:
        with draft.open("rb") as file:
            return read_result(file, key).same_as(result)
    except DAMAGE:
        return False


def _limit_gb() -> float:
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        limit = float(text) if text else DEFAULT_LIMIT_GB
    except ValueError:
        limit = -1.0
    if not 0.0 <= limit < float("inf"):
        raise UsageError(f"{LIMIT_VARIABLE} is {text!r}; give a number of GB, 0 to keep no results.")
    return limit
