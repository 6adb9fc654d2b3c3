"""A Master with tokens of every kind, real Socket.IO peers, real HTTP."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from master.app import Master
from master.clock import ManualClock
from master.settings import load_settings
from simulator.virtual.machine.database import COMPILATION
from tests.conftest import Bench, Peer, registration
from tests.fresh import FreshFiles
from tests.security.by_hand import open_line

__all__ = ["open_line"]

WORKER_1, WORKER_2, ANY_WORKER = (
    "worker-1-secret-token",
    "worker-2-secret-token",
    "any-worker-secret-token",
)
READER, OPERATOR, ROOT = (
    "reader-secret-token",
    "operator-secret-token",
    "administrator-secret-token",
)
DEVICE, LIMITED, OTHER = (
    "device-secret-token-of-all",
    "device-secret-token-limited",
    "device-secret-token-other",
)
SECRETS = (WORKER_1, WORKER_2, ANY_WORKER, READER, OPERATOR, ROOT, DEVICE, LIMITED, OTHER)
WRONG = "nobodys-secret-token"
MINE, FOREIGN = "account-mine", "account-foreign"
CODE, CODE_URL = (
    "data:image/png;base64,iVBORw0KGgo=",
    "https://platform.example/login?code=let-me-in",
)

TOKENS = {
    "WORKER_TOKENS": f"worker-1:{WORKER_1},worker-2:{WORKER_2},*:{ANY_WORKER}",
    "ADMIN_TOKENS": f"reader:{READER}:read,operator:{OPERATOR}:operate,root:{ROOT}",
    "CLIENT_TOKENS": f"all:{DEVICE},limited:{LIMITED}:{MINE}+account-that-comes-later,"
    f"other:{OTHER}:{FOREIGN}",
}


class Guarded(Bench):
    """A running Master with tokens; `ids` go to the next records created."""

    def __init__(
        self, master: Master, clock: ManualClock, path: Path, http: aiohttp.ClientSession
    ) -> None:
        super().__init__(master, clock)
        self.path = path
        self.http = http
        self.ids: deque[str] = deque()

    async def ask(
        self, method: str, path: str, token: str | None = ROOT, **options: Any
    ) -> aiohttp.ClientResponse:
        """Send one HTTP request, with a Bearer token unless it is None; the body is read.

        An `encoded` path is sent as it is; in others the client itself resolves `..`.
        """
        headers = {"X-Request-Id": "a-test", **options.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        session = options.pop("session", self.http)
        url = URL(
            f"http://127.0.0.1:{self.master.port}{path}", encoded=options.pop("encoded", False)
        )
        answer: aiohttp.ClientResponse = await session.request(
            method, url, headers=headers, **options
        )
        await answer.read()
        return answer

    async def code(
        self, method: str, path: str, token: str | None = ROOT, **options: Any
    ) -> tuple[int, str]:
        """Return status and refusal code of a request."""
        answer = await self.ask(method, path, token, **options)
        return answer.status, (await answer.json()).get("error", {}).get("code", "")

    async def add_account(self, account_id: str, platform: str = "douyin") -> None:
        self.ids.append(account_id)
        body = {"platform": platform, "account_name": account_id}
        answer = await self.ask("POST", "/api/v1/accounts", json=body)
        assert (answer.status, (await answer.json())["account"]["id"]) == (201, account_id)

    async def register(self, worker_id: str, token: str | None, **changes: Any) -> Peer:
        peer = await self.connect("worker", token)
        answer = await peer.ask("worker:register", registration(worker_id, **changes))
        assert answer["success"], answer
        return peer

    async def register_device(self, token: str, device_id: str = "device-1") -> Peer:
        peer = await self.connect("client", token)
        answer = await peer.ask("client:register", {"device_id": device_id, "device_type": "phone"})
        assert answer["success"], answer
        return peer

    async def detect(self, worker: Peer, account_id: str, *numbers: int) -> None:
        items = [
            {"platform_comment_id": f"{account_id}-{number}", "content": f"of {account_id}"}
            for number in numbers
        ]
        event = {"type": "comment", "account_id": account_id, "messages": items}
        answer = await worker.ask("worker:message:detected", event)
        assert answer["inserted"] == len(numbers), answer

    async def start_login(self, admin: Peer, worker: Peer, account_id: str) -> str:
        """Start a login and let the worker send its code; return the session's id."""
        started = await admin.ask("master:login:start", {"account_id": account_id})
        assert started["success"], started
        session_id: str = started["session_id"]
        shown = await worker.ask(
            "worker:login:qrcode",
            {"session_id": session_id, "qr_code_data": CODE, "qr_code_url": CODE_URL},
        )
        assert shown["success"], shown
        return session_id

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, values).fetchall()

    def dump(self) -> list[str]:
        """Return the contents of the database, row by row; the history tells of refusals too."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            rows = list(connection.iterdump())
        return [row for row in rows if not row.startswith('INSERT INTO "events"')]

    def dump_events(self) -> list[Any]:
        """Return the rows of the history."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("SELECT * FROM events ORDER BY seq").fetchall()


async def settle(*peers: Peer) -> None:
    """Wait until these peers have received everything sent before."""
    for peer in peers:
        with contextlib.suppress(Exception):
            await peer.ask("nothing:of:this:name", {})


@pytest.fixture
def given() -> dict[str, str]:
    return TOKENS


@pytest.fixture
async def guarded(
    tmp_path: Path, given: dict[str, str], fresh_files: FreshFiles
) -> AsyncIterator[Guarded]:
    clock, path = ManualClock(), fresh_files.lay_started(tmp_path / "master.db")
    paths = {"PORT": "0", "DB_PATH": str(path), "LOG_DIR": str(tmp_path / "logs")}
    numbers = iter(range(10**9))
    async with aiohttp.ClientSession() as http:
        guarded: Guarded

        def new_id() -> str:
            return guarded.ids.popleft() if guarded.ids else f"id-{next(numbers)}"

        master = Master(load_settings({**paths, **given}, None), clock=clock, new_id=new_id)
        COMPILATION.share(master.database)
        guarded = Guarded(master, clock, path, http)
        await master.start(sweeps=False)
        yield guarded
        for peer in guarded.peers:
            await peer.close()
        await guarded.master.close()
        for peer in guarded.peers:
            peer.check_what_was_heard()


@pytest.fixture
async def owners_worker(guarded: Guarded) -> Peer:
    """A worker, and the account that it is to log in."""
    await guarded.add_account(MINE)
    return await guarded.register("worker-1", WORKER_1)
