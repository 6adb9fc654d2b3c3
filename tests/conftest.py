"""A real Master on a free loopback port, a clock that tests advance, and real Socket.IO peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import socketio
from pydantic import TypeAdapter

from master.app import Master
from master.clock import ManualClock
from master.routes import NAMESPACES
from master.settings import load_settings
from simulator.virtual.machine.database import COMPILATION
from tests.fresh import FreshFiles
from tests.waiting import PATIENCE_S
from tools.protocol import TOLD, list_fields


class Peer:
    """One real Socket.IO client of one namespace; it keeps what it receives."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[str, Any]] = []
        self._news = asyncio.Condition()
        self.client.on("*", self._hear, namespace=namespace)

    async def _hear(self, event: str, *args: Any) -> None:
        async with self._news:
            self.heard.append((event, args[0] if args else None))
            self._news.notify_all()

    async def connect(self, port: int, **options: Any) -> Peer:
        """Join the namespace; `options` go to the library, for example `auth`."""
        options = {"transports": ["websocket"], **options}
        # the library waits for one second only, too short for a busy machine
        options = {
            "wait_timeout": PATIENCE_S,
            **options,
        }
        await self.client.connect(
            f"http://127.0.0.1:{port}", namespaces=[self.namespace], **options
        )
        return self

    async def ask(self, event: str, payload: Any) -> Any:
        """Emit and return the acknowledgement, whose shape must be the documented one."""
        answer = await self.client.call(
            event, payload, namespace=self.namespace, timeout=PATIENCE_S
        )
        route = NAMESPACES[self.namespace[1:]].get(event)
        if route is not None and answer["success"]:
            check_shape(route.reply, answer)
        return answer

    async def hear(self, event: str, count: int = 1) -> Any:
        """Wait until `event` was received `count` times; return the last payload."""

        async def wait() -> Any:
            async with self._news:
                await self._news.wait_for(lambda: len(self.all(event)) >= count)
                return self.all(event)[count - 1]

        return await asyncio.wait_for(wait(), PATIENCE_S)

    def all(self, event: str) -> list[Any]:
        return [payload for name, payload in self.heard if name == event]

    def check_what_was_heard(self) -> None:
        """Check that the event is documented and its payload has the documented shape."""
        for event, payload in self.heard:
            check_shape(TOLD[self.namespace[1:]][event], payload)

    async def close(self) -> None:
        await self.client.disconnect()


@cache
def describe(kind: Any) -> tuple[TypeAdapter[Any], dict[str, bool]]:
    """Return a type's validator, and its documented fields: whether each must be there."""
    return TypeAdapter(kind), {field.name: field.needed for field in list_fields(kind)}


def fold(kind: Any, content: dict[str, Any]) -> dict[str, Any]:
    """Return a payload as the fields of its type: merged members are one field again."""
    beside = getattr(kind, "beside", "")
    if not beside:
        return content
    names = {field.name for field in fields(kind)}
    merged = {key: given for key, given in content.items() if key not in names}
    return content | {beside: merged}


def check_shape(kind: Any, content: dict[str, Any]) -> None:
    """Check that content has the fields that documents name for its type, and no other."""
    validator, names = describe(kind)
    validator.validate_python(fold(kind, content))
    assert getattr(kind, "beside", "") == "words" or set(content) <= {"success", *names}, kind
    assert set(content) >= {name for name, needed in names.items() if needed}, kind


class Bench:
    """A running Master, its clock, and the peers of a test."""

    def __init__(self, master: Master, clock: ManualClock) -> None:
        self.master = master
        self.clock = clock
        self.peers: list[Peer] = []

    async def connect(self, namespace: str, token: str | None = None, **options: Any) -> Peer:
        if token is not None:
            options["auth"] = {"token": token}
        peer = await Peer(f"/{namespace}").connect(self.master.port, **options)
        self.peers.append(peer)
        return peer

    async def worker(self, worker_id: str = "worker-1", **changes: Any) -> Peer:
        peer = await self.connect("worker")
        answer = await peer.ask("worker:register", registration(worker_id, **changes))
        assert answer["success"], answer
        return peer

    async def device(self, device_id: str = "device-1") -> Peer:
        peer = await self.connect("client")
        answer = await peer.ask("client:register", {"device_id": device_id, "device_type": "phone"})
        assert answer["success"], answer
        return peer

    async def advance(self, seconds: float, *, rare: bool = True) -> None:
        """Advance the clock and run every sweep once; without `rare`, those of short intervals."""
        self.clock.advance(seconds)
        for sweep in self.master.periodic.sweeps:
            if rare or sweep.interval_s(self.master.settings) <= seconds:
                await self.master.periodic.sweep(sweep)

    async def run(self, operation: Any, event: Any = None) -> Any:
        return await self.master.turns.run(operation, event)


def registration(worker_id: str = "worker-1", **changes: Any) -> dict[str, Any]:
    return {
        "workerId": worker_id,
        "capabilities": ["douyin", "xiaohongshu"],
        "maxAccounts": 10,
        "host": "127.0.0.1",
        "port": 4000,
        "version": "1.0.0",
        **changes,
    }


@pytest.fixture
def environ() -> dict[str, str]:
    """Settings that differ from the defaults; a test or a module overrides this."""
    return {}


@pytest.fixture(scope="session")
def fresh_files(tmp_path_factory: pytest.TempPathFactory) -> FreshFiles:
    return FreshFiles(tmp_path_factory.mktemp("fresh"))


@pytest.fixture
async def bench(
    tmp_path: Path, environ: dict[str, str], fresh_files: FreshFiles
) -> AsyncIterator[Bench]:
    clock, path = ManualClock(), fresh_files.lay_started(tmp_path / "master.db")
    settings = load_settings({"PORT": "0", "DB_PATH": str(path), **environ}, None)
    master = Master(settings, clock=clock)
    COMPILATION.share(master.database)
    await master.start(sweeps=False)
    bench = Bench(master, clock)
    yield bench
    for peer in bench.peers:
        await peer.close()
    await bench.master.close()
    for peer in bench.peers:
        peer.check_what_was_heard()
