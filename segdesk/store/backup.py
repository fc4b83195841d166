"""A ring of backups of the project file."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from segdesk.core.provenance import utc_now
from segdesk.errors import WriteError
from segdesk.io.atomic import replace_file

_LOG = logging.getLogger(__name__)

KEPT = 5
"""How many backups stay."""


def backups_of(path: Path) -> list[Path]:
    """Return the backups of a project file, oldest first."""
    return sorted((path.parent / "backups").glob(f"*{path.suffix}"))


def back_up(path: Path, *, always: bool = False) -> Path | None:
    """Copy a project file into the ring, unless the newest copy is younger than the file.

    Parameters
    ----------
    path : Path
        The project file.
    always : bool
        Copy also when it did not change since: before a migration.

    Returns
    -------
    Path or None
        The new backup; None when none was needed or the folder cannot be written to.

    Raises
    ------
    WriteError
        If a backup was asked for `always` and cannot be made.
    """
    present = backups_of(path)
    if not always and present and present[-1].stat().st_mtime_ns >= path.stat().st_mtime_ns:
        return None
    target = path.parent / "backups" / f"{utc_now():%Y%m%dT%H%M%S%fZ}{path.suffix}"
    try:
        _make(path, target)
    except WriteError as error:
        if always:
            raise
        # A project on a read-only medium or a full disk can still be looked at.
        _LOG.warning("no backup of the project was made: %s", error.message)
        return None
    for old in backups_of(path)[:-KEPT]:
        with suppress(OSError):
            old.unlink()
    return target


def _make(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(f"The folder for backups could not be made: {error.strerror}.", path=target.parent) from error
    try:
        replace_file(target, lambda temporary: _copy(path, temporary), _is_sound)
    except sqlite3.Error as error:
        raise WriteError(f"The backup was not written: {error}.", path=target) from error


def _copy(source: Path, target: Path) -> None:
    """Copy through SQLite, which waits for a writer and never copies half a transaction."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as copy:
        return bool(copy.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok")
