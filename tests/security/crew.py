"""A real Master as a child process, and peers that log accounts in with planted cookies."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp

from simulator.actors.transport import open_http_session
from simulator.trials.master_process import MasterProcess, choose_port
from tests.conftest import Peer, registration
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
MARK = "planted\u2009secret/+"
"""Part of every planted secret; JSON may escape it, and base64 shifts it."""


def plant(name: str) -> str:
    return f"{MARK}-{name}"


def cookies(name: str) -> list[dict[str, str]]:
    return [{"name": "sid", "value": plant(name), "domain": ".example.org"}]


def find_planted(*files: Path) -> list[str]:
    """Return where a planted secret is readable: raw, as escaped JSON, or in base64."""
    raw = MARK.encode()
    looks = {"raw": raw, "escaped": json.dumps(MARK)[1:-1].encode()}
    for shift in range(3):
        whole = base64.b64encode(b"x" * shift + raw)
        looks[f"base64+{shift}"] = whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]
    return [
        f"{file.name}: {name}"
        for file in files
        for name, look in looks.items()
        if look in file.read_bytes()
    ]


class Crew:
    """One admin, one worker and one device of the Master on this port."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.session, self.port = session, port
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.admin, self.worker, self.device = Peer("/admin"), Peer("/worker"), Peer("/client")

    async def connect(self) -> None:
        await self.admin.connect(self.port)
        await self.worker.connect(self.port)
        await self.device.connect(self.port)
        await self.register()
        assert (await self.device.ask("client:register", {"device_id": "device-1"}))["success"]

    async def register(self) -> list[dict[str, Any]]:
        """Register and return the accounts that the worker receives."""
        before = len(self.worker.all("master:task:assign"))
        answer = await self.worker.ask("worker:register", registration(maxAccounts=1_000))
        assert answer["success"], answer
        found = {account["id"]: account for account in answer["accounts"]}
        while len(found) < answer["accountsTotal"]:
            before += 1
            told = await self.worker.hear("master:task:assign", before)
            found |= {account["id"]: account for account in told["accounts"]}
        return list(found.values())

    async def call(self, method: str, path: str, **body: Any) -> Any:
        async with self.session.request(method, self.url + path, json=body or None) as answer:
            return await answer.json()

    async def add_account(self, name: str) -> str:
        answer = await self.call(
            "POST", "/accounts", platform="douyin", account_name=name, account_id=name
        )
        return answer["account"]["id"]

    async def log_in(self, account_id: str, name: str, **further: Any) -> None:
        begun = await self.admin.ask("master:login:start", {"account_id": account_id})
        assert begun["success"], begun
        report = {"session_id": begun["session_id"], "status": "success", "cookies": cookies(name)}
        answer = await self.worker.ask(
            "worker:login:status", {**report, "fingerprint": {"agent": plant(name)}, **further}
        )
        assert answer["success"], answer

    async def close(self) -> None:
        await self.admin.close()
        await self.worker.close()
        await self.device.close()


class Child:
    """A Master as a child process, with its database."""

    def __init__(
        self, session: aiohttp.ClientSession, folder: Path, environ: dict[str, str]
    ) -> None:
        self.session, self.path, self.port = session, folder / "master.db", choose_port({})
        self.environ = {
            **{name: value for name, value in os.environ.items() if name != "MASTER_KEYS"},
            "DB_PATH": str(self.path),
            "LOG_DIR": str(folder / "logs"),
            "PYTHONPATH": str(ROOT),
            "APP_ENV": "test",
            "PORT": str(self.port),
            "HEARTBEAT_TIMEOUT_S": "3600",  # its workers send none, and a busy machine is slow
            "HOST": "127.0.0.1",
            **environ,
        }
        self.output = folder / "master.out"
        self.output.touch()
        self.process = MasterProcess(session, self.port, self.environ, self.output)

    async def start(self) -> None:
        await self.process.spawn()
        await self.process.wait_ready()

    async def stop(self) -> None:
        await self.process.stop()
        assert self.process.findings == []

    async def run(self, *arguments: str, **environ: str) -> tuple[int, str]:
        """Run `python -m master ...` beside it; return its exit code and output."""
        return await asyncio.to_thread(run_master, *arguments, environ=self.environ | environ)


def start_command(*arguments: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "master", *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=environ.get("LOG_DIR") and Path(environ["LOG_DIR"]).parent,
    )


def run_master(*arguments: str, environ: dict[str, str]) -> tuple[int, str]:
    with start_command(*arguments, environ=environ) as process:
        printed, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, printed


@asynccontextmanager
async def run_child(folder: Path, **environ: str) -> AsyncIterator[tuple[Child, Crew]]:
    """Start a Master, connect its crew, and stop it at the end."""
    async with open_http_session() as session:
        child = Child(session, folder, environ)
        crew = Crew(session, child.port)
        try:
            await child.start()
            await crew.connect()
            yield child, crew
        finally:
            await crew.close()
            await child.stop()


def ask_file(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)) as connection:
        return connection.execute(query, values).fetchall()


def side_files(path: Path) -> Iterator[Path]:
    """Yield the database's file and those beside it."""
    for suffix in ("", "-wal", "-shm"):
        if (file := path.with_name(path.name + suffix)).exists():
            yield file
