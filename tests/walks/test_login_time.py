"""A login's time to live is the wait for a person: progress and input start it anew."""

from __future__ import annotations

import pytest

from tests.walks.test_logins import CODE, read_account, start

TTL_S, MAX_S = 300, 600


async def wait(bench, worker, seconds):
    """Let time pass for a worker that stays alive."""
    while seconds > 0:
        await bench.advance(min(10, seconds))
        await worker.ask("worker:heartbeat", {"workerId": "worker-1"})
        seconds -= 10


SIGNS = {
    "scanned": {"status": "scanned"},
    "a code typed by SMS": {"status": "sms_input_required"},
    "another dialect's word": {"status": "Verifying "},
    "a new code": {"status": "qrcode_refreshed", "qr_code_data": CODE},
    "a code announced": {"status": "qrcode_ready"},
}


@pytest.mark.parametrize("members", SIGNS.values(), ids=SIGNS)
async def test_a_sign_of_progress_starts_the_time_of_a_login_anew(bench, members):
    admin, worker, account, session = await start(bench)
    await wait(bench, worker, TTL_S - 10)
    answer = await worker.ask("worker:login:status", {"session_id": session, **members})
    assert answer["expires_at"] == int(bench.clock.now()) + TTL_S
    update = admin.all("login:status:update")[-1]
    assert update["expires_at"] == answer["expires_at"]
    await wait(bench, worker, TTL_S - 10)
    assert admin.all("login:qrcode:expired") == []
    success = {"session_id": session, "status": "success", "cookies": [{"name": "sid"}]}
    assert (await worker.ask("worker:login:status", success))["status"] == "success"
    assert (await read_account(bench, account["id"]))["login_status"] == "logged_in"


async def test_what_a_person_types_starts_the_time_anew_and_is_kept_nowhere(bench):
    admin, worker, _, session = await start(bench)
    await wait(bench, worker, TTL_S - 10)
    typed = {"session_id": session, "input_type": "sms", "value": "planted"}
    assert (await admin.ask("master:login:user_input", typed))["success"]
    await wait(bench, worker, TTL_S - 10)
    assert admin.all("login:qrcode:expired") == []
    stored = bench.master.settings.db_path
    files = stored.parent.glob(stored.name + "*")
    assert not [one for one in files if b"planted" in one.read_bytes()]
    await wait(bench, worker, 20)
    assert (await admin.hear("login:qrcode:expired"))["session_id"] == session


async def test_no_sign_of_progress_extends_a_login_past_its_hard_end(bench):
    admin, worker, _, session = await start(bench)
    report = {"session_id": session, "status": "waiting"}
    created = int(bench.clock.now())
    for _ in range(MAX_S // 100 - 1):
        await wait(bench, worker, 100)
        answer = await worker.ask("worker:login:status", report)
        assert answer["expires_at"] <= created + MAX_S
    await wait(bench, worker, 90)
    assert admin.all("login:qrcode:expired") == []
    await bench.advance(11)
    assert (await admin.hear("login:qrcode:expired"))["session_id"] == session
    late = await worker.ask("worker:login:status", report)
    assert late["error"]["code"] == "login_closed"


async def test_a_sign_of_progress_after_the_clock_was_set_back_brings_no_longer_end(bench):
    admin, worker, _, session = await start(bench)
    bench.clock.step(-3_600)
    await worker.ask("worker:login:status", {"session_id": session, "status": "scanned"})
    await wait(bench, worker, TTL_S + 10)
    assert (await admin.hear("login:qrcode:expired"))["session_id"] == session
