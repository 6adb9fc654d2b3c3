"""The effects of several turns in one batch on each other before the batch is stored."""

from __future__ import annotations

import asyncio

import pytest

from master import writer
from master.operations.accounts import change_account, remove_account
from master.operations.afterwards import do_nothing
from master.operations.processes import add_config, change_config
from master.operations.proxies import add_proxy, remove_proxy
from master.protocol.http import AccountChange, ById, NewProxy, NewWorkerConfig, WorkerConfigChange
from tests.conftest import registration
from tests.stored import check_farm
from tests.waiting import until
from tests.walks.gates import stopped_before_storing, stopped_in_a_turn
from tests.walks.test_workers import make_account, read_account, read_worker


@pytest.mark.parametrize("event", ["worker:goodbye", "worker:heartbeat"])
async def test_the_word_of_an_older_socket_changes_nothing_after_a_registration_in_the_same_batch(
    bench, event
):
    account = await make_account(bench)
    older, newer = await bench.worker("worker-1"), await bench.connect("worker")
    await bench.worker("worker-2")
    async with stopped_before_storing(bench) as gate:
        # it changes what worker-1 owns, so a heartbeat needs a turn while it is being stored
        second = asyncio.ensure_future(make_account(bench, "second", assigned_worker_id="worker-1"))
        await gate.wait()
        registered = asyncio.ensure_future(newer.ask("worker:register", registration("worker-1")))
        await gate.wait_for(1)
        # the commit closes this connection: an acknowledgement may not reach it any more
        await older.client.emit(event, {"workerId": "worker-1"}, namespace="/worker")
        await gate.wait_for(2)
        await gate.let_go()
        held = sorted([account["id"], (await second)["id"]])
        assert [one["id"] for one in (await registered)["accounts"]] == held
    assert (await read_worker(bench, "worker-1"))["status"] == "connected"
    for account_id in held:
        assert (await read_account(bench, account_id))["assigned_worker_id"] == "worker-1"
    assert (
        sorted((await newer.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"])
        == held
    )
    assert newer.all("master:task:revoke") == []


async def test_a_heartbeat_of_who_is_losing_an_account_is_answered_when_that_is_stored(bench):
    """The new owner's wait counts from the turn; an answer from old memory would break it."""
    account = await make_account(bench)
    former = await bench.worker("worker-1")
    other = await bench.worker("worker-2")
    change = AccountChange(id=account["id"], assigned_worker_id="worker-2")
    async with stopped_before_storing(bench) as gate:
        moved = asyncio.ensure_future(bench.run(change_account, change))
        await gate.wait()  # the account has changed hands, and nothing is committed
        asked = asyncio.ensure_future(former.ask("worker:heartbeat", {"workerId": "worker-1"}))
        await gate.wait_for(1)
        assert not asked.done()
        answered = asyncio.ensure_future(other.ask("worker:heartbeat", {"workerId": "worker-2"}))
        await gate.wait_for(2)  # the accounts of worker-2 are changing as well
        await gate.let_go()
        assert (await moved)["assigned_worker_id"] == "worker-2"
        assert (await asked)["accountIds"] == []
        assert (await answered)["accountIds"] == [account["id"]]


async def test_a_heartbeat_that_waits_is_heard_on_arrival_and_answered_as_of_then(
    bench,
):
    worker = await bench.worker("worker-1")
    await make_account(bench)
    async with stopped_before_storing(bench) as gate:
        second = asyncio.ensure_future(make_account(bench, "second"))
        await gate.wait()
        again = asyncio.ensure_future(worker.ask("worker:register", registration("worker-1")))
        await gate.wait_for(1)
        bench.clock.advance(1)
        asked = asyncio.ensure_future(worker.ask("worker:heartbeat", {"workerId": "worker-1"}))
        heard = bench.clock.monotonic()
        seat = bench.master.memory.sessions.seats["worker-1"]
        await until(lambda: seat.heard == heard)
        bench.clock.advance(5)
        await gate.let_go()
        held = [(await second)["id"], *(one["id"] for one in (await again)["accounts"])]
        answer = await asked
    assert set(answer["accountIds"]) == set(held)
    assert answer["timestamp"] == int(bench.clock.now() * 1000)


async def test_a_heartbeat_of_anybody_else_is_answered_meanwhile(bench):
    account = await make_account(bench)
    await bench.worker("worker-1")
    bystander = await bench.worker("worker-2")
    change = AccountChange(id=account["id"], status="paused")
    async with stopped_before_storing(bench) as gate:
        paused = asyncio.ensure_future(bench.run(change_account, change))
        await gate.wait()
        assert (await bystander.ask("worker:heartbeat", {"workerId": "worker-2"}))[
            "accountIds"
        ] == []
        assert not paused.done()
    assert (await paused)["assigned_worker_id"] is None


async def test_what_is_decided_and_not_stored_is_not_shown(bench):
    account = await make_account(bench)
    await bench.worker("worker-1")
    change = AccountChange(id=account["id"], status="paused")
    async with stopped_before_storing(bench) as gate:
        paused = asyncio.ensure_future(bench.run(change_account, change))
        await gate.wait()
        shown = await read_account(bench, account["id"])
        assert (shown["status"], shown["assigned_worker_id"]) == ("active", "worker-1")
        assert (await read_worker(bench, "worker-1"))["assigned_accounts"] == 1
    await paused
    assert (await read_account(bench, account["id"]))["status"] == "paused"


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_an_account_is_removed_in_the_batch_in_which_its_login_ends(bench, how):
    """The login's row goes with its account, so its end needs no statement."""
    account = await make_account(bench)
    worker, admin = await bench.worker("worker-1"), await bench.connect("admin")
    started = await admin.ask("master:login:start", {"account_id": account["id"]})
    bystander = await make_account(bench, "other")
    async with stopped_in_a_turn(bench) as gate:
        if how == "cancelled":
            ended = asyncio.ensure_future(
                admin.ask("master:login:cancel", {"session_id": started["session_id"]})
            )
        else:
            report = {"session_id": started["session_id"], "status": "failed"}
            ended = asyncio.ensure_future(worker.ask("worker:login:status", report))
        await gate.wait_for(1)
        removed = asyncio.ensure_future(bench.run(remove_account, ById(id=account["id"])))
        await gate.wait_for(2)
        await gate.let_go()
        assert (await ended)["success"]
        assert (await removed)["id"] == account["id"]
    check_farm(bench.master.memory.farm, bench.master.settings.db_path)
    assert [one.id for one in bench.master.memory.farm.accounts.all()] == [bystander["id"]]
    assert bench.master.memory.deadlines.expiries == {}


async def test_a_name_that_one_item_frees_is_used_by_another_of_its_batch(bench):
    first, second = [await make_account(bench, name, account_id=name) for name in "ab"]
    async with stopped_in_a_turn(bench) as gate:
        changes = [(second, "c"), (first, "b"), (second, "a")]
        asked = [
            asyncio.ensure_future(
                bench.run(change_account, AccountChange(id=account["id"], account_id=name))
            )
            for account, name in changes
        ]
        await gate.wait_for(len(asked))
        await gate.let_go()
        assert [(await one)["account_id"] for one in asked] == ["c", "b", "a"]
    check_farm(bench.master.memory.farm, bench.master.settings.db_path)


async def test_a_proxy_is_removed_in_the_batch_in_which_its_last_user_goes(bench):
    proxy = await bench.run(add_proxy, NewProxy(name="p", server="h:1"))
    config = NewWorkerConfig(worker_id="worker-1", proxy_id=proxy["id"])
    await bench.run(add_config, config)
    async with stopped_in_a_turn(bench) as gate:
        freed = WorkerConfigChange(id="worker-1", proxy_id=None)
        asked = [
            asyncio.ensure_future(bench.run(change_config, freed)),
            asyncio.ensure_future(bench.run(remove_proxy, ById(id=proxy["id"]))),
        ]
        await gate.wait_for(len(asked))
        await gate.let_go()
        assert (await asked[0])["proxy_id"] is None
        assert (await asked[1])["id"] == proxy["id"]
    check_farm(bench.master.memory.farm, bench.master.settings.db_path)


async def test_a_batch_that_is_stored_is_answered_even_if_memory_cannot_follow(bench, monkeypatch):
    """After a single bug, callers get true answers, the writer survives, and memory is reloaded."""
    apply, failures = writer.apply, ["once"]

    def apply_half_way(draft, turns):
        if failures:
            failures.pop()
            bench.master.memory.farm.accounts.put(next(iter(draft.accounts.changed.values())))
            raise KeyError("a bug")
        return apply(draft, turns)

    worker = await bench.worker("worker-1")
    monkeypatch.setattr(writer, "apply", apply_half_way)
    account = await make_account(bench)
    assert account["assigned_worker_id"] == "worker-1"
    for _ in range(3):
        await bench.run(do_nothing)
    check_farm(bench.master.memory.farm, bench.master.settings.db_path)
    assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"] == [
        account["id"]
    ]
    assert account["id"] in {
        one["id"] for told in worker.all("master:task:assign") for one in told["accounts"]
    }
