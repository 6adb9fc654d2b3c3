"""The working peers beside attackers, the names for attacks, and the witness of file and memory."""

from __future__ import annotations

import asyncio
import copy
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from master.memory import Memory
from master.model import AccountStatus
from master.operations.accounts import change_account
from master.operations.logins import start_login
from master.protocol.admin import StartLogin
from master.protocol.http import AccountChange
from tests.conftest import Bench, Peer, registration
from tests.waiting import PATIENCE_S
from tests.walks.test_workers import make_account

EXAMPLES = Path(__file__).parents[2] / "fixtures" / "protocol"

WORKER, DEVICE = "bad-worker", "bad-device"


def read_example(namespace: str, event: str) -> dict[str, Any]:
    """Return the documented example of an event."""
    example: dict[str, Any] = json.loads(
        (EXAMPLES / namespace / f"{event}.json").read_text(encoding="utf-8")
    )
    return example


class Bystanders:
    """A worker, an administrator and a device that keep working, whatever others do."""

    def __init__(
        self, bench: Bench, worker: Peer, admin: Peer, device: Peer, account_id: str
    ) -> None:
        self._bench = bench
        self._worker = worker
        self._admin = admin
        self._device = device
        self.account_id = account_id
        self._numbers = count(1)

    @classmethod
    async def arrive(cls, bench: Bench) -> Bystanders:
        """Connect all three, with one account of their own."""
        account = await make_account(bench, "bystander", platform="quiet")
        worker = await bench.worker("good-worker", capabilities=["quiet"])
        return cls(
            bench,
            worker,
            await bench.connect("admin"),
            await bench.device("good-device"),
            account["id"],
        )

    async def work(self) -> None:
        """Send a heartbeat and a report; check that each peer is notified once."""
        number = next(self._numbers)
        beat = await self._worker.ask("worker:heartbeat", {"workerId": "good-worker"})
        assert beat["accountIds"] == [self.account_id]
        message = {"platform_comment_id": f"good-{number}", "content": "still here"}
        report = {"type": "comment", "account_id": self.account_id, "messages": [message]}
        assert (await self._worker.ask("worker:message:detected", report))["inserted"] == 1
        await asyncio.gather(*(self._hear(peer, number) for peer in (self._admin, self._device)))
        assert (await self._admin.ask("admin:status:request", {}))["workers"]["online"] >= 1
        assert (await self._device.ask("client:heartbeat", {"client_id": "good-device"}))["success"]

    async def _hear(self, peer: Peer, number: int) -> None:
        """Wait for the notification of message `number`; others may come before it."""
        wanted = f"good-{number}"
        while wanted not in {
            one["data"].get("platform_id") for one in peer.all("notification:new")
        }:
            await peer.hear("notification:new", len(peer.all("notification:new")) + 1)


class Stage:
    """Existing names for an attacker: an account, a worker, a login and a notification."""

    def __init__(self, bench: Bench, account_id: str, notification_id: str) -> None:
        self._bench = bench
        self._account_id = account_id
        self._notification_id = notification_id

    @classmethod
    async def set_up(cls, bench: Bench) -> Stage:
        """Create an account with one message, and so one notification."""
        account = await make_account(bench, "bad")
        reporter = await bench.worker("reporter")
        device = await bench.device("other-device")
        message = {"platform_comment_id": "c", "content": "first"}
        report = {"type": "comment", "account_id": account["id"], "messages": [message]}
        assert (await reporter.ask("worker:message:detected", report))["inserted"] == 1
        told = await device.hear("notification:new")
        await reporter.ask("worker:goodbye", {"workerId": "reporter"})
        await reporter.close()
        await device.close()
        return cls(bench, account["id"], told["id"])

    async def example_of(self, namespace: str, event: str) -> dict[str, Any]:
        """Return an event's example with existing names; a login that it names is open."""
        example = read_example(namespace, event)
        real = {
            "workerId": WORKER,
            "worker_id": WORKER,
            "account_id": self._account_id,
            "device_id": DEVICE,
            "client_id": DEVICE,
            "notification_id": self._notification_id,
        }
        if "session_id" in example and event != "master:login:start":
            started = await self._bench.run(
                start_login, StartLogin(account_id=self._account_id, worker_id=WORKER)
            )
            real["session_id"] = started["session_id"]
        return example | {name: value for name, value in real.items() if name in example}

    async def restore(self) -> None:
        """Restore the account so that any worker may log it in."""
        wish = AccountChange(
            id=self._account_id,
            platform="douyin",
            status=AccountStatus.ACTIVE,
            pinned_worker_id=None,
        )
        await self._bench.run(change_account, wish)

    async def find_id(self, table: str) -> str:
        """Return the id of some row, read past Master."""
        with closing(sqlite3.connect(self._bench.master.settings.db_path)) as connection:
            query = f"SELECT id FROM {table} LIMIT 1"  # noqa: S608
            return str(connection.execute(query).fetchone()[0])


def introduction(namespace: str) -> tuple[str, dict[str, Any]] | None:
    """Return the event by which an attacker identifies itself in this namespace, or None."""
    if namespace == "worker":
        return "worker:register", registration(WORKER)
    if namespace == "client":
        return "client:register", {"device_id": DEVICE, "device_type": "phone"}
    return None


class Witness:
    """Watches the file over a connection of its own, and memory, for changes by a refused event.

    The history does not count: it records that an administrator was refused.
    """

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self._seen = -1
        self._content: dict[str, list[Any]] = {}
        self.look()

    def look(self) -> None:
        """Remember the present state."""
        self._version, self._known = self._read_version(), self._read_memory()

    def nothing_changed(self) -> bool:
        """Tell whether neither the file nor memory has changed."""
        return (self._version, self._known) == (self._read_version(), self._read_memory())

    def _read_version(self) -> dict[str, list[Any]]:
        """Return the content of the file; it is read again only if another program wrote it."""
        version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        if version != self._seen:
            named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'events'"
            names = [name for (name,) in self._connection.execute(named)]
            self._seen, self._content = (
                version,
                {
                    name: self._connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
                    for name in names
                },
            )
        return self._content

    def _read_memory(self) -> Any:
        farm, sessions, deadlines = self._memory.farm, self._memory.sessions, self._memory.deadlines
        tables = {
            table.kind.name: {table.kind.key(one): one for one in table.all()}
            for table in farm.tables
        }
        seats = {seat.worker_id: (seat.sid, set(seat.lost)) for seat in sessions.seats.values()}
        sockets = (sessions.worker_of_socket, sessions.clients)
        return copy.deepcopy(
            (tables, farm.last_seq, self._memory.watch, seats, sockets, deadlines.expiries)
        )


@contextmanager
def watch(bench: Bench) -> Iterator[Witness]:
    """Provide a witness of the bench's file and memory."""
    with closing(sqlite3.connect(bench.master.settings.db_path)) as connection:
        yield Witness(connection, bench.master.memory)


def count_kept(bench: Bench) -> dict[str, int]:
    """Count everything that is kept per connection."""
    master = bench.master
    sockets, manager, sessions = master.sockets, master.sockets.manager, master.memory.sessions
    return {
        "lanes": len(sockets.lanes),
        "connections": len(sockets.eio.sockets),
        "environs": len(sockets.environ),
        "flows": len(sockets.flows),
        "half connected": sum(map(len, manager.pending_connect.values())),
        "joined": sum(len(rooms.get(None, ())) for rooms in manager.rooms.values()),
        "workers": len(sessions.worker_sockets),
        "admins": len(sessions.admins),
        "devices": len(sessions.clients),
    }


async def wait_until_gone(bench: Bench, before: dict[str, int]) -> None:
    """Wait until the connections opened after `before` are gone without a trace."""
    async with asyncio.timeout(PATIENCE_S):
        while count_kept(bench)["environs"] != before["environs"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(10):  # a connection's tasks end in the next few steps of the loop
            await asyncio.sleep(0)
    assert count_kept(bench) == before
