"""The cost of an unauthenticated peer over HTTP: unread bytes, closed connections."""

from __future__ import annotations

import asyncio
import gzip
import os
import resource

import pytest
import structlog

from master.budgets import FAREWELL_S, PATIENCE_S, STRANGER_S, STRANGERS_PER_ADDRESS, YOUNG_LINE_S
from master.metrics import Metrics
from master.web.connections import HEAD_BYTES
from master.web.descriptors import Descriptors
from tests.security.by_hand import settle
from tests.security.conftest import MINE, READER, ROOT, WORKER_1
from tests.waiting import PATIENCE_S as TEST_PATIENCE_S
from tests.waiting import until

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY
HOST = b"Host: x\r\n"

SILENT = {
    "nothing": b"",
    "half a head": b"GET /health HTTP/1.1\r\nHost: x\r\nA: ",
    "an answered request": b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "a refused request": b"GET /api/v1/accounts HTTP/1.1\r\nHost: x\r\n\r\n",
    "a WebSocket that says nothing": b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
    + HOST
    + UPGRADE
    + b"\r\n",
    "an open poll": b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("data", SILENT.values(), ids=SILENT)
async def test_every_connection_of_a_stranger_ends_after_thirty_seconds(guarded, open_line, data):
    line = await open_line(guarded, data)
    await settle(guarded)
    guarded.clock.advance(STRANGER_S + FAREWELL_S + 0.5)
    guarded.master.meter.hang_up_late()
    await line.end()


async def test_a_connection_over_which_a_right_token_came_stands_on(guarded, open_line):
    head = (
        f"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\n\r\n".encode()
    )
    line = await open_line(guarded, head)
    assert (await line.reader.readline()).startswith(b"HTTP/1.1 200")
    guarded.clock.advance(STRANGER_S + 0.5)
    guarded.master.meter.hang_up_late()
    line.writer.write(head.replace(b"Host", b"Connection: close\r\nHost"))
    assert b"HTTP/1.1 200" in await line.end()


async def test_a_body_whose_last_byte_never_comes_is_ended(guarded, open_line):
    head = (
        f"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ROOT}\r\n"
        "Content-Length: 100\r\n\r\n{"
    )
    line = await open_line(guarded, head.encode())
    await until(lambda: bool(guarded.master.meter._waiting))
    guarded.clock.advance(PATIENCE_S + 0.5)
    guarded.master.meter.hang_up_late()
    assert await line.end() == b""


async def test_a_body_is_no_head_however_many_pieces_it_comes_in(guarded, open_line):
    head = f"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ROOT}\r\n"
    head += "Content-Length: 200000\r\n\r\n"
    line = await open_line(guarded, head.encode())
    await until(lambda: bool(guarded.master.meter._waiting))
    for _ in range(4):
        line.writer.write(b" " * 50_000)
        await line.writer.drain()
        await settle(guarded)
    assert (await line.reader.readline()).startswith(b"HTTP/1.1 400")


async def test_a_refused_body_is_not_read(guarded, open_line):
    """Bytes after the refusal stay in the kernel: the connection is closed at once."""
    head = b"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    line = await open_line(guarded, head)
    answer = await line.end()
    assert answer.startswith(b"HTTP/1.1 401")


async def test_the_sender_of_a_small_body_hears_why_it_was_refused_and_may_go_on(
    guarded, open_line
):
    half = (
        b"POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
        + b"x" * 30_000
    )
    line = await open_line(guarded, half)
    await settle(guarded)
    line.writer.write(
        b"x" * 30_000 + b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    answer = await line.end()
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"HTTP/1.1 200" in answer


@pytest.mark.parametrize(
    "path", [b"/api/v1/accounts", b"/socket.io/?EIO=4&transport=polling", b"/health"]
)
async def test_nothing_packed_is_unpacked(guarded, open_line, monkeypatch, path):
    import zlib

    monkeypatch.setattr(zlib, "decompressobj", None)  # any attempt to unpack would fail
    packed = gzip.compress(b" " * 1_000_000)
    length = str(len(packed)).encode()
    for method in (b"POST ", b"GET "):
        head = (
            method + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: "
            b"gzip\r\nContent-Length: "
        )
        line = await open_line(guarded, head + length + b"\r\n\r\n" + packed)
        assert (await line.end()).startswith(b"HTTP/1.1 415")


@pytest.mark.parametrize(
    "path", [b"/health", b"/api/v1/accounts", b"/socket.io/?EIO=4&transport=polling"]
)
async def test_large_heads_are_refused_whole_and_cut_off_while_they_come(guarded, open_line, path):
    half = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + (b"A: " + b"x" * 4_000 + b"\r\n") * 5
    whole = await open_line(guarded, half + b"Connection: close\r\n\r\n")
    assert (await whole.end()).startswith(b"HTTP/1.1 431")
    line = await open_line(guarded, half)
    assert HEAD_BYTES < len(half) < 2 * HEAD_BYTES
    assert await line.end() == b""


async def test_an_address_has_so_many_connections_and_the_oldest_makes_room(guarded, open_line):
    lines = [await open_line(guarded) for _ in range(STRANGERS_PER_ADDRESS)]
    await settle(guarded)
    guarded.clock.advance(YOUNG_LINE_S)
    first = lines[0]
    assert (await guarded.ask("GET", "/api/v1/status", READER)).status == 200
    for _ in range(5):
        await open_line(guarded)
    await first.end()
    await settle(guarded)
    assert guarded.master.meter.strange_lines <= STRANGERS_PER_ADDRESS


async def test_unread_answers_keep_one_answer_each_and_not_for_long(guarded, open_line):
    worker = await guarded.register("worker-1", WORKER_1)
    await guarded.add_account(MINE)
    for number in range(20):
        items = [{"platform_comment_id": f"c{number}", "content": "字" * 50_000}]
        event = {"type": "comment", "account_id": MINE, "messages": items}
        assert (await worker.ask("worker:message:detected", event))["success"]
    head = (
        "GET /api/v1/comments?limit=20 HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {READER}\r\n\r\n"
    ).encode()
    one = len(await (await guarded.ask("GET", "/api/v1/comments?limit=20", READER)).read())
    line = await open_line(guarded, head * 10)  # 30 MB of answers: far more than the kernel buffers
    lines, meter = guarded.master.lines, guarded.master.meter
    await until(lambda: bool(meter._waiting))
    [protocol] = [protocol for protocol, found in lines._lines.items() if found in meter._waiting]
    assert 0 < protocol.transport.get_write_buffer_size() < one + 1_000
    guarded.clock.advance(PATIENCE_S + 0.5)
    assert meter.hang_up_late() >= 1
    await line.end()
    assert protocol.transport is None


async def test_a_reader_that_hangs_up_lets_go_of_what_it_asked_for(guarded, open_line):
    turns, asked = guarded.master.turns, asyncio.Event()
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def look(*_: object, **__: object) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set_result("cancelled")
            raise

    object.__setattr__(turns, "look", look)
    head = (
        f"GET /api/v1/comments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READER}\r\n\r\n"
    ).encode()
    line = await open_line(guarded, head)
    await asked.wait()
    line.writer.close()
    assert await asyncio.wait_for(ended, TEST_PATIENCE_S) == "cancelled"


async def test_a_shortage_of_descriptors_is_said_once_and_counted(open_line, tmp_path):
    metrics = Metrics()
    descriptors = Descriptors(metrics)
    assert descriptors.look() is False
    spare = os.dup(0)
    os.close(spare)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
    try:
        with structlog.testing.capture_logs() as lines:
            assert [descriptors.look() for _ in range(3)] == [True] * 3
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert descriptors.look() is False
    assert [line["event"] for line in lines] == ["descriptors_used_up"]
    assert b"master_descriptor_shortages_total 3.0" in metrics.render()
