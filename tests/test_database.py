"""From nothing to this version, and what is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from master.store.sqlite.upgrade import DatabaseFault, check, reset, upgrade


def test_a_new_database_is_made_and_in_order(tmp_path: Path):
    path = tmp_path / "deep" / "master.db"
    assert check(path) != []
    assert upgrade(path) == upgrade(path)
    assert check(path) == []


def test_a_newer_database_is_refused_in_words(tmp_path: Path):
    path = tmp_path / "master.db"
    upgrade(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(DatabaseFault, match="newer than this program"):
        upgrade(path)


def test_what_is_no_database_is_refused_in_words(tmp_path: Path):
    path = tmp_path / "master.db"
    path.write_bytes(b"no database at all, only some text" * 100)
    with pytest.raises(DatabaseFault, match="cannot be used"):
        upgrade(path)


def test_a_reset_removes_everything(tmp_path: Path):
    path = tmp_path / "master.db"
    upgrade(path)
    reset(path)
    assert not path.exists()
