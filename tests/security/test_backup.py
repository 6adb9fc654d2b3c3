"""A backup is made beside a writing Master; a restore refuses every unusable backup."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from master.keys import KeyFault, KeyFile
from master.store.sqlite.backup import Restored, back_up, restore
from master.store.sqlite.keyring import prepare_database
from master.store.sqlite.rotation import rotate_key_file
from master.store.sqlite.shape import read_versions
from master.store.sqlite.upgrade import DatabaseFault, check, lock_database
from master.vault import Vault
from tests.security.crew import MARK, ask_file, find_planted, run_child
from tests.security.test_rotation import fill, read_all
from tests.waiting import until

NEWEST = read_versions()[-1]
NOW = 1_790_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "master.db"
    fill(path, 5)
    return path


def count(path: Path) -> int:
    return int(ask_file(path, "SELECT count(*) FROM accounts")[0][0])


def test_a_backup_is_private_whole_and_contains_no_key(path, tmp_path):
    target = tmp_path / "backup.db"
    assert back_up(path, target) == NEWEST
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert check(target) == []
    assert find_planted(target) == []
    for line in path.with_name("master.db.keys").read_text().splitlines()[1:]:
        assert line.partition(":")[2].encode() not in target.read_bytes()
    assert not list(tmp_path.glob("*.part*"))


def test_a_backup_overwrites_nothing_and_needs_a_database(path, tmp_path):
    target = tmp_path / "backup.db"
    target.write_text("mine")
    with pytest.raises(DatabaseFault, match="exists already"):
        back_up(path, target)
    assert target.read_text() == "mine"
    with pytest.raises(DatabaseFault, match="There is no database"):
        back_up(tmp_path / "none.db", tmp_path / "other.db")
    with pytest.raises(DatabaseFault, match="cannot be made"):
        back_up(path, tmp_path / "no folder" / "other.db")
    assert not (tmp_path / "none.db").exists()


def test_a_restore_installs_the_backup_and_keeps_the_old_one(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    ask_file(path, "PRAGMA journal_mode=WAL")
    ask_file(path, "DELETE FROM accounts WHERE id <> 'account-000'")
    done = restore(path, tmp_path / "backup.db", None, NOW)
    assert (done.version, count(path), count(done.aside)) == (NEWEST, 5, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_all(path).total() == 5
    assert (
        restore(path, tmp_path / "backup.db", None, NOW).aside
        == tmp_path / "master.db.before-restore-2"
    )
    path.unlink()
    assert restore(path, tmp_path / "backup.db", None, NOW) == Restored(NEWEST, None)
    assert not list(tmp_path.glob("*.part*"))


def test_a_damaged_database_is_kept_with_its_log(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    path.write_bytes(b"nothing that SQLite knows" * 100)
    (tmp_path / "master.db-wal").write_bytes(b"some log")
    aside = restore(path, tmp_path / "backup.db", None, NOW).aside
    assert aside.read_bytes().startswith(b"nothing")
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"some log"
    assert count(path) == 5
    assert check(path) == []


def harm_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 4] = bytes(4096)
    file.write_bytes(content)


def harm_version(file: Path) -> None:
    ask_file(file, "UPDATE alembic_version SET version_num = '9999'")


def harm_all(file: Path) -> None:
    file.write_bytes(b"some text" * 1000)


def harm_tables(file: Path) -> None:
    file.unlink()
    ask_file(file, "CREATE TABLE something (id)")


def harm_log(file: Path) -> None:
    file.with_name(file.name + "-wal").write_bytes(b"rows")


def harm_away(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (harm_page, "damaged|malformed"),
        (harm_version, "newer than this program"),
        (harm_all, "cannot be used as a database"),
        (harm_tables, "not a database of Master"),
        (harm_log, "a database in use"),
        (harm_away, "There is no file"),
    ],
)
def test_a_backup_that_would_not_serve_is_refused_and_nothing_changes(path, tmp_path, harm, said):
    backup = tmp_path / "backup.db"
    back_up(path, backup)
    harm(backup)
    before = path.read_bytes()
    with pytest.raises(DatabaseFault, match=said) as caught:
        restore(path, backup, None, NOW)
    assert "\n" not in str(caught.value)
    assert ".part" not in str(caught.value)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*before-restore*")) + list(tmp_path.glob("*.part*"))


def test_a_backup_of_before_a_rotation_needs_the_retired_key(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    rotate_key_file(path, os.urandom)
    with pytest.raises(KeyFault, match=r"was not restored\. Key k-\w+ is missing"):
        restore(path, tmp_path / "backup.db", None, NOW)
    keys, retired = (
        KeyFile(tmp_path / "master.db.keys"),
        KeyFile(tmp_path / "master.db.keys.retired"),
    )
    keys.replace([*keys.read(), *retired.read()])
    restore(path, tmp_path / "backup.db", None, NOW)
    prepare_database(path, Vault(), None)
    assert read_all(path).total() == 5


def test_a_restore_waits_for_no_master(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    with lock_database(path), pytest.raises(DatabaseFault, match="Another Master is running"):
        restore(path, tmp_path / "backup.db", None, NOW)


async def test_a_backup_of_a_master_that_writes_is_consistent_and_can_be_restored(tmp_path):
    async with run_child(tmp_path) as (child, crew):
        accounts = [await crew.add_account(f"account-{number}") for number in range(5)]
        stop, sent = asyncio.Event(), 0

        async def keep_writing() -> None:
            nonlocal sent
            while not stop.is_set():
                messages = [
                    {"platform_comment_id": f"c-{sent + number}", "content": "x" * 500}
                    for number in range(20)
                ]
                event = {"type": "comment", "account_id": accounts[0], "messages": messages}
                assert (await crew.worker.ask("worker:message:detected", event))["success"]
                sent += 20
                await crew.log_in(accounts[sent // 20 % 5], f"login-{sent}")

        writing = asyncio.create_task(keep_writing())
        await until(lambda: sent)
        before = sent
        code, printed = await child.run("db", "backup", str(tmp_path / "backup.db"))
        assert (code, before > 0) == (0, True), printed
        after = sent
        code, printed = await child.run("db", "restore", str(tmp_path / "backup.db"))
        assert (code, "Another Master is running" in printed) == (2, True)
        await until(lambda: sent > after)
        stop.set()
        await writing
    with closing(sqlite3.connect(tmp_path / "backup.db")) as backup:
        [(stored, notified)] = backup.execute(
            "SELECT (SELECT count(*) FROM comments), (SELECT count(*) FROM notifications WHERE "
            "type = 'comment')"
        )
        assert before <= stored <= after + 20
        assert stored % 20 == 0, "a batch is there as a whole"
        assert notified == stored
    assert find_planted(tmp_path / "backup.db") == []
    code, printed = await child.run("db", "restore", str(tmp_path / "backup.db"))
    assert code == 0, printed
    async with run_child(tmp_path) as (child, crew):
        assert ask_file(child.path, "SELECT count(*) FROM comments") == [(stored,)]
        for shown in await crew.register():
            assert shown["login_status"] in ("logged_in", "logging_in", "not_logged_in")
            if shown["login_status"] == "logged_in":
                assert shown["credentials"]["cookies"][0]["value"].startswith(MARK)


def test_a_copy_by_hand_while_nothing_runs_can_be_restored_as_well(path, tmp_path):
    shutil.copy(path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    restore(path, tmp_path / "copy.db", None, NOW)
    assert read_all(path).total() == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_what_an_administrator_does_leaves_every_file_to_whom_it_belongs(path, tmp_path):
    for file in (path, tmp_path / "master.db.keys"):
        os.chown(file, 12_345, 12_346)
    rotate_key_file(path, os.urandom)
    back_up(path, tmp_path / "backup.db")
    restore(path, tmp_path / "backup.db", None, NOW)
    for name in ("master.db", "master.db.keys"):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12_345, 12_346, 0o600)
