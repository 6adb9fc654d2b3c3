"""What was forgiven of facts, and what was refused, is counted and logged once, without values."""

from __future__ import annotations

import re
from typing import Any

import pytest
import structlog

from master import forgiven
from tests.conftest import Bench, registration
from tests.hostile.peers import join
from tests.hostile.zoo import Shape
from tests.walks.test_facts import report
from tests.walks.test_logins import start
from tests.walks.test_metrics import scrape
from tests.walks.test_workers import make_account

SECRET = "planted-secret"


async def count(bench: Bench, name: str) -> dict[tuple[str, str], float]:
    """Return (event, field or code) -> the number of one of the two counters."""
    found = re.findall(
        rf'^master_facts_{name}_total{{(?:code|event|field)="(.+?)",\w+="(.+?)"}} (\S+)$',
        await scrape(bench),
        re.MULTILINE,
    )
    return {tuple(sorted(pair, key=len, reverse=True)): float(number) for *pair, number in found}


def lines(logs: list[Any], event: str) -> list[Any]:
    return [one for one in logs if one["event"] == event]


async def test_what_was_forgiven_is_counted_each_time_and_logged_once(bench):
    account, worker = await make_account(bench), await bench.worker()
    with structlog.testing.capture_logs() as logs:
        for number in range(3):
            odd = {"platform_comment_id": str(number), "detected_at": SECRET, "content": {"a": 1}}
            assert (await report(worker, account, odd, odd))["notes"]
    event = "worker:message:detected"
    assert await count(bench, "forgiven") == {(event, "detected_at"): 6, (event, "content"): 6}
    forgiven = lines(logs, "fact_forgiven")
    assert {(one["worker"], one["fact"], one["field"]) for one in forgiven} == {
        ("worker-1", event, "detected_at"), ("worker-1", event, "content")
    }  # fmt: skip
    assert len(forgiven) == 2
    assert SECRET not in repr(logs)


async def test_each_refused_item_is_counted_whether_the_report_is_kept_or_not(bench):
    account, worker = await make_account(bench), await bench.worker()
    good, bad = {"platform_comment_id": "1"}, {"platform_comment_id": 1.5}
    with structlog.testing.capture_logs() as logs:
        assert (await report(worker, account, good, bad, bad))["refused"] == 2
        assert not (await report(worker, account, bad))["success"]
    assert await count(bench, "refused") == {("worker:message:detected", "invalid"): 3}
    [line] = lines(logs, "fact_refused")
    assert (line["code"], line["fields"]) == ("invalid", ["platform_comment_id"])


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"status": "sucess"}, "unknown_status"),
        ({"status": "success", "cookies": 5}, "no_cookies"),
        ({"status": "success", "cookies": [{}]}, "no_cookies"),
        ({"status": []}, "invalid"),
        ({"status": "success", "account_id": "another"}, "invalid"),
    ],
)
async def test_a_refused_login_report_is_counted_by_its_code(bench, members, code):
    _, worker, _, session = await start(bench)
    report = {"session_id": session, "user_token": SECRET, **members}
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            answer = await worker.ask("worker:login:status", report)
            assert answer["error"]["code"] == code
    assert await count(bench, "refused") == {("worker:login:status", code): 2}
    [line] = lines(logs, "fact_refused")
    assert (line["worker"], line["code"]) == ("worker-1", code)
    assert SECRET not in repr(logs)


async def test_a_name_that_a_peer_invented_is_no_label_and_in_no_line(bench):
    _, worker, _, session = await start(bench)
    deep: Any = SECRET
    for _ in range(40):
        deep = [deep]
    report = {"session_id": session, "status": "scanned", SECRET: deep}
    with structlog.testing.capture_logs() as logs:
        answer = await worker.ask("worker:login:status", report)
    assert answer["notes"][0]["field"] == SECRET  # it goes back to its sender
    assert await count(bench, "forgiven") == {("worker:login:status", "other"): 1}
    assert SECRET not in repr(logs)


UNPARSED = {
    "too large": ('{"workerId":"w","x":"' + "x" * 65_536 + '"}', "too_large"),
    "broken": ('{"workerId":"w"', "unreadable"),
    "too deep": ("[" * 100_000, "unreadable"),
}


@pytest.mark.parametrize(("text", "code"), UNPARSED.values(), ids=UNPARSED)
async def test_a_fact_whose_packet_is_not_parsed_is_counted_too(bench, text, code):
    if code == "unreadable":
        text = text[:60_000]
    with structlog.testing.capture_logs() as logs:
        async with join(bench.master.port, "/worker") as peer:
            answer = await peer.ask("worker:heartbeat", Shape((text,)))
            assert answer["error"]["code"] == code
            assert await count(bench, "refused") == {("worker:heartbeat", code): 1}
    [line] = lines(logs, "fact_refused")
    assert (line["fact"], line["code"]) == ("worker:heartbeat", code)


async def test_a_refusal_that_asks_for_a_repetition_is_not_one_for_good(bench):
    account = await make_account(bench)
    stranger = await bench.connect("worker")
    answer = await stranger.ask("worker:heartbeat", {"workerId": "unknown"})
    assert answer["error"]["retryable"] is True
    assert account["id"]
    assert await count(bench, "refused") == {}


async def test_the_memory_of_logged_lines_is_bounded(bench, monkeypatch):
    monkeypatch.setattr(forgiven, "MOST_KNOWN", 2)
    worker = await bench.connect("worker")
    with structlog.testing.capture_logs() as logs:
        for field in ("host", "port", "version", "host"):
            await worker.ask("worker:register", registration("w") | {field: []})
    known = bench.master.sockets.reception._forgiven._logged
    assert len(known) == 2
    logged = [one["field"] for one in lines(logs, "fact_forgiven")]
    assert logged == ["host", "port", "version", "host"]
