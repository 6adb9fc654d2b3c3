"""A QR code is worth a login: only operators receive it, and it is deleted with its session."""

from __future__ import annotations

import json

import pytest

from master.endpoints import ENDPOINTS
from master.endpoints import ROOT as API
from master.protocol.shown import render_words
from tests.security.conftest import CODE, CODE_URL, MINE, OPERATOR, READER, ROOT, WORKER_1, settle

ENDINGS = {
    "success": {"status": "success", "cookies": [{"name": "a", "value": "b"}]},
    "failed": {"status": "failed", "error_message": "no"},
    "expired": {"status": "expired"},
}


def assert_no_code(*things: object) -> None:
    shown = json.dumps(things)
    assert CODE not in shown
    assert CODE_URL not in shown


async def test_codes_go_to_those_who_may_operate_and_to_no_other_socket(guarded):
    worker = await guarded.register("worker-1", WORKER_1)
    reader, stranger = await guarded.connect("admin", READER), await guarded.connect("admin")
    operator, root = await guarded.connect("admin", OPERATOR), await guarded.connect("admin", ROOT)
    await guarded.add_account(MINE)
    session_id = await guarded.start_login(operator, worker, MINE)
    report = {
        "session_id": session_id,
        "status": "qrcode_refreshed",
        "qr_code_data": CODE,
        "qr_url": CODE_URL,
    }
    assert (await worker.ask("worker:login:status", report))["success"]
    for admin in (operator, root):
        assert (await admin.hear("login:qrcode:ready"))["qr_code_data"] == CODE
        assert (await admin.hear("login:status:update"))["qr_code_data"] == CODE
        asked = await admin.ask("admin:request:login-sessions", {})
        assert asked["sessions"][0]["qr_code_data"] == CODE
    for event in ("admin:request:login-sessions", "admin:login_sessions:list"):
        asked = await reader.ask(event, {})
        assert asked["sessions"][0]["has_qr_code"]
        assert_no_code(asked)
    await settle(reader, stranger)
    assert reader.all("login:status:update")[0]["status"] == "qrcode_refreshed"
    assert not reader.all("login:qrcode:ready")
    assert_no_code(reader.heard, stranger.heard)


async def test_no_http_answer_for_readers_has_a_code(guarded):
    worker = await guarded.register("worker-1", WORKER_1)
    operator = await guarded.connect("admin", OPERATOR)
    await guarded.add_account(MINE)
    session_id = await guarded.start_login(operator, worker, MINE)
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET":
            for name in (session_id, MINE, "worker-1"):
                answer = await guarded.ask("GET", API + endpoint.path.replace("{id}", name), READER)
                assert answer.content_type == "application/json"
                assert_no_code(await answer.json())
    image = f"{API}/login-sessions/{session_id}/qr.png"
    assert (await guarded.ask("GET", image, READER)).status == 403
    assert (await guarded.ask("GET", image, OPERATOR)).content_type == "image/png"


@pytest.mark.parametrize("ending", [*ENDINGS, "cancelled", "superseded", "time", "worker_lost"])
async def test_a_code_is_gone_once_its_login_has_ended(guarded, ending):
    worker = await guarded.register("worker-1", WORKER_1)
    operator = await guarded.connect("admin", OPERATOR)
    await guarded.add_account(MINE)
    session_id = await guarded.start_login(operator, worker, MINE)
    query = "SELECT qr_code_data, qr_code_url FROM login_sessions WHERE id = ?"
    assert None not in guarded.rows(query, session_id)[0]
    if ending in ENDINGS:
        await worker.ask(
            "worker:login:status",
            {"session_id": session_id, "qr_code_data": CODE, **ENDINGS[ending]},
        )
    elif ending == "cancelled":
        await operator.ask("master:login:cancel", {"session_id": session_id})
    elif ending == "superseded":
        await operator.ask("master:login:start", {"account_id": MINE})
    elif ending == "time":
        await guarded.advance(301)
    else:
        await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    assert guarded.rows(query, session_id) == [(None, None)]
    image = f"{API}/login-sessions/{session_id}/qr.png"
    assert await guarded.code("GET", image, ROOT) == (404, "not_found")


def test_a_code_is_shown_by_its_known_names_and_to_those_who_may_operate_alone():
    report = {
        "status": "scanned", "qr_code_data": "x", "qrcode": "x", "QRCode": "x", "login_url": "x",
        "code_image": "x", "screenshot": "x", "scan": {"url": "x"},
        "detail": {"qr": "x", "step": 1},
    }  # fmt: skip
    seen = {"status": "scanned", "detail": {"step": 1}}
    assert render_words(report, codes=False) == seen
    codes = dict.fromkeys(("qr_code_data", "qrcode", "login_url", "screenshot"), "x")
    assert render_words(report, codes=True) == seen | codes
