"""Who keeps working while others misbehave, what they misbehave with, and who looks at the file meanwhile."""

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
from tests.conftest import PATIENCE_S, Bench, Peer, registration
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
    """A worker, an administrator and a device that do their work, whatever others do."""

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
        """Beat, report and be told once: nobody has lost anything."""
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
        """Wait for the notification of message `number`; others' messages may come between."""
        wanted = f"good-{number}"
        while wanted not in {
            one["data"].get("platform_id") for one in peer.all("notification:new")
        }:
            await peer.hear("notification:new", len(peer.all("notification:new")) + 1)


class Stage:
    """What an attacker's payloads name: an account, a worker, a login and a notification that exist."""

    def __init__(self, bench: Bench, account_id: str, notification_id: str) -> None:
        self._bench = bench
        self._account_id = account_id
        self._notification_id = notification_id

    @classmethod
    async def set_up(cls, bench: Bench) -> Stage:
        """Make an account with one message, and so one notification."""
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
        """Return an event's example with names that exist; a login that it names is open."""
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
        """Make the account again what any worker may log in."""
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
            return str(connection.execute(f"SELECT id FROM {table} LIMIT 1").fetchone()[0])  # noqa: S608 - ours


def introduction(namespace: str) -> tuple[str, dict[str, Any]] | None:
    """Return the event by which an attacker of this namespace says who it is, or None."""
    if namespace == "worker":
        return "worker:register", registration(WORKER)
    if namespace == "client":
        return "client:register", {"device_id": DEVICE, "device_type": "phone"}
    return None


class Witness:
    """Looks at the file through a connection of its own, and at memory, for what a refusal may not have changed."""

    def __init__(self, connection: sqlite3.Connection, memory: Memory) -> None:
        self._connection = connection
        self._memory = memory
        self.look()

    def look(self) -> None:
        """Remember how things are."""
        self._version, self._known = self._read_version(), self._read_memory()

    def nothing_changed(self) -> bool:
        """Tell whether nobody has written into the file, and memory is as it was."""
        return (self._version, self._known) == (self._read_version(), self._read_memory())

    def _read_version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _read_memory(self) -> Any:
        farm, sessions, deadlines = self._memory.farm, self._memory.sessions, self._memory.deadlines
        tables = {
            table.kind.name: {table.kind.key(one): one for one in table.all()}
            for table in farm.tables
        }
        seats = {seat.worker_id: (seat.sid, set(seat.owed)) for seat in sessions.seats.values()}
        sockets = (sessions.worker_of_socket, sessions.clients)
        return copy.deepcopy(
            (tables, farm.last_seq, self._memory.watch, seats, sockets, deadlines.expiries)
        )


@contextmanager
def watch(bench: Bench) -> Iterator[Witness]:
    """Give a witness of the bench's file and memory."""
    with closing(sqlite3.connect(bench.master.settings.db_path)) as connection:
        yield Witness(connection, bench.master.memory)


def take_census(bench: Bench) -> dict[str, int]:
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
    """Wait until the connections that came after `before` are gone; nothing of them is kept."""
    async with asyncio.timeout(PATIENCE_S):
        while take_census(bench)["environs"] != before["environs"]:  # noqa: ASYNC110 - nobody tells when it is so
            await asyncio.sleep(0)
        for _ in range(10):  # what ends with the connection ends in the next few turns of the loop
            await asyncio.sleep(0)
    assert take_census(bench) == before
