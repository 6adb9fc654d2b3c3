"""Attacks on the HTTP edge: bombs, endless heads, guessed tokens, log floods, unread answers."""

from __future__ import annotations

import asyncio
import gzip
import time
from contextlib import suppress

from loadtest.attack.acts import MIB, Act, Budget, Stage
from loadtest.attack.peers import Wire

PARTS = 16
"""Tasks that send requests at the same time."""


def _bearer(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n"


async def post_bombs(stage: Stage) -> None:
    """Post 2 MB that decompress to 2 GB, on 20 connections, to refusing routes and to Socket.IO."""
    bomb = await asyncio.to_thread(gzip.compress, bytes(stage.count(2_000) * MIB), 9)

    async def post(path: str) -> None:
        wire = await Wire.open(stage.port)
        status, _ = await wire.ask("POST", path, bomb, "Content-Encoding: gzip\r\n")
        stage.note("refused", status != 200)
        await asyncio.sleep(10 * stage.size)  # some servers go on reading for so long
        wire.close()

    paths = ["/api/v1/accounts", "/socket.io/?EIO=4&transport=polling", "/health/live"]
    await asyncio.gather(*(post(paths[number % len(paths)]) for number in range(stage.count(20))))


async def send_heads(stage: Stage) -> None:
    """Send a head of 1 MB without an end, on 200 connections."""

    async def send() -> None:
        wire = await Wire.open(stage.port)
        await wire.write(b"GET /health HTTP/1.1\r\nHost: a\r\n")
        for _ in range(128):
            if not await wire.write(b"A: " + b"x" * 8_000 + b"\r\n"):
                stage.note("cut", 1)
                break
        await asyncio.sleep(5 * stage.size)
        wire.close()

    await asyncio.gather(*(send() for _ in range(stage.count(200))))


async def crowd_in(stage: Stage) -> None:
    """Open 2,000 silent connections of one address; a reader's request must still be answered."""
    wires = []
    for _ in range(stage.count(2_000)):
        with suppress(OSError):
            wires.append(await Wire.open(stage.port))
    status, _ = await (await Wire.open(stage.port)).ask(
        "GET", "/api/v1/status", b"", _bearer(stage.tokens["admin"])
    )
    if status != 200:
        raise RuntimeError(f"a valid token was answered with {status}")
    stage.note("opened", len(wires))
    stage.note("stand", sum(await asyncio.gather(*(wire.is_open() for wire in wires))))
    for wire in wires:
        wire.close()


async def guess(stage: Stage) -> None:
    """Send requests without a valid token for ten seconds, as fast as possible.

    Valid requests meanwhile must be answered.
    """
    until = time.monotonic() + 10 * stage.size

    async def ask_for_ever(headers: str) -> None:
        wire = await Wire.open(stage.port)
        while time.monotonic() < until:
            status, _ = await wire.ask("GET", "/api/v1/accounts", b"", headers)
            if status == 0:
                wire = await Wire.open(stage.port)
            stage.note("guesses", 1)

    strangers = [
        asyncio.create_task(ask_for_ever("" if number % 2 else _bearer("x" * 40)))
        for number in range(PARTS)
    ]
    refused = 0
    while time.monotonic() < until:
        wire = await Wire.open(stage.port)
        status, _ = await wire.ask("GET", "/api/v1/status", b"", _bearer(stage.tokens["admin"]))
        refused += status != 200
        stage.note("right", 1)
        wire.close()
        await asyncio.sleep(0.1)
    await asyncio.gather(*strangers)
    if refused:
        raise RuntimeError(f"a valid token was refused {refused} times")


async def malform(stage: Stage) -> None:
    """Send 9,000 malformed HTTP requests, some with a valid token in them.

    Master must log few lines, and repeat no token.
    """
    token = stage.tokens["admin"].encode()
    shapes = (
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + b"\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization Bearer " + token + b"\r\n\r\n",
        b"GET /" + token + b" x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    )

    async def send(number: int) -> None:
        for step in range(stage.count(9_000) // PARTS):
            wire = await Wire.open(stage.port)
            await wire.write(shapes[(number + step) % len(shapes)])
            with suppress(OSError):
                answer = await wire.reader.read(4_096)
                stage.note("answered", answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400")))
                stage.note("repeated", token in answer)
            wire.close()

    await asyncio.gather(*(send(number) for number in range(PARTS)))


async def ask_and_not_read(stage: Stage) -> None:
    """Store 160 comments of 300 kB, request them ten times on 8 connections, and read nothing."""
    from loadtest.attack.peers import WebSocket

    worker = await WebSocket.open(stage.port)
    await worker.join("/worker", stage.tokens["worker"])
    await worker.ask(
        "/worker", 999_999, "worker:register", '{"workerId":"attacker","capabilities":["douyin"]}'
    )
    text = "字" * 100_000
    for number in range(stage.count(160)):
        item = f'{{"id":"m{number}","content":"{text}"}}'
        report = f'{{"type":"comment","account_id":"{stage.account_id}","messages":[{item}]}}'
        answer = await worker.ask("/worker", number, "worker:message:detected", report)
        stage.note("stored", answer.get("inserted", 0))
    worker.wire.close()
    token = _bearer(stage.tokens["admin"])
    head = f"GET /api/v1/comments?limit=160 HTTP/1.1\r\nHost: a\r\n{token}\r\n".encode()
    wires = [await Wire.open(stage.port) for _ in range(8)]
    for wire in wires:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # TCP's transports can
        wire.writer.write(head * 10)
    await asyncio.sleep(10 * stage.size)
    for wire in wires:
        wire.close()


async def count_and_hang_up(stage: Stage) -> None:
    """Request counts of everything and hang up at once, 170 times a second for five seconds.

    Then request them once more and wait for the answer.
    """
    token = _bearer(stage.tokens["admin"])
    head = f"GET /api/v1/statistics HTTP/1.1\r\nHost: a\r\n{token}\r\n".encode()
    for _ in range(stage.count(850)):
        wire = await Wire.open(stage.port)
        await wire.write(head)
        wire.close()
        await asyncio.sleep(1 / 170)
    began = time.monotonic()
    wire = await Wire.open(stage.port)
    status, _ = await wire.ask("GET", "/api/v1/statistics", b"", token)
    stage.note("status", status)
    stage.note("waited_ms", (time.monotonic() - began) * 1000)
    wire.close()


STRANGER = Budget(held=None)
LEAST = Budget(wait_ms=250.0, growth_mib=128.0)
"""16 MiB of the growth are the page caches of four database readers, which fill them once."""

ACTS = (
    Act(
        "bombs",
        "F2",
        "stranger",
        "2 MB of gzip to refusing routes, on 20 connections",
        post_bombs,
        STRANGER,
    ),
    Act(
        "heads",
        "F3",
        "stranger",
        "heads of 1 MB without an end, on 200 connections",
        send_heads,
        STRANGER,
    ),
    Act("crowd", "F3", "stranger", "2,000 silent connections of one address", crowd_in, STRANGER),
    Act(
        "guesses",
        "F4",
        "stranger",
        "wrong tokens and none, beside a valid one",
        guess,
        STRANGER,
    ),
    Act(
        "malformed",
        "F5",
        "stranger",
        "9,000 malformed requests with a valid token in them",
        malform,
        STRANGER,
    ),
    Act(
        "unread",
        "F9",
        "reader",
        "80 pages of comments requested and not read",
        ask_and_not_read,
        LEAST,
    ),
    Act(
        "counts",
        "F11",
        "reader",
        "850 requests for counts, hung up at once",
        count_and_hang_up,
        LEAST,
    ),
)
