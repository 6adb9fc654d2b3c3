"""Plain operations decide on memory alone, without database, loop or socket."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pytest

from master.draft import Draft
from master.endpoints import ENDPOINTS
from master.errors import Refusal
from master.model import AccountStatus, Scope, WorkerStatus
from master.operations import (
    afterwards,
    assignments,
    drains,
    handouts,
    logins,
    maintenance,
    names,
    notifications,
    secrets,
    workers,
)
from master.protocol.decoding import decode
from master.protocol.drains import BeginMaintenance, DrainWorker
from master.routes import NAMESPACES, SWEEPS
from master.store.logins import find_login
from master.store.sealing import Secrets
from master.turn import Bulk, Caller, Fetch
from tests.core.core import Core, hold
from tests.records import make_config, make_device, make_link, make_proxy

EXAMPLES = Path(__file__).parents[2] / "fixtures" / "protocol"

BODIES: dict[str, dict[str, Any]] = {
    "add_account": {"platform": "douyin", "account_name": "new"},
    "change_account": {"status": "paused"},
    "start_login": {},
    "add_config": {"worker_id": "free", "auto_start": False},
    "change_config": {"args": ["-v"]},
    "add_proxy": {"name": "new", "server": "h:1", "password": "secret"},
    "change_proxy": {"name": "other"},
    "make_link": {"ttl_s": 900, "note": "for the new phone"},
    "plan_placement": {"max_accounts": {"w1": 1}, "pin": {"a": None}},
    "begin_drain": {"deadline_s": 60},
    "begin_maintenance": {"deadline_s": 60},
}
"""A body for each HTTP operation that reads one."""

BEGUN_BY: dict[Any, tuple[Callable[..., Any], Any]] = {
    drains.cancel_drain: (drains.begin_drain, DrainWorker(id="w1", deadline_s=60)),
    maintenance.end_maintenance: (
        maintenance.begin_maintenance,
        BeginMaintenance(deadline_s=60),
    ),
}
"""What must have begun before an operation can end it."""

GONE = "gone"
"""An offline worker without accounts."""

PATHS = {
    "accounts": "a",
    "workers": "w1",
    "worker-configs": "w1",
    "proxies": "p",
    "login-sessions": "login of scanned",
}
"""Existing ids, by the route parameter that names one."""

BESIDE: dict[Callable[..., Any], Any] = {
    workers.wake_up: None,
    workers.note_disconnect: "w1",
    afterwards.do_nothing: None,
    afterwards.tell_moved: {"a": "w2", "b": None},
    assignments.tell_more: "w1",
    handouts.note_unreadable: {"a": "why"},
    secrets.mark_unreadable: {"a", "b"},
}
"""Turns that Master starts by itself, with their events."""


def make_core() -> Core:
    core = Core()
    core.add_worker("w1", *hold("w1", "a"), capabilities=("douyin", "xiaohongshu"))
    core.add_worker("w2", *hold("w2", "b"), capabilities=("douyin", "xiaohongshu"))
    core.add_account("scanned", status=AccountStatus.PAUSED)
    core.add_login("scanned", "w1")
    core.add_account("waits", platform="xiaohongshu")
    core.add_worker(GONE, status=WorkerStatus.OFFLINE)
    core.memory.farm.proxies.put(make_proxy("p", has_password=True))
    core.memory.farm.configs.put(make_config("w1"))
    core.memory.farm.proxies.put(make_proxy("q"))
    core.memory.farm.configs.put(make_config("w2", proxy_id="q"))
    core.memory.farm.devices.put(make_device("d"))
    core.memory.sessions.worker_sockets.add("new socket")
    core.stored = answer_nothing
    return core


def answer_nothing(read: Any, key: Hashable) -> Any:
    """Return the result of a fetch when nothing sealed is stored and no login has ended."""
    if read is find_login:
        return None
    nothing = Secrets({"credentials": None, "fingerprint": None, "password": None}, {})
    if isinstance(key, str):
        return nothing
    return dict.fromkeys(key, nothing)  # type: ignore[union-attr]


def is_plain(operation: Any) -> bool:
    return (
        operation is not None
        and not isinstance(operation, Bulk)
        and not inspect.iscoroutinefunction(operation)
    )


EVENTS = [
    pytest.param(name, route, id=f"{name} {route.event}")
    for name, routes in NAMESPACES.items()
    for route in routes.values()
    if is_plain(route.operation)
]
ROUTES = [
    pytest.param(one, id=f"{one.method} {one.path}") for one in ENDPOINTS if is_plain(one.operation)
]
OTHERS = [
    pytest.param(sweep.operation, None, id=sweep.name)
    for sweep in SWEEPS
    if is_plain(sweep.operation)
]
OTHERS += [
    pytest.param(operation, event, id=operation.__name__) for operation, event in BESIDE.items()
]


ADMIN = Caller("http", scope=Scope.ADMIN)


def perform(core: Core, operation: Any, event: Any, caller: Caller = ADMIN) -> None:
    """Run an operation twice, then apply it: memory must not change before that."""
    before = [list(table.all()) for table in core.memory.farm.tables]
    turn, reply = core.decide(operation, event, caller)
    assert turn.rows is None
    assert not inspect.isawaitable(reply)
    assert [list(table.all()) for table in core.memory.farm.tables] == before, (
        "it wrote past its draft"
    )
    assert core.decide(operation, event, caller)[1] is not None or reply is None
    core.commit(turn)
    core.check_loads()


@pytest.mark.parametrize(("name", "route"), EVENTS)
def test_an_event_is_decided_without_a_database(name, route):
    core = make_core()
    example = json.loads((EXAMPLES / name / f"{route.event}.json").read_text(encoding="utf-8"))
    real = {
        "account_id": "a",
        "worker_id": "w1",
        "workerId": "w1",
        "session_id": "login of scanned",
    }
    if "session_id" in example and "account_id" in example and name == "worker":
        real["account_id"] = "scanned"
    payload = decode(
        route.payload, example | {key: value for key, value in real.items() if key in example}
    )
    perform(
        core,
        route.operation,
        payload,
        Caller(name, "socket of w1" if name == "worker" else name, scope=Scope.ADMIN),
    )


@pytest.mark.parametrize("endpoint", ROUTES)
def test_a_request_is_decided_without_a_database(endpoint):
    core = make_core()
    if endpoint.operation in BEGUN_BY:
        begin, event = BEGUN_BY[endpoint.operation]
        core.commit(core.decide(begin, event, ADMIN)[0])
    body = BODIES[endpoint.operation.__name__] if endpoint.body is not None else {}
    path = {"{id}": PATHS[endpoint.path.split("/")[1]]} if "{id}" in endpoint.path else {}
    if endpoint.operation is names.remove_worker:
        path = {"{id}": GONE}
    if "{link}" in endpoint.path:
        core.memory.farm.links.put(make_link("k", path["{id}"]))
        path["{link}"] = "k"
    perform(core, endpoint.operation, decode(endpoint.payload, body | path))


@pytest.mark.parametrize(("operation", "event"), OTHERS)
def test_what_master_does_of_itself_is_decided_without_a_database(operation, event):
    core = make_core()
    core.fall_silent("w2")
    perform(core, operation, event, Caller("sweep"))


def test_most_of_what_is_asked_is_plain_and_what_is_not_works_on_rows_that_memory_does_not_have():
    on_rows = {route.operation for routes in NAMESPACES.values() for route in routes.values()}
    on_rows |= {endpoint.operation for endpoint in ENDPOINTS} | {
        sweep.operation for sweep in SWEEPS
    }
    named = {
        operation.__name__
        for operation in on_rows
        if operation is not None and not is_plain(operation)
    }
    assert named == ON_ROWS


ON_ROWS = {
    "_keep_detected", "audit_workers", "change_view", "confirm_notification", "list_accounts",
    "list_comments", "list_direct_messages", "list_links", "list_logins", "list_notifications",
    "list_proxies", "list_views", "look_up_device", "mark_messages_read", "mark_messages_unread",
    "mark_read", "mark_sent", "mark_unread", "remove_old_rows", "remove_view", "request_logins",
    "request_status", "save_view", "show_account_timeline", "show_accounts_status", "show_audit",
    "show_login", "show_proxy", "show_statistics", "show_worker_timeline", "sync_device",
}  # fmt: skip


def test_what_memory_does_not_have_is_asked_for_and_the_operation_begins_anew():
    core = make_core()
    asked: list[Hashable] = []

    def answer(read: Any, key: Hashable) -> Any:
        asked.append(key)
        return answer_nothing(read, key)

    core.stored = answer
    core.memory.farm.configs.put(make_config("w1", proxy_id="p"))
    with pytest.raises(Fetch):
        logins.start_login(
            logins.StartLogin(account_id="a", worker_id="w1", session_id="mine-12345678"),
            core.begin(),
        )
    turn, reply = core.decide(
        logins.start_login,
        logins.StartLogin(account_id="a", worker_id="w1", session_id="mine-12345678"),
    )
    assert asked == ["p", "mine-12345678"]
    assert reply["session_id"] == "mine-12345678"
    assert len([one for one in turn.draft.logins.all() if one.account_id == "a"]) == 1, (
        "what was begun before is gone"
    )


def test_what_does_not_open_is_noted_in_portions(monkeypatch):
    core = make_core()
    core.stored = answer_nothing
    monkeypatch.setattr(secrets, "PORTION", 1)
    turns = core.run(secrets.mark_unreadable, {"a", "b", "nobody"})
    assert [len(turn.next_turns) for turn in turns] == [1, 1, 0]


def test_a_refused_operation_leaves_a_draft_that_is_not_absorbed():
    core = make_core()
    batch = Draft(core.memory)
    cancel = logins.CancelLogin(session_id="login of scanned")
    first, _ = core.decide(logins.cancel_login, cancel, draft=batch)
    batch.absorb(first.draft)
    with pytest.raises(Refusal):
        core.decide(logins.cancel_login, cancel, draft=batch)
    assert [one.status.value for one in batch.logins.changed.values()] == ["failed"]
    assert len(core.memory.farm.logins) == 1


def test_an_alarm_gets_its_seq_without_a_database():
    core = make_core()
    turn = core.begin()
    notifications.raise_alarm(turn, "something", {})
    assert [note.seq for note in turn.draft.notes] == [1]
    core.commit(turn)
    assert core.memory.farm.last_seq == 1
