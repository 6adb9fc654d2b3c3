"""Reservations for logins: which account may use one, and which gets the slot afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from master.errors import WorkerFull
from master.model import AccountStatus
from master.operations.accounts import change_account, remove_account
from master.protocol.http import AccountChange, ById
from tests.walks.test_workers import make_account, read_account, read_worker


async def change(bench: Any, account_id: str, **fields: Any) -> dict[str, Any]:
    body = AccountChange.model_validate({"id": account_id, **fields})
    return await bench.run(change_account, body)


async def remove(bench: Any, account_id: str) -> None:
    await bench.run(remove_account, ById(id=account_id))


async def find_owner(bench: Any, account_id: str) -> str | None:
    return (await read_account(bench, account_id))["assigned_worker_id"]


async def log_in(admin: Any, account_id: str, worker_id: str | None = None) -> str:
    """Start a login; return its session."""
    wanted = {} if worker_id is None else {"worker_id": worker_id}
    answer = await admin.ask("master:login:start", {"account_id": account_id, **wanted})
    assert answer["success"], answer
    return answer["session_id"]


async def succeed(worker: Any, session: str) -> None:
    report = {
        "session_id": session,
        "status": "success",
        "cookies": [{"name": "sid", "value": "1"}],
    }
    assert (await worker.ask("worker:login:status", report))["success"]


async def owned_by_one_and_logged_in_by_another(bench: Any) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Return worker-1, worker-2 with its only slot reserved, an admin, and worker-1's account."""
    first = await bench.worker("worker-1", maxAccounts=1)
    account = await make_account(bench, "owned")
    second = await bench.worker("worker-2", maxAccounts=1)
    admin = await bench.connect("admin")
    await log_in(admin, account["id"], "worker-2")
    return first, second, admin, account


async def test_an_account_that_is_removed_does_not_get_the_slot_that_its_own_login_kept(bench):
    first, second, _, account = await owned_by_one_and_logged_in_by_another(bench)
    await first.ask("worker:goodbye", {"workerId": "worker-1"})
    assert await find_owner(bench, account["id"]) is None
    await remove(bench, account["id"])
    assert (await second.ask("worker:heartbeat", {"workerId": "worker-2"}))["accountIds"] == []
    assert second.all("master:task:assign") == []
    assert bench.master.memory.deadlines.handed_out == {}
    assert (await read_worker(bench, "worker-2"))["assigned_accounts"] == 0


async def test_what_waits_gets_the_slot_that_the_login_of_a_removed_account_kept(bench):
    paused = await make_account(bench, "paused", status=AccountStatus.PAUSED)
    await bench.worker("worker-1", maxAccounts=1)
    admin = await bench.connect("admin")
    await log_in(admin, paused["id"])
    waiting = await make_account(bench, "waiting")
    assert await find_owner(bench, waiting["id"]) is None
    await remove(bench, paused["id"])
    assert await find_owner(bench, waiting["id"]) == "worker-1"


@pytest.mark.parametrize("named", [None, "worker-1"])
async def test_a_login_is_started_again_on_the_last_slot_and_no_other_account_gets_it(bench, named):
    paused = await make_account(bench, "paused", status=AccountStatus.PAUSED)
    worker = await bench.worker("worker-1", maxAccounts=1)
    admin = await bench.connect("admin")
    first = await log_in(admin, paused["id"])
    waiting = await make_account(bench, "waiting")
    second = await log_in(admin, paused["id"], named)
    assert (await worker.hear("master:login:cancel"))["session_id"] == first
    assert (await worker.hear("master:login:start", 2))["session_id"] == second
    assert await find_owner(bench, waiting["id"]) is None
    told = [event for event, _ in worker.heard if event.startswith("master:login:")]
    assert told == ["master:login:start", "master:login:cancel", "master:login:start"]


async def test_a_login_of_an_account_that_another_worker_owns_is_started_again_on_the_last_slot(
    bench,
):
    _, second, admin, account = await owned_by_one_and_logged_in_by_another(bench)
    session = await log_in(admin, account["id"], "worker-2")
    await succeed(second, session)
    assert await find_owner(bench, account["id"]) == "worker-2"


async def test_what_waits_gets_the_slot_of_a_login_that_is_started_again_elsewhere(bench):
    paused = await make_account(bench, "paused", status=AccountStatus.PAUSED)
    await bench.worker("worker-1", maxAccounts=1)
    admin = await bench.connect("admin")
    await log_in(admin, paused["id"], "worker-1")
    waiting = await make_account(bench, "waiting", platform="xiaohongshu")
    await bench.worker("worker-2", capabilities=["douyin"])
    assert await find_owner(bench, waiting["id"]) is None
    await log_in(admin, paused["id"], "worker-2")
    assert await find_owner(bench, waiting["id"]) == "worker-1"


async def test_a_start_that_is_refused_ends_no_login(bench):
    paused = await make_account(bench, "paused", status=AccountStatus.PAUSED)
    await bench.worker("worker-1", maxAccounts=1)
    await bench.worker("worker-2", maxAccounts=0)
    admin = await bench.connect("admin")
    session = await log_in(admin, paused["id"], "worker-1")
    answer = await admin.ask(
        "master:login:start", {"account_id": paused["id"], "worker_id": "worker-2"}
    )
    assert answer["error"]["code"] == "worker_full"
    listed = await admin.ask("admin:request:login-sessions", {})
    assert [(row["id"], row["status"]) for row in listed["sessions"]] == [(session, "pending")]
    assert admin.all("login:failed") == []


async def test_a_success_that_leaves_the_account_elsewhere_leaves_its_slot_to_what_waits(bench):
    paused = await make_account(bench, "paused", status=AccountStatus.PAUSED)
    worker = await bench.worker("worker-1", maxAccounts=1)
    admin = await bench.connect("admin")
    session = await log_in(admin, paused["id"])
    waiting = await make_account(bench, "waiting")
    assert await find_owner(bench, waiting["id"]) is None
    await succeed(worker, session)
    assert await find_owner(bench, waiting["id"]) == "worker-1"


async def test_no_account_is_pinned_to_a_slot_that_is_kept_for_anothers_login(bench):
    await bench.worker("worker-1", maxAccounts=1)
    held = await make_account(bench, "held")
    paused = await make_account(bench, "paused", status=AccountStatus.PAUSED)
    await bench.worker("worker-2", maxAccounts=1)
    admin = await bench.connect("admin")
    await log_in(admin, paused["id"], "worker-2")
    with pytest.raises(WorkerFull):
        await change(bench, held["id"], assigned_worker_id="worker-2")
    shown = await read_account(bench, held["id"])
    assert (shown["assigned_worker_id"], shown["pinned_worker_id"]) == ("worker-1", None)


async def test_an_account_is_pinned_to_the_slot_that_its_own_login_keeps_and_gets_it(bench):
    _, second, _, account = await owned_by_one_and_logged_in_by_another(bench)
    waiting = await make_account(bench, "waiting")
    changed = await change(bench, account["id"], assigned_worker_id="worker-2")
    assert (changed["assigned_worker_id"], changed["pinned_worker_id"]) == ("worker-2", "worker-2")
    assert (await second.hear("master:task:assign"))["accounts"][0]["id"] == account["id"]
    assert await find_owner(bench, waiting["id"]) == "worker-1"
    assert (await read_worker(bench, "worker-2"))["assigned_accounts"] == 1
