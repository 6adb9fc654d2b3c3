"""Peers of a Master with a failing disk: worker, administrator, device and HTTP client."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import aiohttp

from master.endpoints import ROOT
from master.operations.afterwards import do_nothing
from tests.conftest import Bench, Peer
from tests.disk.disk import Disk, dump
from tests.stored import check_farm
from tests.walks.test_workers import make_account

LONG = "x" * 60_000
"""More bytes than a full file has room for."""


class Scene:
    """Peers of one Master on one disk."""

    def __init__(self, bench: Bench, disk: Disk, web: aiohttp.ClientSession) -> None:
        self.bench = bench
        self.disk = disk
        self.worker: Peer
        self.admin: Peer
        self.device: Peer
        self.account_id = ""
        self._web = web
        self._numbers = count(1)

    async def set_up(self) -> Scene:
        """Connect all peers."""
        self.account_id = (await make_account(self.bench, platform="douyin"))["id"]
        self.worker = await self.bench.worker()
        self.admin = await self.bench.connect("admin")
        self.device = await self.bench.device()
        await self.settle()
        return self

    async def settle(self) -> None:
        """Wait until all peers have received all events sent so far: two per report."""
        report = self.make_report()
        assert (await self.send(report))["inserted"] == 1
        await self.hear_of(report)

    def make_report(self, content: str = LONG) -> dict[str, Any]:
        """Return a report of one new comment."""
        message = {"platform_comment_id": f"c-{next(self._numbers)}", "content": content}
        return {"type": "comment", "account_id": self.account_id, "messages": [message]}

    async def send(self, report: dict[str, Any]) -> Any:
        """Report over the worker's socket."""
        return await self.worker.ask("worker:message:detected", report)

    async def hear_of(self, *reports: dict[str, Any]) -> None:
        """Check that administrator and device were notified of these reports, and of no others."""
        wanted = [report["messages"][0]["platform_comment_id"] for report in reports]
        for peer in (self.admin, self.device):
            while not set(wanted) <= set(heard_of(peer)):
                await peer.hear("notification:new", len(peer.all("notification:new")) + 1)

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, dict[str, Any]]:
        """Send an HTTP request; return status, headers and content."""
        url = f"http://127.0.0.1:{self.bench.master.port}{path}"
        async with self._web.request(method, url, **options) as answer:
            return answer.status, answer.headers, await answer.json()

    async def add_account(self, name: str) -> tuple[int, Any, dict[str, Any]]:
        """Create an account over HTTP."""
        return await self.call(
            "POST", f"{ROOT}/accounts", json={"platform": "douyin", "account_name": name}
        )

    async def read_metrics(self) -> str:
        """Return the metrics text."""
        async with self._web.get(f"http://127.0.0.1:{self.bench.master.port}/metrics") as answer:
            assert answer.status == 200
            return await answer.text()

    async def renew_connections(self) -> None:
        """Make Master reopen its connections: one failure each, with no other effect."""
        self.disk.fault = lambda step: "renewed"
        check_refused(await self.send(self.make_report()))
        self.disk.fault = lambda step: None
        assert await self.is_ready() == (200, None)

    @contextmanager
    def elsewhere(self) -> Iterator[sqlite3.Connection]:
        """Write to the file past Master; commit at the end."""
        with closing(sqlite3.connect(self.disk.path)) as connection, connection:
            yield connection

    async def resolve_doubts(self) -> None:
        """Wait until Master has loaded the farm anew, if it must, and has sent workers changes."""
        for _ in range(3):
            await self.bench.run(do_nothing)

    async def is_ready(self) -> tuple[int, str | None]:
        """Return status and reason, if any, of `/health/ready`."""
        status, _, content = await self.call("GET", "/health/ready")
        return status, content.get("reason")

    async def beat(self) -> list[str]:
        """Send a heartbeat; return the accounts that Master lists for the worker."""
        answer = await self.worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        assert answer["success"], answer
        return list(answer["accountIds"])

    def stored(self, report: dict[str, Any]) -> tuple[int, int]:
        """Return how many comments and notifications of a report are stored."""
        comment = report["messages"][0]["platform_comment_id"]
        rows = "SELECT id FROM comments WHERE platform_comment_id = ?"
        told = f"SELECT count(*) FROM notifications WHERE related_id IN ({rows})"  # noqa: S608
        with closing(sqlite3.connect(self.disk.path)) as connection:
            found = connection.execute(rows, [comment]).fetchall()
            return len(found), connection.execute(told, [comment]).fetchone()[0]

    def dump(self) -> dict[str, list[Any]]:
        """Return the whole file."""
        return dump(self.disk.path)

    def check_memory(self) -> None:
        """Check that memory equals the file in every column and keeps nothing of undone turns."""
        memory = self.bench.master.memory
        check_farm(memory.farm, self.disk.path)
        assert memory.pending is None or memory.pending.is_empty()
        assert set(memory.sessions.seats) == {worker.id for worker in memory.farm.workers.all()}
        assert memory.deadlines.expiries == {
            login.id: login.expires_at for login in memory.farm.logins.all()
        }


def heard_of(peer: Peer) -> list[str]:
    """Return the comments of which a peer was notified, in order."""
    return [
        one["data"]["platform_id"]
        for one in peer.all("notification:new")
        if one["type"] == "comment"
    ]


def check_refused(answer: Any) -> None:
    """Check that the answer is a retryable refusal with a delay."""
    assert answer["success"] is False, answer
    assert answer["error"]["code"] == "storage_trouble"
    assert answer["error"]["retryable"] is True
    assert answer["error"]["retry_after_ms"] > 0
