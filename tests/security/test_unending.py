"""Endless or odd input: texts, messages between pings, sessions that end under a POST."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from aiohttp import WSMsgType

from master.budgets import STRANGER_BYTES
from master.errors import TooLarge
from master.protocol.json_text import MOST_VALUES, FastJson, require_few_values
from master.web.health import Finding, Health
from tests.security.by_hand import settle
from tests.security.conftest import TOKENS, WORKER_1, Guarded
from tests.security.test_metering import open_polling, post, url
from tests.walks.test_backlog import wait_until

MANY = "," * (MOST_VALUES + 10)
HALF = r"\ud83d"
SMILE = r"\ud83d\ude00"


@pytest.mark.parametrize(
    "text",
    [
        f"[{MANY}]",
        f'["x"{MANY}'
        + '"'
        + r"\"" * 300_000,  # an endless text in which each quote could begin a string
        f'["x"{MANY}' + '"' + "\\" * 300_001,
        '["' + r"\\" + f'"{MANY}]',
        "[" + '"a",' * (MOST_VALUES + 10) + "1]",
    ],
    ids=[
        "bare",
        "no end, quotes",
        "no end, backslashes",
        "behind an escaped backslash",
        "small texts",
    ],
)
def test_many_values_are_counted_whatever_stands_around_them(text):
    with pytest.raises(TooLarge):
        require_few_values(text)


@pytest.mark.parametrize(
    "text",
    [f'["{MANY}"]', '["' + r"\"" + f'{MANY}"]', '["' + r"\\\"" + f'{MANY}", 1]'],
    ids=["plain", "quote", "both"],
)
def test_marks_inside_texts_are_no_values(text):
    require_few_values(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f'["{HALF}"]', ["\ufffd"]),
        (f'["{HALF}{HALF}a{SMILE}"]', ["\ufffd\ufffda😀"]),
        (r'["\\ud83d"]', ["\\ud83d"]),
        (r'{"a\udc00": {"b": [1, "\udc00x"]}}', {"a\ufffd": {"b": [1, "\ufffdx"]}}),
        ("[" * 500 + f'"{HALF}"' + "]" * 500, None),
    ],
)
def test_a_half_of_a_pair_becomes_the_replacement_character_wherever_it_stands(text, value):
    found = FastJson.loads(text)
    assert found == value or (value is None and found)


@pytest.mark.parametrize(
    "text", ['{"a":"' + r"\n" * 300_000 + r'\ud8zz"}', "[" * 100_000 + f'"{HALF}"']
)
def test_what_is_no_half_either_is_no_json(text):
    with pytest.raises(ValueError, match=r".+"):
        FastJson.loads(text)


async def test_pings_between_the_parts_of_a_message_do_not_make_it_a_new_one(guarded: Guarded):
    async with guarded.http.ws_connect(url(guarded, "websocket")) as line:
        await line.receive()
        part, sent = b"x" * 4_000, 0
        writer = line._writer  # no client fragments a message by itself
        transport = writer.transport
        transport.write(_frame(0x01, b"4"))
        while sent < 40 * STRANGER_BYTES and not transport.is_closing():
            transport.write(_frame(0x89, b""))
            transport.write(_frame(0x00, part))
            sent += len(part)
            await settle(guarded)
        assert transport.is_closing()
        assert sent < 4 * STRANGER_BYTES


def _frame(head: int, content: bytes) -> bytes:
    """Return one masked frame; the mask is zero."""
    size = (
        bytes([0x80 | len(content)])
        if len(content) < 126
        else bytes([0x80 | 126]) + len(content).to_bytes(2, "big")
    )
    return bytes([head]) + size + bytes(4) + content


async def test_many_pings_of_somebody_patient_are_no_large_message(guarded: Guarded):
    async with guarded.http.ws_connect(url(guarded, "websocket")) as line:
        await line.receive()
        for _ in range(40):
            for _ in range(10):
                await line.ping(b"x" * 125)
            guarded.clock.advance(1)
            await settle(guarded)
        await line.send_str('40/worker,{"token":"' + WORKER_1 + '"}')
        while not (said := await line.receive()).data.startswith("40/worker"):
            assert said.type is WSMsgType.TEXT


async def test_a_session_that_ends_while_a_body_comes_is_no_fault_of_ours(guarded: Guarded):
    sid = await open_polling(guarded)
    known = set(guarded.master.lines._lines)
    _, writer = await asyncio.open_connection("127.0.0.1", guarded.master.port)
    path = url(guarded, "polling", sid).partition(str(guarded.master.port))[2]
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n3\r\n".encode()
    )
    (connection,) = guarded.master.sockets.eio.sockets.values()
    await wait_until(lambda: connection._posting)
    [line] = set(guarded.master.lines._lines) - known
    with structlog.testing.capture_logs() as said:
        assert await post(guarded, sid, "3") == 400  # one POST at a time: this ends the session
        writer.write(b"zz\r\n")
        writer.close()
        await wait_until(
            lambda: not connection._posting and line not in guarded.master.lines._lines
        )
        await guarded.ask("GET", "/health/live", None)
    assert "request_failed" not in [one["event"] for one in said]


async def test_those_who_ask_for_health_at_once_all_hear_it(guarded: Guarded):
    health, later = (
        Health(guarded.master.turns, guarded.master.vitals, ()),
        list[asyncio.Task[Finding]](),
    )
    check = health._check = asyncio.create_task(health._try_database())
    # the next call comes when the check has ended, before the first caller resumes
    check.add_done_callback(lambda _: later.append(asyncio.create_task(health._look_at_database())))
    assert (await health._look_at_database()).trouble is None
    assert [(await one).trouble for one in later] == [None]


class TestOpenings:
    """New Socket.IO connections have a rate limit of their own."""

    @pytest.fixture
    def given(self) -> dict[str, str]:
        return {**TOKENS, "HTTP_REQUESTS_PER_S": "1"}

    async def test_requests_without_a_token_cost_those_who_connect_nothing(self, guarded: Guarded):
        found = {(await guarded.ask("GET", "/api/v1/status", None)).status for _ in range(10)}
        assert found == {401, 429}
        await guarded.register("worker-1", WORKER_1)
