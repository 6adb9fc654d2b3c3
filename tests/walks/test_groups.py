"""What several turns of one group mean to each other, while the disk has not taken any of them yet."""

from __future__ import annotations

import asyncio

import pytest

from master.operations.accounts import change_account
from master.protocol.http import AccountChange, NoQuery, Request
from tests.conftest import registration
from tests.walks.holding import holding_what_is_decided
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.mark.parametrize("event", ["worker:goodbye", "worker:heartbeat"])
async def test_the_word_of_an_older_socket_changes_nothing_after_a_registration_in_the_same_group(bench, event):
    account = await make_account(bench)
    older, newer = await bench.worker("worker-1"), await bench.connect("worker")
    await bench.worker("worker-2")
    async with holding_what_is_decided(bench) as hold:
        # it changes what worker-1 holds, so that a heartbeat asks for a turn while it is being stored
        second = asyncio.ensure_future(make_account(bench, "second", assigned_worker_id="worker-1"))
        await hold.wait()
        registered = asyncio.ensure_future(newer.ask("worker:register", registration("worker-1")))
        await hold.wait_for(1)
        # its connection is closed with the commit: an acknowledgement may not reach it any more
        await older.client.emit(event, {"workerId": "worker-1"}, namespace="/worker")
        await hold.wait_for(2)
        await hold.let_go()
        held = sorted([account["id"], (await second)["id"]])
        assert [one["id"] for one in (await registered)["accounts"]] == held
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"
    for account_id in held:
        assert (await read_account(bench, account_id))["assigned_worker_id"] == "worker-1"
    assert sorted((await newer.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"]) == held
    assert newer.all("master:task:revoke") == []


async def test_a_heartbeat_of_who_is_losing_an_account_is_answered_when_that_is_stored(bench):
    """The wait of the new owner counts from the turn: an answer from old memory would let the former one go on."""
    account = await make_account(bench)
    former = await bench.worker("worker-1")
    other = await bench.worker("worker-2")
    change = Request(NoQuery(), AccountChange(assigned_worker_id="worker-2"), {"id": account["id"]})
    async with holding_what_is_decided(bench) as hold:
        moved = asyncio.ensure_future(bench.run(change_account, change))
        await hold.wait()  # the account has changed hands, and nothing is committed
        asked = asyncio.ensure_future(former.ask("worker:heartbeat", {"workerId": "worker-1"}))
        await hold.wait_for(1)
        assert not asked.done()
        answered = asyncio.ensure_future(other.ask("worker:heartbeat", {"workerId": "worker-2"}))
        await hold.wait_for(2)  # what it holds is being changed as well
        await hold.let_go()
        assert (await moved)["assigned_worker_id"] == "worker-2"
        assert (await asked)["accountIds"] == []
        assert (await answered)["accountIds"] == [account["id"]]


async def test_a_heartbeat_of_anybody_else_is_answered_meanwhile(bench):
    account = await make_account(bench)
    await bench.worker("worker-1")
    bystander = await bench.worker("worker-2")
    change = Request(NoQuery(), AccountChange(status="paused"), {"id": account["id"]})
    async with holding_what_is_decided(bench) as hold:
        paused = asyncio.ensure_future(bench.run(change_account, change))
        await hold.wait()
        assert (await bystander.ask("worker:heartbeat", {"workerId": "worker-2"}))["accountIds"] == []
        assert not paused.done()
    assert (await paused)["assigned_worker_id"] is None


async def test_what_is_decided_and_not_stored_is_shown_to_nobody(bench):
    account = await make_account(bench)
    await bench.worker("worker-1")
    change = Request(NoQuery(), AccountChange(status="paused"), {"id": account["id"]})
    async with holding_what_is_decided(bench) as hold:
        paused = asyncio.ensure_future(bench.run(change_account, change))
        await hold.wait()
        shown = await read_account(bench, account["id"])
        assert (shown["status"], shown["assigned_worker_id"]) == ("active", "worker-1")
        assert (await read_worker(bench, "worker-1"))["assigned_accounts"] == 1
    await paused
    assert (await read_account(bench, account["id"]))["status"] == "paused"
