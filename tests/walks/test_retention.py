"""Old rows are removed at their age limits, and not a second earlier."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise

import structlog

from master.decisions.retention import DAY_S
from master.operations.afterwards import do_nothing
from master.operations.notifications import mark_sent
from master.operations.retention import remove_old_rows
from master.operations.workers import write_heartbeats
from master.store.farm import read_last_heartbeats
from master.store.rows import ROWS
from tests.walks.test_logins import start
from tests.walks.test_messages import comment
from tests.walks.test_workers import make_account


async def test_an_ended_login_is_kept_for_seven_days_to_the_second(bench):
    _, worker, _, session = await start(bench)
    await worker.ask("worker:login:status", {"session_id": session, "status": "failed"})
    bench.clock.advance(7 * DAY_S)
    assert (await bench.run(remove_old_rows))["login_sessions"] == 0
    bench.clock.advance(1)
    assert (await bench.run(remove_old_rows))["login_sessions"] == 1


async def test_an_open_login_is_never_removed_for_its_age(bench):
    await start(bench)
    bench.clock.advance(8 * DAY_S)
    assert (await bench.run(remove_old_rows))["login_sessions"] == 0


async def test_a_notification_is_kept_for_thirty_days_and_its_seq_is_not_assigned_again(bench):
    _, worker, account, _ = await start(bench)
    await bench.connect("admin")
    report = {"type": "comment", "account_id": account["id"], "messages": [comment(1)]}
    await worker.ask("worker:message:detected", report)
    await bench.run(mark_sent)
    bench.clock.advance(30 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 0
    bench.clock.advance(1)
    assert (await bench.run(remove_old_rows))["notifications"] == 1
    device = await bench.device()
    await worker.ask("worker:message:detected", report | {"messages": [comment(2)]})
    assert (await device.hear("notification:new"))["seq"] == 2


async def test_an_undelivered_notification_is_kept_for_twelve_times_as_long(bench):
    account = (await make_account(bench))["id"]
    worker = await bench.worker()
    report = {"type": "comment", "account_id": account, "messages": [comment(1), comment(2)]}
    await worker.ask("worker:message:detected", report)
    bench.clock.advance(12 * 30 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 0
    bench.clock.advance(1)
    with structlog.testing.capture_logs() as lines:
        assert (await bench.run(remove_old_rows))["notifications"] == 2
    assert {
        "event": "unsent_notifications_removed",
        "log_level": "warning",
        "notifications": 2,
    } in [*lines]


async def test_an_untold_row_that_a_wrong_clock_dated_stays(bench):
    """A machine that boots in 1970 and is set right later cannot know how old these rows are."""
    now = bench.clock.now()
    bench.clock.step(60 - now)
    account = (await make_account(bench))["id"]
    worker = await bench.worker()
    report = {"type": "comment", "account_id": account, "messages": [comment(1)]}
    await worker.ask("worker:message:detected", report)
    assert (await bench.run(remove_old_rows))["notifications"] == 0
    bench.clock.step(now - bench.clock.now())
    for _ in range(3):
        assert (await bench.run(remove_old_rows))["notifications"] == 0
        bench.clock.advance(DAY_S)
    async with bench.master.database.read() as connection:
        query = "SELECT count(*) FROM notifications WHERE type = 'comment'"
        assert (await connection.exec_driver_sql(query)).scalar_one() == 1


async def test_many_unsent_rows_go_in_portions_too(bench):
    account = (await make_account(bench))["id"]
    await fill(bench, account, 2 * ROWS + 1)
    async with bench.master.database.write() as transaction:
        connection = await transaction.connect()
        await connection.exec_driver_sql("UPDATE notifications SET is_sent = 0")
    bench.clock.advance(12 * 30 * DAY_S + 1)
    assert (await bench.run(remove_old_rows))["notifications"] == ROWS
    for _ in range(3):
        await bench.run(do_nothing)
    assert await count(bench, "notifications") == 0


NOTIFICATIONS = """
INSERT INTO notifications (id, type, account_id, title, content, created_at, seq, is_sent)
WITH RECURSIVE numbers(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM numbers LIMIT ?1)
SELECT 'n' || value, 'comment', ?2, 't', 'c', ?3, value, 1 FROM numbers
"""
COMMENTS = """
INSERT INTO comments (id, account_id, platform_comment_id, created_at)
WITH RECURSIVE numbers(value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM numbers LIMIT ?1)
SELECT 'c' || value, ?2, 'c' || value, ?3 FROM numbers
"""


async def fill(bench, account: str, count: int) -> None:
    """Store this many present notifications and comments of an account, as many reports would."""
    at = int(bench.clock.now())
    async with bench.master.database.write() as transaction:
        connection = await transaction.connect()
        for text in (NOTIFICATIONS, COMMENTS):
            await connection.exec_driver_sql(text, (count, account, at))
        await connection.exec_driver_sql(
            "UPDATE counters SET value = ? WHERE name = 'notification_seq'", (count,)
        )
    await bench.master.turns.load_farm()


async def count(bench, table: str) -> int:
    async with bench.master.database.read() as connection:
        query = f"SELECT count(*) FROM {table}"  # noqa: S608
        return (await connection.exec_driver_sql(query)).scalar_one()


async def watch_batches(bench, table: str) -> list[tuple[int, list[str]]]:
    """Record for each batch the rows left in a table after it, and its operations."""
    batches: list[tuple[int, list[str]]] = []
    path = bench.master.settings.db_path

    def note(batch) -> None:
        with closing(sqlite3.connect(path)) as connection:
            [left] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        batches.append((left, [item.operation.__name__ for item in batch.items]))

    bench.master.turns.on_commit = note
    return batches


async def test_many_old_rows_go_in_portions_and_others_have_their_turns_in_between(bench):
    account = (await make_account(bench))["id"]
    await fill(bench, account, 4 * ROWS + 500)
    bench.clock.advance(30 * DAY_S + 1)
    batches = await watch_batches(bench, "notifications")
    await bench.run(remove_old_rows)
    for _ in range(3):
        await bench.run(do_nothing)
    lefts = [4 * ROWS + 500, *(left for left, _ in batches)]
    assert max(before - after for before, after in pairwise(lefts)) == ROWS
    assert any("do_nothing" in names and left for left, names in batches), (
        "other turns run between the portions"
    )
    assert await count(bench, "notifications") == 0


async def test_a_clock_that_jumps_forward_removes_nothing_and_raises_an_alarm_once(bench):
    _, worker, account, session = await start(bench)
    admin = await bench.connect("admin")
    await worker.ask("worker:login:status", {"session_id": session, "status": "failed"})
    await worker.ask(
        "worker:message:detected",
        {"type": "comment", "account_id": account["id"], "messages": [comment(1)]},
    )
    nothing = {"login_sessions": 0, "notifications": 0}
    assert await bench.run(remove_old_rows) == nothing
    bench.clock.step(365 * DAY_S)
    assert await bench.run(remove_old_rows) == nothing
    alarm = await admin.hear("notification:new", 2)
    assert (alarm["priority"], alarm["data"]) == ("urgent", {"stepped_s": 365 * DAY_S})
    bench.clock.advance(3_600)
    assert await bench.run(remove_old_rows) == nothing
    bench.clock.step(-365 * DAY_S)
    assert await bench.run(remove_old_rows) == nothing
    assert await count(bench, "notifications") == 3, "the comment and two alarms"
    await admin.hear("notification:new", 3)
    await bench.run(mark_sent)
    for _ in range(24):
        bench.clock.advance(3_600)
        assert await bench.run(remove_old_rows) == nothing
    bench.clock.advance(31 * DAY_S)
    assert await bench.run(remove_old_rows) == {"login_sessions": 1, "notifications": 2}, (
        "one is of the year to come"
    )


async def test_a_start_whose_clock_is_a_year_ahead_removes_nothing(bench):
    _, worker, account, _ = await start(bench)
    await worker.ask(
        "worker:message:detected",
        {"type": "comment", "account_id": account["id"], "messages": [comment(1)]},
    )
    await bench.run(remove_old_rows)
    bench.master.memory.trust = None  # as a starting process has none
    bench.clock.advance(365 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 0


async def test_what_an_active_device_is_still_owed_is_kept_for_twice_as_long(bench):
    account = (await make_account(bench))["id"]
    worker, device = await bench.worker(), await bench.device()
    report = {"type": "comment", "account_id": account, "messages": [comment(1), comment(2)]}
    await worker.ask("worker:message:detected", report)
    await device.hear("notification:new", 2)
    await bench.run(mark_sent)
    bench.clock.advance(20 * DAY_S)
    await device.ask("client:sync:request", {"device_id": "device-1", "after_seq": 1})
    bench.clock.advance(11 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 1, (
        "the one that the device has passed"
    )
    bench.clock.advance(10 * DAY_S)
    await device.ask("client:register", {"device_id": "device-1"})
    bench.clock.advance(19 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 0
    bench.clock.advance(1 * DAY_S)
    assert (await bench.run(remove_old_rows))["notifications"] == 1


async def test_a_sign_of_life_of_a_clock_that_was_ahead_is_set_right(bench):
    await bench.worker()
    bench.clock.step(365 * DAY_S)
    ahead = int(bench.clock.now())
    bench.master.memory.sessions.hear("worker-1", monotonic=bench.clock.monotonic(), at=ahead)
    await bench.run(write_heartbeats)
    bench.clock.step(-365 * DAY_S)
    now = int(bench.clock.now())
    bench.master.memory.sessions.hear("worker-1", monotonic=bench.clock.monotonic(), at=now)
    await bench.run(write_heartbeats)
    async with bench.master.database.read() as connection:
        assert await read_last_heartbeats(connection) == {"worker-1": now}
