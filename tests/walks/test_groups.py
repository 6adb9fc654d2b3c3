"""What several turns of one group mean to each other, while the disk has not taken any of them yet."""

from __future__ import annotations

import asyncio

import pytest

from master.operations.accounts import change_account
from master.protocol.http import AccountChange, NoQuery, Request
from tests.conftest import registration
from tests.walks.holding import Hold, holding
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.mark.parametrize("event", ["worker:goodbye", "worker:heartbeat"])
async def test_the_word_of_an_older_socket_changes_nothing_after_a_registration_in_the_same_group(bench, event):
    account = await make_account(bench)
    older, newer = await bench.worker("worker-1"), await bench.connect("worker")
    await bench.worker("worker-2")
    bench.master.presence.doubted.add("worker-1")  # so that its heartbeat asks for a turn, as after a revocation
    async with holding(bench) as hold:
        registered = asyncio.ensure_future(newer.ask("worker:register", registration("worker-1")))
        await hold.wait_for(1)
        # its connection is closed with the commit: an acknowledgement may not reach it any more
        await older.client.emit(event, {"workerId": "worker-1"}, namespace="/worker")
        await hold.wait_for(2)
        await hold.let_go()
        assert [one["id"] for one in (await registered)["accounts"]] == [account["id"]]
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"
    assert (await read_account(bench, account["id"]))["assigned_worker_id"] == "worker-1"
    assert (await newer.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"] == [account["id"]]
    assert newer.all("master:task:revoke") == []


async def test_a_heartbeat_of_who_is_losing_an_account_is_answered_when_that_is_stored(bench):
    """The wait of the new owner counts from the turn: an answer from old memory would let the former one go on."""
    account = await make_account(bench)
    former = await bench.worker("worker-1")
    await bench.worker("worker-2")
    change = Request(NoQuery(), AccountChange(assigned_worker_id="worker-2"), {"id": account["id"]})
    async with holding(bench) as first:
        moved = asyncio.ensure_future(bench.run(change_account, change))
        await first.wait_for(1)
        rest = Hold(bench)  # of the same group: the account has changed hands, and nothing is committed
        await first.let_go()
    try:
        await rest.wait()
        asked = asyncio.ensure_future(former.ask("worker:heartbeat", {"workerId": "worker-1"}))
        await rest.wait_for(1)
    finally:
        await rest.let_go()
    assert (await moved)["assigned_worker_id"] == "worker-2"
    assert (await asked)["accountIds"] == []
