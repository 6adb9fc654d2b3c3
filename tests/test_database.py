"""Migrations from nothing to this version, and the files that Master refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from master.app import Master
from master.clock import ManualClock
from master.model import WorkerStatus
from master.operations.views import list_views, save_view
from master.protocol.views import NewView, ViewsQuery
from master.settings import load_settings
from master.store.schema import metadata
from master.store.sqlite.upgrade import DatabaseFault, check, reset, upgrade
from tests.conftest import Bench, registration
from tests.stored import check_farm


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


OLDER = Path(__file__).parent / "older"
"""A file that a killed Master of an older version left, and its keys."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    path = tmp_path / "master.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript((OLDER / "version-0003.sql").read_text(encoding="utf-8"))
    keys = path.with_name("master.db.keys")
    keys.write_bytes((OLDER / "version-0003-keys.txt").read_bytes())
    keys.chmod(0o600)
    return path


async def test_a_database_of_the_version_before_opens_and_goes_on(older: Path):
    clock = ManualClock()
    bench = Bench(
        Master(load_settings({"PORT": "0", "DB_PATH": str(older)}, None), clock=clock), clock
    )
    await bench.master.start(sweeps=False)
    try:
        await bench.master.check_secrets()
        check_farm(bench.master.memory.farm, older)
        assert bench.master.memory.farm.workers.get("worker-1").status is WorkerStatus.DISCONNECTED
        statuses = {
            one.account_name: one.login_status for one in bench.master.memory.farm.accounts.all()
        }
        assert statuses == {"a": "logged_in", "b": "logging_in"}
        worker, admin, device = (
            await bench.connect("worker"),
            await bench.connect("admin"),
            await bench.device(),
        )
        answer = await worker.ask("worker:register", registration("worker-1"))
        first, second = sorted(answer["accounts"], key=lambda account: account["account_name"])
        assert (first["credentials"], first["fingerprint"]) == (
            {"cookies": [{"value": "v"}]},
            {"x": 1},
        )
        assert first["proxy"] == {
            "server": "h:1",
            "protocol": "http",
            "username": "me",
            "password": "pw",
        }
        assert (first["epoch"], second["epoch"], second["account_id"]) == (1, 1, "on-platform")
        [login] = bench.master.memory.farm.logins.all()
        report = {"session_id": login.id, "status": "success", "cookies": [{"value": "new"}]}
        assert (await worker.ask("worker:login:status", report))["status"] == "success"
        assert (await admin.hear("login:success"))["account_id"] == second["id"]
        again = {"platform_comment_id": "c1", "content": "x"}
        messages = [again, again | {"platform_comment_id": "c2"}]
        report = {"type": "comment", "account_id": first["id"], "messages": messages}
        stored = await worker.ask("worker:message:detected", report)
        assert (stored["inserted"], stored["duplicates"]) == (1, 1)
        await device.hear("notification:new", 2)
        assert [one["seq"] for one in device.all("notification:new")] == [1, 2]
        view = await bench.run(save_view, NewView(name="Paused", url="#/accounts?status=paused"))
        listed = await bench.master.turns.look(list_views, ViewsQuery())
        assert list(listed.rows) == [view]
        check_farm(bench.master.memory.farm, older)
    finally:
        for peer in bench.peers:
            await peer.close()
        await bench.master.close()
    assert check(older) == []


PROFILE = {
    "nickname": "N",
    "sessionid": "planted-secret",
    "cookies": [{"name": "a", "value": "planted-secret"}],
}


async def test_what_the_version_before_stored_too_large_is_cut_and_a_profile_is_sealed(older: Path):
    large = orjson.dumps(
        {"capabilities": ["douyin"], "maxAccounts": 9, "junk": ["x"] * 500_000}
    ).decode()
    whole = orjson.dumps({"nickname": "N", "junk": ["x"] * 500_000}).decode()
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("UPDATE workers SET metadata = ?", (large,))
        connection.execute("UPDATE accounts SET user_info = ?", (whole,))
        connection.execute(
            "UPDATE accounts SET user_info = ? WHERE account_name = 'a'", (orjson.dumps(PROFILE),)
        )
        connection.commit()
    clock = ManualClock()
    bench = Bench(
        Master(load_settings({"PORT": "0", "DB_PATH": str(older)}, None), clock=clock), clock
    )
    await bench.master.start(sweeps=False)
    try:
        with closing(sqlite3.connect(older)) as connection:
            sizes = (
                "SELECT max(length(metadata)) FROM workers "
                "UNION SELECT max(length(user_info)) FROM accounts"
            )
            assert all(size < 1_000 for (size,) in connection.execute(sizes))
        check_farm(bench.master.memory.farm, older)
        assert bench.master.memory.farm.workers.get("worker-1").max_accounts == 9
        profiles = {
            one.account_name: one.user_info for one in bench.master.memory.farm.accounts.all()
        }
        assert profiles == {"a": {"nickname": "N"}, "b": {"nickname": "N"}}
        worker = await bench.connect("worker")
        answer = await worker.ask("worker:register", registration("worker-1"))
        told = {one["account_name"]: one["user_info"] for one in answer["accounts"]}
        assert told == {"a": PROFILE, "b": {"nickname": "N"}}
    finally:
        for peer in bench.peers:
            await peer.close()
        await bench.master.close()
    assert check(older) == []
    with closing(sqlite3.connect(older)) as connection:
        assert "planted-secret" not in "\n".join(connection.iterdump())


def test_the_migrations_make_what_the_schema_says(tmp_path: Path):
    path = tmp_path / "master.db"
    upgrade(path)
    # SQLite does not report an index's direction, so one made with DESC always differs
    descending = ("idx_comments_detected", "idx_direct_messages_detected")
    options = {
        "compare_type": False,
        "include_object": lambda thing, name, kind, *_: kind != "index" or name not in descending,
    }
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert (
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        )
    engine.dispose()
