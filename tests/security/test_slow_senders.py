"""Large messages over slow lines: the bytes that arrive prove that their sender is alive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from master.budgets import PATIENCE_S, PROGRESS_BYTES, STRANGER_S
from master.operations.silence import find_silent_workers
from tests.conftest import registration
from tests.security.by_hand import Line
from tests.security.conftest import ROOT, WORKER_1, Guarded
from tests.waiting import until

TIMEOUT_S = 30.0
"""HEARTBEAT_TIMEOUT_S; Engine.IO waits 20 s for the answer to a ping."""
PORTION_S = 15.0
PORTIONS = 20
MINE = "account-mine"
SOCKETS = "/socket.io/?EIO=4&transport="


def frame(text: str) -> bytes:
    """Return a client's WebSocket frame; its mask is zero, so that the content stays readable."""
    data = text.encode()
    return b"\x81\xff" + len(data).to_bytes(8, "big") + bytes(4) + data


def write_report(size: int) -> str:
    items = [{"platform_comment_id": "one", "content": "x" * size}]
    event = {"type": "comment", "account_id": MINE, "messages": items}
    return f"42/worker,7{json.dumps(['worker:message:detected', event])}"


def cut(data: bytes) -> Iterator[bytes]:
    size = -(-len(data) // PORTIONS)
    assert size > PROGRESS_BYTES
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def join(guarded: Guarded, open_line: Any) -> Line:
    """Open a WebSocket by hand, and register the worker that watches MINE on it."""
    head = (
        f"GET {SOCKETS}websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    line: Line = await open_line(guarded, head.encode())
    line.writer.write(frame("40/worker," + json.dumps({"token": WORKER_1})))
    text = json.dumps(["worker:register", registration("worker-1")])
    line.writer.write(frame(f"42/worker,1{text}"))
    await until(lambda: is_registered(guarded))
    await guarded.add_account(MINE)
    return line


def is_registered(guarded: Guarded) -> bool:
    seat = guarded.master.memory.sessions.seats.get("worker-1")
    return seat is not None and seat.sid is not None


def find_flow(guarded: Guarded) -> Any:
    (flow,) = guarded.master.sockets.flows.values()
    return flow


def is_silent(guarded: Guarded) -> bool:
    memory, now = guarded.master.memory, guarded.clock.monotonic()
    return find_silent_workers(memory, now, TIMEOUT_S) == ["worker-1"]


async def stands(guarded: Guarded) -> bool:
    """Tell whether the only connection survives the check of an unanswered ping."""
    (connection,) = guarded.master.sockets.eio.sockets.values()
    return bool(await connection.check_ping_timeout())


async def trickle(guarded: Guarded, line: Line, data: bytes) -> None:
    """Send a message over many timeouts; the server must not lose patience with it."""
    (connection,) = guarded.master.sockets.eio.sockets.values()
    connection.pinged_at = guarded.clock.monotonic()
    for portion in cut(data):
        guarded.clock.advance(PORTION_S)
        line.writer.write(portion)
        flow, now = find_flow(guarded), guarded.clock.monotonic()
        last = data.endswith(portion)
        await until(lambda: last or flow.progressed_at == now)  # noqa: B023 - awaited at once
        assert not is_silent(guarded)
        assert await stands(guarded)
        assert guarded.master.meter.hang_up_late() == 0
    await until(lambda: len(guarded.rows("SELECT id FROM comments")) == 1)
    assert not is_silent(guarded)


async def test_a_report_that_arrives_slowly_over_a_websocket_arrives(guarded, open_line):
    line = await join(guarded, open_line)
    await trickle(guarded, line, frame(write_report(90_000)))


async def test_a_report_that_arrives_slowly_in_a_post_arrives(guarded, open_line):
    opened = await guarded.ask("GET", SOCKETS + "polling", None)
    sid = json.loads((await opened.text())[1:])["sid"]
    path = f"{SOCKETS}polling&sid={sid}"
    token = json.dumps({"token": WORKER_1})
    await guarded.ask("POST", path, None, data=f"40/worker,{token}")
    register = json.dumps(["worker:register", registration("worker-1")])
    await guarded.ask("POST", path, None, data=f"42/worker,1{register}")
    await until(lambda: is_registered(guarded))
    await guarded.add_account(MINE)
    body = write_report(90_000).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    line = await open_line(guarded, head.encode())
    await until(lambda: any(one.sender is not None for one in find_flow(guarded).lines))
    await trickle(guarded, line, body)


async def test_a_body_that_arrives_slowly_over_http_is_read(guarded, open_line):
    body = json.dumps({"platform": "douyin", "account_name": "a", "monitor_config": "x" * 90_000})
    head = (
        f"POST /api/v1/accounts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ROOT}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    line = await open_line(guarded, head.encode())
    await until(lambda: bool(guarded.master.meter._waiting))
    (tracked,) = guarded.master.meter._waiting
    for portion in cut(body.encode()):
        guarded.clock.advance(PATIENCE_S - 1)
        since = guarded.master.meter._waiting.get(tracked)
        line.writer.write(portion)
        if not body.encode().endswith(portion):
            await until(lambda: guarded.master.meter._waiting.get(tracked) != since)  # noqa: B023
        assert guarded.master.meter.hang_up_late() == 0
    answer = await line.reader.readuntil(b"}}")
    assert b"422" in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("text", ["3", "3" * 100, "6", "42/worker,[]"])
async def test_small_frames_prove_no_running_program(guarded, open_line, text):
    line = await join(guarded, open_line)
    (connection,) = guarded.master.sockets.eio.sockets.values()
    guarded.clock.advance(TIMEOUT_S + 1)
    for _ in range(20):
        before = connection._frames
        line.writer.write(frame(text) * 5)
        await until(lambda: connection._frames == before + 5)  # noqa: B023 - awaited at once
    assert is_silent(guarded)


async def test_bytes_of_a_stranger_prove_nothing(guarded, open_line):
    opened = await guarded.ask("GET", SOCKETS + "polling", None)
    assert opened.status == 200
    flow = find_flow(guarded)
    flow.note_progress()
    assert flow.progressed_at < 0
    guarded.clock.advance(STRANGER_S + 2)
    assert guarded.master.meter.hang_up_late() > 0
