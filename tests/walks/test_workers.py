"""Workers from registration to silence and back, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from master.model import AccountStatus
from master.operations.accounts import add_account, change_account, remove_account, show_account
from master.operations.workers import show_worker
from master.protocol.http import AccountChange, ById, NewAccount


async def make_account(bench: Any, name: str = "a", **fields: Any) -> dict[str, Any]:
    body = NewAccount(platform=fields.pop("platform", "douyin"), account_name=name, **fields)
    return await bench.run(add_account, body)


async def read_account(bench: Any, account_id: str) -> dict[str, Any]:
    return await bench.master.turns.look(show_account, ById(id=account_id))


async def read_worker(bench: Any, worker_id: str) -> dict[str, Any]:
    return await bench.master.turns.look(show_worker, ById(id=worker_id))


async def test_a_registered_worker_is_connected_and_takes_what_waits(bench):
    account = await make_account(bench)
    worker = await bench.connect("worker")
    answer = await worker.ask("worker:register", {
        "workerId": "worker-1", "capabilities": ["douyin"], "maxAccounts": 10, "host": "127.0.0.1",
        "port": "4000", "version": "1.0.0",
    })  # fmt: skip
    assert answer["success"]
    registered = await worker.hear("worker:registered")
    assert [one["id"] for one in registered["accounts"]] == [account["id"]]
    assert registered["heartbeatInterval"] == 10
    assert registered["heartbeatTimeout"] == 30
    shown = await read_worker(bench, "worker-1")
    assert (shown["status"], shown["port"], shown["assigned_accounts"]) == ("connected", 4000, 1)
    assert (await read_account(bench, account["id"]))["epoch"] == 1


async def test_a_reload_on_the_same_socket_changes_no_hands(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    await worker.ask("worker:register", {
        "workerId": "worker-1", "capabilities": ["douyin"], "maxAccounts": 10, "host": "127.0.0.1",
        "port": 4000,
    })  # fmt: skip
    assert (await read_account(bench, account["id"]))["epoch"] == 1


async def test_a_worker_silent_for_30_s_is_alive_and_for_longer_is_evicted(bench):
    account = await make_account(bench)
    await bench.worker("worker-1")
    other = await bench.worker("worker-2")
    await bench.advance(30.0)
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"
    assert (await other.ask("worker:heartbeat", {"workerId": "worker-2", "stats": {}}))["success"]
    await bench.advance(0.1)
    assert (await read_worker(bench, "worker-1"))["status"] == "offline"
    moved = await read_account(bench, account["id"])
    assert (moved["assigned_worker_id"], moved["epoch"]) == ("worker-2", 2)
    assigned = await other.hear("master:task:assign")
    assert [one["id"] for one in assigned["accounts"]] == [account["id"]]


async def test_a_worker_that_returns_is_told_what_it_lost(bench):
    account = await make_account(bench)
    first = await bench.worker("worker-1")
    other = await bench.worker("worker-2")
    await bench.advance(20)
    await other.ask("worker:heartbeat", {"workerId": "worker-2"})
    await bench.advance(15)
    answer = await first.ask("worker:heartbeat", {"workerId": "worker-1"})
    assert answer["success"]
    assert answer["accountIds"] == []
    assert account["id"] in (await first.hear("master:task:revoke"))["accountIds"]
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"


async def test_an_unknown_workers_heartbeat_makes_no_row(bench):
    stranger = await bench.connect("worker")
    answer = await stranger.ask("worker:heartbeat", {"workerId": "nobody"})
    assert answer["error"]["code"] == "not_registered"


async def test_the_newest_socket_of_a_worker_wins(bench):
    account = await make_account(bench)
    await bench.worker("worker-1")
    await bench.worker("worker-1")
    await bench.advance(1)
    shown = await read_worker(bench, "worker-1")
    assert shown["status"] == "connected"
    assert (await read_account(bench, account["id"]))["epoch"] == 1


async def test_a_goodbye_moves_accounts_at_once(bench):
    account = await make_account(bench)
    leaver = await bench.worker("worker-1")
    await bench.worker("worker-2")
    assert (await leaver.ask("worker:goodbye", {"workerId": "worker-1"}))["released"] == 1
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-2"


async def test_an_inactive_account_is_not_assigned(bench):
    account = await make_account(bench, status=AccountStatus.INACTIVE)
    await bench.worker()
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] is None


@pytest.mark.parametrize("how", ["added", "renamed"])
async def test_an_account_that_was_removed_and_comes_back_waits_for_its_former_worker(bench, how):
    await bench.worker("worker-1")
    account = await make_account(bench, "a", account_id="dy-1")
    other = await bench.worker("worker-2")
    for _ in range(4):  # owners under the Master before have stopped
        bench.clock.advance(10)
        await other.ask("worker:heartbeat", {"workerId": "worker-2"})
    await bench.run(remove_account, ById(id=account["id"]))
    bench.clock.advance(10)
    if how == "added":
        await make_account(bench, "again", account_id="dy-1", assigned_worker_id="worker-2")
    else:
        twin = await make_account(bench, "again", account_id="dy-2", assigned_worker_id="worker-2")
        assert "start_after_ms" not in (await other.hear("master:task:assign"))["accounts"][0]
        change = AccountChange(id=twin["id"], account_id="dy-1")
        await bench.run(change_account, change)
    told = (await other.hear("master:task:assign", 1 if how == "added" else 2))["accounts"][0]
    assert (told["account_id"], told["start_after_ms"]) == ("dy-1", 20_000)


async def test_a_worker_that_names_a_platform_twice_serves_it_once_and_may_leave(bench):
    account = await make_account(bench)
    worker = await bench.worker("worker-1", capabilities=["douyin", " douyin", "douyin"])
    assert (await read_worker(bench, "worker-1"))["capabilities"] == ["douyin"]
    assert (await worker.ask("worker:goodbye", {"workerId": "worker-1"}))["released"] == 1
    await bench.worker("worker-2")
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-2"
