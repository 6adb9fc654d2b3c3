"""A start with keys that are missing, wrong or too open, and with values that do not open."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

from master.app import Master
from master.clock import ManualClock
from master.keys import KeyFault, KeyFile, make_key
from master.settings import load_settings
from master.store.sqlite.keyring import prepare_database
from master.store.sqlite.upgrade import DatabaseFault, check
from master.vault import Vault, open_vault
from tests.security.crew import ask_file, cookies, find_planted, plant, run_master, side_files
from tests.waiting import PATIENCE_S
from tests.walks.test_logins import start
from tests.walks.test_workers import make_account, read_account


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with two accounts and a proxy whose secrets are sealed."""
    path = tmp_path / "master.db"
    vault = Vault()
    prepare_database(path, vault, None)
    for number in (1, 2):
        row_id = f"account-{number}"
        ask_file(
            path,
            "INSERT INTO accounts (id, platform, account_name, account_id, login_status, "
            "credentials, fingerprint, "
            "created_at, updated_at) VALUES (?, 'douyin', 'n', ?, 'logged_in', ?, ?, 0, 0)",
            row_id,
            row_id,
            vault.seal("accounts.credentials", row_id, {"cookies": cookies(row_id)}),
            vault.seal("accounts.fingerprint", row_id, {"agent": plant(row_id)}),
        )
    ask_file(
        path,
        "INSERT INTO proxies (id, name, server, protocol, password, created_at, updated_at) "
        "VALUES ('proxy-1', 'p', 'h:1', 'http', ?, 0, 0)",
        vault.seal("proxies.password", "proxy-1", plant("proxy")),
    )
    return path


def settings_of(path: Path, **environ: str):
    return load_settings(
        {"PORT": "0", "DB_PATH": str(path), "LOG_DIR": str(path.parent), **environ}, None
    )


async def read_states(path: Path) -> dict[str, str]:
    """Start a Master on the file, stop it, and return each account's login status."""
    master = Master(settings_of(path), clock=ManualClock())
    try:
        await master.start(sweeps=False)
        await master.check_secrets()  # a start does it beside everything else
    finally:
        await master.close()
    return dict(ask_file(path, "SELECT id, login_status FROM accounts"))


async def test_a_first_start_makes_a_key_file_and_a_second_one_uses_it(tmp_path):
    path = tmp_path / "master.db"
    await read_states(path)
    made = (tmp_path / "master.db.keys").read_bytes()
    await read_states(path)
    assert (tmp_path / "master.db.keys").read_bytes() == made
    assert (tmp_path / "master.db.keys").stat().st_mode & 0o777 == 0o600


def lose_keys(path: Path) -> None:
    path.with_name("master.db.keys").unlink()


def change_key(path: Path) -> None:
    file = KeyFile(path.with_name("master.db.keys"))
    [old] = file.read()
    new = make_key(os.urandom)
    file.replace([type(old)(old.id, new.secret)])


def exchange_keys(path: Path) -> None:
    KeyFile(path.with_name("master.db.keys")).replace([make_key(os.urandom)])


def open_to_all(path: Path) -> None:
    path.with_name("master.db.keys").chmod(0o644)


TROUBLES = [
    (
        lose_keys,
        r"^The key file .*master.db.keys is gone, and 5 values in .* cannot be opened without",
    ),
    (change_key, r"^Key k-\w+ differs from the key of that name that sealed 5 values in"),
    (exchange_keys, r"^Key k-\w+ is missing, needed by 5 values in .*: put it back"),
    (open_to_all, r"^The key file .* has mode 0644, others may read it; run: chmod 600 "),
]


@pytest.mark.parametrize(("harm", "said"), TROUBLES, ids=[harm.__name__ for harm, _ in TROUBLES])
async def test_keys_that_do_not_serve_stop_the_start_in_one_line(database, harm, said):
    harm(database)
    with pytest.raises(KeyFault, match=said) as caught:
        await read_states(database)
    assert "\n" not in str(caught.value)
    environ = {
        **os.environ,
        "DB_PATH": str(database),
        "LOG_DIR": str(database.parent / "logs"),
        "PORT": "0",
    }
    environ |= {"PYTHONPATH": str(Path(__file__).parents[2]), "APP_ENV": "test"}
    code, printed = run_master(environ=environ)
    assert code == 2
    assert [line for line in printed.splitlines() if not line.startswith("{")] == [
        str(caught.value)
    ]
    if harm is lose_keys:
        assert not database.with_name("master.db.keys").exists(), (
            "a new file would hide what happened"
        )


async def test_keys_of_the_setting_win_and_are_checked_as_well(database):
    [key] = KeyFile(database.with_name("master.db.keys")).read()
    written = database.with_name("master.db.keys").read_text().splitlines()[-1]
    lose_keys(database)
    with pytest.raises(KeyFault, match=f"Key {key.id} is missing"):
        prepare_database(database, Vault(), [make_key(os.urandom)])
    settings = settings_of(database, MASTER_KEYS=written)
    prepare_database(database, Vault(), settings.read_keys())
    assert not database.with_name("master.db.keys").exists()


TAMPERED = {
    "changed": "credentials = CAST(credentials || x'ff' AS BLOB)",
    "changed to no text": "credentials = credentials || x'ff'",
    "cut": "credentials = substr(credentials, 1, 40)",
    "emptied": "credentials = ''",
    "plain": "credentials = '{\"cookies\": []}'",
    "number": "credentials = 7",
    "fingerprint": "fingerprint = substr(fingerprint, 1, 50)",
    "of another row": "credentials = (SELECT credentials FROM accounts WHERE id = 'account-2')",
    "of another column": "credentials = fingerprint",
    "unknown key": "credentials = CAST('v1:k-00000000:AAAA' AS BLOB)",
}


@pytest.mark.parametrize("harm", TAMPERED.values(), ids=TAMPERED)
async def test_one_value_that_does_not_open_is_no_crash(database, harm):
    before = dict(ask_file(database, "SELECT id, credentials FROM accounts"))
    prints = dict(ask_file(database, "SELECT id, fingerprint FROM accounts"))
    ask_file(database, f"UPDATE accounts SET {harm} WHERE id = 'account-1'")  # noqa: S608
    assert await read_states(database) == {
        "account-1": "credentials_unreadable",
        "account-2": "logged_in",
    }
    for row_id, text in before.items():
        query = "UPDATE accounts SET credentials = ?, fingerprint = ? WHERE id = ?"
        ask_file(database, query, text, prints[row_id], row_id)
    assert await read_states(database) == {"account-1": "logged_in", "account-2": "logged_in"}


async def test_two_rows_with_each_others_values_are_both_unreadable(database):
    one, other = (
        text for (text,) in ask_file(database, "SELECT credentials FROM accounts ORDER BY id")
    )
    for row_id, text in ("account-1", other), ("account-2", one):
        ask_file(database, "UPDATE accounts SET credentials = ? WHERE id = ?", text, row_id)
    assert set((await read_states(database)).values()) == {"credentials_unreadable"}


async def test_a_start_looks_at_every_stored_secret_once_its_port_is_open(database):
    ask_file(
        database,
        "UPDATE accounts SET credentials = substr(credentials, 1, 40) WHERE id = 'account-1'",
    )
    master = Master(settings_of(database))
    looked_at_port = []
    found = "SELECT id FROM accounts WHERE login_status = 'credentials_unreadable'"

    async def check_secrets() -> None:
        looked_at_port.append(master.port)
        await Master.check_secrets(master)

    master.check_secrets = check_secrets
    await master.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while ask_file(database, found) == []:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)
    finally:
        await master.close()
    assert ask_file(database, found) == [("account-1",)]
    assert 0 not in looked_at_port


SUCCESS = {"status": "success", "cookies": cookies("new")}


async def log_in(bench, worker, account_id, **changes):
    begun = await bench.peers[-1].ask("master:login:start", {"account_id": account_id})
    return await worker.ask(
        "worker:login:status", {"session_id": begun["session_id"], **SUCCESS, **changes}
    )


@pytest.mark.parametrize("column", ["credentials", "fingerprint"])
async def test_an_unreadable_account_is_shown_is_handed_out_without_and_is_repaired_by_a_login(
    bench, column
):
    admin, worker, account, session = await start(bench)
    await worker.ask(
        "worker:login:status",
        {"session_id": session, **SUCCESS, "fingerprint": {"agent": plant("a")}},
    )
    heard = len(worker.all("master:task:assign"))
    harm = f"UPDATE accounts SET {column} = substr({column}, 1, 40)"  # noqa: S608
    await asyncio.to_thread(ask_file, bench.master.settings.db_path, harm)
    await bench.advance(30)
    handed = (await worker.hear("master:task:assign", heard + 1))["accounts"][0]
    assert (handed["credentials"], handed["fingerprint"]) == ({"cookies": []}, None)
    assert handed["login_status"] == "credentials_unreadable"
    assert (await admin.hear("account:status", len(admin.all("account:status"))))[
        "login_status"
    ] == ("credentials_unreadable")
    assert (await read_account(bench, account["id"]))["login_status"] == "credentials_unreadable"

    failed = await log_in(bench, worker, account["id"], status="failed")
    assert failed["status"] == "failed"
    shown = await read_account(bench, account["id"])
    assert shown["login_status"] == "credentials_unreadable", "a failed login repairs nothing"

    assert (await log_in(bench, worker, account["id"], cookies=None))["status"] == "success"
    shown = await read_account(bench, account["id"])
    assert shown["login_status"] == "credentials_unreadable", "nor does a success without cookies"
    assert (await log_in(bench, worker, account["id"]))["status"] == "success"
    assert (await read_account(bench, account["id"]))["login_status"] == "logged_in"
    handed = (await worker.hear("master:task:assign", heard + 3))["accounts"][0]
    assert handed["credentials"] == {"cookies": cookies("new")}
    assert handed["fingerprint"] == (None if column == "fingerprint" else {"agent": plant("a")})


def make_plain_database(path: Path) -> None:
    """A database as version 0001 left it, with removed accounts' cookies in its free pages."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA secure_delete=OFF")
        connection.executescript(
            import_module("master.store.migrations.versions.0001_first").STATEMENTS
        )
        connection.execute(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
        )
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        values = [(f"account-{number}", plant(str(number)) * 200) for number in range(100)]
        connection.executemany(
            """INSERT INTO accounts (id, platform, account_name, account_id, login_status,
               credentials, fingerprint, created_at, updated_at)
               VALUES (?1, 'douyin', 'n', ?1, 'logged_in',
               json_object('cookies', json_array(json_object('value', ?2))),
               json_object('agent', ?2), 0, 0)""",
            values,
        )
        connection.execute(
            "UPDATE accounts SET credentials = '{\"cookies\": []}' WHERE id = 'account-18'"
        )
        connection.execute("DELETE FROM accounts WHERE rowid > 20")
        connection.execute(
            """INSERT INTO proxies (id, name, server, protocol, password, created_at, updated_at)
               VALUES ('p', 'p', 'h:1', 'http', ?, 0, 0)""",
            (f"v1:{plant('proxy')}",),
        )
        connection.commit()
    assert find_planted(*side_files(path)), "a search that finds nothing here proves nothing below"


def check_sealed(path: Path) -> None:
    assert check(path) == []
    assert find_planted(*path.parent.iterdir()) == []
    vault = open_vault(path)
    [(text,)] = ask_file(path, "SELECT credentials FROM accounts WHERE id = 'account-7'")
    assert vault.open("accounts.credentials", "account-7", text) == {
        "cookies": [{"value": plant("7") * 200}]
    }
    assert ask_file(path, "SELECT credentials FROM accounts WHERE id = 'account-18'") == [(None,)]
    [(text,)] = ask_file(path, "SELECT password FROM proxies")
    assert vault.open("proxies.password", "p", text) == f"v1:{plant('proxy')}"
    assert ask_file(path, "SELECT name FROM counters") == [("notification_seq",)]


async def test_an_older_database_is_sealed_and_nothing_plain_is_left(tmp_path):
    path = tmp_path / "master.db"
    make_plain_database(path)
    states = await read_states(path)
    assert set(states.values()) == {"logged_in"}
    check_sealed(path)


def test_a_migration_that_was_killed_before_the_file_was_written_anew_is_finished(
    tmp_path, monkeypatch
):
    path = tmp_path / "master.db"
    make_plain_database(path)
    with monkeypatch.context() as patch:
        patch.setattr("master.store.sqlite.upgrade._remove_plain_text", lambda path: None)
        prepare_database(path, Vault(), None)
    assert find_planted(path)
    prepare_database(path, Vault(), None)
    check_sealed(path)


def test_a_reader_that_keeps_plain_text_alive_is_named(tmp_path, monkeypatch):
    path = tmp_path / "master.db"
    make_plain_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM accounts").fetchone()
        monkeypatch.setattr("master.store.sqlite.upgrade.READERS_LEAVE_S", 0.1)
        with pytest.raises(DatabaseFault, match="Another program reads"):
            prepare_database(path, Vault(), None)
    prepare_database(path, Vault(), None)
    check_sealed(path)


async def test_a_proxy_whose_password_does_not_open_lets_no_login_start(bench):
    path = bench.master.settings.db_path
    account = await make_account(bench)
    worker, admin = await bench.worker(), await bench.connect("admin")
    assert (await admin.ask("master:login:start", {"account_id": account["id"]}))["success"], (
        "no proxy is set yet"
    )
    vault = open_vault(path)
    password = vault.seal("proxies.password", "another", plant("proxy"))
    await asyncio.to_thread(
        ask_file,
        path,
        "INSERT INTO proxies VALUES ('p', 'p', 'h:1', 'http', 'me', ?, 'active', 0, 0)",
        password,
    )
    await asyncio.to_thread(
        ask_file,
        path,
        "INSERT INTO worker_configs VALUES ('worker-1', NULL, '[]', '{}', 'p', NULL, 0, 0, 0, 0, "
        "NULL)",
    )
    await bench.master.turns.load_farm()
    refused = await admin.ask("master:login:start", {"account_id": account["id"]})
    assert refused["error"]["code"] == "proxy_unreadable"
    worker = await bench.connect("worker")
    [shown] = (
        await worker.ask("worker:register", {"workerId": "worker-1", "capabilities": ["douyin"]})
    )["accounts"]
    assert shown["proxy"] == {
        "server": "h:1",
        "protocol": "http",
        "username": "me",
        "password": None,
    }
    assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    assert worker.all("master:login:start") == [], (
        "the login that is open is not told again without its proxy"
    )
