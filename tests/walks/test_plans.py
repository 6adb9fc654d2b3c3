"""Frequent queries use indexes: SQLite's query plans prove it on any machine."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from master.model import Device
from master.operations.accounts import list_accounts, remove_account
from master.operations.audit import audit_workers
from master.operations.reports import show_accounts_status, show_statistics
from master.protocol.http import ById
from master.protocol.lists import AccountsQuery
from master.store.notifications import find_first_owed, find_owed, list_unsent, mark_passed
from tests.conftest import registration
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account

SCANNED = re.compile(r"SCAN (\w+)")
EVERYTHING_BEFORE = re.compile(r"SEARCH notifications \S.*\(seq<\?\)")
"""A range with nothing but an upper end matches nearly every notification."""


@contextmanager
def watch_statements(bench) -> Iterator[list[tuple[str, Any]]]:
    """Collect every statement with its parameters."""
    asked: list[tuple[str, Any]] = []
    database = bench.master.database
    engines = [
        engine.sync_engine for engine in (database._writer_engine, *database._readers.values())
    ]

    def note(connection, cursor, statement, parameters, context, executemany) -> None:
        asked.append((statement, parameters[0] if executemany else parameters))

    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield asked
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def watch_plans(bench) -> Iterator[list[str]]:
    """Collect SQLite's query plan of each statement."""
    plans: list[str] = []
    with watch_statements(bench) as asked:
        yield plans
    with sqlite3.connect(bench.master.settings.db_path) as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                plans += [
                    row[3]
                    for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                ]
    connection.close()


def find_scanned(plans: list[str]) -> set[str]:
    return {found[1] for plan in plans if (found := SCANNED.match(plan))}


async def report(bench, worker, *numbers: int) -> None:
    """Report an account's comments, and with them one notification each."""
    account = await make_account(bench, f"of-{numbers[0]}")
    messages = [comment(number) for number in numbers]
    await worker.ask(
        "worker:message:detected",
        {"type": "comment", "account_id": account["id"], "messages": messages},
    )


async def test_a_sync_looks_through_no_more_notifications_than_it_lists(bench):
    worker, device = await bench.worker(), await bench.device()
    await report(bench, worker, 1, 2, 3)
    told = await device.hear("notification:new", 2)
    assert (await device.ask("client:notification:ack", {"notification_id": told["id"]}))["success"]
    with watch_plans(bench) as plans:
        await device.ask("client:sync:request", {"device_id": "device-1", "after_seq": 3})
    assert any("client_deliveries" in plan for plan in plans), (
        "confirmations that are needed no more are removed"
    )
    assert find_scanned(plans) == set()
    assert not [plan for plan in plans if EVERYTHING_BEFORE.match(plan)]


async def test_a_registration_and_a_confirmation_of_a_device_look_through_none(bench):
    worker = await bench.worker()
    await report(bench, worker, 1, 2, 3)
    with watch_plans(bench) as plans:
        device = await bench.device()
        told = await device.hear("notification:new", 2)
        assert (await device.ask("client:notification:ack", {"notification_id": told["id"]}))[
            "success"
        ]
        assert (
            await device.ask(
                "client:notification:ack", {"notification_id": device.heard[1][1]["id"]}
            )
        )["success"]
    assert any("client_deliveries" in plan for plan in plans)
    assert find_scanned(plans) == set()
    assert not [plan for plan in plans if EVERYTHING_BEFORE.match(plan)]


async def test_a_device_that_sees_some_accounts_only_follows_the_sequence_as_well(bench):
    device, accounts = Device("phone", None, None, 0, 0, 0), ["mine", "also-mine"]
    with watch_plans(bench) as plans:
        async with bench.master.database.write() as transaction:
            connection = await transaction.connect()
            await find_first_owed(connection, device, 5, accounts)
            await find_owed(connection, device, limit=5, accounts=accounts, after_seq=1)
            await mark_passed(connection, 0, 5, 0, accounts)
            await list_unsent(connection, limit=5)
    found = [plan for plan in plans if "notifications USING" in plan]
    *in_order, unsent = found
    assert len(in_order) == 3
    assert all("uq_notifications_seq" in plan for plan in in_order)
    assert "idx_notifications_sent" in unsent
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


async def test_what_a_batch_changes_is_found_by_its_key(bench):
    """Each frequent query is one lookup, whatever the size of its table."""
    worker, admin = await bench.worker("worker-1", maxAccounts=1), await bench.connect("admin")
    first = await make_account(bench, "first")
    await make_account(bench, "second")
    with watch_plans(bench) as plans:
        assert (await worker.ask("worker:register", registration("worker-1", maxAccounts=3)))[
            "success"
        ]
        assert (await admin.ask("master:login:start", {"account_id": first["id"]}))["success"]
        assert (await worker.ask("worker:goodbye", {"workerId": "worker-1"}))["released"] == 2
        await bench.run(remove_account, ById(id=first["id"]))
    assert [
        plan
        for plan in plans
        if plan.startswith("SEARCH accounts USING INDEX sqlite_autoindex_accounts_1 (id=?)")
    ]
    assert find_scanned(plans) == set()


async def test_a_registration_asks_the_file_as_often_for_one_account_as_for_many(bench):
    asked_for = []
    for number, count in enumerate((1, 9)):
        for name in range(count):
            await make_account(bench, f"{number}-{name}")
        worker = await bench.connect("worker")
        with watch_statements(bench) as asked:
            answer = await worker.ask(
                "worker:register", registration(f"worker-{number}", maxAccounts=count)
            )
        assert len(answer["accounts"]) == count
        asked_for.append([statement for statement, _ in asked])
    assert asked_for[0] == asked_for[1]
    assert [statement.split()[0] for statement in asked_for[0]] == [
        "BEGIN", "INSERT", "UPDATE", "INSERT",  # the last one tells the history
    ]  # fmt: skip


async def test_where_no_worker_has_room_the_audit_reads_no_account_that_waits(bench):
    worker = await bench.worker("worker-1", maxAccounts=1)
    for name in ("a", "b", "c"):
        await make_account(bench, name)
    with watch_statements(bench) as asked:
        await bench.run(audit_workers)
    assert [statement for statement, _ in asked if "accounts.platform" in statement] == []
    assert (await worker.ask("worker:register", registration("worker-1", maxAccounts=3)))["success"]
    assert len(list(bench.master.memory.farm.accounts.find("owner", "worker-1"))) == 3


async def test_the_audit_reads_no_row_of_an_account(bench):
    """A row's epoch lies behind its cookies: a sum over all accounts would read all of these."""
    await make_account(bench)
    with watch_plans(bench) as plans:
        await bench.run(audit_workers)
    assert [plan for plan in plans if "accounts" in plan] == [
        "SCAN accounts USING COVERING INDEX idx_accounts_worker",
        # the removed ones whose messages are not gone yet, of which there are few
        "SEARCH accounts USING INDEX idx_accounts_status (status=?)",
    ]


async def test_counts_of_messages_look_at_no_message_of_others(bench):
    worker = await bench.worker()
    await report(bench, worker, 1, 2, 3)
    with watch_plans(bench) as plans:
        statistics = await bench.master.turns.look(show_statistics, None)
        listing = await bench.master.turns.look(show_accounts_status, AccountsQuery())
    assert statistics["messages"]["comments"] == {"total": 3, "unread": 3}
    assert listing.rows[0]["runtime_stats"]["unread"] == 3
    read = [plan for plan in plans if "comments" in plan or "messages" in plan]
    assert read
    assert all(plan.startswith("SEARCH") and "(account_id=?)" in plan for plan in read), read


async def test_accounts_by_unread_messages_are_listed_without_a_look_at_a_message(bench):
    worker = await bench.worker()
    await report(bench, worker, 1, 2, 3)
    for asked in (AccountsQuery(sort="-unread"), AccountsQuery(unread=True)):
        with watch_plans(bench) as plans:
            listed = await bench.master.turns.look(list_accounts, asked)
        assert [row["unread"] for row in listed.rows] == [3]
        assert any(re.match(r"SEARCH unread USING AUTOMATIC .*INDEX", plan) for plan in plans)
        assert not [plan for plan in plans if re.search("comments|messages", plan)], plans
