"""An account that is removed is gone at once, however many messages it has."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from master.errors import UnknownAccount
from master.operations.accounts import (
    change_account,
    list_accounts,
    remove_account,
    show_account,
)
from master.operations.afterwards import do_nothing
from master.operations.retention import remove_old_rows
from master.protocol.http import AccountChange, ById
from master.protocol.lists import AccountsQuery
from master.store.comparison import find_difference
from master.store.rows import ROWS
from master.store.schema import accounts
from master.turn import SWEEP
from master.writer import LAST_PORTIONS_S
from tests.walks.test_messages import comment
from tests.walks.test_retention import count, fill, watch_batches
from tests.walks.test_workers import make_account

LARGE = 2 * ROWS + 500


async def list_ids(bench) -> list[str]:
    return [
        one["id"] for one in (await bench.master.turns.look(list_accounts, AccountsQuery())).rows
    ]


async def check_gone(bench, account: str) -> None:
    """Check that no answer tells the account from one that never existed."""
    assert bench.master.memory.farm.accounts.get(account) is None
    assert account not in await list_ids(bench)
    for operation, event in (
        (show_account, ById(id=account)),
        (remove_account, ById(id=account)),
        (change_account, AccountChange(id=account, account_name="back again")),
    ):
        with pytest.raises(UnknownAccount):
            await bench.run(operation, event)
    async with bench.master.database.read() as connection:
        assert await find_difference(connection, bench.master.memory.farm) is None


async def remove_until_hidden(bench, account: str) -> None:
    """Remove an account, and let nothing follow: Master is killed after the commit, as it were."""
    bench.master.turns._continue = lambda batch: None
    assert (await bench.run(remove_account, ById(id=account)))["id"] == account
    del bench.master.turns._continue


async def test_an_account_with_many_messages_is_gone_at_once_and_they_go_in_portions(bench):
    account = (await make_account(bench))["id"]
    await fill(bench, account, LARGE)
    batches = await watch_batches(bench, "comments")
    assert (await bench.run(remove_account, ById(id=account)))["id"] == account
    await bench.run(do_nothing)
    assert await count(bench, "comments") > 0
    await check_gone(bench, account)
    while await count(bench, "accounts"):
        await bench.run(do_nothing)
    assert [await count(bench, table) for table in ("comments", "notifications")] == [0, 0]
    lefts = [LARGE, *(left for left, _ in batches)]
    assert max(before - after for before, after in pairwise(lefts)) <= ROWS
    assert any("do_nothing" in names and left for left, names in batches), "others come in between"


async def test_a_hidden_account_holds_no_name_no_secret_and_no_worker(bench):
    worker = await bench.worker()
    account = (await make_account(bench, account_id="name-on-platform"))["id"]
    assert (await worker.hear("master:task:assign"))["accounts"][0]["id"] == account
    await fill(bench, account, LARGE)
    await remove_until_hidden(bench, account)
    await worker.hear("master:task:revoke")
    again = (await make_account(bench, account_id="name-on-platform"))["id"]
    assert await list_ids(bench) == [again]
    async with bench.master.database.read() as connection:
        query = "SELECT * FROM accounts WHERE id = ?"
        row = (await connection.exec_driver_sql(query, (account,))).mappings().one()
    kept = {name for name, value in row.items() if value is not None}
    assert kept == {one.name for one in accounts.c if not one.nullable} | {"status"}
    report = {"type": "comment", "account_id": account, "messages": [comment(1)]}
    answer = await worker.ask("worker:message:detected", report)
    assert answer["error"]["code"] == "unknown_account"
    await check_gone(bench, account)


async def test_a_removal_that_a_stop_interrupts_is_finished_after_the_start(bench):
    account = (await make_account(bench))["id"]
    await fill(bench, account, LARGE)
    await remove_until_hidden(bench, account)
    await bench.master.turns.load_farm()  # as a start does
    await check_gone(bench, account)
    await bench.run(remove_old_rows)  # the first sweep after a start
    while await count(bench, "accounts"):
        await bench.run(do_nothing)
    assert [await count(bench, table) for table in ("comments", "notifications")] == [0, 0]


async def test_a_stop_in_the_middle_of_a_removal_waits_for_few_portions_and_others_are_answered(
    bench,
):
    account = (await make_account(bench))["id"]
    await fill(bench, account, 4 * LARGE)
    turns, lefts = bench.master.turns, list[int]()

    def pass_time(batch) -> None:
        lefts.append(len(turns._waiting))
        bench.clock.advance(LAST_PORTIONS_S / 2)

    turns.on_commit = pass_time
    await bench.run(remove_account, ById(id=account))
    asked = turns.submit(do_nothing, None, SWEEP)
    await turns.close()
    assert asked.result() is None
    assert len(lefts) <= 6
    assert await count(bench, "comments") > LARGE
    turns.start()
    await bench.run(remove_old_rows)
    while await count(bench, "accounts"):
        await bench.run(do_nothing)
    assert await count(bench, "comments") == 0


async def test_an_account_that_is_removed_twice_at_once_is_removed_once(bench):
    account = (await make_account(bench))["id"]
    await fill(bench, account, ROWS + 500)
    request = ById(id=account)
    one, other = await asyncio.gather(
        bench.run(remove_account, request),
        bench.run(remove_account, request),
        return_exceptions=True,
    )
    assert one["id"] == account
    assert isinstance(other, UnknownAccount)
