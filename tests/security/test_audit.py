"""Who did what: every command of people is in the audit, refused ones too, and no secret is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from master.app import Master
from master.clock import ManualClock
from master.endpoints import ENDPOINTS, Endpoint
from master.endpoints import ROOT as API
from master.logs import close_logs, configure_logs
from master.model import Scope
from master.operations.afterwards import do_nothing
from master.operations.history import REFUSED_BURST
from master.settings import load_settings
from tests.conftest import Bench
from tests.security.conftest import (
    ANY_WORKER,
    MINE,
    OPERATOR,
    READER,
    ROOT,
    SECRETS,
    WRONG,
    Guarded,
)


async def read_audit(guarded: Guarded, **query: str) -> list[dict[str, Any]]:
    """Return the audit, the oldest first."""
    await guarded.run(do_nothing)  # after what the edges have noted without waiting
    answer = await guarded.ask("GET", f"{API}/audit", params={"limit": "500", **query})
    assert answer.status == 200, await answer.text()
    content = await answer.json()
    assert content["audit"] == content["data"]
    return list(reversed(content["audit"]["items"]))


def show(items: list[dict[str, Any]]) -> list[tuple[str, str, str | None, str]]:
    return [
        (one["by"]["name"], one["kind"], one["reason"], one["params"].get("action", ""))
        for one in items
    ]


async def test_a_command_says_who_asked_with_which_request(guarded):
    await guarded.add_account(MINE)
    [added] = await read_audit(guarded)
    assert added["by"] == {"kind": "http", "name": "root", "scope": "admin"}
    assert (added["kind"], added["account_id"], added["request_id"]) == (
        "account_added", MINE, "a-test",
    )  # fmt: skip
    answer = await guarded.ask("GET", f"{API}/accounts/{MINE}/timeline", READER)
    assert [one["seq"] for one in (await answer.json())["timeline"]["items"]] == [added["seq"]]
    assert (await guarded.ask("GET", f"{API}/workers/nobody/timeline", READER)).status == 404
    for token, status in ((READER, 403), (OPERATOR, 403), (ROOT, 200), (None, 401)):
        assert (await guarded.ask("GET", f"{API}/audit", token)).status == status


@pytest.mark.parametrize(
    "endpoint",
    [one for one in ENDPOINTS if one.is_command],
    ids=lambda one: f"{one.method} {one.path}",
)
async def test_each_refused_command_over_http_is_recorded(guarded, endpoint: Endpoint):
    path = API + endpoint.path.replace("{id}", "nobody").replace("{link}", "x")
    await guarded.ask(endpoint.method, path, WRONG, json={})
    await guarded.ask(endpoint.method, path, READER, json={})
    answer = await guarded.ask(endpoint.method, path, ROOT, json={})
    code = (await answer.json())["error"]["code"]
    action = f"{endpoint.method} {endpoint.path}"
    items = await read_audit(guarded)
    assert show(items) == [
        ("reader", "refused", "forbidden", action),
        ("root", "refused", code, action),
    ]
    named = {items[0][column] for column in ("account_id", "worker_id", "target")} - {None}
    assert named == ({"nobody"} if "{id}" in endpoint.path else set())


OWN_VIEWS = {
    "POST /console/views",
    "PUT /console/views/{id}",
    "PATCH /console/views/{id}",
    "DELETE /console/views/{id}",
}
"""What a person keeps for themself: it changes nothing of the farm, so readers may have it."""


def test_the_audit_leaves_out_read_marks_and_a_persons_own_views_alone():
    changing = {f"{one.method} {one.path}" for one in ENDPOINTS if one.writes}
    recorded = {f"{one.method} {one.path}" for one in ENDPOINTS if one.is_command}
    assert changing - recorded == {
        "POST /messages/{kind}/{id}/read",
        "POST /messages/{kind}/{id}/unread",
        "POST /messages/read",
        "POST /messages/unread",
        *OWN_VIEWS,
    }
    readers = {f"{one.method} {one.path}" for one in ENDPOINTS if one.scope < Scope.OPERATE}
    assert changing & readers == OWN_VIEWS


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("master:login:start", {"account_id": "nobody"}, "unknown_account"),
        ("master:login:start", {}, "invalid"),
        ("master:login:cancel", {"session_id": "nobody"}, "unknown_session"),
        (
            "master:login:user_input",
            {"session_id": "nobody", "input_type": "sms", "value": "planted"},
            "unknown_session",
        ),
    ],
)
async def test_each_refused_command_over_sockets_is_recorded(guarded, event, payload, code):
    for token in (READER, OPERATOR):
        admin = await guarded.connect("admin", token)
        await admin.ask(event, payload)
    items = await read_audit(guarded)
    assert show(items) == [
        ("reader", "refused", "forbidden", event),
        ("operator", "refused", code, event),
    ]
    assert items[0]["request_id"] is None
    assert items[1]["target"] == payload.get("session_id")
    assert "planted" not in repr(guarded.dump_events())


async def test_a_command_that_changes_no_row_is_recorded(guarded):
    await guarded.add_account(MINE)
    config = {"worker_id": "mine", "command": "/bin/false"}
    assert (await guarded.ask("POST", f"{API}/worker-configs", json=config)).status == 201
    answer = await guarded.ask("POST", f"{API}/workers/mine/lifecycle/restart", OPERATOR)
    assert answer.status == 200, await answer.text()
    body = {"account_name": MINE}
    assert (await guarded.ask("PATCH", f"{API}/accounts/{MINE}", OPERATOR, json=body)).status == 200
    items = await read_audit(guarded, action="command")
    assert show(items) == [
        ("operator", "command", None, "POST /workers/{id}/lifecycle/restart"),
        ("operator", "command", None, "PATCH /accounts/{id}"),
    ]
    assert [(one["worker_id"], one["account_id"]) for one in items] == [
        ("mine", None),
        (None, MINE),
    ]


async def test_refused_commands_of_one_token_fill_no_disk(guarded):
    await guarded.add_account(MINE)
    for _ in range(REFUSED_BURST + 20):
        await guarded.ask("DELETE", f"{API}/accounts/nobody", OPERATOR)
    assert len(await read_audit(guarded, action="refused")) == REFUSED_BURST
    await guarded.ask("DELETE", f"{API}/accounts/nobody", READER)
    assert show(await read_audit(guarded, by="reader")) == [
        ("reader", "refused", "forbidden", "DELETE /accounts/{id}")
    ]
    guarded.clock.advance(61)
    await guarded.ask("DELETE", f"{API}/accounts/nobody", OPERATOR)
    last = (await read_audit(guarded, by="operator"))[-1]
    assert last["params"] == {"action": "DELETE /accounts/{id}", "left_out": 20}


async def test_no_token_stands_in_the_history_though_names_do(guarded):
    await guarded.add_account(MINE)
    worker = await guarded.register("worker-9", ANY_WORKER)
    admin = await guarded.connect("admin", OPERATOR)
    started = await admin.ask("master:login:start", {"account_id": MINE})
    report = {"session_id": started["session_id"], "status": "failed", "error_message": "planted"}
    assert (await worker.ask("worker:login:status", report))["success"]
    rows = repr(guarded.dump_events())
    assert "worker-9" in rows
    assert "operator" in rows
    for secret in (*SECRETS, "planted"):
        assert secret not in rows


async def test_the_log_says_who_asked_over_sockets_and_without_tokens(tmp_path: Path):
    settings = load_settings({"PORT": "0", "DB_PATH": str(tmp_path / "master.db")}, None)
    master = Master(settings, clock=ManualClock())
    await master.start(sweeps=False)
    bench = Bench(master, ManualClock())
    configure_logs("info", tmp_path / "logs", development=False)
    try:
        admin = await bench.connect("admin")
        await admin.ask("master:login:start", {"account_id": "nobody"})
        await admin.ask("admin:status:request", {})
        await admin.close()
    finally:
        close_logs()
        await master.close()
    text = (tmp_path / "logs" / "audit.log").read_text(encoding="utf-8")
    [line] = [json.loads(one) for one in text.splitlines()]
    assert {name: line[name] for name in ("event", "by", "command", "result")} == {
        "event": "change_asked",
        "by": "",
        "command": "master:login:start",
        "result": "unknown_account",
    }
