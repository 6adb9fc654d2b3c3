"""Reports have a budget per field: an oversized field is cut, and the cut is reported."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from master.app import Master
from master.clock import ManualClock
from master.protocol.budgets import (
    COOKIES_BYTES,
    FINGERPRINT_BYTES,
    METADATA_BYTES,
    USER_INFO_BYTES,
    measure,
)
from master.protocol.decoding import decode
from master.protocol.detected import CommentItem
from master.protocol.worker import Goodbye, LoginReport, Register
from master.settings import load_settings
from tests.conftest import registration
from tests.walks.test_logins import start
from tests.walks.test_messages import comment
from tests.walks.test_workers import read_account, read_worker

REPORT = {"session_id": "s", "status": "success"}
WORKER = {"workerId": "w", "capabilities": ["douyin"]}
COOKIE = {"name": "sessionid", "value": "v"}

CUT = [
    (Register, WORKER, "metadata", {"os": "linux", "junk": "x" * METADATA_BYTES}, {"os": "linux"}),
    (Register, WORKER, "version", "1" * 2_000, "1" * 1_000),
    (Register, WORKER, "host", "h" * 300, "h" * 255),
    (Goodbye, WORKER, "reason", "r" * 2_000, "r" * 1_000),
    (
        LoginReport,
        REPORT,
        "user_info",
        {"nickname": "n", "junk": ["x"] * USER_INFO_BYTES},
        {"nickname": "n"},
    ),
    (LoginReport, REPORT, "fingerprint", {"junk": "x" * FINGERPRINT_BYTES}, None),
    (LoginReport, REPORT, "error_message", "e" * 2_000, "e" * 1_000),
    (LoginReport, REPORT, "error_type", "e" * 200, "e" * 64),
    (LoginReport, REPORT, "qr_code_data", "q" * 2_000_001, None),
    (LoginReport, REPORT, "qr_code_url", "u" * 5_000, None),
    (CommentItem, {"id": "c"}, "content", "评" * 100_001, "评" * 100_000),
    (CommentItem, {"id": "c"}, "author_name", "a" * 1_001, "a" * 1_000),
    (CommentItem, {"id": "c"}, "author_id", "a" * 1_001, None),
    (CommentItem, {"id": "c"}, "post_title", "t" * 10_001, "t" * 10_000),
]


@pytest.mark.parametrize(("kind", "rest", "field", "sent", "kept"), CUT)
def test_what_is_too_large_of_a_fact_is_cut_and_the_fact_says_so(kind, rest, field, sent, kept):
    fact = decode(kind, {**rest, field: sent})
    found = getattr(fact, field)
    assert (found.reveal() if hasattr(found, "reveal") else found) == kept
    assert [one["field"] for one in fact.render_notes()["notes"]] == [field]
    assert len(orjson.dumps(fact.notes)) < 500


@pytest.mark.parametrize(("kind", "rest", "field", "sent", "kept"), CUT)
def test_what_fits_is_kept_as_it_is_and_nothing_is_said(kind, rest, field, sent, kept):
    fits = kept if kept is not None else sent[:10] if isinstance(sent, str) else {}
    fact = decode(kind, {**rest, field: fits})
    found = getattr(fact, field)
    assert (found.reveal() if hasattr(found, "reveal") else found) == fits
    assert fact.render_notes() == {}


def test_of_too_many_cookies_the_largest_are_left_out_and_their_order_stays():
    junk = {"name": "junk", "value": "x" * COOKIES_BYTES}
    small = [{**COOKIE, "path": f"/{number}"} for number in range(50)]
    report = decode(LoginReport, {**REPORT, "cookies": [junk, *small, junk]})
    assert report.cookies.reveal() == small
    many = decode(LoginReport, {**REPORT, "cookies": [COOKIE] * 5_001})
    assert len(many.cookies.reveal()) == 5_000
    assert many.notes


async def test_a_login_with_too_much_of_everything_succeeds_and_its_small_cookies_are_kept(bench):
    admin, worker, account, session = await start(bench)
    report = {
        "session_id": session, "status": "success",
        "cookies": [COOKIE, {"name": "junk", "value": "x" * 5_000_000}],
        "user_info": {"nickname": "N", "junk": "x" * 100_000},
        "fingerprint": {"junk": "x" * 1_000_000},
    }  # fmt: skip
    answer = await worker.ask("worker:login:status", report)
    assert answer["success"]
    assert {one["field"] for one in answer["notes"]} == {"cookies", "user_info", "fingerprint"}
    assert (await admin.hear("login:success"))["user_info"] == {"nickname": "N"}
    told = (await worker.hear("master:task:assign", 2))["accounts"][0]
    assert told["credentials"] == {"cookies": [COOKIE]}
    assert told["fingerprint"] is None
    assert (await read_account(bench, account["id"]))["login_status"] == "logged_in"


async def test_a_registration_with_too_much_metadata_is_accepted_and_stores_little(bench):
    worker = await bench.connect("worker")
    metadata = {"os": "linux", "junk": "x" * 40_000}
    answer = await worker.ask("worker:register", registration(metadata=metadata))
    assert answer["success"]
    assert [one["field"] for one in answer["notes"]] == ["metadata"]
    assert (await worker.hear("worker:registered"))["notes"] == answer["notes"]
    assert (await read_worker(bench, "worker-1"))["metadata"] == {"os": "linux"}
    stored = bench.master.memory.farm.workers.get("worker-1")
    assert measure(stored.metadata) <= METADATA_BYTES


async def test_a_long_comment_is_kept_and_the_acknowledgement_says_what_was_cut(bench):
    _, worker, account, _ = await start(bench)
    report = {
        "type": "comment",
        "account_id": account["id"],
        "messages": [comment(1), comment(2) | {"content": "x" * 200_000, "author_id": "y" * 2_000}],
    }
    answer = await worker.ask("worker:message:detected", report)
    assert answer["inserted"] == 2
    assert [(one["index"], one["field"]) for one in answer["notes"]] == [
        (1, "content"),
        (1, "author_id"),
    ]


async def test_what_a_profile_tells_beyond_what_people_see_is_sealed_and_goes_to_workers_alone(
    bench,
):
    admin, worker, account, session = await start(bench)
    profile = {
        "nickname": "N",
        "sessionid": "planted",
        "cookies": [{"name": "a", "value": "planted"}],
    }
    report = {"session_id": session, "status": "success", "cookies": [COOKIE], "user_info": profile}
    assert (await worker.ask("worker:login:status", report))["success"]
    told = (await worker.hear("master:task:assign", 2))["accounts"][0]
    assert told["user_info"] == profile
    assert "planted" not in repr(admin.heard)
    assert "planted" not in repr(await read_account(bench, account["id"]))
    with closing(sqlite3.connect(bench.master.settings.db_path)) as connection:
        assert "planted" not in "\n".join(connection.iterdump())


ROWS, ROW_BYTES = 6, 8_000_000


def plant_large_rows(path: Path) -> None:
    """Write rows, past Master, that today's Master would not write."""
    junk = orjson.dumps(
        {"capabilities": ["douyin"], "maxAccounts": 7, "junk": "x" * ROW_BYTES}
    ).decode()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for number in range(ROWS):
            connection.execute(
                "INSERT INTO workers (id, host, port, status, started_at, metadata, created_at, "
                "updated_at) "
                "VALUES (?, 'h', 1, 'connected', 0, ?, 0, 0)",
                (f"w{number}", junk),
            )
            connection.execute(
                "INSERT INTO accounts (id, platform, account_name, user_info, created_at, "
                "updated_at) "
                "VALUES (?, 'douyin', 'n', ?, 0, 0)",
                (f"a{number}", junk),
            )


async def measure_start(master: Master) -> int:
    """Start a Master and read from it; return the peak bytes of Python's objects."""
    tracemalloc.start()
    try:
        await master.start(sweeps=False)
        for sweep in master.periodic.sweeps:
            await master.periodic.sweep(sweep)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_rows_larger_than_any_that_is_written_are_not_read_whole(tmp_path):
    settings = load_settings(
        {"PORT": "0", "DB_PATH": str(tmp_path / "m.db"), "LOG_DIR": str(tmp_path)}, None
    )
    first = Master(settings, clock=ManualClock())
    await first.start(sweeps=False)
    await first.close()
    plant_large_rows(settings.db_path)
    second = Master(settings, clock=ManualClock())
    assert await measure_start(second) < ROW_BYTES
    workers: Any = second.memory.farm.workers
    assert [(one.capabilities, one.max_accounts, one.metadata) for one in workers.all()] == [
        (("douyin",), 7, {})
    ] * ROWS
    assert [one.user_info for one in second.memory.farm.accounts.all()] == [None] * ROWS
    await second.close()
