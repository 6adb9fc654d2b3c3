"""Worker configurations are authenticated: without a key, an edited file runs no program."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from master.app import Master
from master.clock import ManualClock
from master.endpoints import ROOT
from master.settings import load_settings
from master.store.sqlite.backup import back_up, restore
from master.store.sqlite.rotation import rotate_key_file
from tests.security.crew import ask_file

NOW = 1_790_000_000.0
OLDER = Path(__file__).parents[1] / "older"


class House:
    """A Master over HTTP, and its worker processes."""

    def __init__(self, master: Master, web: aiohttp.ClientSession) -> None:
        self.master = master
        self._web = web

    async def call(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.master.port}{ROOT}/{path}"
        async with self._web.request(method, url, json=body or None) as answer:
            return answer.status, await answer.json()

    @property
    def running(self) -> list[str]:
        return [
            one.worker_id for one in self.master.supervisor.statuses() if one.state == "running"
        ]

    async def alarms(self) -> list[str]:
        _, answer = await self.call("GET", "notifications")
        return [one["content"] for one in answer["data"] if one["type"] == "system"]


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[House]:
    settings = load_settings(
        {"PORT": "0", "DB_PATH": str(path), "LOG_DIR": str(path.parent / "logs")}, None
    )
    master = Master(settings, clock=ManualClock(NOW))
    try:
        await master.start(sweeps=False)
        async with aiohttp.ClientSession() as web:
            yield House(master, web)
    finally:
        await master.close()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database with two configurations written by Master."""
    path = tmp_path / "master.db"
    async with running(path) as house:
        for number in (1, 2):
            status, _ = await house.call(
                "POST",
                "worker-configs",
                worker_id=f"worker-{number}",
                command=sys.executable,
                args=["-c", "import time; time.sleep(600)"],
                env={"A": "1", "B": "2"},
                auto_start=True,
            )
            assert status == 201
    return path


async def test_a_configuration_that_master_wrote_starts_with_it_whatever_changed_in_between(path):
    async with running(path) as house:
        assert house.running == ["worker-1", "worker-2"]
        status, answer = await house.call("PUT", "worker-configs/worker-1", max_accounts=3)
        assert (status, answer["worker_config"]["verified"]) == (200, True)
    rotate_key_file(path, os.urandom)
    async with running(path) as house:
        assert house.running == ["worker-1", "worker-2"]
        assert await house.alarms() == []


HARMS = {
    "the command": "UPDATE worker_configs SET command = '/bin/sh' WHERE worker_id = 'worker-1'",
    "the arguments": 'UPDATE worker_configs SET args = \'["-c", "import evil"]\' WHERE worker_id '
    "= 'worker-1'",
    "the environment": 'UPDATE worker_configs SET env = \'{"LD_PRELOAD": "/tmp/x"}\' WHERE '
    "worker_id = 'worker-1'",
    "the seal away": "UPDATE worker_configs SET command = '/bin/sh', seal = NULL WHERE worker_id = "
    "'worker-1'",
    "another's seal": (
        "UPDATE worker_configs SET command = '/bin/sh', seal = (SELECT seal FROM worker_configs "
        "WHERE worker_id = 'worker-2') WHERE worker_id = 'worker-1'"
    ),
    "the name": "UPDATE worker_configs SET worker_id = 'worker-0' WHERE worker_id = 'worker-1'",
    "a seal that is none": "UPDATE worker_configs SET seal = 'v1:x', auto_restart = 1 WHERE "
    "worker_id = 'worker-1'",
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
@pytest.mark.parametrize("where", ["the file", "a backup"])
async def test_a_configuration_that_somebody_else_wrote_runs_nothing_and_an_alarm_says_so(
    path, tmp_path, harm, where
):
    if where == "a backup":
        back_up(path, tmp_path / "backup.db")
        ask_file(tmp_path / "backup.db", harm)
        restore(path, tmp_path / "backup.db", None, NOW)
    else:
        ask_file(path, harm)
    async with running(path) as house:
        assert house.running == ["worker-2"]
        [alarm] = await house.alarms()
        name = "worker-0" if "worker-0" in harm else "worker-1"
        assert f"({name})" in alarm
        for action in ("start", "restart"):
            status, answer = await house.call("POST", f"workers/{name}/lifecycle/{action}")
            assert (status, answer["error"]["code"]) == (409, "config_unverified")
        status, answer = await house.call("PUT", f"worker-configs/{name}", auto_start=True)
        assert (status, answer["error"]["code"]) == (409, "config_unverified"), (
            "changing a part would authenticate the rest"
        )
        assert (await house.call("GET", f"worker-configs/{name}"))[1]["worker_config"][
            "verified"
        ] is False
        assert (await house.call("DELETE", f"worker-configs/{name}"))[0] == 200
        body = {"worker_id": name, "command": sys.executable, "args": ["-c", "pass"]}
        assert (await house.call("POST", "worker-configs", **body))[0] == 201
        assert (await house.call("POST", f"workers/{name}/lifecycle/start"))[0] == 200


async def test_a_configuration_that_is_added_to_the_file_runs_nothing(path):
    columns = "args, env, max_accounts, auto_start, auto_restart, created_at, updated_at"
    ask_file(
        path,
        f"INSERT INTO worker_configs (worker_id, command, {columns}) "  # noqa: S608
        f"SELECT 'a-new-one', '/bin/sh', {columns} FROM worker_configs LIMIT 1",
    )
    async with running(path) as house:
        assert house.running == ["worker-1", "worker-2"]
        assert len(await house.alarms()) == 1


def make_older(folder: Path) -> Path:
    path = folder / "older.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((OLDER / "version-0003.sql").read_text(encoding="utf-8"))
        connection.execute(
            'UPDATE worker_configs SET auto_start = 1, command = ?, args = \'["-c", "pass"]\'',
            (sys.executable,),
        )
        connection.commit()
    keys = path.with_name("older.db.keys")
    keys.write_bytes((OLDER / "version-0003-keys.txt").read_bytes())
    keys.chmod(0o600)
    return path


async def test_the_first_start_of_this_version_trusts_what_its_own_file_contains(tmp_path):
    async with running(make_older(tmp_path)) as house:
        assert [one.worker_id for one in house.master.supervisor.statuses()] == ["worker-1"]
        assert await house.alarms() == []


async def test_a_backup_of_before_configurations_were_authenticated_runs_nothing(tmp_path):
    older = make_older(tmp_path)
    path = tmp_path / "master.db"
    older.with_name("older.db.keys").rename(tmp_path / "master.db.keys")
    restore(path, older, None, NOW)
    async with running(path) as house:
        assert house.master.supervisor.statuses() == []
        assert len(await house.alarms()) == 1
    async with running(path) as house:
        assert house.master.supervisor.statuses() == [], "a further start accepts nothing either"


TOLD = ("variant", "content_type", "edited_at", "earlier_content")
LATER = {
    "workers": (
        "drain_since", "drain_deadline", "drain_reason", "drain_by", "drain_moved", "drain_done",
    ),
    "accounts": (
        "proxy_id", "tags", "note", "state_since", "state_reason", "state_detail", "cookies_told",
    ),
    "login_sessions": ("accept_identity", "status_before"),
}  # fmt: skip
BACK = (
    "DROP TABLE maintenance",
    "DROP INDEX idx_accounts_proxy",
    "DROP TABLE events",
    *(
        statement
        for table, name in (("comments", "comment"), ("direct_messages", "message"))
        for statement in (
            f"DROP INDEX idx_{table}_page",
            f"CREATE INDEX idx_{table}_account ON {table}(account_id)",
            f"DROP INDEX uq_{table}_platform",
            f"CREATE UNIQUE INDEX uq_{table}_platform ON {table}(account_id, platform_{name}_id)",
            *(f"ALTER TABLE {table} DROP COLUMN {column}" for column in TOLD),
        )
    ),
    *(
        f"ALTER TABLE {table} DROP COLUMN {column}"
        for table, columns in LATER.items()
        for column in columns
    ),
    "DROP TABLE console_views",
    "DROP TABLE login_links",
    "DROP TABLE account_holders",
    "ALTER TABLE comments DROP COLUMN reported_by",
    "ALTER TABLE direct_messages DROP COLUMN reported_by",
    "DROP INDEX idx_accounts_pinned",
    "DROP INDEX idx_login_sessions_worker",
    "ALTER TABLE accounts DROP COLUMN profile",
    "DROP INDEX idx_login_sessions_created",
    "ALTER TABLE worker_configs DROP COLUMN seal",
    "UPDATE worker_configs SET command = '/bin/sh'",
)
WAYS = {
    "0003": ["UPDATE alembic_version SET version_num = '0003'"],
    "0003, its proofs removed": ["UPDATE alembic_version SET version_num = '0003'",
    "DELETE FROM vault_keys"], "0001": [
        "UPDATE alembic_version SET version_num = '0001'", "DROP TABLE vault_keys",
        "DROP INDEX idx_comments_read", "DROP INDEX idx_direct_messages_read",
    ],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_file_that_is_set_back_to_an_older_version_is_not_trusted_again(path, way):
    for statement in (*BACK, *way):
        ask_file(path, statement)
    async with running(path) as house:
        assert house.running == []
        assert len(await house.alarms()) == 1
