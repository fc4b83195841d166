"""Bring an older project file to the present schema: backup, one transaction, check."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from segdesk.errors import StoreError
from segdesk.store.backup import back_up
from segdesk.store.schema import SCHEMA_VERSION, append_only_triggers

Migration = Callable[[sqlite3.Connection], None]
"""Turns a file of version n into one of version n + 1, inside the caller's transaction."""


def _add_judgements_and_grids(file: sqlite3.Connection) -> None:
    """Go from 1 to 2: what readers decide on drafts, and where the voxels of a case lie (not known of older ones)."""
    file.execute("ALTER TABLE cases ADD COLUMN grid VARCHAR")
    file.execute(
        "CREATE TABLE judgements (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "
        "mask_sha256 VARCHAR NOT NULL REFERENCES masks (sha256), rater_id VARCHAR NOT NULL REFERENCES raters (id), "
        "verdict VARCHAR NOT NULL, taken VARCHAR NOT NULL, offered VARCHAR NOT NULL, created VARCHAR NOT NULL, "
        "previous_hash VARCHAR NOT NULL, hash VARCHAR NOT NULL, UNIQUE (rater_id, previous_hash), UNIQUE (hash))"
    )
    for column in ("mask_sha256", "rater_id"):
        file.execute(f"CREATE INDEX ix_judgements_{column} ON judgements ({column})")
    for statement in append_only_triggers(["judgements"]):
        file.execute(statement)


MIGRATIONS: Mapping[int, Migration] = {1: _add_judgements_and_grids}
"""By the version they start from. Version 1 is the first that was ever written."""


def migrate(
    path: Path, version: int, target: int = SCHEMA_VERSION, migrations: Mapping[int, Migration] | None = None
) -> None:
    """Migrate a file of `version` to `target`, or leave it exactly as it was.

    Parameters
    ----------
    path : Path
        The project file.
    version, target : int
        Schema versions.
    migrations : mapping of int to Migration, optional
        The steps; `MIGRATIONS` by default.

    Raises
    ------
    StoreError
        If a step is unknown or fails; the file is unchanged and a backup was made.
    """
    if version == target:
        return
    steps = MIGRATIONS if migrations is None else migrations
    missing = [number for number in range(version, target) if number not in steps]
    if missing:
        raise StoreError(f"No way is known from project schema {missing[0]}; it was left as it is.", path=path)
    back_up(path, always=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        try:
            for number in range(version, target):
                steps[number](file)
            file.execute(f"PRAGMA user_version={int(target)}")
            problem = _problem(file)
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)  # noqa: TRY301
            file.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            file.execute("ROLLBACK")
            raise StoreError(f"The project could not be updated ({error}); it was left as it is.", path=path) from error


def _problem(file: sqlite3.Connection) -> str:
    return str(file.execute("PRAGMA integrity_check(1)").fetchone()[0])
