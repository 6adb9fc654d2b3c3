"""States of accounts: a worker's word for them, the end of cookies, and the wrong person."""

from __future__ import annotations

from typing import Any

import pytest

from master.operations.account_states import warn_of_cookies
from master.operations.logins import expire_logins
from master.operations.schedules import hand_out_due
from master.protocol.http import AccountChange
from tests.conftest import Bench, Peer
from tests.walks.test_workers import make_account, read_account

DAY_S = 86_400
COOKIES = [{"name": "sid", "value": "1"}]


async def log_in(bench: Bench, admin: Peer, worker: Peer, account_id: str, **report: Any) -> Any:
    """Log an account in; return the acknowledgement of its success."""
    wanted = {"account_id": account_id} | (
        {"accept_identity": True} if report.pop("accept", False) else {}
    )
    started = await admin.ask("master:login:start", wanted)
    assert started["success"], started
    words = {"session_id": started["session_id"], "status": "success", "cookies": COOKIES}
    return await worker.ask("worker:login:status", words | report)


async def begin(bench: Bench, **report: Any) -> tuple[Peer, Peer, dict[str, Any]]:
    """Return an administrator, a worker and its account, which is logged in."""
    account = await make_account(bench)
    worker, admin = await bench.worker(), await bench.connect("admin")
    answer = await log_in(bench, admin, worker, account["id"], **report)
    assert answer["status"] == "success", answer
    return admin, worker, account


async def tell(worker: Peer, account: dict[str, Any], **words: Any) -> Any:
    return await worker.ask("worker:account:status", {"account_id": account["id"], **words})


async def count_due(bench: Bench) -> int:
    """Return how many accounts the schedule hands out after their interval."""
    bench.clock.advance(21)
    return int(await bench.run(hand_out_due))


@pytest.mark.parametrize(
    ("word", "state", "priority"),
    [
        ("logged_out", "logged_out", "high"),
        ("expired", "expired", "high"),
        ("needs_verification", "needs_verification", "urgent"),
        (" Captcha-Required", "needs_verification", "urgent"),
    ],
)
async def test_a_lost_login_is_told_and_not_handed_out_and_comes_back(
    bench, word: str, state: str, priority: str
):
    admin, worker, account = await begin(bench)
    assert await count_due(bench) == 1
    answer = await tell(worker, account, login_status=word, reason="seen", detail="the page")
    assert (answer["success"], answer["changed"], answer["login_status"]) == (True, True, state)
    shown = await read_account(bench, account["id"])
    at = int(bench.clock.now())
    assert shown["login_status"] == state
    assert shown["state"] == {"since": at, "reason": "seen", "detail": "the page"}
    told = await admin.hear("notification:new")
    assert (told["type"], told["account_id"]) == ("account_status", account["id"])
    assert (told["priority"], told["data"]["reason"]) == (priority, "seen")
    assert await count_due(bench) == 0, "its cookies are of no use"
    assert shown["assigned_worker_id"] == "worker-1"
    again = await tell(worker, account, login_status=word)
    assert (again["success"], again["changed"]) == (True, False)
    better = await tell(worker, account, login_status="logged_in")
    assert (better["changed"], better["login_status"]) == (True, "logged_in")
    assert await count_due(bench) == 1
    assert (await admin.hear("notification:new", 2))["priority"] == "low"


@pytest.mark.parametrize(
    ("word", "priority", "served"),
    [("banned", "urgent", False), ("error", "high", False), ("restricted", "high", True)],
)
async def test_a_banned_account_is_taken_from_its_worker_and_a_restricted_one_is_watched_on(
    bench, word: str, priority: str, served: bool
):
    admin, worker, account = await begin(bench)
    answer = await tell(worker, account, account_status=word, reason="platform")
    assert (answer["changed"], answer["status"]) == (True, word)
    shown = await read_account(bench, account["id"])
    assert (shown["status"], shown["login_status"]) == (word, "logged_in")
    assert shown["assigned_worker_id"] == ("worker-1" if served else None)
    assert (await admin.hear("notification:new"))["priority"] == priority
    if served:
        assert await count_due(bench) == 1
    else:
        assert (await worker.hear("master:task:revoke"))["reason"] == f"account_{word}"


async def test_a_worker_ends_no_state_that_a_person_chose(bench):
    _, worker, account = await begin(bench)
    await tell(worker, account, account_status="restricted")
    assert (await tell(worker, account, account_status="active"))["changed"]
    await bench.run(_change(account, status="paused")[0], _change(account, status="paused")[1])
    refused = await tell(worker, account, account_status="active")
    assert refused["error"]["code"] == "not_yours"
    assert (await read_account(bench, account["id"]))["status"] == "paused"


def _change(account: dict[str, Any], **changes: Any) -> tuple[Any, AccountChange]:
    from master.operations.accounts import change_account

    return change_account, AccountChange(id=account["id"], **changes)


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"login_status": "sucess"},
        {"account_status": "who knows"},
        {"login_status": 5},
        {"login_status": "expired", "account_status": "unheard of"},
    ],
)
async def test_a_report_without_a_known_state_is_refused_by_name(bench, words: dict[str, Any]):
    _, worker, account = await begin(bench)
    answer = await tell(worker, account, **words)
    assert answer["error"]["code"] in ("invalid", "unknown_status")
    assert not answer["error"]["retryable"]
    assert (await read_account(bench, account["id"]))["login_status"] == "logged_in"


@pytest.mark.parametrize(
    "odd",
    [
        {"observed_at": "yesterday"},
        {"observed_at": {"low": 1}},
        {"reason": {"code": 5}},
        {"reason": "r" * 5_000},
        {"detail": ["a", "b"]},
        {"epoch": "x"},
    ],
)
async def test_a_report_is_kept_whatever_else_is_odd(bench, odd: dict[str, Any]):
    _, worker, account = await begin(bench)
    answer = await tell(worker, account, login_status="expired", **odd)
    assert (answer["success"], answer["changed"]) == (True, True), answer
    assert answer["notes"]


async def test_an_observation_from_before_the_last_login_changes_nothing(bench):
    _, worker, account = await begin(bench)
    old = int(bench.clock.now()) - 60
    answer = await tell(worker, account, login_status="logged_out", observed_at=old)
    assert (answer["success"], answer["changed"]) == (True, False)
    assert [one["field"] for one in answer["notes"]] == ["observed_at"]
    stale = await tell(worker, account, login_status="logged_out", epoch=0)
    assert stale["error"]["code"] == "stale_epoch"


async def test_only_the_owner_reports_and_an_open_login_decides(bench):
    admin, worker, account = await begin(bench)
    other = await bench.worker("worker-2")
    assert (await tell(other, account, login_status="expired"))["error"]["code"] == "not_yours"
    assert (await tell(worker, {"id": "none"}, login_status="expired"))["error"]["code"] == (
        "unknown_account"
    )
    await admin.ask("master:login:start", {"account_id": account["id"]})
    answer = await tell(worker, account, login_status="expired")
    assert (answer["changed"], answer["login_status"]) == (False, "logging_in")
    assert answer["notes"]


@pytest.mark.parametrize(("before", "seen"), [("expired", "logged_in"), (None, "logged_out")])
@pytest.mark.parametrize("end", ["time", "success"])
async def test_what_a_worker_sees_during_a_login_is_true_if_that_fails(bench, before, seen, end):
    admin, worker, account = await begin(bench)
    if before is not None:
        await tell(worker, account, login_status=before)
    started = await admin.ask("master:login:start", {"account_id": account["id"]})
    bench.clock.advance(2)
    answer = await tell(worker, account, login_status=seen, reason="looked", detail="at home")
    assert (answer["changed"], answer["login_status"]) == (False, "logging_in")
    at = int(bench.clock.now())
    if end == "success":
        done = {"session_id": started["session_id"], "status": "success", "cookies": COOKIES}
        await worker.ask("worker:login:status", done)
    else:
        bench.clock.advance(301)
        assert await bench.run(expire_logins) == 1
    shown = await read_account(bench, account["id"])
    if end == "success":
        assert (shown["login_status"], shown["state"]["reason"]) == ("logged_in", "login_success")
    else:
        assert shown["login_status"] == seen
        assert shown["state"] == {"since": at, "reason": "looked", "detail": "at home"}


@pytest.mark.parametrize("end", ["failed", "time", "cancelled"])
async def test_a_login_that_ends_badly_leaves_the_lost_state_and_since_when(bench, end: str):
    admin, worker, account = await begin(bench)
    await tell(worker, account, login_status="expired", reason="seen")
    before = (await read_account(bench, account["id"]))["state"]
    started = await admin.ask("master:login:start", {"account_id": account["id"]})
    session = started["session_id"]
    if end == "failed":
        await worker.ask("worker:login:status", {"session_id": session, "status": "failed"})
    elif end == "cancelled":
        await admin.ask("master:login:cancel", {"session_id": session})
    else:
        bench.clock.advance(301)
        assert await bench.run(expire_logins) == 1
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["state"]) == ("expired", before)


async def test_people_are_told_a_day_and_an_hour_before_cookies_end_and_at_the_end(bench):
    end = int(bench.clock.now()) + 2 * DAY_S
    admin, _, account = await begin(bench, cookies_valid_until=end)
    told = []
    for until in (DAY_S + 1, DAY_S, DAY_S - 1, 3_600, 1_800, 1, 0, -60):
        bench.clock.advance(end - until - bench.clock.now())
        told.append(await bench.run(warn_of_cookies))
    assert told == [0, 1, 0, 1, 0, 0, 1, 0]
    await admin.hear("notification:new", 3)
    heard = admin.all("notification:new")
    assert [one["priority"] for one in heard] == ["normal", "high", "high"]
    assert [one["data"]["reason"] for one in heard] == [
        "cookies_end", "cookies_end", "cookies_expired",
    ]  # fmt: skip
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["state"]["reason"]) == ("expired", "cookies_expired")
    assert shown["state"]["since"] == end


async def test_cookies_of_an_hour_need_no_warning_a_day_before(bench):
    end = int(bench.clock.now()) + 1_800
    admin, worker, account = await begin(bench, cookies_valid_until=end)
    assert await bench.run(warn_of_cookies) == 0
    await log_in(
        bench, admin, worker, account["id"], cookies_valid_until=int(bench.clock.now()) + DAY_S * 9
    )
    bench.clock.advance(1_900)
    assert await bench.run(warn_of_cookies) == 0, "the login has renewed them"
    assert (await read_account(bench, account["id"]))["login_status"] == "logged_in"


async def test_the_login_of_another_person_changes_nothing(bench):
    admin, worker, account = await begin(bench, user_info={"uid": "7001", "nickname": "小店"})
    before = await read_account(bench, account["id"])
    answer = await log_in(
        bench, admin, worker, account["id"], user_info={"uid": 7002, "nickname": "小李"}
    )
    assert (answer["status"], answer["error_type"]) == ("failed", "identity_mismatch")
    failed = await admin.hear("login:failed")
    assert failed["error_type"] == "identity_mismatch"
    assert "小李 (7002)" in failed["error_message"]
    assert "小店 (7001)" in failed["error_message"]
    after = await read_account(bench, account["id"])
    drop = {"updated_at"}
    assert {k: v for k, v in after.items() if k not in drop} == {
        k: v for k, v in before.items() if k not in drop
    }
    assert (await worker.hear("master:login:cancel"))["reason"] == "identity_mismatch"
    taken = await log_in(bench, admin, worker, account["id"], user_info={"uid": 7002}, accept=True)
    assert taken["status"] == "success"
    assert (await read_account(bench, account["id"]))["platform_user_id"] == "7002"


async def test_one_person_is_not_two_accounts(bench):
    admin, worker, first = await begin(bench, user_info={"uid": "7001", "nickname": "小店"})
    second = await make_account(bench, name="another")
    answer = await log_in(bench, admin, worker, second["id"], user_info={"uid": "7001"})
    assert answer["error_type"] == "identity_mismatch"
    assert first["id"] in answer["message"]
    shown = await read_account(bench, second["id"])
    assert (shown["login_status"], shown["platform_user_id"]) == ("not_logged_in", None)
    again = await log_in(bench, admin, worker, first["id"], user_info={"uid": 7001})
    assert again["status"] == "success"


async def test_another_id_of_the_same_person_is_no_mismatch(bench):
    admin, worker, account = await begin(bench, user_info={"uid": "7001"})
    both = {"uid": "7001", "douyin_id": "shop"}
    assert (await log_in(bench, admin, worker, account["id"], user_info=both))["status"] == (
        "success"
    )
    only = {"douyin_id": "shop"}
    assert (await log_in(bench, admin, worker, account["id"], user_info=only))["status"] == (
        "success"
    )
    none = {"nickname": "renamed"}
    assert (await log_in(bench, admin, worker, account["id"], user_info=none))["status"] == (
        "success"
    )
