"""QR logins from start to each of their ends, over real sockets with a clock that is moved by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.walks.test_workers import make_account, read_account

CODE = "data:image/png;base64,aGVsbG8="


async def start(bench: Any) -> tuple[Any, Any, dict[str, Any], str]:
    """Return admin, worker, account and the session of a login that shows its code."""
    account = await make_account(bench)
    worker = await bench.worker()
    admin = await bench.connect("admin")
    answer = await admin.ask("master:login:start", {"account_id": account["id"], "worker_id": "worker-1"})
    assert answer["success"], answer
    asked = await worker.hear("master:login:start")
    assert asked["session_id"] == answer["session_id"]
    shown = await worker.ask(
        "worker:login:qrcode",
        {"session_id": answer["session_id"], "account_id": account["id"], "qr_code_data": CODE},
    )
    assert shown["status"] == "scanning"
    assert (await admin.hear("login:qrcode:ready"))["qr_code_data"] == CODE
    return admin, worker, account, answer["session_id"]


async def test_a_success_stores_cookies_and_shows_none(bench):
    admin, worker, account, session = await start(bench)
    answer = await worker.ask(
        "worker:login:status",
        {
            "session_id": session,
            "status": "success",
            "cookies": [{"name": "sid", "value": "planted-secret"}],
            "user_info": {"nickname": "N", "uid": 77},
            "fingerprint": {"userAgent": "planted-agent"},
        },
    )
    assert answer["status"] == "success"
    told = await admin.hear("login:success")
    assert (told["session_id"], told["account_id"]) == (session, account["id"])
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("logged_in", True)
    assert shown["platform_user_id"] == "77"
    assert shown["cookies_valid_until"] == int(bench.clock.now()) + 604_800
    assert "planted" not in repr(admin.heard)
    assigned = await worker.hear("master:task:assign", 2)
    assert assigned["accounts"][0]["credentials"]["cookies"][0]["value"] == "planted-secret"


@pytest.mark.parametrize("cookies", [["", None, 5], [1, 2], [[]], "sid=1", {"sid": "1"}])
async def test_cookies_that_are_none_are_refused_and_cost_no_login(bench, cookies):
    _, worker, account, session = await start(bench)
    answer = await worker.ask("worker:login:status", {"session_id": session, "status": "success", "cookies": cookies})
    assert answer["error"]["code"] == "invalid"
    assert answer["error"]["details"][0]["field"].startswith("cookies")
    assert (await read_account(bench, account["id"]))["login_status"] == "logging_in"
    good = {"session_id": session, "status": "success", "cookies": [{"name": "sid", "value": "1"}]}
    assert (await worker.ask("worker:login:status", good))["status"] == "success"


async def test_a_success_without_cookies_keeps_the_stored_ones_and_they_last_from_now(bench):
    admin, worker, account, session = await start(bench)
    cookies = [{"name": "sid", "value": "first"}]
    await worker.ask("worker:login:status", {"session_id": session, "status": "success", "cookies": cookies})
    await worker.hear("master:task:assign", 2)
    bench.clock.advance(20)
    started = await admin.ask("master:login:start", {"account_id": account["id"], "worker_id": "worker-1"})
    report = {"session_id": started["session_id"], "status": "success"}
    assert (await worker.ask("worker:login:status", report))["status"] == "success"
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("logged_in", True)
    assert shown["cookies_valid_until"] == int(bench.clock.now()) + 604_800
    assigned = await worker.hear("master:task:assign", 3)
    assert assigned["accounts"][0]["credentials"]["cookies"] == cookies


async def test_a_login_expires_at_its_deadline_and_takes_nothing_more(bench):
    admin, worker, account, session = await start(bench)
    for _ in range(29):  # the worker lives, the person does not scan
        bench.clock.advance(10)
        await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
    await bench.advance(9)
    assert admin.all("login:qrcode:expired") == []
    await bench.advance(1)
    assert (await admin.hear("login:qrcode:expired"))["session_id"] == session
    assert (await worker.hear("master:login:cancel"))["reason"] == "expired"
    late = await worker.ask("worker:login:status", {"session_id": session, "status": "success", "cookies": [{}]})
    assert late["error"]["code"] == "login_closed"
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("not_logged_in", False)


async def test_a_failure_is_told_once(bench):
    admin, worker, account, session = await start(bench)
    await worker.ask("worker:login:status", {"session_id": session, "status": "failed", "error_message": "no"})
    assert (await admin.hear("login:failed"))["error_message"] == "no"
    assert (await read_account(bench, account["id"]))["login_status"] == "login_failed"


async def test_a_second_start_supersedes_the_first(bench):
    admin, worker, account, session = await start(bench)
    again = await admin.ask("master:login:start", {"account_id": account["id"]})
    assert again["session_id"] != session
    assert (await admin.hear("login:failed"))["error_type"] == "superseded"
    assert (await worker.hear("master:login:cancel"))["session_id"] == session


async def test_another_workers_report_counts_for_nothing(bench):
    _, _, account, session = await start(bench)
    other = await bench.worker("worker-2")
    answer = await other.ask("worker:login:status", {"session_id": session, "status": "success", "cookies": [{}]})
    assert answer["error"]["code"] == "not_yours"
    assert (await read_account(bench, account["id"]))["login_status"] == "logging_in"


async def test_what_a_person_types_reaches_the_worker(bench):
    admin, worker, _, session = await start(bench)
    assert (await admin.ask("master:login:user_input", {"session_id": session, "input_type": "sms", "value": "123"}))[
        "success"
    ]
    assert (await worker.hear("master:login:user_input"))["value"] == "123"


async def test_a_lost_worker_ends_its_login(bench):
    admin, _, account, _ = await start(bench)
    await bench.advance(30.1)
    assert (await admin.hear("login:failed"))["error_type"] == "worker_lost"
    assert (await read_account(bench, account["id"]))["login_status"] == "not_logged_in"


@pytest.mark.parametrize(
    ("payload", "code"),
    [({"account_id": "nobody"}, "unknown_account"), ({}, "invalid"), ("text", "unreadable")],
)
async def test_a_bad_start_is_refused_by_name(bench, payload, code):
    admin = await bench.connect("admin")
    answer = await admin.ask("master:login:start", payload)
    assert answer["error"]["code"] == code
    assert (await admin.hear("admin:error"))["error"] == code
