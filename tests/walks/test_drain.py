"""A worker is taken out of service: its accounts move to others, and the drain always ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from master.app import Master
from master.errors import NotDraining, UnknownWorker, WorkerDraining, WorkerNotConnected
from master.operations.accounts import change_account
from master.operations.drains import begin_drain, cancel_drain
from master.operations.logins import cancel_login, start_login
from master.operations.maintenance import begin_maintenance, end_maintenance, show_maintenance
from master.protocol.admin import CancelLogin, StartLogin
from master.protocol.drains import BeginMaintenance, DrainWorker
from master.protocol.http import AccountChange, ById, Nothing
from tests.conftest import Bench
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.fixture
def environ() -> dict[str, str]:
    return {"REBALANCE_INTERVAL_S": "1"}


async def drain(bench: Bench, worker_id: str = "first", deadline_s: int = 600) -> Any:
    event = DrainWorker(id=worker_id, deadline_s=deadline_s, reason="new disk")
    return await bench.run(begin_drain, event)


async def pass_seconds(bench: Bench, seconds: int, *peers: Any, step: int = 1) -> None:
    """Let seconds pass, with a heartbeat of each worker in each step."""
    for _ in range(0, seconds, step):
        for peer, name in zip(peers, ("first", "second", "third"), strict=False):
            await peer.ask("worker:heartbeat", {"workerId": name})
        await bench.advance(step)


async def fill(bench: Bench, count: int) -> list[str]:
    return [(await make_account(bench, f"a{number}"))["id"] for number in range(count)]


async def begin(bench: Bench, accounts: int, **second: Any) -> tuple[list[str], Any, Any]:
    """Return accounts of `first` whose handover is over, and the workers first and second."""
    first = await bench.worker("first")
    names = await fill(bench, accounts)
    second_worker = await bench.worker("second", **second)
    return names, first, second_worker


async def restart(bench: Bench) -> None:
    for peer in bench.peers:
        await peer.close()
    await bench.master.close()
    bench.master = Master(bench.master.settings, clock=bench.clock)
    await bench.master.start(sweeps=False)


def list_states(admin: Any) -> list[tuple[str, int, int]]:
    return [(one["state"], one["left"], one["moved"]) for one in admin.all("worker:drain")]


async def test_accounts_move_one_by_one_without_a_moment_without_an_owner(bench):
    admin = await bench.connect("admin")
    names, first, second = await begin(bench, 3, maxAccounts=9)
    row = (await drain(bench))["draining"]
    assert row == {
        "state": "draining", "since": int(bench.clock.now()), "by": "sweep", "left": 3,
        "deadline_at": int(bench.clock.now()) + 600, "reason": "new disk", "moved": 0,
        "waiting_login": 0, "unplaceable": [],
    }  # fmt: skip
    for left in (2, 1, 0):
        await pass_seconds(bench, 1, first, second)
        owners = [(await read_account(bench, name))["assigned_worker_id"] for name in names]
        assert sorted(owners) == ["first"] * left + ["second"] * (3 - left)
    await pass_seconds(bench, 1, first, second)
    assert list_states(admin) == [
        ("begun", 3, 0), ("moved", 2, 1), ("moved", 1, 2), ("moved", 0, 3), ("done", 0, 3)
    ]  # fmt: skip
    assert {one["reason"] for one in first.all("master:task:revoke")} == {"drained"}
    handed = [a for told in second.all("master:task:assign") for a in told["accounts"]]
    assert [account["start_after_ms"] > 0 for account in handed] == [True] * 3
    [note] = [one for one in admin.all("notification:new") if one["type"] == "system"]
    assert (note["data"]["worker_id"], note["data"]["state"]) == ("first", "done")
    assert admin.all("worker:status")[-1]["draining"]["state"] == "done"


async def test_a_drain_and_a_maintenance_are_told_in_the_history(bench):
    _, first, second = await begin(bench, 1)
    await drain(bench)
    await pass_seconds(bench, 3, first, second)
    await bench.run(cancel_drain, ById(id="first"))
    await bench.run(begin_maintenance, BeginMaintenance(deadline_s=60, reason="a new switch"))
    await bench.run(end_maintenance, Nothing())
    path = bench.master.settings.db_path
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT kind, worker_id, reason FROM events WHERE kind LIKE '%drain%' "
            "OR kind LIKE 'maintenance%' ORDER BY seq"
        ).fetchall()
    assert rows == [
        ("drain_begun", "first", None),
        ("drained", "first", None),
        ("drain_ended", "first", "cancelled"),
        ("maintenance_begun", None, None),
        ("maintenance_ended", None, None),
    ]


async def test_after_it_is_done_the_worker_stays_out_of_service_until_it_is_cancelled(bench):
    _, first, second = await begin(bench, 1)
    await drain(bench)
    await pass_seconds(bench, 3, first, second)
    await first.ask("worker:register", {**REGISTER, "workerId": "first"})
    await make_account(bench, "later")
    await pass_seconds(bench, 700, first, second, step=20)
    shown = await read_worker(bench, "first")
    assert (shown["assigned_accounts"], shown["draining"]["state"]) == (0, "done")
    back = await bench.run(cancel_drain, ById(id="first"))
    assert back["draining"] is None
    await pass_seconds(bench, 2, first, second)
    assert (await read_worker(bench, "first"))["assigned_accounts"] == 1, "loads are even again"


REGISTER = {
    "capabilities": ["douyin", "xiaohongshu"], "maxAccounts": 10, "host": "127.0.0.1",
    "port": 4000, "version": "1.0.0",
}  # fmt: skip


async def test_what_cannot_move_stays_says_why_and_the_deadline_ends_the_drain(bench):
    names, first, second = await begin(bench, 3, maxAccounts=1)
    weibo = (await make_account(bench, "of weibo", platform="xiaohongshu"))["id"]
    await second.ask(
        "worker:register",
        {**REGISTER, "workerId": "second", "capabilities": ["douyin"], "maxAccounts": 1},
    )
    pin = AccountChange(id=names[0], pinned_worker_id="first")
    await bench.run(change_account, pin)
    admin = await bench.connect("admin")
    await drain(bench, deadline_s=60)
    await pass_seconds(bench, 5, first, second)
    row = (await read_worker(bench, "first"))["draining"]
    stays = {one["account_id"]: one["rule"] for one in row["unplaceable"]}
    assert (stays[names[0]], stays[weibo]) == ("pinned", "no_worker_serves")
    assert sorted(stays.values()) == ["no_room", "no_worker_serves", "pinned"]
    await pass_seconds(bench, 60, first, second, step=10)
    shown = await read_worker(bench, "first")
    assert (shown["draining"], shown["assigned_accounts"]) == (None, 3)
    assert list_states(admin)[-1] == ("deadline", 3, 1)
    notes = [one for one in admin.all("notification:new") if one["data"].get("worker_id")]
    assert [one["data"]["state"] for one in notes] == ["deadline"]


async def test_a_login_under_way_is_waited_for_and_none_begins_on_a_draining_worker(bench):
    names, first, second = await begin(bench, 2)
    started = await bench.run(start_login, StartLogin(account_id=names[0]))
    assert started["worker_id"] == "first"
    await drain(bench)
    await pass_seconds(bench, 4, first, second)
    row = (await read_worker(bench, "first"))["draining"]
    assert (row["left"], row["waiting_login"], row["state"]) == (1, 1, "draining")
    with pytest.raises(WorkerDraining):
        await bench.run(start_login, StartLogin(account_id=names[1], worker_id="first"))
    with pytest.raises(WorkerDraining):
        await bench.run(change_account, AccountChange(id=names[1], pinned_worker_id="first"))
    await bench.run(cancel_login, CancelLogin(session_id=started["session_id"]))
    await pass_seconds(bench, 3, first, second)
    assert (await read_worker(bench, "first"))["draining"]["state"] == "done"


async def test_a_drain_survives_a_restart_and_ends_when_its_worker_leaves(bench):
    await begin(bench, 2, maxAccounts=0)
    await drain(bench)
    await restart(bench)
    again, _ = await bench.worker("first"), await bench.worker("second", maxAccounts=0)
    row = (await read_worker(bench, "first"))["draining"]
    assert (row["reason"], row["left"], row["unplaceable"][0]["rule"]) == ("new disk", 2, "no_room")
    await again.ask("worker:goodbye", {"workerId": "first"})
    assert (await read_worker(bench, "first"))["draining"] is None
    with pytest.raises(WorkerNotConnected):
        await drain(bench)


async def test_the_clock_set_back_does_not_prolong_a_drain(bench):
    _, first, second = await begin(bench, 1, maxAccounts=0)
    await drain(bench, deadline_s=20)
    bench.clock.step(-3_600)
    await pass_seconds(bench, 21, first, second)
    assert (await read_worker(bench, "first"))["draining"] is None


async def test_strangers_and_idle_workers_are_refused_readably(bench):
    await bench.worker("first")
    with pytest.raises(UnknownWorker):
        await drain(bench, "nobody")
    with pytest.raises(NotDraining):
        await bench.run(cancel_drain, ById(id="first"))


async def test_during_a_maintenance_nothing_is_placed_and_no_alarm_is_raised(bench):
    admin = await bench.connect("admin")
    await bench.run(begin_maintenance, BeginMaintenance(deadline_s=600, reason="new switch"))
    account = await make_account(bench)
    worker = await bench.worker("first")
    await pass_seconds(bench, 100, worker, step=10)
    row = await read_account(bench, account["id"])
    assert (row["assigned_worker_id"], row["placement"]["reason"]) == (None, "maintenance")
    assert admin.all("notification:new") == []
    await restart(bench)
    worker = await bench.worker("first")
    shown = await bench.master.turns.look(show_maintenance, Nothing())
    assert (shown["active"], shown["reason"]) == (True, "new switch")
    await bench.run(end_maintenance, Nothing())
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "first"


async def test_a_maintenance_ends_by_itself(bench):
    await bench.run(begin_maintenance, BeginMaintenance(deadline_s=10))
    account, worker = await make_account(bench), await bench.worker("first")
    await pass_seconds(bench, 11, worker)
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "first"
