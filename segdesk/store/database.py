"""One SQLite file, opened with care: durable, checked, one writer at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.pool import NullPool

from segdesk.errors import NotFound, SaveFailed, SchemaTooNew, StoreError
from segdesk.io.atomic import replace_file
from segdesk.store.backup import back_up, backups_of
from segdesk.store.migrate import migrate
from segdesk.store.schema import APPLICATION_ID, SCHEMA_VERSION, Base, MetaRow, append_only_triggers
from segdesk.store.share import refuse_network_share

BUSY_TIMEOUT_S = 10.0
"""How long a writer waits for another process's transaction."""

# WAL is avoided on purpose: before SQLite 3.51.3 several writers can corrupt a WAL database.
_PRAGMAS = ("journal_mode=DELETE", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF")


class Database:
    """Short transactions on a project file, from any thread.

    Every `reading()` or `writing()` block opens its own connection and closes it.

    Parameters
    ----------
    path : Path
        An existing, checked file: use `create` or `open`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Not a text URL: folders may hold "?" and "#".
        url = URL.create("sqlite", database=str(path))
        self._engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        self._writer = self._engine.execution_options(segdesk_write=True)

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, str]) -> Database:
        """Make a new project file with all tables and facts; it appears complete or not at all.

        Raises
        ------
        StoreError
            If there is a project already (``exists``), or on a network share.
        WriteError, SaveFailed
            If it cannot be written.
        """
        refuse_network_share(path.parent)
        if path.exists():
            raise StoreError("There is a project in this folder already; open it.", code="exists", path=path)
        replace_file(path, lambda temporary: _build(temporary, meta))
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Database:
        """Check a project file, back it up, bring it to the present schema, and open it.

        Raises
        ------
        NotFound
            If there is no project file.
        StoreError
            If it is no project, lies on a network share, or is damaged (nothing is changed).
        SchemaTooNew
            If a newer segdesk wrote it.
        """
        refuse_network_share(path.parent)
        version = _checked_version(path)
        back_up(path)
        migrate(path, version)
        return cls(path)

    @contextmanager
    def reading(self) -> Iterator[OrmSession]:
        """Give a session for queries."""
        with _translated("read"), OrmSession(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[OrmSession]:
        """Give a session that holds the write lock; commits at the end, rolls back on any error."""
        with _translated("changed"), OrmSession(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


def _build(path: Path, meta: Mapping[str, str]) -> None:
    database = Database(path)
    with database.writing() as session:
        connection = session.connection()
        Base.metadata.create_all(connection)
        for statement in append_only_triggers():
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA application_id={_signed(APPLICATION_ID)}")
        connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")
        session.add_all([MetaRow(key=key, value=value) for key, value in meta.items()])
    database.close()


@contextmanager
def _translated(verb: str) -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as error:
        raise StoreError(
            f"A name holds bytes that are no text ({error.object[:60]!a}); rename it. Nothing was changed."
        ) from error
    except SQLAlchemyError as error:
        kind = SaveFailed if verb == "changed" else StoreError
        raise kind(f"The project could not be {verb}: {_reason(error)}. Nothing was changed.") from error


def _reason(error: SQLAlchemyError) -> str:
    """Return SQLite's own words: SQLAlchemy's repeat the statement and its parameters."""
    return str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__


def _on_connect(connection: sqlite3.Connection, record: Any) -> None:
    # The driver must not open transactions on its own: `_on_begin` does.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock first, so that read-then-write cannot deadlock or lose an update.
    wants_lock = connection.get_execution_options().get("segdesk_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if wants_lock else "BEGIN")


def _checked_version(path: Path) -> int:
    """Return the schema version of a sound project file; opened read-only."""
    if not path.is_file():
        raise NotFound(f"There is no project in {path.parent.name!r}; create one or choose its folder.", path=path)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S)) as file:
            application = int(file.execute("PRAGMA application_id").fetchone()[0])
            version = int(file.execute("PRAGMA user_version").fetchone()[0])
            problem = str(file.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error
    if application != _signed(APPLICATION_ID):
        raise StoreError(f"{path.name} is no segdesk project; nothing was changed.", path=path)
    if problem != "ok":
        raise _damaged(path, problem)
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"The project has schema {version}, this segdesk knows {SCHEMA_VERSION}; update segdesk.", path=path
        )
    return version


def _damaged(path: Path, problem: str) -> StoreError:
    backups = backups_of(path)
    hint = f"the newest of {len(backups)} backups is {backups[-1].name}" if backups else "there is no backup"
    first_line = problem.splitlines()[0] if problem else "unreadable"
    return StoreError(f"The project file is damaged ({first_line}); it was left as it is, {hint}.", path=path)


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number
