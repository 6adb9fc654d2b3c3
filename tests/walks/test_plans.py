"""By which indexes rows are found that somebody asks for again and again: a plan tells it, whatever the machine."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from master.model import Device
from master.operations.reports import show_accounts_status, show_statistics
from master.operations.audit import audit_workers
from master.protocol.http import AccountsQuery, Request
from master.store.notifications import find_first_owed, mark_passed
from tests.conftest import registration
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account

SCANNED = re.compile(r"SCAN (\w+)")
EVERYTHING_BEFORE = re.compile(r"SEARCH notifications \S.*\(seq<\?\)")
"""A range with nothing but an upper end holds nearly every notification."""


@contextmanager
def watch_statements(bench) -> Iterator[list[tuple[str, Any]]]:
    """Collect every statement with its parameters."""
    asked: list[tuple[str, Any]] = []
    database = bench.master.database
    engines = [engine.sync_engine for engine in (database._writer_engine, database._reader_engine)]

    def note(connection, cursor, statement, parameters, context, executemany) -> None:
        asked.append((statement, parameters[0] if executemany else parameters))

    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield asked
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def watch_plans(bench) -> Iterator[list[str]]:
    """Collect what SQLite says of how it goes about each statement."""
    plans: list[str] = []
    with watch_statements(bench) as asked:
        yield plans
    with sqlite3.connect(bench.master.settings.db_path) as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    connection.close()


def find_scanned(plans: list[str]) -> set[str]:
    return {found[1] for plan in plans if (found := SCANNED.match(plan))}


async def report(bench, worker, *numbers: int) -> None:
    """Make an account's comments known, and with them one notification each."""
    account = await make_account(bench, f"of-{numbers[0]}")
    messages = [comment(number) for number in numbers]
    await worker.ask("worker:message:detected", {"type": "comment", "account_id": account["id"], "messages": messages})


async def test_a_sync_looks_through_no_more_notifications_than_it_gives(bench):
    worker, device = await bench.worker(), await bench.device()
    await report(bench, worker, 1, 2, 3)
    told = await device.hear("notification:new", 2)
    assert (await device.ask("client:notification:ack", {"notification_id": told["id"]}))["success"]
    with watch_plans(bench) as plans:
        await device.ask("client:sync:request", {"device_id": "device-1", "after_seq": 3})
    assert any("client_deliveries" in plan for plan in plans), "confirmations that are needed no more are removed"
    assert find_scanned(plans) == set()
    assert not [plan for plan in plans if EVERYTHING_BEFORE.match(plan)]


async def test_a_registration_and_a_confirmation_of_a_device_look_through_none(bench):
    worker = await bench.worker()
    await report(bench, worker, 1, 2, 3)
    with watch_plans(bench) as plans:
        device = await bench.device()
        told = await device.hear("notification:new", 2)
        assert (await device.ask("client:notification:ack", {"notification_id": told["id"]}))["success"]
        assert (await device.ask("client:notification:ack", {"notification_id": device.heard[1][1]["id"]}))["success"]
    assert any("client_deliveries" in plan for plan in plans)
    assert find_scanned(plans) == set()
    assert not [plan for plan in plans if EVERYTHING_BEFORE.match(plan)]


async def test_a_device_that_sees_some_accounts_only_follows_the_sequence_as_well(bench):
    device, accounts = Device("phone", None, None, 0, 0, 0), ["mine", "also-mine"]
    with watch_plans(bench) as plans:
        async with bench.master.database.write() as connection:
            await find_first_owed(connection, device, accounts)
            await mark_passed(connection, 0, 5, 0, accounts)
    found = [plan for plan in plans if "notifications USING" in plan]
    assert len(found) == 2
    assert all("uq_notifications_seq" in plan for plan in found)
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


def find_looks_at_waiting(plans: list[str]) -> list[str]:
    """Return how the accounts that wait were looked for, where it was not one by its id."""
    return [plan for plan in plans if plan.startswith(("SEARCH accounts", "SCAN accounts")) and "(status=?)" in plan]


async def test_accounts_that_wait_are_found_among_those_that_wait(bench):
    await bench.worker("worker-1", maxAccounts=1)
    for name in ("a", "b", "c", "d"):
        await make_account(bench, name)
    with watch_plans(bench) as plans:
        await bench.worker("worker-2", maxAccounts=2)
        await bench.run(audit_workers)
    assert find_looks_at_waiting(plans)
    assert set(find_looks_at_waiting(plans)) == {"SEARCH accounts USING INDEX idx_accounts_waiting (status=?)"}


async def test_where_nobody_has_room_only_the_first_that_waits_is_read(bench):
    worker = await bench.worker("worker-1", maxAccounts=1)
    for name in ("a", "b", "c"):
        await make_account(bench, name)
    with watch_statements(bench) as asked:
        await bench.run(audit_workers)
    looks = [(statement, values) for statement, values in asked if "assigned_worker_id IS NULL" in statement]
    assert [("LIMIT" in statement, values[-2]) for statement, values in looks] == [(True, 1)]
    assert (await worker.ask("worker:register", registration("worker-1", maxAccounts=3)))["success"]
    assert len(bench.master.memory.sessions.seats["worker-1"].owned) == 3


async def test_counts_of_messages_look_at_no_message_of_others(bench):
    worker = await bench.worker()
    await report(bench, worker, 1, 2, 3)
    with watch_plans(bench) as plans:
        statistics = await bench.master.turns.look(show_statistics, None)
        listing = await bench.master.turns.look(show_accounts_status, Request(AccountsQuery(), None))
    assert statistics["messages"]["comments"] == {"total": 3, "unread": 3}
    assert listing.rows[0]["runtime_stats"]["unread"] == 3
    counted = [plan for plan in plans if "comments" in plan]
    scans = [plan for plan in counted if plan.startswith("SCAN")]
    assert scans
    assert all("COVERING INDEX" in plan or "idx_comments_read" in plan for plan in scans), scans
    assert [plan for plan in counted if plan.startswith("SEARCH") and "(account_id=?)" in plan]
