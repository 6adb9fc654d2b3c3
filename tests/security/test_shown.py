"""People receive the declared fields only, and nothing that a peer invents."""

from __future__ import annotations

import pytest

from master.model import Scope
from master.protocol.shown import (
    SHOWN_BYTES,
    render_arguments,
    render_machine,
    render_profile,
    render_words,
)
from tests.security.conftest import MINE, OPERATOR, READER, ROOT, WORKER_1, settle

HUSH = "planted-secret"
INVENTED = {
    "login_url": f"https://platform.example/{HUSH}", "scan": {"url": HUSH}, "sessionid": HUSH,
    "sid_tt": HUSH, "auth": HUSH, "jwt": HUSH, "pwd": HUSH, "sms_code": HUSH,
    "storage": {"message": HUSH}, "x": [{"y": HUSH}],
    "jar": [{"name": "a", "value": HUSH, "domain": "d"}], "message": {"name": "a", "value": HUSH},
    "step": [[HUSH]],
}  # fmt: skip


def test_an_unlisted_word_is_not_shown():
    assert render_words({"status": "scanned", **INVENTED}, codes=False) == {"status": "scanned"}
    assert render_profile({"nickname": "N", **INVENTED}) == {"nickname": "N"}
    assert render_machine({"os": "linux", "labels": {"zone": "z", "pwd": HUSH}, **INVENTED}) == {
        "os": "linux",
        "labels": {"zone": "z"},
    }


@pytest.mark.parametrize("render", [render_profile, render_machine])
def test_what_is_shown_is_small(render):
    shown = render(
        {
            "description": "x" * 2_000,
            "name": "x" * 100_000,
            "os": "y" * 1_900,
            "region": "z" * 1_900,
        }
    )
    assert len(repr(shown)) <= SHOWN_BYTES
    assert "name" not in shown


def test_arguments_are_shown_to_those_who_may_set_them():
    args = ["--api-key=hush", "--verbose", "-p", "hush"]
    assert render_arguments(args, Scope.ADMIN) == args
    assert render_arguments(args, Scope.OPERATE) == [
        "--api-key=(hidden)",
        "--verbose",
        "(hidden)",
        "(hidden)",
    ]


async def test_no_reader_hears_or_reads_what_workers_call_by_another_name(guarded):
    worker = await guarded.register("worker-1", WORKER_1, metadata={"os": "linux", **INVENTED})
    reader, operator = (
        await guarded.connect("admin", READER),
        await guarded.connect("admin", OPERATOR),
    )
    await settle(reader, operator)
    await guarded.add_account(MINE)
    session_id = await guarded.start_login(operator, worker, MINE)
    for status in ("sms_input_required", "success"):
        report = {
            "session_id": session_id,
            "status": status,
            "step": "sms",
            "message": "hello",
            **INVENTED,
        }
        report |= {"step": "sms", "message": "hello", "user_info": {"nickname": "N", **INVENTED}}
        answer = await worker.ask(
            "worker:login:status", report | {"cookies": [{"name": "a", "value": "b"}]}
        )
        assert answer["success"], answer
    assert (await reader.hear("login:status:update"))["message"] == "hello"
    assert (await reader.hear("login:success"))["user_info"] == {"nickname": "N"}
    await settle(reader, operator)
    assert HUSH not in repr(reader.heard)
    told = [
        {name: value for name, value in one.items() if name != "login_url"}
        for _, one in operator.heard
        if one
    ]
    assert HUSH not in repr(told)
    beat = {"workerId": "worker-1", "stats": {"errors": 7, "state": "busy", **INVENTED}}
    assert (await worker.ask("worker:heartbeat", beat))["success"]
    shown = await (await guarded.ask("GET", "/api/v1/workers/worker-1", READER)).json()
    assert (shown["worker"]["stats"]["errors"], shown["worker"]["stats"]["state"]) == (7, "busy")
    for path in (
        "/accounts",
        f"/accounts/{MINE}",
        "/workers",
        "/workers/worker-1",
        "/accounts/status/all",
    ):
        answer = await guarded.ask("GET", f"/api/v1{path}", READER)
        assert HUSH not in await answer.text(), path


async def test_below_admin_no_caller_reads_the_arguments_of_a_worker_process(guarded):
    body = {
        "worker_id": "w",
        "args": ["--api-key=planted-secret", "planted-secret"],
        "env": {"KEY": HUSH},
    }
    assert (await guarded.ask("POST", "/api/v1/worker-configs", json=body)).status == 201
    for path in ("/api/v1/worker-configs", "/api/v1/worker-configs/w"):
        answer = await guarded.ask("GET", path, OPERATOR)
        assert answer.status == 200
        assert HUSH not in await answer.text()
    whole = await (await guarded.ask("GET", "/api/v1/worker-configs/w", ROOT)).json()
    assert whole["worker_config"]["args"] == body["args"]
