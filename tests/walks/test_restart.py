"""The knowledge of a new Master on the same file, and how long it waits for workers to return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from master.app import Master
from master.operations.accounts import remove_account
from master.operations.workers import write_heartbeats
from master.protocol.http import ById
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


async def watch(bench: Bench, account: dict[str, object], worker_id: str = "worker-1") -> object:
    """Register a worker; return the milliseconds that it waits before it watches an account."""
    peer = await bench.connect("worker")
    answer = await peer.ask("worker:register", registration(worker_id))
    [shown] = [one for one in answer["accounts"] if one["id"] == account["id"]]
    return shown.get("start_after_ms", 0)


async def test_only_accounts_that_somebody_may_own_wait_after_a_start(bench, again):
    old = await make_account(bench, "old")
    assert await watch(bench, old) == 0, "no worker ever owned it: the file is new"
    idle = await make_account(bench, "idle", platform="weibo", account_id="w-1")
    async with again() as after:
        assert await watch(after, old) == 30_000, "worker-1 may own it still"
        new = await make_account(after, "new", account_id="d-1")
        told = await after.peers[-1].hear("master:task:assign")
        assert ([one["id"] for one in told["accounts"]], "start_after_ms" in str(told)) == (
            [new["id"]],
            False,
        )
        assert after.master.memory.deadlines.find_wait(idle["id"], "worker-1", 0) == 0
        await after.advance(30)
        assert await watch(after, old) == 0


async def test_what_was_removed_just_before_a_start_may_still_be_owned_under_its_name(bench, again):
    removed = await make_account(bench, "removed", account_id="d-1")
    await bench.worker()
    await bench.run(remove_account, ById(id=removed["id"]))
    readded = await make_account(bench, "idle", platform="weibo", account_id="w-1")
    async with again() as after:
        same = await make_account(after, "same", account_id="d-1")
        assert await watch(after, same) == 30_000
        now = after.clock.monotonic()
        assert after.master.memory.deadlines.find_wait(readded["id"], "x", now) == 30
    bench.clock.advance(32)
    async with again() as after:
        another = await make_account(after, "another", account_id="d-2")
        await watch(after, another)
        now = after.clock.monotonic()
        assert after.master.memory.deadlines.find_wait(another["id"], "worker-1", now) == 0
