"""Upgrades a database file to this program's version, or states a readable reason why it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DatabaseError

from master.files import BACKUP_NOTE, SIDE_FILES, lock_file, make_private, tighten
from master.store.sqlite.shape import find_differences, make_config, read_versions
from master.vault import Vault

SAFE = ("synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF")
"""Pragmas of every connection.

Commits survive a loss of power, replaced values do not stay in free pages, and the file's own
schema cannot call functions.
"""

SHOWN = 5
"""Limit of differences that one line names."""


class DatabaseFault(Exception):
    """The database file cannot be used; the message is one readable line."""


PLAIN_TEXT_LEFT = "plain_text_left"
"""The counter that marks a file whose free pages may still have secrets in plain text."""

READERS_LEAVE_S = 5.0
"""How long another program may still read such pages before that is a fault."""


def upgrade(path: Path, vault: Vault | None = None, *, vouch: bool = False) -> str:
    """Create or upgrade the database at `path` and return its version. Errors: DatabaseFault.

    The vault seals values that an older version stored in plain text; it is needed only if there
    are any. `vouch` tells whether worker configurations that no version has authenticated are
    accepted as Master's own.
    """
    make_folder(path)
    _make_private(path)
    with _connect(path, writes=True) as connection:
        _refuse_newer(connection, path)
        version, present = read_versions()[-1], _present(connection)
        if present != version:
            config = make_config(
                connection=connection, vault=vault, vouch=vouch, fresh=present is None
            )
            command.upgrade(config, "head")
    _remove_plain_text(path)
    return version


def _make_private(path: Path) -> None:
    """Let only the owner read the database and SQLite's side files. Errors: DatabaseFault."""
    try:
        make_private(path)
    except OSError as fault:
        raise DatabaseFault(f"{path} cannot be made: {fault.strerror}.") from None
    tighten(*(path.with_name(path.name + suffix) for suffix in SIDE_FILES))


def _remove_plain_text(path: Path) -> None:
    """Rewrite a marked file without its free pages.

    The mark is removed last, so that an interrupted rewrite is repeated.
    """
    with open_file(path, wait_s=READERS_LEAVE_S) as connection:
        if (
            connection.execute(
                "SELECT 1 FROM counters WHERE name = ?", (PLAIN_TEXT_LEFT,)
            ).fetchone()
            is None
        ):
            return
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise DatabaseFault(
                f"Another program reads {path}: close it, so that old plain text can be removed."
            )
        connection.execute("DELETE FROM counters WHERE name = ?", (PLAIN_TEXT_LEFT,))


def require_current(path: Path) -> None:
    """Refuse a file that is missing or not of this program's version. Errors: DatabaseFault."""
    if not path.exists():
        raise DatabaseFault(f"There is no database at {path}.")
    with _connect(path) as connection:
        _refuse_newer(connection, path)
        if (present := _present(connection)) != (newest := read_versions()[-1]):
            raise DatabaseFault(
                f"{path} is at version {present or 'none'}, this program needs {newest}; "
                "run `python -m master db upgrade`."
            )


@contextmanager
def open_file(path: Path, *, wait_s: float = 30) -> Iterator[sqlite3.Connection]:
    """Yield a connection without a transaction, for work on the whole file beside a Master.

    Errors: DatabaseFault.
    """
    try:
        with closing(sqlite3.connect(path, timeout=wait_s, isolation_level=None)) as connection:
            for pragma in SAFE:
                connection.execute(f"PRAGMA {pragma}")
            yield connection
    except sqlite3.Error as fault:
        raise DatabaseFault(f"{path} cannot be used as a database: {fault}.") from None


@contextmanager
def lock_database(path: Path) -> Iterator[None]:
    """Keep every other Master away from the database while this lasts. Errors: DatabaseFault.

    A second process would not harm the data (SQL checks every change of state), but it would mark
    the first one's workers disconnected.
    """
    make_folder(path)
    with lock_file(path.with_name(path.name + ".lock")) as locked:
        if not locked:
            raise DatabaseFault(
                f"Another Master is running on {path}; stop it or use another DB_PATH."
            )
        yield


def make_folder(path: Path) -> None:
    """Create the folder for this file. Errors: DatabaseFault."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise DatabaseFault(f"The folder {path.parent} cannot be made: {fault.strerror}.") from None


def check(path: Path) -> list[str]:
    """Return one readable line per fault of the database at `path`."""
    if not path.exists():
        return [f"There is no database at {path}; `python -m master db upgrade` makes one."]
    with _connect(path) as connection:
        try:
            _refuse_newer(connection, path)
        except DatabaseFault as fault:
            return [str(fault)]
        present, newest = _present(connection), read_versions()[-1]
        faults = []
        if present != newest:
            faults.append(
                f"It is at version {present or 'none'}, this program needs {newest}; upgrade it."
            )
        else:
            faults += find_differences(connection, newest)
        return faults + _find_damage(connection)


def inspect(path: Path) -> str:
    """Return the version of a copy that may replace a database.

    Errors: DatabaseFault if it may not.
    """
    with _connect(path) as connection:
        _refuse_newer(connection, path)
        present, damage = _present(connection), _find_damage(connection)
        if damage:
            raise DatabaseFault(f"{path} is damaged. {damage[0]}")
        if present is None:
            raise DatabaseFault(f"{path} is not a database of Master.")
        if differences := find_differences(connection, present):
            raise DatabaseFault(
                f"{path} is not as Master makes it. {' '.join(differences[:SHOWN])}"
            )
    return present


def _find_damage(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [
        *(f"Integrity: {row}." for row in rows if row != "ok"),
        *(f"A row of {row[0]} names a missing row of {row[2]}." for row in broken),
    ]


def reset(path: Path) -> None:
    """Remove the database at `path` with its side files. Errors: DatabaseFault."""
    try:
        for suffix in ("", BACKUP_NOTE, *SIDE_FILES):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as fault:
        raise DatabaseFault(f"{path} cannot be removed: {fault.strerror}.") from None


@contextmanager
def _connect(path: Path, *, writes: bool = False) -> Iterator[Connection]:
    """Yield a connection in one transaction; without `writes` it can only read.

    A transaction that only reads sees one state of the file, and keeps no writer waiting.
    """
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def own_transactions(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in SAFE:
            connection.execute(f"PRAGMA {pragma}")
        if not writes:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    try:
        with engine.begin() as connection:
            yield connection
    except DatabaseError as fault:
        raise DatabaseFault(f"{path} cannot be used as a database: {fault.orig}.") from None
    finally:
        engine.dispose()


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, path: Path) -> None:
    """Refuse a version without a migration here: a newer program wrote it."""
    present = _present(connection)
    known = read_versions()
    if present is not None and present not in known:
        raise DatabaseFault(
            f"{path} is at version {present}, which is newer than this program "
            f"(version {known[-1]}); install the newer program or use another DB_PATH."
        )
