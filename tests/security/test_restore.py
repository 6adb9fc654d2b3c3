"""A restore is atomic whatever kills it, and a restored Master reuses no sequence number."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from master.app import Master
from master.clock import ManualClock
from master.files import make_draft
from master.keys import KeyFile
from master.settings import load_settings
from master.store.holders import ANYBODY
from master.store.sqlite.backup import FAR, back_up, describe_restore, restore
from master.store.sqlite.keyring import prepare_database
from master.store.sqlite.upgrade import DatabaseFault, check
from master.vault import Vault
from tests.conftest import Bench, Peer
from tests.security.crew import ask_file
from tests.security.test_rotation import fill
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account

NOW = 1_790_000_000.0
ROOT = Path(__file__).parents[2]

NOTIFY = (
    "INSERT INTO notifications (id, type, title, content, created_at, seq) "
    "VALUES (?1, 'system', 't', 'c', 0, ?1)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "master.db"
    fill(path, 3)
    return path


def numbers(path: Path) -> tuple[int, list[int]]:
    [(seq,)] = ask_file(path, "SELECT value FROM counters WHERE name = 'notification_seq'")
    return seq, [epoch for (epoch,) in ask_file(path, "SELECT epoch FROM accounts")]


@pytest.mark.parametrize(
    "how", [[], ["reader"]], ids=["alone", "beside a reader that began before"]
)
def test_a_restore_that_is_killed_anywhere_has_happened_or_has_not(tmp_path, how):
    backup_of = tmp_path / "backed up" / "master.db"
    backup_of.parent.mkdir()
    fill(backup_of, 40)
    back_up(backup_of, tmp_path / "backup.db")
    old = tmp_path / "old" / "master.db"
    old.parent.mkdir()
    fill(old, 7)
    shutil.copy(backup_of.with_name("master.db.keys"), old.with_name("master.db.keys"))
    ask_file(old, "PRAGMA journal_mode=WAL")
    command = [sys.executable, "-m", "tests.security.killing", str(tmp_path), *how]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 20, "the points are few"
    assert {(found, sound) for _, found, sound, *_ in told} == {(8, True), (40, True)}
    assert {after for _, _, _, after, _ in told} == {40, None}
    states = [found for _, found, *_ in told]
    assert states == sorted(states), (
        "there is one point before which it has not happened and after which it has"
    )
    assert [left for *_, left in told if left] == []


def test_numbers_go_on_far_past_all_that_were_assigned(path, tmp_path):
    ask_file(path, "UPDATE accounts SET epoch = 4")
    back_up(path, tmp_path / "backup.db")
    ask_file(path, "UPDATE accounts SET epoch = 9 WHERE id = 'account-001'")
    restore(path, tmp_path / "backup.db", None, NOW)
    first = numbers(path)
    assert first == (NOW * 1000, [NOW] * 3)
    ask_file(path, "UPDATE counters SET value = value + 5000 WHERE name = 'notification_seq'")
    path.unlink()
    restore(path, tmp_path / "backup.db", None, NOW + 60)
    assert numbers(path) == ((NOW + 60) * 1000, [NOW + 60] * 3), (
        "the clock tells where the file is lost"
    )
    restore(path, tmp_path / "backup.db", None, NOW - 86_400)
    seq, epochs = numbers(path)
    assert seq == (NOW + 60) * 1000 + FAR, "a clock that stands before what was given tells nothing"
    assert epochs == [NOW + 60 + FAR] * 3
    ask_file(path, NOTIFY, 2**53 - 1)
    with pytest.raises(DatabaseFault, match=r"none that a device can count"):
        restore(path, tmp_path / "backup.db", None, NOW)


def test_a_worker_that_held_an_account_since_the_backup_may_still_report_of_it(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    restore(path, tmp_path / "backup.db", None, NOW)
    with closing(sqlite3.connect(path)) as connection:
        former = connection.execute(
            "SELECT account_id, worker_id, until FROM account_holders ORDER BY account_id"
        ).fetchall()
        accounts = [row[0] for row in connection.execute("SELECT id FROM accounts ORDER BY id")]
    assert former == [(account, ANYBODY, NOW) for account in accounts]
    assert accounts


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock(NOW)
    bench = Bench(
        Master(load_settings({"PORT": "0", "DB_PATH": str(path)}, None), clock=clock), clock
    )
    await bench.master.start(sweeps=False)
    try:
        yield bench
    finally:
        for peer in bench.peers:
            await peer.close()
        await bench.master.close()


async def detect(worker: Peer, account: str, *numbers: int) -> None:
    report = {
        "type": "comment",
        "account_id": account,
        "messages": [comment(number) for number in numbers],
    }
    assert (await worker.ask("worker:message:detected", report))["inserted"] == len(numbers)


@pytest.mark.parametrize("by_hand", [False, True], ids=["restored", "copied by hand"])
async def test_a_device_that_saw_more_than_the_backup_is_owed_what_comes_after_it(
    tmp_path, by_hand
):
    path, backup = tmp_path / "master.db", tmp_path / "backup.db"
    async with running(path) as bench:
        account = (await make_account(bench))["id"]
        worker, device = await bench.worker(), await bench.device("phone")
        await detect(worker, account, 1, 2)
        await asyncio.to_thread(back_up, path, backup)
        await detect(worker, account, *range(3, 10))
        seen = (await device.hear("notification:new", 9))["seq"]
        await device.ask("client:sync:request", {"device_id": "phone", "after_seq": seen})
    if by_hand:
        shutil.copy(backup, path)
    else:
        restore(path, backup, None, NOW)
    async with running(path) as bench:
        worker, phone = await bench.worker(), await bench.connect("client")
        await detect(worker, account, 11, 12)
        early = await phone.ask("client:sync:request", {"device_id": "phone", "after_seq": seen})
        assert len(early["notifications"]) == (4 if by_hand else 2), (
            "nothing counts as seen that was not"
        )
        assert (await phone.ask("client:register", {"device_id": "phone"}))["owed"] == 4, (
            "it had not registered"
        )


HARMS = {
    "trigger": "CREATE TRIGGER gone AFTER INSERT ON comments BEGIN DELETE FROM comments WHERE id = "
    "new.id; END",
    "view": "CREATE VIEW every AS SELECT * FROM accounts",
    "table": "CREATE TABLE more (id)",
    "index": "CREATE INDEX more ON accounts(lower(account_name))",
    "column": "ALTER TABLE accounts ADD COLUMN more TEXT",
}


@pytest.mark.parametrize("name", HARMS)
def test_a_backup_that_contains_anything_but_masters_tables_is_named_and_refused(
    path, tmp_path, name
):
    back_up(path, tmp_path / "backup.db")
    ask_file(tmp_path / "backup.db", HARMS[name])
    said = (
        "Its table accounts is not as Master makes it"
        if name == "column"
        else rf"It has a {name} \w+, which Master does not make"
    )
    assert len(check(tmp_path / "backup.db")) == 1
    with pytest.raises(DatabaseFault, match=f"was not restored.*{said}"):
        restore(path, tmp_path / "backup.db", None, NOW)
    ask_file(path, HARMS[name])
    with pytest.raises(DatabaseFault, match=said):
        back_up(path, tmp_path / "another.db")


def test_a_trigger_that_hides_behind_sqlites_own_names_is_found(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        hidden = (
            "CREATE TRIGGER sqlite_stat1 AFTER INSERT ON comments BEGIN DELETE FROM comments; END"
        )
        connection.execute(
            "INSERT INTO sqlite_master VALUES ('trigger', 'sqlite_stat1', 'comments', 0, ?)",
            (hidden,),
        )
    assert check(path) == ["It has a trigger sqlite_stat1, which Master does not make."]


def test_statistics_that_sqlite_keeps_are_no_difference(path):
    ask_file(path, "ANALYZE")
    assert check(path) == []


def test_a_backup_with_pages_of_another_length_is_restored(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db", isolation_level=None)) as backup:
        backup.execute("PRAGMA page_size=8192")
        backup.execute("VACUUM")
    ask_file(path, "PRAGMA journal_mode=WAL")
    ask_file(path, "DELETE FROM accounts")
    restore(path, tmp_path / "backup.db", None, NOW)
    assert ask_file(path, "SELECT count(*) FROM accounts") == [(3,)]
    assert check(path) == []


def test_a_restore_says_what_it_cannot_do_and_that_somebody_still_reads(path, tmp_path):
    back_up(path, tmp_path / "backup.db")
    ask_file(path, "PRAGMA journal_mode=WAL")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM accounts").fetchone()
        done = restore(path, tmp_path / "backup.db", None, NOW)
    assert done.being_read
    said = "\n".join(describe_restore(done, path, tmp_path / "backup.db"))
    assert "Another program still reads the old one" in said
    assert "Data stored since the backup is not in it" in said
    prepare_database(path, Vault(), None)


def test_copies_and_keys_that_a_killed_command_left_are_removed_at_the_next_start(path, tmp_path):
    left = [
        tmp_path / name
        for name in (
            "master.db.1.part", "master.db.1.part-wal", "master.db.keys.1.new",
            "master.db.keys.retired.1.new",
        )
    ]  # fmt: skip
    kept = tmp_path / "master.db.old.1.part"
    for file in (*left, kept):
        file.write_text("k-1:key")
    prepare_database(path, Vault(), None)
    assert [file for file in left if file.exists()] == []
    assert kept.exists(), "a draft file of another target stays"
    back_up(path, tmp_path / "master.db.old")
    assert not kept.exists(), "making the same file removes its leftover draft file"


def test_no_draft_is_removed_that_somebody_is_making(path, tmp_path):
    with make_draft(tmp_path / "master.db.keys", "new") as draft:
        prepare_database(path, Vault(), None)
        KeyFile(tmp_path / "other.keys").create(KeyFile(tmp_path / "master.db.keys").read())
        assert draft.exists()
    assert not draft.exists()
