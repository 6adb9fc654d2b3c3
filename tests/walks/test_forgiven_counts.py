"""What was forgiven of facts, and what was refused, is counted and logged once, without values."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import structlog

from master import forgiven
from master.protocol.decoding import WHOLE
from master.protocol.json_text import HALF_CHARACTER, NO_NUMBER
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


async def test_a_time_that_was_replaced_is_said_counted_and_logged_once(bench):
    account, worker, now = await make_account(bench), await bench.worker(), int(bench.clock.now())
    odd = {"detected_at": now + 3_600, "created_at": 1}
    good = {"platform_comment_id": "good", "detected_at": now, "created_at": now - 60}
    with structlog.testing.capture_logs() as logs:
        for number in "12":
            answer = await report(worker, account, good, {"platform_comment_id": number, **odd})
            assert [(one["index"], one["field"], one["message"]) for one in answer["notes"]] == [
                (1, "detected_at", "in the future: stored as now"),
                (1, "created_at", "stored as the beginning of 2000"),
            ]
    event = "worker:message:detected"
    assert await count(bench, "forgiven") == {(event, "detected_at"): 2, (event, "created_at"): 2}
    assert len(lines(logs, "fact_forgiven")) == 2


NAN = float("nan")
HALF = "\ud83d"
MENDED = {
    "a number": ({"stats": {"memory": NAN}}, [NO_NUMBER]),
    "an infinity": ({"stats": {"memory": -float("inf")}}, [NO_NUMBER]),
    "half an emoji": ({"stats": {"memory": 1, "note": HALF}}, [HALF_CHARACTER]),
    "both": ({"stats": {"memory": NAN, HALF: 1}}, [NO_NUMBER, HALF_CHARACTER]),
    "a text": ({"stats": {"note": "NaN \U0001f600"}}, []),
}


async def ask(peer: Any, event: str, payload: Any) -> Any:
    """Send a payload as Python's own `json` writes it."""
    return await peer.ask(event, Shape((json.dumps(payload),)))


@pytest.mark.parametrize(("members", "said"), MENDED.values(), ids=MENDED)
async def test_what_is_mended_in_a_heartbeats_text_is_said_and_counted_each_time(
    bench, members, said
):
    with structlog.testing.capture_logs() as logs:
        async with join(bench.master.port, "/worker") as worker:
            await ask(worker, "worker:register", registration())
            for _ in range(3):
                answer = await ask(worker, "worker:heartbeat", {"workerId": "worker-1", **members})
                notes = [(one["field"], one["message"]) for one in answer.get("notes", [])]
                assert notes == [(WHOLE, what) for what in said]
    wanted = {("worker:heartbeat", "other"): 3 * len(said)} if said else {}
    assert await count(bench, "forgiven") == wanted
    assert [one["what"] for one in lines(logs, "fact_forgiven")] == said


async def test_what_is_mended_in_a_reports_text_is_said_also_in_texts_inside_it(bench):
    account = await make_account(bench)
    event = {"type": "comment", "account_id": account["id"]}
    whole = json.dumps({**event, "messages": [{"id": "3", "x": NAN}]})
    items = '[{"id": "2", "content": "\\ud83d", "x": NaN}]'
    told = []
    async with join(bench.master.port, "/worker") as worker:
        await ask(worker, "worker:register", registration())
        for sent in (
            {**event, "messages": [{"id": "1", "content": HALF, "x": NAN}]},
            {**event, "messages": items},
            whole,
            [json.loads(whole)],
        ):
            answer = await ask(worker, "worker:message:detected", sent)
            told.append([(one["field"], one["message"]) for one in answer["notes"]])
    assert told == [
        [(WHOLE, NO_NUMBER), (WHOLE, HALF_CHARACTER)],
        [("messages", one) for one in ("read from JSON text", NO_NUMBER, HALF_CHARACTER)],
        [(WHOLE, "read from a text"), (WHOLE, NO_NUMBER)],
        [(WHOLE, "read from a list"), (WHOLE, NO_NUMBER)],
    ]


async def test_what_is_mended_in_a_browsers_state_is_said(bench):
    _, worker, _, session = await start(bench)
    state = '{"cookies": [{"name": "a", "value": "b", "expires": NaN}], "origins": [{"o": 1}]}'
    report = {"session_id": session, "status": "success", "cookies": state}
    answer = await worker.ask("worker:login:status", report | {"cookies_valid_until": 5})
    assert {(one["field"], one["message"]) for one in answer["notes"]} == {
        (WHOLE, NO_NUMBER), ("cookies_valid_until", "not in the future: stored as in seven days")
    }  # fmt: skip


BLANK = [" ", "\n\t", "\u3000"]


@pytest.mark.parametrize("blank", BLANK)
async def test_a_blank_code_is_none(bench, blank):
    admin, worker, _, session = await start(bench)
    sent = {"session_id": session, "qr_code_data": blank}
    answer = await worker.ask("worker:login:qrcode", sent)
    assert [one["field"] for one in answer["error"]["details"]] == ["qr_code_data"]
    answer = await worker.ask("worker:login:qrcode", {"session_id": session, "qr_code_url": blank})
    assert [one["field"] for one in answer["error"]["details"]] == ["qr_code_data"]
    answer = await worker.ask("worker:login:status", sent | {"status": "qrcode_ready"})
    assert [one["field"] for one in answer["notes"]] == ["qr_code_data"]
    assert len(admin.all("login:qrcode:ready")) == 1, "that of the start"
    link = {"qr_code_url": "https://example.org/code"}
    assert (await worker.ask("worker:login:qrcode", sent | link))["success"]
    ready = await admin.hear("login:qrcode:ready", 2)
    assert ready["qr_code_data"] == link["qr_code_url"]
