"""Bring a database file to this program's version, or say in words why that cannot be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DatabaseError

from master.store.schema import metadata

SCRIPTS = Path(__file__).parent / "migrations"


COMPARISON = {
    "compare_type": False,
    # SQLite does not tell an index's direction, so that one made with DESC always looks different
    "include_object": lambda thing, name, kind, reflected, other: (
        kind != "index" or name not in ("idx_comments_detected", "idx_direct_messages_detected")
    ),
}


class DatabaseFault(Exception):
    """The database file cannot be used; the message is one readable line."""


def upgrade(path: Path) -> str:
    """Make or upgrade the database at `path` and return its version. Errors: DatabaseFault."""
    _make_folder(path)
    with _connect(path) as connection:
        _refuse_newer(connection, path)
        config = _config(connection)
        command.upgrade(config, "head")
        return _newest(config)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep every other Master away from the database at `path` for as long as this lasts. Errors: DatabaseFault.

    A second process would be safe for the data (every change of state is guarded in SQL), but it would mark the first
    one's workers disconnected. The lock is the kernel's and ends with the process, however that ends.
    """
    _make_folder(path)
    with path.with_name(path.name + ".lock").open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such lock on this system
            pass
        except OSError:
            raise DatabaseFault(f"Another Master is running on {path}; stop it or use another DB_PATH.") from None
        yield


def _make_folder(path: Path) -> None:
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
        present, newest = _present(connection), _newest(_config(connection))
        faults = []
        if present != newest:
            faults.append(f"It is at version {present or 'none'}, this program wants {newest}; upgrade it.")
        else:
            context = MigrationContext.configure(connection, opts=COMPARISON)
            faults += [f"The tables differ: {difference}." for difference in compare_metadata(context, metadata)]
        rows = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        faults += [f"Integrity: {row}." for row in rows if row != "ok"]
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        faults += [f"A row of {row[0]} names a missing row of {row[2]}." for row in broken]
        return faults


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


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _newest(config: Config) -> str:
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert newest is not None
    return newest


def _refuse_newer(connection: Connection, path: Path) -> None:
    """Refuse a version that no script here knows: a newer program wrote it."""
    present = _present(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_config(connection)).walk_revisions()}
    if present is not None and present not in known:
        raise DatabaseFault(
            f"{path} is at version {present}, which is newer than this program (version {max(known)}); "
            "install the newer program or use another DB_PATH."
        )
