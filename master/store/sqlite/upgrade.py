"""Bring a database file to this program's version, or say in words why that cannot be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DatabaseError

from master.store.schema import metadata
from master.vault import Vault

SCRIPTS = Path(__file__).parent.parent / "migrations"


COMPARISON = {
    "compare_type": False,
    # SQLite does not tell an index's direction, so that one made with DESC always looks different
    "include_object": lambda thing, name, kind, reflected, other: (
        kind != "index" or name not in ("idx_comments_detected", "idx_direct_messages_detected")
    ),
}


class DatabaseFault(Exception):
    """The database file cannot be used; the message is one readable line."""


PLAIN_TEXT_LEFT = "plain_text_left"
"""The counter that says that free pages may still hold secrets of the time before the vault."""

READERS_LEAVE_S = 5.0
"""How long such pages may still be read by somebody before that is a fault."""


def upgrade(path: Path, vault: Vault | None = None) -> str:
    """Make or upgrade the database at `path` and return its version. Errors: DatabaseFault.

    The vault seals what an older version kept in plain text; it is needed only where there is some.
    """
    make_folder(path)
    with _connect(path) as connection:
        _refuse_newer(connection, path)
        version, present = _read_versions()[-1], _present(connection)
        if present != version:
            config = _config()
            config.attributes |= {"connection": connection, "vault": vault, "fresh": present is None}
            command.upgrade(config, "head")
    _remove_plain_text(path)
    return version


def _remove_plain_text(path: Path) -> None:
    """Write the file anew without free pages, where these may hold secrets; interrupted, it is done again."""
    with open_file(path, wait_s=READERS_LEAVE_S) as connection:
        if connection.execute("SELECT 1 FROM counters WHERE name = ?", (PLAIN_TEXT_LEFT,)).fetchone() is None:
            return
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise DatabaseFault(f"Another program reads {path}: close it, so that old plain text can be removed.")
        connection.execute("DELETE FROM counters WHERE name = ?", (PLAIN_TEXT_LEFT,))


def require_current(path: Path) -> None:
    """Refuse a file that is not there, or not of this program's version. Errors: DatabaseFault."""
    if not path.exists():
        raise DatabaseFault(f"There is no database at {path}.")
    with _connect(path) as connection:
        _refuse_newer(connection, path)
        if (present := _present(connection)) != (newest := _read_versions()[-1]):
            raise DatabaseFault(
                f"{path} is at version {present or 'none'}, this program wants {newest}; "
                "run `python -m master db upgrade`."
            )


@contextmanager
def open_file(path: Path, *, wait_s: float = 30) -> Iterator[sqlite3.Connection]:
    """Give a connection without a transaction, for whole-file work beside a Master. Errors: DatabaseFault."""
    try:
        with closing(sqlite3.connect(path, timeout=wait_s, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")
            yield connection
    except sqlite3.Error as fault:
        raise DatabaseFault(f"{path} cannot be used as a database: {fault}.") from None


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep every other Master away from the database at `path` for as long as this lasts. Errors: DatabaseFault.

    A second process would be safe for the data (every change of state is guarded in SQL), but it would mark the first
    one's workers disconnected.
    """
    make_folder(path)
    with lock_file(path.with_name(path.name + ".lock")) as locked:
        if not locked:
            raise DatabaseFault(f"Another Master is running on {path}; stop it or use another DB_PATH.")
        yield


@contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Say whether this lock could be taken; if so it is held for as long as this lasts.

    It is the kernel's, and ends with the process, however that ends.
    """
    with path.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such lock on this system
            yield True
        except OSError:
            yield False
        else:
            yield True


def make_folder(path: Path) -> None:
    """Make the folder that this file is to be in. Errors: DatabaseFault."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise DatabaseFault(f"The folder {path.parent} cannot be made: {fault.strerror}.") from None


def check(path: Path) -> list[str]:
    """Return what is wrong with the database at `path`: nothing, or one readable line per fault."""
    if not path.exists():
        return [f"There is no database at {path}; `python -m master db upgrade` makes one."]
    with _connect(path) as connection:
        try:
            _refuse_newer(connection, path)
        except DatabaseFault as fault:
            return [str(fault)]
        present, newest = _present(connection), _read_versions()[-1]
        faults = []
        if present != newest:
            faults.append(f"It is at version {present or 'none'}, this program wants {newest}; upgrade it.")
        else:
            context = MigrationContext.configure(connection, opts=COMPARISON)
            faults += [f"The tables differ: {difference}." for difference in compare_metadata(context, metadata)]
        return faults + _find_damage(connection)


def inspect(path: Path) -> str:
    """Return the version of a copy that may take a database's place. Errors: DatabaseFault if it may not."""
    with _connect(path) as connection:
        _refuse_newer(connection, path)
        present, damage = _present(connection), _find_damage(connection)
    if damage:
        raise DatabaseFault(f"{path} is damaged. {damage[0]}")
    if present is None:
        raise DatabaseFault(f"{path} is no database of Master's.")
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
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as fault:
        raise DatabaseFault(f"{path} cannot be removed: {fault.strerror}.") from None


@contextmanager
def _connect(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def own_transactions(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            yield connection
    except DatabaseError as fault:
        raise DatabaseFault(f"{path} cannot be used as a database: {fault.orig}.") from None
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _read_versions() -> tuple[str, ...]:
    """Return the versions that this program knows, the newest last."""
    scripts = ScriptDirectory.from_config(_config())
    newest = scripts.get_current_head()  # one that is not the only one is an error here
    assert newest is not None
    return tuple(script.revision for script in scripts.walk_revisions("base", newest))[::-1]


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, path: Path) -> None:
    """Refuse a version that no script here knows: a newer program wrote it."""
    present = _present(connection)
    known = _read_versions()
    if present is not None and present not in known:
        raise DatabaseFault(
            f"{path} is at version {present}, which is newer than this program (version {known[-1]}); "
            "install the newer program or use another DB_PATH."
        )
