"""A worker reports for itself only: another worker's events about it are refused."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from master.clock import SystemClock
from master.errors import Unauthorized
from master.model import WorkerConfig
from master.routes import FROM_WORKER
from master.supervisor import Supervisor
from tests.conftest import Peer, registration
from tests.security.conftest import (
    ANY_WORKER,
    CODE,
    FOREIGN,
    MINE,
    OPERATOR,
    WORKER_1,
    WORKER_2,
    Guarded,
    settle,
)
from tests.waiting import until

EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "worker:register": (registration("worker-1"), "forbidden"),
    "worker:heartbeat": ({"workerId": "worker-1"}, "forbidden"),
    "worker:goodbye": ({"workerId": "worker-1"}, "forbidden"),
    "worker:login:qrcode": ({"session_id": "SESSION", "qr_code_data": CODE}, "not_yours"),
    "worker:login:status": (
        {
            "session_id": "SESSION",
            "status": "success",
            "cookies": [{"name": "a", "value": "forged"}],
        },
        "not_yours",
    ),
    "worker:account:status": ({"account_id": MINE, "account_status": "banned"}, "not_yours"),
    "worker:message:detected": (
        {"type": "comment", "account_id": MINE, "messages": [{"id": "1", "content": "c"}]},
        "not_yours",
    ),
}
"""Event -> payload of worker-2 about worker-1's seat, login or account, and the refusal."""


async def open_login(guarded: Guarded) -> tuple[Peer, Peer, str]:
    """Return worker-1, an administrator, and the session of worker-1's login."""
    owner = await guarded.register("worker-1", WORKER_1)
    admin = await guarded.connect("admin", OPERATOR)
    await guarded.add_account(MINE)
    return owner, admin, await guarded.start_login(admin, owner, MINE)


def test_every_event_of_workers_is_in_the_table():
    assert set(EVENTS) == set(FROM_WORKER)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("registered", [True, False])
async def test_an_event_from_a_foreign_worker_changes_nothing(
    guarded, event: str, registered: bool
):
    owner, admin, session_id = await open_login(guarded)
    if registered:
        foreign = await guarded.register("worker-2", WORKER_2, capabilities=["douyin"])
    else:
        foreign = await guarded.connect("worker", WORKER_2)
    await settle(owner, admin)
    before, heard = guarded.dump(), len(admin.heard)
    payload, code = EVENTS[event]
    payload = {key: session_id if value == "SESSION" else value for key, value in payload.items()}
    answer = await foreign.ask(event, payload)
    assert answer["error"]["code"] in ((code,) if registered else (code, "not_registered")), answer
    await settle(owner, admin)
    assert guarded.dump() == before
    assert len(admin.heard) == heard
    assert (await owner.ask("worker:heartbeat", {"workerId": "worker-1"}))["accountIds"] == [MINE]


async def test_messages_of_unknown_accounts_are_refused_as_unknown(guarded):
    worker = await guarded.register("worker-1", WORKER_1)
    event = {"type": "comment", "account_id": "nobody", "messages": [{"id": "1"}]}
    assert (await worker.ask("worker:message:detected", event))["error"][
        "code"
    ] == "unknown_account"


@pytest.mark.parametrize("token", [WORKER_2, ANY_WORKER])
async def test_a_seat_is_not_taken_over_without_its_token(guarded, token):
    owner = await guarded.register("worker-1", WORKER_1)
    await guarded.add_account(MINE)
    thief = await guarded.connect("worker", token)
    for event in ("worker:register", "worker:heartbeat"):
        answer = await thief.ask(event, registration("worker-1"))
        assert answer["error"]["code"] == "forbidden"
    await settle(thief, owner)
    assert [event for event, _ in thief.heard] == ["worker:registered"]
    assert "accounts" not in thief.all("worker:registered")[0], "no cookies for the thief"
    await guarded.master.turns.run(_nothing, None)
    assert owner.client.connected
    assert (await owner.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]


async def _nothing(event: None, turn: Any) -> None:
    """An empty turn, which comes after all earlier ones."""


async def test_the_same_worker_gets_its_own_seat_back(guarded):
    await guarded.register("worker-1", WORKER_1)
    again = await guarded.register("worker-1", WORKER_1)
    assert (await again.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]


async def test_a_former_owner_no_longer_speaks_for_the_account(guarded):
    owner, admin, session_id = await open_login(guarded)
    other = await guarded.register("worker-2", WORKER_2)
    started = await admin.ask("master:login:start", {"account_id": MINE, "worker_id": "worker-2"})
    assert started["success"], started
    late = await owner.ask(
        "worker:login:status", {"session_id": session_id, "status": "success", "cookies": [{}]}
    )
    assert late["error"]["code"] == "login_closed"
    stolen = {"session_id": started["session_id"], "status": "success", "cookies": [{}]}
    assert (await owner.ask("worker:login:status", stolen))["error"]["code"] == "not_yours"
    wrong = {"session_id": started["session_id"], "status": "failed", "account_id": FOREIGN}
    assert (await other.ask("worker:login:status", wrong))["error"]["code"] == "invalid"


# -- worker processes ------------------------------------------------------------------------------


async def test_a_worker_process_gets_a_token_of_its_own_and_no_other(
    guarded, tmp_path, monkeypatch
):
    monkeypatch.setenv("ADMIN_TOKENS", "root:the-administrators-secret")
    monkeypatch.setenv("worker_tokens", "*:the-workers-secret-in-small-letters")
    shown = tmp_path / "shown"
    program = (
        f"import json,os,pathlib,signal; p=pathlib.Path({str(shown)!r}+'.part');"
        f"p.write_text(json.dumps(dict(os.environ))); p.rename({str(shown)!r}); signal.pause()"
    )
    supervisor = Supervisor(
        log_dir=tmp_path,
        master_host="127.0.0.1",
        master_port=guarded.master.port,
        clock=SystemClock(),
        stop_limit_s=5,
        default_command=(sys.executable, "-c", program),
        tokens=guarded.master.access,
    )
    by_hand = {"MASTER_WORKER_TOKEN": "given by hand"}
    config = WorkerConfig("worker-of-ours", None, (), by_hand, None, None, False, False, 0, 0)
    await supervisor.start(config)
    try:
        await until(shown.exists)
        environment = json.loads(shown.read_text())
        assert not {"ADMIN_TOKENS", "worker_tokens"} & set(environment)
        await guarded.register("worker-of-ours", environment["MASTER_WORKER_TOKEN"])
    finally:
        await supervisor.close()
    with pytest.raises(Unauthorized):
        guarded.master.access.identify("worker", environment["MASTER_WORKER_TOKEN"], "127.0.0.1")


async def test_an_issued_token_is_for_one_worker_and_ends_with_its_process(guarded):
    access = guarded.master.access
    first, second = access.issue_worker_token("worker-9"), access.issue_worker_token("worker-9")
    assert first != second
    worker = await guarded.register("worker-9", second)
    assert (await worker.ask("worker:register", registration("worker-8")))["error"][
        "code"
    ] == "forbidden"
    access.withdraw_worker_token("worker-9")
    for token in (first, second):
        with pytest.raises(Exception, match="not known"):
            access.identify("worker", token, "127.0.0.9")
    assert (await worker.ask("worker:heartbeat", {"workerId": "worker-9"}))["success"]
