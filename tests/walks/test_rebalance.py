"""Loads become even if the settings ask for it, and otherwise stay as they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master.operations.accounts import change_account
from master.operations.afterwards import do_nothing
from master.protocol.http import AccountChange
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.fixture
def environ() -> dict[str, str]:
    return {"REBALANCE_INTERVAL_S": "60"}


async def beat(bench, **peers):
    for name, peer in peers.items():
        answer = await peer.ask("worker:heartbeat", {"workerId": name})
        assert answer["success"]


async def change(bench, account_id, **fields):
    body = AccountChange.model_validate({"id": account_id, **fields})
    return await bench.run(change_account, body)


async def test_a_worker_that_comes_later_gets_its_share_and_equal_ones_keep_theirs(bench):
    names = [(await make_account(bench, f"a{number}"))["id"] for number in range(4)]
    first = await bench.worker("first")
    second = await bench.worker("second")
    admin = await bench.connect("admin")
    assert (await read_worker(bench, "first"))["assigned_accounts"] == 4
    for _ in range(5):
        await bench.advance(10)
        await beat(bench, first=first, second=second)
    owners = [(await read_account(bench, name))["assigned_worker_id"] for name in names]
    assert sorted(owners) == ["first", "first", "second", "second"]
    moved = sorted(name for name, owner in zip(names, owners, strict=True) if owner == "second")
    assert sorted(told["accountIds"] for told in first.all("master:task:revoke")) == [
        [name] for name in moved
    ]
    assert {told["reason"] for told in first.all("master:task:revoke")} == {"rebalanced"}
    assigned = [
        account for told in second.all("master:task:assign") for account in told["accounts"]
    ]
    assert sorted(account["id"] for account in assigned) == moved
    assert all(account["start_after_ms"] > 0 for account in assigned), (
        "the former owner may not have heard of it"
    )
    assert [(await read_account(bench, name))["epoch"] for name in moved] == [2, 2]
    shown = {told["id"]: told["assigned_accounts"] for told in admin.all("worker:status")}
    assert shown == {"first": 2, "second": 2}


async def test_nothing_moves_while_master_itself_may_be_deaf(bench):
    await make_account(bench, "a")
    await make_account(bench, "b")
    first, second = await bench.worker("first"), await bench.worker("second")
    for name in ("third", "fourth", "fifth"):
        await bench.worker(name, capabilities=["weibo"])
        await make_account(bench, f"of {name}", platform="weibo")
    bench.clock.advance(31)
    await beat(bench, first=first, second=second)
    await bench.advance(1)
    assert bench.master.memory.watch.brake_until is not None
    assert (await read_worker(bench, "first"))["assigned_accounts"] == 2
    await bench.run(do_nothing)  # after the turns that the sweeps have queued
    bench.master.memory.watch = replace(bench.master.memory.watch, brake_until=None)
    for worker_id in bench.master.memory.sessions.seats:
        bench.master.memory.sessions.hear(
            worker_id, monotonic=bench.clock.monotonic(), at=int(bench.clock.now())
        )
    await bench.advance(1)
    assert (await read_worker(bench, "first"))["assigned_accounts"] == 1, (
        "there was something to move"
    )


async def test_who_has_not_been_heard_for_two_beats_loses_and_gets_nothing(bench):
    await make_account(bench, "a")
    await make_account(bench, "b")
    first = await bench.worker("first")
    second = await bench.worker("second")
    for silent_s in (21, 5):
        await bench.advance(silent_s)
        await beat(bench, first=first)
    assert first.all("master:task:revoke") == []
    await beat(bench, first=first, second=second)
    await bench.advance(1)
    assert (await read_worker(bench, "second"))["assigned_accounts"] == 1


async def test_what_a_person_pins_where_it_is_stays(bench):
    accounts = [await make_account(bench, name) for name in "ab"]
    first = await bench.worker("first")
    for account in accounts:
        shown = await change(bench, account["id"], pinned_worker_id="first")
        assert (shown["assigned_worker_id"], shown["pinned_worker_id"], shown["epoch"]) == (
            "first",
            "first",
            1,
        )
    second = await bench.worker("second")
    for _ in range(4):
        await bench.advance(10)
        await beat(bench, first=first, second=second)
    assert first.all("master:task:revoke") == []
    await change(bench, accounts[0]["id"], pinned_worker_id=None)
    await bench.advance(1)
    assert (await read_account(bench, accounts[0]["id"]))["assigned_worker_id"] == "second"


async def test_a_full_worker_and_one_that_cannot_get_nothing(bench):
    await make_account(bench, "a")
    await make_account(bench, "b")
    first = await bench.worker("first")
    full = await bench.worker("full", maxAccounts=0)
    other = await bench.worker("other", capabilities=["weibo"])
    for _ in range(4):
        await bench.advance(10)
        await beat(bench, first=first, full=full, other=other)
    assert (await read_worker(bench, "first"))["assigned_accounts"] == 2
    await bench.worker("full", maxAccounts=1)
    await bench.advance(1)
    assert (await read_worker(bench, "full"))["assigned_accounts"] == 1, "now it takes one"


class TestByDefault:
    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {}

    async def test_what_a_worker_has_it_keeps(self, bench):
        await make_account(bench, "a")
        await make_account(bench, "b")
        first, second = await bench.worker("first"), await bench.worker("second")
        for _ in range(4):
            await bench.advance(10)
            await beat(bench, first=first, second=second)
        assert "rebalance" not in {sweep.name for sweep in bench.master.periodic.sweeps}
        assert (await read_worker(bench, "first"))["assigned_accounts"] == 2
