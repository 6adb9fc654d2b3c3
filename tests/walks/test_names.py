"""Names that peers invent are limited, removable by people, and forgotten after a while."""

from __future__ import annotations

from typing import Any

import pytest

from master.decisions.retention import DAY_S
from master.errors import Refusal
from master.operations.accounts import change_account
from master.operations.afterwards import do_nothing
from master.operations.names import forget_unused, remove_worker
from master.operations.processes import add_config
from master.operations.retention import remove_old_rows
from master.protocol.http import AccountChange, ById, NewWorkerConfig
from master.turn import SWEEP
from tests.conftest import Bench, registration
from tests.walks.test_devices import ask_file
from tests.walks.test_logins import start
from tests.walks.test_workers import make_account


async def remove(bench: Bench, worker_id: str) -> str:
    """Request that a worker be forgotten; return the refusal's code, or the worker."""
    try:
        return str((await bench.run(remove_worker, ById(id=worker_id)))["status"])
    except Refusal as refusal:
        return refusal.code


def knows(bench: Bench, worker_id: str) -> list[bool]:
    sessions = bench.master.memory.sessions
    return [
        bench.master.memory.farm.workers.get(worker_id) is not None,
        worker_id in sessions.seats,
        worker_id in sessions.unwritten,
        worker_id in sessions.untold,
        worker_id in sessions.worker_of_socket.values(),
    ]


async def leave(bench: Bench, worker_id: str, **changes: Any) -> Any:
    worker = await bench.worker(worker_id, **changes)
    assert (await worker.ask("worker:goodbye", {"workerId": worker_id}))["success"]
    return worker


async def test_a_worker_that_is_offline_and_holds_nothing_is_removed_and_forgotten(bench):
    worker = await leave(bench, "gone")
    assert await remove(bench, "gone") == "offline"
    assert knows(bench, "gone") == [False] * 5
    assert await ask_file(bench, "SELECT COUNT(*) FROM workers") == [0]
    beat = await worker.ask("worker:heartbeat", {"workerId": "gone"})
    assert beat["error"]["code"] == "not_registered"
    assert (await worker.ask("worker:register", registration("gone")))["success"]
    await worker.close()
    assert await remove(bench, "nobody") == "unknown_worker"


async def test_a_worker_that_is_here_or_that_an_account_names_is_not_removed(bench):
    await bench.worker("here")
    assert await remove(bench, "here") == "worker_in_use"
    account = await make_account(bench)
    pin = AccountChange(id=account["id"], assigned_worker_id="pinned")
    worker = await bench.worker("pinned")
    await bench.run(change_account, pin)
    await worker.ask("worker:goodbye", {"workerId": "pinned"})
    assert await remove(bench, "pinned") == "worker_in_use"
    unpin = AccountChange(id=account["id"], assigned_worker_id=None)
    await bench.run(change_account, unpin)
    assert await remove(bench, "pinned") == "offline"


async def test_what_names_a_removed_worker_in_the_past_stays(bench):
    _, worker, _, session = await start(bench)
    await worker.ask("worker:login:status", {"session_id": session, "status": "failed"})
    await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    assert await remove(bench, "worker-1") == "offline"
    assert await ask_file(bench, "SELECT worker_id FROM login_sessions") == [None]


async def test_an_offline_worker_is_forgotten_after_a_day_unless_a_configuration_names_it(bench):
    for name in ("idle", "configured"):
        await leave(bench, name)
    await bench.run(add_config, NewWorkerConfig(worker_id="configured"))
    bench.clock.advance(DAY_S)
    assert await bench.run(forget_unused) == 0
    bench.clock.advance(1)
    assert await bench.run(forget_unused) == 1
    assert knows(bench, "idle") == [False] * 5
    assert knows(bench, "configured")[0]
    assert await ask_file(bench, "SELECT id FROM workers") == ["configured"]


async def test_a_worker_that_is_forgotten_and_comes_in_the_same_batch_is_registered(bench):
    worker = await leave(bench, "back")
    bench.clock.advance(DAY_S + 1)
    first = bench.master.turns.submit(forget_unused, None, SWEEP)
    answer = await worker.ask("worker:register", registration("back"))
    assert await first == 1
    assert answer["success"]
    assert knows(bench, "back")[:2] == [True, True]


async def test_a_device_that_does_not_come_is_forgotten_and_one_that_is_here_is_not(bench):
    away, _ = await bench.device("away"), await bench.device("here")
    await away.close()
    bench.clock.advance(30 * DAY_S)
    assert await bench.run(forget_unused) == 0
    bench.clock.advance(1)
    assert await bench.run(forget_unused) == 1
    assert await ask_file(bench, "SELECT COUNT(*) FROM client_devices") == [1]


async def test_the_hourly_look_forgets_names_and_not_by_a_clock_that_has_stepped(bench):
    async def look() -> None:
        await bench.run(remove_old_rows)
        await bench.run(do_nothing)  # after the turns that the sweep has queued

    await leave(bench, "idle")
    await look()
    bench.clock.step(2 * DAY_S)
    await look()
    assert knows(bench, "idle")[0], "by this clock nothing is forgotten"
    for _ in range(25):
        bench.clock.advance(3_600)
        await look()
    assert knows(bench, "idle") == [False] * 5


class TestFew:
    """Two names of each kind."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"WORKER_NAMES_PER_TOKEN": "2", "DEVICE_NAMES_PER_TOKEN": "2"}

    async def test_a_third_worker_is_refused_until_one_is_forgotten(self, bench):
        await leave(bench, "w1")
        await bench.worker("w2")
        third = await bench.connect("worker")
        refused = await third.ask("worker:register", registration("w3"))
        assert refused["error"]["code"] == "too_many_names"
        assert not refused["error"]["retryable"]
        assert knows(bench, "w3") == [False] * 5
        assert (await third.ask("worker:register", registration("w1")))["success"]
        await third.ask("worker:goodbye", {"workerId": "w1"})
        assert await remove(bench, "w1") == "offline"
        assert (await third.ask("worker:register", registration("w3")))["success"]

    async def test_a_worker_that_a_configuration_names_is_accepted_beyond(self, bench):
        await bench.worker("w1")
        await bench.worker("w2")
        await bench.run(add_config, NewWorkerConfig(worker_id="w3"))
        await bench.worker("w3")

    async def test_a_third_device_is_refused(self, bench):
        await bench.device("d1")
        await bench.device("d2")
        third = await bench.connect("client")
        refused = await third.ask("client:register", {"device_id": "d3"})
        assert refused["error"]["code"] == "too_many_names"
        assert (await third.ask("client:register", {"device_id": "d1"}))["success"]
