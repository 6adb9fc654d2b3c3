"""Master's files: their permissions, what remains in them, and a start on a bad disk."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from master.__main__ import main
from master.keys import MAX_KEYS, KeyFault, KeyFile, make_key
from master.logs import close_logs, configure_logs
from master.operations.retention import fold_log
from master.store.sqlite.keyring import prepare_database
from master.store.sqlite.rotation import describe_rotation, rotate_key_file
from master.store.sqlite.upgrade import SAFE, DatabaseFault, lock_database, open_file
from master.vault import Vault
from tests.security.crew import run_child, side_files
from tests.security.test_rotation import fill, names, read_all
from tests.waiting import PATIENCE_S
from tests.walks.test_logins import start

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are Unix's")


def modes(folder: Path) -> dict[str, int]:
    """Return the modes of all files in a folder that others than their owner may read."""
    found = {
        str(one.relative_to(folder)): stat.S_IMODE(one.stat().st_mode)
        for one in folder.rglob("*")
        if one.is_file()
    }
    return {name: mode for name, mode in found.items() if mode & 0o077}


async def test_no_file_of_a_running_master_can_be_read_by_others(tmp_path):
    before = os.umask(0o022)
    try:
        async with run_child(tmp_path) as (child, crew):
            await crew.add_account("one")
            body = {"worker_id": "w", "command": "/bin/echo", "args": ["hello"]}
            await crew.call("POST", "/worker-configs", **body)
            await crew.call("POST", "/workers/w/lifecycle/start")
            await child.run("db", "backup", str(tmp_path / "backup.db"))
            await child.run("keys", "rotate")
            child.output.chmod(0o600)  # the test's own
            present = {one.name for one in tmp_path.rglob("*") if one.is_file()}
            assert {
                "master.log",
                "w.log",
                "backup.db",
                "master.db-wal",
                "master.db.lock",
                "master.db.keys",
            } <= present
            assert modes(tmp_path) == {}
    finally:
        os.umask(before)


async def test_files_that_an_older_version_left_open_to_all_are_closed_at_a_start(tmp_path):
    path, logs = tmp_path / "master.db", tmp_path / "logs"
    fill(path, 1)
    logs.mkdir()
    for name in ("master.db", "master.db.lock", "logs/master.log", "logs/master.log.1"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    with lock_database(path):
        prepare_database(path, Vault(), None)
    configure_logs("info", logs, development=False)
    close_logs()
    assert modes(tmp_path) == {}


async def test_the_code_of_a_login_that_has_ended_is_in_no_file_once_the_log_was_emptied(bench):
    _, worker, account, session = await start(bench)
    shown = {
        "session_id": session,
        "account_id": account["id"],
        "qr_code_data": "data:image/png;base64," + "Q" * 5_000,
    }
    assert (await worker.ask("worker:login:qrcode", shown))["success"]
    path = bench.master.settings.db_path
    assert b"Q" * 1_000 in b"".join(file.read_bytes() for file in side_files(path)), (
        "else this proves nothing"
    )
    await worker.ask("worker:login:status", {"session_id": session, "status": "failed"})
    await bench.run(fold_log)
    await bench.run(fold_log)  # the first fold is answered before the log is empty
    assert path.with_name(path.name + "-wal").stat().st_size == 0
    assert b"Q" * 100 not in b"".join(file.read_bytes() for file in side_files(path))


async def test_a_log_that_is_being_read_is_emptied_later_without_a_wait(bench):
    await start(bench)
    with closing(sqlite3.connect(bench.master.settings.db_path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM accounts").fetchone()
        await bench.worker("worker-2")
        assert not await bench.master.database.fold_log()
    assert await bench.master.database.fold_log()


def test_every_connection_trusts_no_schema(tmp_path):
    prepare_database(tmp_path / "master.db", Vault(), None)
    assert "trusted_schema=OFF" in SAFE
    with open_file(tmp_path / "master.db") as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)


async def test_masters_own_connections_trust_no_schema(bench):
    async with bench.master.database.read() as connection:
        assert (await connection.exec_driver_sql("PRAGMA trusted_schema")).scalar_one() == 0
    async with bench.master.database.write() as transaction:
        connection = await transaction.connect()
        assert (await connection.exec_driver_sql("PRAGMA trusted_schema")).scalar_one() == 0


@pytest.mark.parametrize("count", [MAX_KEYS, MAX_KEYS + 1])
def test_rotations_that_were_killed_a_hundred_times_are_finished_by_the_next(tmp_path, count):
    path = tmp_path / "master.db"
    fill(path, 3)
    file = KeyFile(tmp_path / "master.db.keys")
    file.replace([*(make_key(os.urandom) for _ in range(count - 1)), *file.read()])
    prepare_database(path, Vault(), None)
    done = rotate_key_file(path, os.urandom)
    assert (done.is_new, done.resealed, len(done.dropped)) == (False, 3, count - 1)
    assert "No new key was made" in "\n".join(describe_rotation(done, key_file=file.path))
    assert names(path) == [done.to]
    assert len(KeyFile(tmp_path / "master.db.keys.retired").read()) == count - 1
    assert rotate_key_file(path, os.urandom).is_new
    assert read_all(path).total() == 3


def test_a_rotation_removes_the_keys_that_a_killed_one_left(tmp_path):
    path = tmp_path / "master.db"
    fill(path, 1)
    left = tmp_path / "master.db.keys.4711.new"
    left.write_text("k-1:key")
    rotate_key_file(path, os.urandom)
    assert not left.exists()


def fail(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> int:
    def refuse(*_: object) -> int:
        try:
            raise fault
        except (OSError, sqlite3.Error) as cause:
            kind = DatabaseFault if isinstance(cause, sqlite3.Error) else KeyFault
            raise kind("It cannot be used.") from None

    monkeypatch.setattr("master.__main__._serve", refuse)
    return main([])


def test_what_the_disk_refuses_at_a_start_may_pass_and_has_a_code_of_its_own(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("DB_PATH", str(tmp_path / "master.db"))
    before = os.umask(0o022)
    try:
        for number in (errno.ENOSPC, errno.EIO, errno.EMFILE):
            assert fail(monkeypatch, OSError(number, os.strerror(number))) == 3
        for number in (errno.EACCES, errno.ENOENT, errno.EADDRINUSE):
            assert fail(monkeypatch, OSError(number, os.strerror(number))) == 2
        for code, wanted in (
            (sqlite3.SQLITE_FULL, 3),
            (sqlite3.SQLITE_IOERR_WRITE, 3),
            (sqlite3.SQLITE_NOTADB, 2),
        ):
            fault = sqlite3.OperationalError("said")
            fault.sqlite_errorcode = code
            assert fail(monkeypatch, fault) == wanted
    finally:
        os.umask(before)
    assert capsys.readouterr().err.count("It cannot be used.") == 9


def test_a_master_whose_disk_accepts_no_byte_ends_with_that_code(tmp_path):
    path = tmp_path / "master.db"
    fill(path, 1)
    environ = {
        **os.environ,
        "DB_PATH": str(path),
        "LOG_DIR": str(tmp_path / "logs"),
        "PORT": "0",
        "APP_ENV": "test",
    }
    command = ["/bin/sh", "-c", f"ulimit -f 0; exec {sys.executable} -m master"]
    done = subprocess.run(
        command,
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "cannot be used as a database" in done.stderr


def test_the_unit_that_is_shown_starts_again_after_that_code_and_never_gives_up():
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    unit = page.partition("```ini\n[Unit]")[2].partition("```")[0]
    assert "RestartPreventExitStatus=2\n" in unit
    assert "StartLimitIntervalSec=0\n" in unit
    assert "RestartSec=" in unit
