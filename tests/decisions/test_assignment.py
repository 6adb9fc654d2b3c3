"""Which worker takes which account."""

from __future__ import annotations

from typing import Any

import pytest

from master.decisions.assignment import choose_login_worker, place_accounts
from master.decisions.schedule import find_due, portion
from master.errors import NoWorker, WorkerFull, WorkerNotConnected, WorkerUnfit
from master.model import Account, AccountStatus, LoginStatus, Worker, WorkerStatus


def make_worker(worker_id: str, load: int = 0, **changes: Any) -> Worker:
    fields: dict[str, Any] = {
        "id": worker_id, "host": "h", "port": 1, "status": WorkerStatus.CONNECTED, "capabilities": ("douyin",),
        "max_accounts": 3, "assigned_accounts": load, "last_heartbeat": 0, "started_at": 0, "version": None,
        "metadata": {}, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    return Worker(**fields | changes)


def make_account(account_id: str, **changes: Any) -> Account:
    fields: dict[str, Any] = {
        "id": account_id, "platform": "douyin", "account_name": "n", "account_id": None, "credentials": None,
        "user_info": None, "fingerprint": None, "status": AccountStatus.ACTIVE,
        "login_status": LoginStatus.LOGGED_IN, "monitor_interval": 20, "last_login_time": None,
        "cookies_valid_until": None, "assigned_worker_id": None, "pinned_worker_id": None, "platform_user_id": None,
        "epoch": 0, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    return Account(**fields | changes)


@pytest.mark.parametrize(
    ("workers", "accounts", "placed"),
    [
        ([make_worker("a", 1), make_worker("b", 0)], ["1"], ["b"]),
        ([make_worker("b"), make_worker("a")], ["1"], ["a"]),
        ([make_worker("a"), make_worker("b")], ["1", "2", "3", "4"], ["a", "b", "a", "b"]),
        ([make_worker("a", 3)], ["1"], []),
        ([make_worker("a", 2)], ["1", "2"], ["a"]),
        ([make_worker("a", status=WorkerStatus.DISCONNECTED)], ["1"], []),
        ([make_worker("a", capabilities=("xiaohongshu",))], ["1"], []),
        ([], ["1"], []),
    ],
)
def test_accounts_go_to_the_least_loaded_fitting_worker(workers, accounts, placed):
    found = place_accounts([make_account(one) for one in accounts], workers)
    assert [worker for _, worker in found] == placed


def test_two_platforms_share_a_workers_room():
    both = make_worker("a", 1, capabilities=("douyin", "xiaohongshu"))
    accounts = [make_account("1"), make_account("2", platform="xiaohongshu"), make_account("3")]
    assert [account.id for account, _ in place_accounts(accounts, [both])] == ["1", "2"]


def test_a_pinned_account_goes_nowhere_else():
    pinned = make_account("1", pinned_worker_id="b")
    assert place_accounts([pinned], [make_worker("a")]) == []
    assert place_accounts([pinned], [make_worker("a"), make_worker("b", 2)])[0][1] == "b"


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        (make_worker("a", status=WorkerStatus.OFFLINE), WorkerNotConnected),
        (make_worker("a", capabilities=()), WorkerUnfit),
        (make_worker("a", 3), WorkerFull),
        (None, NoWorker),
    ],
)
def test_a_login_worker_that_cannot_is_refused_by_name(wanted, refusal):
    with pytest.raises(refusal):
        choose_login_worker(make_account("1"), wanted, [])


def test_a_login_goes_to_the_owner_even_when_it_is_full():
    owner = make_worker("b", 3)
    account = make_account("1", assigned_worker_id="b")
    assert choose_login_worker(account, None, [make_worker("a"), owner]) is owner


@pytest.mark.parametrize(("passed", "due"), [(19.9, False), (20, True), (None, True)])
def test_an_account_is_due_when_its_interval_has_passed(passed, due):
    account = make_account("1", assigned_worker_id="w")
    handed_out = {} if passed is None else {"1": 100.0}
    assert find_due([account], handed_out, 100.0 + (passed or 0)) == ({"w": [account]} if due else {})


@pytest.mark.parametrize(
    "changes",
    [
        {"status": AccountStatus.PAUSED},
        {"login_status": LoginStatus.LOGGING_IN},
        {"assigned_worker_id": None},
    ],
)
def test_what_is_not_to_be_watched_is_never_due(changes):
    assert find_due([make_account("1", **{"assigned_worker_id": "w"} | changes)], {}, 0) == {}


def test_portions_hold_at_most_their_size():
    assert [len(some) for some in portion(range(205), 100)] == [100, 100, 5]
