"""The knowledge of a new Master on the same file, and how long it waits for workers to return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from master.app import Master
from master.operations.workers import write_heartbeats
from tests.conftest import Bench, registration
from tests.walks.test_logins import start
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.fixture
def again(bench: Bench) -> Callable[[], object]:
    """Stop the bench's Master and start another one on the same file."""

    @asynccontextmanager
    async def restart() -> AsyncIterator[Bench]:
        for peer in bench.peers:
            await peer.close()
        await bench.master.close()
        bench.master = Master(bench.master.settings, clock=bench.clock)
        await bench.master.start(sweeps=False)
        yield bench

    return restart


async def test_accounts_stay_with_a_worker_that_returns(bench, again):
    account = await make_account(bench)
    await bench.worker()
    async with again() as after:
        assert (await read_worker(after, "worker-1"))["status"] == "disconnected"
        await after.advance(60.0)
        assert (await read_account(after, account["id"]))["assigned_worker_id"] == "worker-1"
        back = await after.connect("worker")
        answer = await back.ask("worker:heartbeat", {"workerId": "worker-1"})
        assert answer["accountIds"] == [account["id"]]
        assert (await read_account(after, account["id"]))["epoch"] == 1


async def test_a_worker_that_does_not_return_is_lost_after_the_timeout_and_the_grace(bench, again):
    account = await make_account(bench)
    await bench.worker()
    async with again() as after:
        await after.advance(60.1)
        assert (await read_worker(after, "worker-1"))["status"] == "offline"
        assert (await read_account(after, account["id"]))["assigned_worker_id"] is None


@pytest.mark.parametrize("event", ["worker:register", "worker:heartbeat"])
async def test_who_returns_inside_the_grace_is_heard_from_then_on(bench, again, event):
    account = await make_account(bench)
    await bench.worker()
    async with again() as after:
        after.clock.advance(5)
        back = await after.connect("worker")
        assert (await back.ask(event, registration()))["success"]
        assert (await read_worker(after, "worker-1"))["last_heartbeat"] == int(after.clock.now())
        after.clock.advance(5)
        await back.ask("worker:heartbeat", {"workerId": "worker-1", "stats": {"memoryUsage": 256}})
        shown = await read_worker(after, "worker-1")
        assert (shown["last_heartbeat"], shown["stats"]["memory_usage"]) == (
            int(after.clock.now()),
            256,
        )
        await after.advance(30)
        assert (await read_worker(after, "worker-1"))["status"] == "connected"
        await after.advance(0.1)
        assert (await read_worker(after, "worker-1"))["status"] == "offline", (
            "one timeout after it was last heard"
        )
        assert (await read_account(after, account["id"]))["assigned_worker_id"] is None


async def test_an_open_login_goes_on_and_still_expires_on_time(bench, again):
    _, _, _, session = await start(bench)
    async with again() as after:
        admin = await after.connect("admin")
        await after.worker()
        for _ in range(10):
            after.clock.advance(29.9)
            await after.peers[-1].ask("worker:heartbeat", {"workerId": "worker-1"})
        await after.advance(0.9)
        assert admin.all("login:qrcode:expired") == []
        await after.advance(0.2)
        assert (await admin.hear("login:qrcode:expired"))["session_id"] == session


async def test_a_heartbeat_reaches_the_file_with_the_next_batch(bench):
    worker = await bench.worker()
    bench.clock.advance(7)
    await worker.ask("worker:heartbeat", {"workerId": "worker-1", "stats": {"memoryUsage": 256}})
    assert await bench.run(write_heartbeats) == 1
    assert await bench.run(write_heartbeats) == 0
    shown = await read_worker(bench, "worker-1")
    assert shown["last_heartbeat"] == int(bench.clock.now())
    assert shown["stats"]["memory_usage"] == 256
