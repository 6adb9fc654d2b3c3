"""An account without a worker says why and since when, and people are told after a minute."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from master.operations.accounts import change_account, list_accounts, remove_account
from master.operations.placement import tell_unplaced
from master.protocol.http import AccountChange, ById
from master.protocol.lists import AccountsQuery
from tests.conftest import Bench
from tests.walks.test_workers import make_account, read_account


async def pin(bench: Bench, account: dict[str, Any], worker_id: str) -> None:
    await bench.run(change_account, AccountChange(id=account["id"], pinned_worker_id=worker_id))


async def no_platform(bench: Bench) -> dict[str, Any]:
    await bench.worker()
    return await make_account(bench, platform="tiktokk")


async def nobody(bench: Bench) -> dict[str, Any]:
    worker = await bench.worker()
    await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    return await make_account(bench)


async def full(bench: Bench) -> dict[str, Any]:
    await bench.worker(maxAccounts=1)
    await make_account(bench, "first")
    return await make_account(bench, "second")


async def pinned_gone(bench: Bench) -> dict[str, Any]:
    worker, _ = await bench.worker(), await bench.worker("worker-2")
    account = await make_account(bench)
    await pin(bench, account, "worker-1")
    await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    return account


async def pinned_full(bench: Bench) -> dict[str, Any]:
    account = await pinned_gone(bench)
    await bench.worker(maxAccounts=0)
    return account


async def pinned_unfit(bench: Bench) -> dict[str, Any]:
    account = await pinned_gone(bench)
    await bench.worker(capabilities=["xiaohongshu"])
    return account


CASES = {
    "no_worker_serves": no_platform,
    "no_worker_connected": nobody,
    "no_room": full,
    "pinned_worker_gone": pinned_gone,
    "pinned_worker_full": pinned_full,
    "pinned_worker_unfit": pinned_unfit,
}


@pytest.mark.parametrize("reason", CASES)
async def test_an_account_without_a_worker_says_why_and_people_are_told(bench, reason: str):
    account = await CASES[reason](bench)
    admin = await bench.connect("admin")
    at = int(bench.clock.now())
    shown = await read_account(bench, account["id"])
    assert shown["placement"] == {"state": "waiting", "reason": reason, "since": at}
    listing = await bench.master.turns.look(list_accounts, AccountsQuery())
    assert shown["placement"] in [one["placement"] for one in listing.rows]
    assert f'master_accounts_unplaced{{reason="{reason}"}} 1.0' in await scrape(bench)
    bench.clock.advance(59)
    assert await bench.run(tell_unplaced) == 0
    bench.clock.advance(1)
    assert await bench.run(tell_unplaced) == 1
    assert await bench.run(tell_unplaced) == 0, "once"
    told = await admin.hear("notification:new")
    assert (told["type"], told["priority"], told["account_id"]) == ("system", "high", account["id"])
    assert (told["data"]["reason"], told["data"]["account_ids"]) == (reason, [account["id"]])


async def test_many_accounts_are_told_in_one_notification_per_reason(bench):
    admin = await bench.connect("admin")
    for number in range(25):
        await make_account(bench, f"a{number}", platform="tiktokk")
    await bench.worker()
    await make_account(bench, "served")
    bench.clock.advance(60)
    assert await bench.run(tell_unplaced) == 25
    told = await admin.hear("notification:new")
    assert (told["data"]["count"], len(told["data"]["account_ids"])) == (25, 20)
    assert told["account_id"] is None
    assert len(admin.all("notification:new")) == 1


async def test_an_account_that_found_a_worker_or_is_gone_is_not_told(bench):
    placed, paused = await make_account(bench, "placed"), await make_account(bench, "paused")
    removed = await make_account(bench, "removed")
    assert (await read_account(bench, placed["id"]))["placement"]["reason"] == "no_worker_serves"
    await bench.run(change_account, AccountChange(id=paused["id"], status="paused"))
    await bench.run(remove_account, ById(id=removed["id"]))
    await bench.worker()
    bench.clock.advance(61)
    assert await bench.run(tell_unplaced) == 0
    shown = [(await read_account(bench, one["id"]))["placement"] for one in (placed, paused)]
    assert [(one["state"], one["reason"]) for one in shown] == [
        ("placed", None), ("not_wanted", "account_paused"),
    ]  # fmt: skip


async def test_an_account_that_waits_again_is_told_again(bench):
    account = await make_account(bench)
    bench.clock.advance(60)
    assert await bench.run(tell_unplaced) == 1
    worker = await bench.worker()
    await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    at = int(bench.clock.now())
    assert (await read_account(bench, account["id"]))["placement"]["since"] == at
    bench.clock.advance(60)
    assert await bench.run(tell_unplaced) == 1


async def scrape(bench: Bench) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{bench.master.port}/metrics") as answer,
    ):
        return await answer.text()
