"""Commands that only read the database keep no writer waiting, and wait for none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from master.keys import KeyFile, locate_key_file
from master.store.sqlite.backup import back_up
from master.store.sqlite.keyring import describe_keys, prepare_database
from master.store.sqlite.upgrade import check, inspect, require_current
from master.vault import Vault

COMMANDS: dict[str, Callable[[Path], Any]] = {
    "db check": check,
    "db backup": lambda path: back_up(path, path.with_name("backup.db")),
    "keys list": lambda path: describe_keys(path, None),
    "inspect": inspect,
    "require_current": require_current,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "master.db"
    prepare_database(path, Vault(), None)
    assert KeyFile(locate_key_file(path)).read()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # as Master sets it
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that waits for no lock."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        yield connection


def write(writer: sqlite3.Connection) -> None:
    writer.execute("INSERT INTO counters (name, value) VALUES (hex(randomblob(8)), 1)")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reading_command_waits_for_no_writer(
    path: Path, writer: sqlite3.Connection, command: str
) -> None:
    writer.execute("BEGIN IMMEDIATE")
    write(writer)
    read = COMMANDS[command](path)
    if command == "db check":
        assert read == []
    writer.execute("COMMIT")


def test_a_writer_does_not_wait_for_a_check(path: Path, writer: sqlite3.Connection) -> None:
    """A write succeeds after every statement of the check: it would fail at once on a lock."""
    statements: list[str] = []

    def write_beside(*details: Any) -> None:
        statements.append(details[2])
        write(writer)

    event.listen(Engine, "after_cursor_execute", write_beside)
    try:
        assert check(path) == []
    finally:
        event.remove(Engine, "after_cursor_execute", write_beside)
    assert any("integrity_check" in statement for statement in statements)
    [(count,)] = writer.execute("SELECT count(*) FROM counters WHERE value = 1").fetchall()
    assert count >= len(statements)
