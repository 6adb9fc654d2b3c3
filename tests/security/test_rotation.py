"""A key rotation beside a working Master, and rotations killed at any point."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from master.keys import KeyFault, KeyFile, make_key
from master.store.sqlite.keyring import lock_keys, prepare_database
from master.store.sqlite.rotation import describe_rotation, rotate_key_file, rotate_to_first
from master.store.sqlite.upgrade import DatabaseFault, upgrade
from master.vault import Vault, open_vault, read_key_id
from tests.security.crew import (
    ask_file,
    cookies,
    find_planted,
    plant,
    run_child,
    run_master,
    side_files,
    start_command,
)
from tests.waiting import block_until, until

ROOT = Path(__file__).parents[2]
ACCOUNTS = 120


def fill(path: Path, count: int = ACCOUNTS) -> Vault:
    """Create a database whose accounts have secrets; return the vault that opens it."""
    vault = Vault()
    prepare_database(path, vault, None)
    ids = [f"account-{number:03}" for number in range(count)]
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO accounts (id, platform, account_name, account_id, credentials, "
            "created_at, updated_at) "
            "VALUES (?1, 'douyin', 'n', ?1, ?2, 0, 0)",
            [
                (one, vault.seal("accounts.credentials", one, {"cookies": cookies(one)}))
                for one in ids
            ],
        )
        connection.commit()
    return vault


def read_all(path: Path) -> Counter[str]:
    """Check that every value opens; return how many values each key has sealed."""
    vault, keys = open_vault(path), Counter[str]()
    for row_id, text in ask_file(
        path, "SELECT id, credentials FROM accounts WHERE credentials IS NOT NULL"
    ):
        assert vault.open("accounts.credentials", row_id, text)["cookies"][0]["value"].startswith(
            plant("")
        )
        keys[str(read_key_id(text))] += 1
    return keys


def rotate_and_kill(path: Path, environ: dict[str, str], *, sealed: int) -> None:
    """Kill a rotation once it has sealed this many accounts anew, unless it ends before."""
    file = KeyFile(path.with_name("master.db.keys"))
    before = file.stamp()
    with start_command("keys", "rotate", environ=environ) as process:
        block_until(lambda: file.stamp() != before or process.poll() is not None)
        block_until(lambda: count_newest(path) >= sealed or process.poll() is not None)
        process.kill()


def count_newest(path: Path) -> int:
    """Return how many accounts are sealed with the newest key."""
    newest = names(path)[0]
    return sum(
        read_key_id(text) == newest
        for (text,) in ask_file(path, "SELECT credentials FROM accounts")
    )


def names(path: Path) -> list[str]:
    return [key.id for key in KeyFile(path.with_name("master.db.keys")).read()]


def test_a_rotation_seals_everything_anew_and_drops_the_older_key(tmp_path):
    path = tmp_path / "master.db"
    older = fill(path).writing
    done = rotate_key_file(path, os.urandom)
    assert (done.resealed, done.broken, done.kept, done.dropped) == (ACCOUNTS, [], [], [older])
    assert names(path) == [done.to]
    assert read_all(path) == {done.to: ACCOUNTS}
    assert ask_file(path, "SELECT id FROM vault_keys") == [(done.to,)]
    assert [key.id for key in KeyFile(tmp_path / "master.db.keys.retired").read()] == [older]
    assert older.encode() not in b"".join(file.read_bytes() for file in side_files(path)), (
        "no older value is left over"
    )
    prepare_database(path, Vault(), None)


def test_a_key_that_a_broken_value_names_is_kept_until_the_value_is_gone(tmp_path):
    path = tmp_path / "master.db"
    older = fill(path).writing
    ask_file(
        path,
        "UPDATE accounts SET credentials = substr(credentials, 1, 60) WHERE id = 'account-007'",
    )
    done = rotate_key_file(path, os.urandom)
    assert (done.broken, done.kept) == (["accounts.credentials of account-007"], [older])
    assert names(path) == [done.to, older]
    told = "\n".join(describe_rotation(done, key_file=tmp_path / "master.db.keys"))
    assert "account-007" in told
    prepare_database(path, Vault(), None)
    ask_file(path, "UPDATE accounts SET credentials = NULL WHERE id = 'account-007'")
    again = rotate_key_file(path, os.urandom)
    assert set(again.dropped) == {done.to, older}
    assert names(path) == [again.to]


def test_a_rotation_needs_the_keys_that_are_there_and_a_current_file(tmp_path):
    path = tmp_path / "master.db"
    with pytest.raises(DatabaseFault, match="There is no database"):
        rotate_key_file(path, os.urandom)
    fill(path, 1)
    with lock_keys(path), pytest.raises(KeyFault, match="are being rotated"):
        rotate_key_file(path, os.urandom)
    path.with_name("master.db.keys").rename(tmp_path / "away")
    with pytest.raises(KeyFault, match="is gone"):
        rotate_key_file(path, os.urandom)
    with pytest.raises(KeyFault, match="is missing"):
        rotate_to_first(path, [make_key(os.urandom)], os.urandom)
    old = tmp_path / "old.db"
    upgrade(old)
    ask_file(old, "UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(DatabaseFault, match="run `python -m master db upgrade`"):
        rotate_key_file(old, os.urandom)


def test_with_keys_in_the_setting_everything_is_sealed_with_the_first(tmp_path):
    path = tmp_path / "master.db"
    fill(path)
    [older] = KeyFile(path.with_name("master.db.keys")).read()
    path.with_name("master.db.keys").unlink()
    first = make_key(os.urandom)
    done = rotate_to_first(path, [first, older], os.urandom)
    assert (done.to, done.resealed, done.dropped) == (first.id, ACCOUNTS, [older.id])
    told = "\n".join(describe_rotation(done, key_file=None))
    assert "the first of MASTER_KEYS" in told
    assert f"Nothing in the database needs {older.id}" in told
    vault = Vault()
    prepare_database(path, vault, [first])


async def test_a_rotation_beside_a_master_under_logins_loses_nothing(tmp_path):
    fill(tmp_path / "master.db")
    async with run_child(tmp_path) as (child, crew):
        accounts = [await crew.add_account(f"new-{number}") for number in range(30)]
        before = names(child.path)
        stop = asyncio.Event()
        logged_in: dict[str, str] = {}

        async def keep_logging_in() -> None:
            number = 0
            while not stop.is_set():
                account_id, name = accounts[number % len(accounts)], f"login-{number}"
                await crew.log_in(account_id, name)
                logged_in[account_id] = name
                number += 1

        logins = asyncio.create_task(keep_logging_in())
        await until(lambda: logged_in)
        for _ in range(3):
            code, printed = await child.run("keys", "rotate")
            assert code == 0, printed
            assert not set(before) & set(names(child.path)), (
                "an older key is dropped though Master runs"
            )
            before = names(child.path)
        count = len(logged_in)
        stop.set()
        await logins
        assert count > 0
        assert read_all(child.path) == {before[0]: ACCOUNTS + len(logged_in)}
        shown = {one["id"]: one for one in await crew.register()}
        for account_id, name in logged_in.items():
            assert shown[account_id]["credentials"]["cookies"] == cookies(name)
            assert shown[account_id]["fingerprint"] == {"agent": plant(name)}
        states = {one["login_status"] for one in shown.values()}
        assert "credentials_unreadable" not in states
        code, printed = await child.run("keys", "list")
        assert (code, before[0] in printed) == (0, True)
        assert (
            find_planted(*side_files(child.path), child.output, *(tmp_path / "logs").iterdir())
            == []
        )
    for line in child.output.read_text(encoding="utf-8").splitlines():
        assert '"level":"error"' not in line.replace(" ", "")


async def test_a_master_that_does_not_know_the_first_key_does_not_get_its_values(tmp_path):
    path = tmp_path / "master.db"
    fill(path, 3)
    written = path.with_name("master.db.keys").read_text().splitlines()[-1]
    path.with_name("master.db.keys").unlink()
    new = f"new:{'A' * 43}="
    async with run_child(tmp_path, MASTER_KEYS=written) as (child, _):
        code, printed = await child.run("keys", "rotate", MASTER_KEYS=f"{new},{written}")
        assert (code, "does not know key new" in printed) == (2, True)
        code, printed = await child.run("keys", "rotate")
        assert code == 0, printed
    async with run_child(tmp_path, MASTER_KEYS=f"{new},{written}") as (child, _):
        code, printed = await child.run("keys", "rotate")
        assert (code, "3 values sealed anew with key new, the first of MASTER_KEYS" in printed) == (
            0,
            True,
        ), printed
    async with run_child(tmp_path, MASTER_KEYS=new) as (child, crew):
        assert [one["credentials"]["cookies"] for one in await crew.register()] == [
            cookies(f"account-{number:03}") for number in range(3)
        ]


def test_a_rotation_that_is_killed_anywhere_can_simply_be_run_again(tmp_path):
    path, count = tmp_path / "master.db", 999
    fill(path, count)
    environ = {
        **os.environ,
        "DB_PATH": str(path),
        "LOG_DIR": str(tmp_path / "logs"),
        "PYTHONPATH": str(ROOT),
    }
    rng, met = random.Random(7), set[int]()
    for _ in range(8):
        rotate_and_kill(path, environ, sealed=rng.randrange(count))
        keys = read_all(path)
        assert keys.total() == count
        met.add(len(keys))
        prepare_database(path, Vault(), None)
    assert max(met) > 1, "at least one was killed half-way"
    code, printed = run_master("keys", "rotate", environ=environ)
    assert code == 0, printed
    [only] = names(path)
    assert read_all(path) == {only: count}
    assert ask_file(path, "SELECT id FROM vault_keys") == [(only,)]
