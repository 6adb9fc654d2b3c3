"""QR logins from start to each possible end, over real sockets with a manual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from master.errors import NoWorker, WorkerNotConnected
from master.operations.afterwards import do_nothing
from master.operations.audit import audit_workers
from master.operations.logins import expire_logins, relay_input, start_login
from master.operations.workers import register_worker
from master.protocol.admin import StartLogin
from master.protocol.worker import Register, UserInput
from master.turn import Caller, Operation, Turn
from tests.conftest import registration
from tests.waiting import PATIENCE_S
from tests.walks.test_workers import make_account, read_account

CODE = "data:image/png;base64,aGVsbG8="


async def start(bench: Any) -> tuple[Any, Any, dict[str, Any], str]:
    """Return admin, worker, account and the session of a login with a code."""
    account = await make_account(bench)
    worker = await bench.worker()
    admin = await bench.connect("admin")
    answer = await admin.ask(
        "master:login:start", {"account_id": account["id"], "worker_id": "worker-1"}
    )
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


@pytest.mark.parametrize("cookies", [["", None, 5], [1, 2], [[]], [], {}, "", "none", 7, None])
async def test_a_success_without_any_cookie_is_refused_and_costs_no_login(bench, cookies):
    _, worker, account, session = await start(bench)
    answer = await worker.ask(
        "worker:login:status", {"session_id": session, "status": "success", "cookies": cookies}
    )
    assert (answer["error"]["code"], answer["error"]["retryable"]) == ("no_cookies", False)
    assert (await read_account(bench, account["id"]))["login_status"] == "logging_in"
    good = {"session_id": session, "status": "success", "cookies": [{"name": "sid", "value": "1"}]}
    assert (await worker.ask("worker:login:status", good))["status"] == "success"


async def test_a_success_without_cookies_keeps_the_stored_ones_and_they_last_from_now(bench):
    admin, worker, account, session = await start(bench)
    cookies = [{"name": "sid", "value": "first"}]
    await worker.ask(
        "worker:login:status", {"session_id": session, "status": "success", "cookies": cookies}
    )
    await worker.hear("master:task:assign", 2)
    bench.clock.advance(20)
    started = await admin.ask(
        "master:login:start", {"account_id": account["id"], "worker_id": "worker-1"}
    )
    report = {"session_id": started["session_id"], "status": "success"}
    assert (await worker.ask("worker:login:status", report))["status"] == "success"
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("logged_in", True)
    assert shown["cookies_valid_until"] == int(bench.clock.now()) + 604_800
    assigned = await worker.hear("master:task:assign", 3)
    assert assigned["accounts"][0]["credentials"]["cookies"] == cookies


async def test_a_login_expires_at_its_deadline_and_accepts_nothing_more(bench):
    admin, worker, account, session = await start(bench)
    for _ in range(29):  # the worker is alive, the person does not scan
        bench.clock.advance(10)
        await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
    await bench.advance(9)
    assert admin.all("login:qrcode:expired") == []
    await bench.advance(1)
    assert (await admin.hear("login:qrcode:expired"))["session_id"] == session
    assert (await worker.hear("master:login:cancel"))["reason"] == "expired"
    late = await worker.ask(
        "worker:login:status", {"session_id": session, "status": "success", "cookies": [{}]}
    )
    assert late["error"]["code"] == "login_closed"
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("not_logged_in", False)


async def test_a_failure_is_told_once(bench):
    admin, worker, account, session = await start(bench)
    await worker.ask(
        "worker:login:status", {"session_id": session, "status": "failed", "error_message": "no"}
    )
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
    answer = await other.ask(
        "worker:login:status", {"session_id": session, "status": "success", "cookies": [{}]}
    )
    assert answer["error"]["code"] == "not_yours"
    assert (await read_account(bench, account["id"]))["login_status"] == "logging_in"


async def test_what_a_person_types_reaches_the_worker(bench):
    admin, worker, _, session = await start(bench)
    assert (
        await admin.ask(
            "master:login:user_input", {"session_id": session, "input_type": "sms", "value": "123"}
        )
    )["success"]
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


async def ask_while_it_leaves(bench: Any, worker: Any, operation: Operation, event: Any) -> Any:
    """Run an operation while worker-1's socket closes; a later turn records the close."""

    async def leave_and_perform(event: Any, turn: Turn) -> Any:
        await worker.close()
        async with asyncio.timeout(PATIENCE_S):
            while turn.sessions.seats["worker-1"].sid is not None:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return operation(event, turn)

    return await bench.run(leave_and_perform, event)


@pytest.mark.parametrize(("named", "refusal"), [("worker-1", WorkerNotConnected), (None, NoWorker)])
async def test_a_login_is_not_sent_to_a_worker_without_a_socket(bench, named, refusal):
    account = await make_account(bench)
    worker = await bench.worker()
    with pytest.raises(refusal):
        await ask_while_it_leaves(
            bench, worker, start_login, StartLogin(account_id=account["id"], worker_id=named)
        )
    assert (await read_account(bench, account["id"]))["login_status"] == "not_logged_in"


async def test_what_a_person_types_is_refused_where_the_worker_has_no_socket(bench):
    _, worker, _, session = await start(bench)
    with pytest.raises(WorkerNotConnected):
        await ask_while_it_leaves(
            bench, worker, relay_input, UserInput(session_id=session, input_type="sms", value="1")
        )


async def test_a_login_goes_to_another_worker_where_the_owner_has_no_socket(bench):
    account = await make_account(bench)
    worker, other = await bench.worker("worker-1"), await bench.worker("worker-2")
    started = await ask_while_it_leaves(
        bench, worker, start_login, StartLogin(account_id=account["id"])
    )
    assert started["worker_id"] == "worker-2"
    assert (await other.hear("master:login:start"))["session_id"] == started["session_id"]


async def test_a_worker_that_registers_in_the_same_batch_hears_of_the_login(bench):
    account = await make_account(bench)
    worker = await bench.connect("worker")

    def register_and_start(event: None, turn: Turn) -> Any:
        register_worker(Register.model_validate(registration()), turn)
        return start_login(StartLogin(account_id=account["id"], worker_id="worker-1"), turn)

    caller = Caller("worker", worker.client.get_sid("/worker"))
    started = await bench.master.turns.run(register_and_start, None, caller)
    assert (await worker.hear("master:login:start"))["session_id"] == started["session_id"]


@pytest.mark.parametrize("how", ["registration", "heartbeat"])
async def test_a_worker_that_comes_back_is_told_of_the_login_that_it_has_not_begun(bench, how):
    account = await make_account(bench)
    dead = await bench.worker()
    admin = await bench.connect("admin")
    await admin.ask("master:login:start", {"account_id": account["id"]})
    worker = await bench.connect("worker")
    if how == "registration":
        assert (await worker.ask("worker:register", registration()))["success"]
    else:
        assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    assert await worker.hear("master:login:start") == await dead.hear("master:login:start")
    assert (await worker.ask("worker:register", registration()))["success"], "a reload is no return"
    assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    assert len(worker.all("master:login:start")) == 1


async def test_a_worker_that_comes_back_is_not_told_of_a_login_that_shows_its_code_or_is_over(
    bench,
):
    admin, _, account, session = await start(bench)
    worker = await bench.worker()
    await admin.ask("master:login:cancel", {"session_id": session})
    await admin.ask("master:login:start", {"account_id": account["id"]})
    bench.clock.advance(300)
    late = await bench.worker()
    assert (await late.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    assert len(worker.all("master:login:start")) == 1, "the second one alone, from its start"
    assert late.all("master:login:start") == []


async def test_codes_keep_no_login_open_beyond_the_hard_end_even_if_the_wall_clock_is_set_back(
    bench,
):
    _, worker, _, session = await start(bench)
    bench.clock.step(-3600)
    for _ in range(5):
        bench.clock.advance(119)
        assert await bench.run(expire_logins) == 0
        shown = await worker.ask(
            "worker:login:qrcode", {"session_id": session, "qr_code_data": CODE}
        )
        assert shown["success"]
    bench.clock.advance(5)
    assert await bench.run(expire_logins) == 1


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "in a batch"])
async def test_the_audit_evicts_a_silent_worker_that_logs_in_an_account_with_cookies(bench, beside):
    """The previous value of that login is read from the file, within an operation on rows."""
    admin, worker, account, session = await start(bench)
    good = {"session_id": session, "status": "success", "cookies": [{"name": "sid", "value": "1"}]}
    assert (await worker.ask("worker:login:status", good))["status"] == "success"
    assert (await admin.ask("master:login:start", {"account_id": account["id"]}))["success"]
    bench.clock.advance(40)
    others = [bench.run(do_nothing)] if beside else []
    found, *_ = await asyncio.gather(bench.run(audit_workers), *others)
    assert found == 1
    shown = await read_account(bench, account["id"])
    assert (shown["assigned_worker_id"], shown["login_status"]) == (None, "logged_in")
