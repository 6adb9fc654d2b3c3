"""The history as tables: what a change of a row is called, and which times are gaps."""

from __future__ import annotations

from typing import Any

import pytest

from master.decisions.history import (
    ABSENT,
    UNWATCHED,
    Event,
    Gap,
    describe_request,
    find_gaps,
    tell_account,
    tell_config,
    tell_login,
    tell_proxy,
    tell_worker,
)
from master.model import (
    Account,
    AccountStatus,
    Login,
    LoginStatus,
    Proxy,
    SessionStatus,
    Worker,
    WorkerConfig,
    WorkerStatus,
)
from master.record import change

ACCOUNT = Account(
    id="a", platform="douyin", account_name="A", account_id="1", has_credentials=False,
    has_fingerprint=False, user_info=None, status=AccountStatus.ACTIVE,
    login_status=LoginStatus.LOGGED_IN, monitor_interval=20, last_login_time=None,
    cookies_valid_until=None, assigned_worker_id="w1", pinned_worker_id=None,
    platform_user_id=None, epoch=3, created_at=1, updated_at=1, state_since=1,
    state_reason="login_success",
)  # fmt: skip
LOGIN = Login(
    id="s", account_id="a", worker_id="w1", status=SessionStatus.PENDING, login_method="qrcode",
    has_qr_code=False, error_message=None, expires_at=300, logged_in_at=None, created_at=0,
)  # fmt: skip
WORKER = Worker(
    id="w1", host="h", port=1, status=WorkerStatus.CONNECTED, capabilities=("douyin",),
    max_accounts=5, assigned_accounts=0, started_at=0, version="1", metadata={}, created_at=0,
    updated_at=0,
)  # fmt: skip
PROXY = Proxy(
    id="p", name="P", server="h:1", protocol="http", username="u", has_password=True,
    status="active", created_at=0, updated_at=0,
)  # fmt: skip
CONFIG = WorkerConfig(
    worker_id="w1", command=None, args=(), env={}, proxy_id=None, max_accounts=None,
    auto_start=False, auto_restart=False, created_at=0, updated_at=0,
)  # fmt: skip


def show(events: Any) -> list[tuple[str, Any]]:
    """Return each event's kind and the part of it that a row of a table names."""
    return [
        (one.kind, one.reason or (one.params or {}).get("fields") or one.epoch) for one in events
    ]


FREE = {"assigned_worker_id": None}
PAUSED = {"status": AccountStatus.PAUSED, "state_since": 9, "state_reason": "changed"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {}, []),
        ({}, {"updated_at": 9, "user_info": {"nickname": "N"}, "cookies_told": 2}, []),
        ({}, FREE, [("revoked", "because")]),
        (FREE, {"assigned_worker_id": "w2", "epoch": 4}, [("assigned", 4)]),
        ({}, {"assigned_worker_id": "w2", "epoch": 4}, [("revoked", "because"), ("assigned", 4)]),
        ({}, {"epoch": 4}, [("revoked", "because"), ("assigned", 4)]),
        ({}, PAUSED | FREE, [("revoked", "because"), ("status", "changed")]),
        ({}, {"account_name": "B", "monitor_interval": 9},
         [("account_edited", ["account_name", "monitor_interval"])]),
        ({}, {"pinned_worker_id": "w1"}, [("pinned", None)]),
        ({"pinned_worker_id": "w1"}, {"pinned_worker_id": None}, [("unpinned", None)]),
        ({}, {"login_status": LoginStatus.LOGGING_IN}, []),
        ({"login_status": LoginStatus.LOGGING_IN}, {"login_status": LoginStatus.LOGGED_IN},
         [("login_status", None)]),
        ({}, {"login_status": LoginStatus.EXPIRED, "state_since": 5, "state_reason": "cookies"},
         [("login_status", "cookies")]),
    ],
)  # fmt: skip
def test_a_change_of_an_account_is_told(before, after, told):
    old = change(ACCOUNT, **before)
    why = {("accounts", "a"): "because"}
    assert show(tell_account(old, change(old, **after), why)) == told


def test_an_account_that_comes_and_goes_is_told_with_its_hands():
    free = change(ACCOUNT, assigned_worker_id=None)
    assert [one.kind for one in tell_account(None, free, {})] == ["account_added"]
    assert [one.kind for one in tell_account(None, ACCOUNT, {})] == ["account_added", "assigned"]
    assert [one.kind for one in tell_account(ACCOUNT, None, {})] == ["revoked", "account_removed"]
    assert [one.kind for one in tell_account(free, None, {})] == ["account_removed"]


SHOWN = {"status": SessionStatus.SCANNING, "has_qr_code": True, "expires_at": 400}
FAILED = {"status": SessionStatus.FAILED, "has_qr_code": False}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {}, [("login_opened", None)]),
        ({}, {"expires_at": 401}, []),
        (SHOWN, SHOWN | {"expires_at": 401}, []),
        ({}, {"status": SessionStatus.SCANNING}, []),
        (SHOWN, {"status": SessionStatus.SUCCESS, "has_qr_code": False},
         [("login_ended", "success")]),
        (SHOWN, {"status": SessionStatus.EXPIRED}, [("login_ended", "expired")]),
        (FAILED, None, []),
        ({}, None, [("login_ended", "removed")]),
    ],
)  # fmt: skip
def test_a_change_of_a_login_is_told(before, after, told):
    old = change(LOGIN, **before) if before is not None else None
    new = change(old or LOGIN, **after) if after is not None else None
    assert show(tell_login(old, new, {})) == told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, SHOWN, ["login_code"]),
        (SHOWN, SHOWN | {"expires_at": 401}, ["login_code"]),
        (SHOWN, SHOWN, []),
    ],
)
def test_codes_are_told_once_a_second(before, after, told):
    old = change(LOGIN, **before)
    why = {("login_codes", "s"): "shown"}
    assert [one.kind for one in tell_login(old, change(old, **after), why)] == told


def test_a_login_tells_its_step_and_why_it_ended():
    failed, scanning = change(LOGIN, **FAILED), change(LOGIN, status=SessionStatus.SCANNING)
    assert show(tell_login(LOGIN, failed, {("login_sessions", "s"): "superseded"})) == [
        ("login_ended", "superseded")
    ]
    assert show(tell_login(LOGIN, scanning, {("login_steps", "s"): "scanned"})) == [
        ("login_step", "scanned")
    ]


DRAINED = {"drain_since": 5, "drain_deadline": 9}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {}, [("worker_added", None), ("worker_connected", None)]),
        ({}, {"assigned_accounts": 4, "updated_at": 9, "started_at": 9}, []),
        ({}, {"port": 2, "max_accounts": 9}, [("worker_edited", ["port", "max_accounts"])]),
        ({}, {"status": WorkerStatus.DISCONNECTED}, [("worker_disconnected", None)]),
        ({}, {"status": WorkerStatus.OFFLINE}, [("worker_offline", "silence")]),
        ({}, None, [("worker_removed", None)]),
        ({}, {"drain_since": 5, "drain_deadline": 9}, [("drain_begun", None)]),
        (DRAINED, {"drain_moved": 3}, []),
        (DRAINED, {"drain_deadline": 99}, [("drain_begun", None)]),
        (DRAINED, {"drain_done": True}, [("drained", None)]),
        (DRAINED, {"drain_since": None, "drain_deadline": None}, [("drain_ended", "cancelled")]),
    ],
)
def test_a_change_of_a_worker_is_told(before, after, told):
    old = change(WORKER, **before) if before is not None else None
    new = change(old or WORKER, **after) if after is not None else None
    offline = new is not None and new.status is WorkerStatus.OFFLINE
    why = {("workers", "w1"): "silence"} if offline else {("drains", "w1"): "cancelled"}
    assert show(tell_worker(old, new, why)) == told


def test_proxies_and_configurations_are_told_by_the_names_of_their_fields():
    other = change(PROXY, server="other:1", username="secret-user")
    assert show(tell_proxy(PROXY, other, {"password": "secret"})) == [
        ("proxy_edited", ["server", "username", "password"])
    ]
    assert show(tell_proxy(PROXY, change(PROXY, updated_at=9), {})) == []
    kinds = [one.kind for pair in ((None, PROXY), (PROXY, None)) for one in tell_proxy(*pair, {})]
    assert kinds == ["proxy_added", "proxy_removed"]
    edited = change(CONFIG, env={"TOKEN": "secret"}, auto_start=True)
    assert show(tell_config(CONFIG, edited)) == [("config_edited", ["env", "auto_start"])]
    assert "secret" not in repr([*tell_config(CONFIG, edited), *tell_proxy(PROXY, other, {})])
    assert [one.kind for one in (*tell_config(None, CONFIG), *tell_config(CONFIG, None))] == [
        "config_added",
        "config_removed",
    ]


def event(kind: str, at: int, reason: str | None = None) -> Event:
    return Event(kind, "a", reason=reason, at_ms=at)


@pytest.mark.parametrize(
    ("events", "after", "gaps"),
    [
        ([], None, []),
        ([event("assigned", 1)], None, []),
        ([event("account_added", 1), event("assigned", 1)], None, []),
        ([event("account_added", 1), event("pinned", 2), event("assigned", 5)], None,
         [Gap(1, 5, "account_added")]),
        ([event("revoked", 3, "rebalanced"), event("assigned", 3)], None, []),
        ([event("revoked", 3, "worker_silence")], None, [Gap(3, None, "worker_silence")]),
        ([event("revoked", 3, "worker_silence")], event("assigned", 9),
         [Gap(3, 9, "worker_silence")]),
        ([event("revoked", 3, "account_deleted"), event("account_removed", 3)], None, []),
    ],
)  # fmt: skip
def test_a_time_without_an_owner_is_a_gap(events, after, gaps):
    assert find_gaps(events, UNWATCHED, after) == gaps


def test_a_worker_is_absent_until_it_is_connected_again():
    away, gone = event("worker_disconnected", 1), event("worker_offline", 5, "silence")
    assert find_gaps([away, gone], ABSENT, event("worker_connected", 9)) == [
        Gap(1, 5, "worker_disconnected"),
        Gap(5, 9, "silence"),
    ]


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("/accounts/{id}", "account_id"),
        ("/workers/{id}/lifecycle/start", "worker_id"),
        ("/worker-configs/{id}", "worker_id"),
        ("/proxies/{id}", "target"),
        ("/login-sessions/{id}/cancel", "target"),
    ],
)
def test_a_request_names_its_object_and_keeps_little_of_what_strangers_write(path, column):
    deed = describe_request("POST", path, "x" * 500 + "\udc80")
    assert deed.action == f"POST {path}"
    named = {name: getattr(deed, name) for name in ("account_id", "worker_id", "target")}
    assert {name for name, value in named.items() if value} == {column}
    assert named[column] == "x" * 128
