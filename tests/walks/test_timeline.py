"""Events of accounts and workers, their causes, and gaps in which no worker watched."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest

from master.errors import UnknownAccount, UnknownWorker
from master.model import Scope
from master.operations.accounts import add_account, change_account, remove_account
from master.operations.afterwards import do_nothing
from master.operations.names import remove_worker
from master.operations.processes import add_config, change_config, remove_config
from master.operations.proxies import add_proxy, change_proxy, remove_proxy
from master.operations.timelines import (
    show_account_timeline,
    show_audit,
    show_worker_timeline,
)
from master.protocol.http import (
    AccountChange,
    AuditQuery,
    ById,
    NewAccount,
    NewProxy,
    NewWorkerConfig,
    ProxyChange,
    TimelineQuery,
    WorkerConfigChange,
)
from master.store.events import BY_PEOPLE
from master.turn import Caller
from tests.conftest import Bench, registration
from tests.walks.test_logins import start
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account

ANNA = Caller("http", name="anna", scope=Scope.ADMIN, request_id="request-1")
COOKIES = [{"name": "sid", "value": "planted-cookie"}]


async def read(bench: Bench, account_id: str, **query: Any) -> Any:
    await bench.run(do_nothing)  # after what the edges have noted without waiting
    return await bench.master.turns.look(
        show_account_timeline, TimelineQuery(id=account_id, **query)
    )


async def read_of_worker(bench: Bench, worker_id: str = "worker-1") -> Any:
    await bench.run(do_nothing)
    return await bench.master.turns.look(show_worker_timeline, TimelineQuery(id=worker_id))


async def read_audit(bench: Bench, **query: Any) -> Any:
    await bench.run(do_nothing)
    return await bench.master.turns.look(show_audit, AuditQuery(**query))


def told(timeline: Any) -> list[tuple[str, str | None]]:
    """Return kind and reason of each event, the oldest first."""
    return [(one["kind"], one["reason"]) for one in reversed(timeline["items"])]


def read_rows(bench: Bench, query: str = "SELECT * FROM events ORDER BY seq") -> list[Any]:
    with closing(sqlite3.connect(bench.master.settings.db_path)) as connection:
        return connection.execute(query).fetchall()


# -- kinds ----------------------------------------------------------------------------------------


async def change(bench: Bench, account: Any, **changes: Any) -> Any:
    event = AccountChange(id=account["id"], **changes)
    return await bench.master.turns.run(change_account, event, ANNA)


async def pause(bench: Bench, worker: Any, account: Any) -> None:
    await change(bench, account, status="paused")


async def pin(bench: Bench, worker: Any, account: Any) -> None:
    await change(bench, account, pinned_worker_id="worker-1")
    await change(bench, account, pinned_worker_id=None)


async def edit(bench: Bench, worker: Any, account: Any) -> None:
    await change(bench, account, account_name="Other", monitor_interval=60)


async def change_nothing(bench: Bench, worker: Any, account: Any) -> None:
    await change(bench, account, account_name=account["account_name"])


async def remove(bench: Bench, worker: Any, account: Any) -> None:
    await bench.master.turns.run(remove_account, ById(id=account["id"]), ANNA)


async def say_goodbye(bench: Bench, worker: Any, account: Any) -> None:
    assert (await worker.ask("worker:goodbye", {"workerId": "worker-1"}))["success"]


async def report_logout(bench: Bench, worker: Any, account: Any) -> None:
    report = {"account_id": account["id"], "account_status": "banned", "reason": "seen"}
    assert (await worker.ask("worker:account:status", report))["changed"]


async def beat_and_report(bench: Bench, worker: Any, account: Any) -> None:
    assert (await worker.ask("worker:heartbeat", {"workerId": "worker-1"}))["success"]
    await worker.ask("worker:register", registration())
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    assert (await worker.ask("worker:message:detected", report))["inserted"] == 1


Deed = Callable[[Bench, Any, Any], Awaitable[None]]


@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (beat_and_report, []),
        (edit, [("account_edited", None)]),
        (pin, [("pinned", None), ("unpinned", None)]),
        (pause, [("revoked", "account_paused"), ("status", "changed")]),
        (remove, [("revoked", "account_deleted"), ("account_removed", None)]),
        (say_goodbye, [("revoked", "worker_goodbye")]),
        (report_logout, [("revoked", "account_banned"), ("status", "seen")]),
    ],
)
async def test_each_thing_that_happens_to_an_account_is_told(bench, deed: Deed, expected):
    account = await make_account(bench)
    worker = await bench.worker()
    before = [("account_added", "added"), ("assigned", None)]
    await deed(bench, worker, account)
    timeline = await read(bench, account["id"])
    assert told(timeline) == before + expected
    hands = [one for one in timeline["items"] if one["kind"] in ("assigned", "revoked")]
    assert {(one["worker_id"], one["epoch"]) for one in hands} == {("worker-1", 1)}


async def test_a_login_is_told_step_by_step_without_code_input_and_cookies(bench):
    admin, worker, account, session = await start(bench)
    report = {"session_id": session, "account_id": account["id"]}
    for step in ("scanned", "sms_required", "sms_required"):
        bench.clock.advance(2)  # progress and input move the login's end, which is no new code
        await worker.ask("worker:login:status", report | {"status": step})
    typed = {"session_id": session, "input_type": "sms_code", "value": "planted-input"}
    bench.clock.advance(2)
    assert (await admin.ask("master:login:user_input", typed))["success"]
    bench.clock.advance(2)
    again = report | {"qr_code_data": "data:image/png;base64,aGVsbG8="}
    assert (await worker.ask("worker:login:qrcode", again))["success"]
    done = {"status": "success", "cookies": COOKIES, "user_info": {"phone": "planted-phone"}}
    assert (await worker.ask("worker:login:status", report | done))["success"]
    timeline = await read(bench, account["id"])
    assert [one for one in told(timeline) if one[0] not in ("account_added", "assigned")] == [
        ("login_opened", None),
        ("login_code", None),
        ("login_step", "scanned"),
        ("login_step", "sms_required"),
        ("command", None),
        ("login_code", None),
        ("login_ended", "success"),
        ("login_status", "login_success"),
    ]
    by = {one["kind"]: one["by"]["kind"] for one in timeline["items"]}
    assert (by["login_opened"], by["command"], by["login_step"]) == ("admin", "admin", "worker")
    command = next(one for one in timeline["items"] if one["kind"] == "command")
    assert command["params"] == {"action": "master:login:user_input"}
    assert (command["target"], command["worker_id"]) == (session, "worker-1")
    assert bench.master.memory.login_steps == {}
    stored = repr(read_rows(bench))
    assert "planted" not in stored
    assert "aGVsbG8" not in stored


async def test_a_superseded_login_says_so(bench):
    admin, _, account, _ = await start(bench)
    assert (await admin.ask("master:login:start", {"account_id": account["id"]}))["success"]
    timeline = await read(bench, account["id"])
    assert ("login_ended", "superseded") in told(timeline)


async def test_a_worker_s_times_are_told_and_its_absences_are_gaps(bench):
    account = await make_account(bench)
    worker = await bench.worker()
    admin = await bench.connect("admin")
    bench.clock.advance(1)
    await worker.close()
    assert (await admin.hear("worker:status"))["status"] == "disconnected"
    bench.clock.advance(4)
    back = await bench.worker()
    bench.clock.advance(1)
    assert (await back.ask("worker:goodbye", {"workerId": "worker-1"}))["success"]
    timeline = await read_of_worker(bench)
    assert told(timeline) == [
        ("worker_added", None),
        ("worker_connected", None),
        ("assigned", None),
        ("worker_disconnected", None),
        ("worker_connected", None),
        ("worker_offline", "goodbye"),
        ("revoked", "worker_goodbye"),
    ]
    last, first = timeline["gaps"]
    assert (first["to"] - first["from"], first["reason"]) == (4_000, "worker_disconnected")
    assert (last["to"], last["reason"]) == (None, "goodbye")
    assert (await read(bench, account["id"]))["gaps"][0]["reason"] == "worker_goodbye"
    await bench.master.turns.run(remove_worker, ById(id="worker-1"), ANNA)
    timeline = await read_of_worker(bench)
    assert told(timeline)[-1] == ("worker_removed", None)
    assert timeline["gaps"][0]["to"] is not None


async def test_proxies_and_processes_are_told_by_names_of_fields(bench):
    turns = bench.master.turns
    new = NewProxy(name="p", server="h.example:1", username="planted-user", password="planted-pw")
    proxy = await turns.run(add_proxy, new, ANNA)
    edited = ProxyChange.model_validate({"{id}": proxy["id"], "password": "planted-2", "name": "q"})
    await turns.run(change_proxy, edited, ANNA)
    await turns.run(add_config, NewWorkerConfig(worker_id="w", env={"KEY": "planted-env"}), ANNA)
    config = WorkerConfigChange.model_validate({"{id}": "w", "env": {"KEY": "planted-3"}})
    await turns.run(change_config, config, ANNA)
    await turns.run(remove_config, ById(id="w"), ANNA)
    await turns.run(remove_proxy, ById(id=proxy["id"]), ANNA)
    audit = await read_audit(bench)
    assert [(one["kind"], one["params"].get("fields")) for one in reversed(audit["items"])] == [
        ("proxy_added", None),
        ("proxy_edited", ["name", "password"]),
        ("config_added", None),
        ("config_edited", ["env"]),
        ("config_removed", None),
        ("proxy_removed", None),
    ]
    assert "planted" not in repr(read_rows(bench))


async def test_one_turn_s_events_are_numbered_without_holes_and_after_a_restart_too(bench):
    for number in range(3):
        await make_account(bench, f"a{number}")
    await bench.worker()
    seqs = [row[0] for row in read_rows(bench, "SELECT seq FROM events ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    await bench.master.turns.load_farm()
    assert bench.master.memory.farm.last_event == len(seqs)


async def test_a_number_that_another_program_took_costs_one_refusal(bench):
    account = await make_account(bench)
    with closing(sqlite3.connect(bench.master.settings.db_path)) as connection:
        connection.execute(
            "INSERT INTO events (seq, at_ms, kind, by_kind) VALUES (2, 0, 'strange', 'http')"
        )
        connection.commit()
    with pytest.raises(Exception, match=r".*") as fault:
        await change(bench, account, status="paused")
    assert fault.value.retryable
    assert (await change(bench, account, status="paused"))["status"] == "paused"
    assert told(await read(bench, account["id"]))[-1] == ("status", "changed")


# -- pages and gaps -------------------------------------------------------------------------------


async def test_pages_hold_each_event_once_and_each_gap_where_it_begins(bench):
    account = await make_account(bench)
    await bench.worker()
    for _ in range(3):
        bench.clock.advance(10)
        await change(bench, account, status="paused")
        bench.clock.advance(5)
        await change(bench, account, status="active")
    whole = await read(bench, account["id"], limit=500)
    assert whole["before"] is None
    assert [(one["to"] - one["from"], one["reason"]) for one in whole["gaps"]] == [
        (5_000, "account_paused")
    ] * 3
    for limit in range(1, 6):
        items, gaps, before = [], [], None
        while True:
            page = await read(bench, account["id"], limit=limit, before=before)
            items += page["items"]
            gaps += page["gaps"]
            before = page["before"]
            if before is None:
                break
        assert (items, gaps) == (whole["items"], whole["gaps"]), limit


async def test_a_gap_that_lasts_has_no_end(bench):
    account = await make_account(bench)
    timeline = await read(bench, account["id"])
    at = int(bench.clock.now() * 1000)
    assert timeline["gaps"] == [{"from": at, "to": None, "reason": "added"}]


async def test_what_was_removed_keeps_its_timeline_and_the_unknown_has_none(bench):
    account = await make_account(bench)
    await remove(bench, None, account)
    assert told(await read(bench, account["id"]))[-1] == ("account_removed", None)
    with pytest.raises(UnknownAccount):
        await read(bench, "nobody")
    with pytest.raises(UnknownWorker):
        await read_of_worker(bench, "nobody")


async def test_a_limited_caller_reads_its_own_accounts_only(bench):
    mine, other = await make_account(bench, "a"), await make_account(bench, "b")
    caller = Caller("http", scope=Scope.READ, accounts=frozenset({mine["id"]}))
    look = bench.master.turns.look
    assert (await look(show_account_timeline, TimelineQuery(id=mine["id"]), caller))["items"]
    with pytest.raises(UnknownAccount):
        await look(show_account_timeline, TimelineQuery(id=other["id"]), caller)


# -- the audit ------------------------------------------------------------------------------------


async def test_the_audit_has_what_people_did_and_finds_it(bench):
    turns = bench.master.turns
    new = NewAccount(platform="douyin", account_name="a")
    account = await turns.run(add_account, new, ANNA)
    await bench.worker()
    bob = Caller("http", name="bob", scope=Scope.OPERATE)
    await turns.run(change_account, AccountChange(id=account["id"], status="paused"), bob)
    await turns.run(remove_account, ById(id=account["id"]), ANNA)
    audit = await read_audit(bench)
    assert [(one["by"]["name"], one["kind"]) for one in reversed(audit["items"])] == [
        ("anna", "account_added"),
        ("bob", "revoked"),
        ("bob", "status"),
        ("anna", "account_removed"),
    ]
    assert audit["items"][0]["by"] == {"kind": "http", "name": "anna", "scope": "admin"}
    assert audit["items"][0]["request_id"] == "request-1"
    for query, number in (
        ({"by": "bob"}, 2),
        ({"action": "account_removed"}, 1),
        ({"target": account["id"]}, 4),
        ({"target": "worker-1"}, 1),
        ({"by": "bob", "action": "account_removed"}, 0),
        ({"before": audit["items"][0]["seq"]}, 3),
    ):
        assert len((await read_audit(bench, **query))["items"]) == number, query
    page = await read_audit(bench, limit=1)
    assert page["before"] == page["items"][0]["seq"]


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("by_kind IN ('admin', 'http', 'link')", "idx_events_person"),
        ("account_id = 'x'", "idx_events_account"),
        ("worker_id = 'x'", "idx_events_worker"),
    ],
)
def test_the_audit_and_timelines_are_read_from_their_indexes(bench, condition, index):
    assert str(BY_PEOPLE) == "by_kind IN ('admin', 'http', 'link')"
    query = "EXPLAIN QUERY PLAN SELECT * FROM events WHERE {} ORDER BY seq DESC LIMIT 5"
    [plan] = read_rows(bench, query.format(condition))
    assert index in plan[3], plan
