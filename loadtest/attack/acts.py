"""The attacks, one row each: name, finding, attacker, description, function and budget.

To add an attack, add a function and a row.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from loadtest.attack.peers import PATIENCE_S, Polling, WebSocket, Wire, encode_frame

MIB = 1024 * 1024
OPEN_S = 33.0
"""How long strangers wait before they count their open connections.

Master's deadline of 30 s, and a few seconds for the sweep that applies it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of an attack's costs; None is no limit."""

    wait_ms: float = 100.0
    """The longest wait over a standing connection: how long Master's loop was blocked."""
    new_ms: float | None = None
    """The longest wait over a new connection; None is `wait_ms`."""
    growth_mib: float | None = 32.0
    """How much Master's memory may grow, at the peak."""
    held: int | None = None
    """Strangers' connections that are open after OPEN_S."""
    log_bytes: int | None = 64 * 1024


@dataclass(slots=True)
class Stage:
    """The inputs and figures of an attack. A `size` below 1 makes a smaller attack, for a test."""

    port: int
    tokens: dict[str, str]
    account_id: str
    size: float = 1.0
    held: int | None = None
    notes: dict[str, float] = field(default_factory=dict)

    def count(self, number: int) -> int:
        """Return `number` scaled by `size`, at least 1."""
        return max(1, round(number * self.size))

    def note(self, name: str, figure: float) -> None:
        """Add to one of the attack's own figures."""
        self.notes[name] = self.notes.get(name, 0) + figure


@dataclass(frozen=True, slots=True)
class Act:
    """One attack: the finding it comes from, its attacker, description, function and budget."""

    name: str
    finding: str
    attacker: str
    does: str
    play: Callable[[Stage], Awaitable[None]]
    budget: Budget = Budget()


async def _post(stage: Stage, *packets: str) -> None:
    """Five times: open a session and post 10,000 packets."""
    for _ in range(stage.count(5)):
        peer = await Polling.open(stage.port)
        if peer is None:
            continue
        status = await peer.post(*packets * stage.count(10_000 // len(packets)))
        stage.note("posts", 1)
        stage.note("refused", status != 200)
        peer.wire.close()


async def post_acknowledgements(stage: Stage) -> None:
    """Post acknowledgements that Master did not request."""
    await _post(stage, "43/worker,1[]")


async def post_connects(stage: Stage) -> None:
    """Post CONNECTs without a token."""
    await _post(stage, "40/worker,")


async def post_wrong_tokens(stage: Stage) -> None:
    """Post CONNECTs with wrong tokens."""
    await _post(stage, '40/worker,{"token":"wrong-wrong-wrong-wrong"}')


async def post_comings_and_goings(stage: Stage) -> None:
    """Post CONNECT and DISCONNECT of /admin alternately."""
    await _post(stage, "40/admin,", "41/admin,")


async def write_acknowledgements(stage: Stage) -> None:
    """Write 15,000 acknowledgements over a WebSocket at once, as packets and as pings."""
    for opcode in (1, 9):
        peer = await WebSocket.open(stage.port)
        frame = encode_frame(b"43/worker,1[]" if opcode == 1 else b"", opcode)
        stage.note("cut", not await peer.wire.write(frame * stage.count(15_000)))
        await asyncio.sleep(stage.size)
        peer.wire.close()


async def flood_within_the_rules(stage: Stage) -> None:
    """Send CONNECTs with a wrong token on 200 connections, as fast as answered, for ten seconds."""
    peers = [await WebSocket.open(stage.port) for _ in range(stage.count(200))]
    until = time.monotonic() + 10 * stage.size

    async def flood(peer: WebSocket) -> None:
        while time.monotonic() < until and await peer.say(
            '40/worker,{"token":"wrong-wrong-wrong-wrong"}'
        ):
            if not await peer.hear():
                return
            stage.note("answered", 1)

    await asyncio.gather(*(flood(peer) for peer in peers))
    for peer in peers:
        peer.wire.close()


async def open_sessions(stage: Stage) -> None:
    """Open sessions as fast as answered, each with 100 kB of headers, for five seconds."""
    headers = "".join(f"X-{number}: {'x' * 8_000}\r\n" for number in range(12))
    until = time.monotonic() + 5 * stage.size

    async def open_many() -> None:
        while time.monotonic() < until:
            peer = await Polling.open(stage.port, headers)
            stage.note("opened" if peer is not None else "refused", 1)
            if peer is not None:
                peer.wire.close()

    await asyncio.gather(*(open_many() for _ in range(stage.count(20))))


async def open_web_sockets(stage: Stage) -> None:
    """Open 4,000 WebSockets of one address at once, silent for fifteen seconds."""

    async def open_one() -> None:
        with suppress(OSError):
            peer = await WebSocket.open(stage.port)
            stage.note("opened", await peer.wire.is_open())
            await asyncio.sleep(15 * stage.size)
            peer.wire.close()

    await asyncio.gather(*(open_one() for _ in range(stage.count(4_000))))


async def keep_connections_open(stage: Stage) -> None:
    """Open 40 connections in each unfinished state; count those still open after 33 seconds."""
    wires: list[Wire] = []
    for _ in range(stage.count(40)):
        wires.append(await Wire.open(stage.port))
        wires.append(await Wire.open(stage.port))
        await wires[-1].write(b"GET /health HTTP/1.1\r\nHost: ")
        wires.append(await Wire.open(stage.port))
        await wires[-1].ask("GET", "/health/live")
        wires.append((await WebSocket.open(stage.port)).wire)
        for upgrade in (b"", b"probe"):
            session = await Polling.open(stage.port)
            if session is None:
                continue
            peer = await WebSocket.open(stage.port, session.path.rpartition("=")[2])
            if upgrade:
                await peer.say("2probe")
            wires += [session.wire, peer.wire]
        session = await Polling.open(stage.port)
        if session is not None:
            head = f"POST {session.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {16 * MIB}\r\n\r\n"
            await asyncio.wait_for(
                _write_part(session.wire, head.encode() + b"4" * 200_000), PATIENCE_S
            )
            wires.append(session.wire)
    await asyncio.sleep(OPEN_S if stage.size >= 1 else 0)
    stage.held = sum(await asyncio.gather(*(wire.is_open() for wire in wires)))
    stage.note("opened", len(wires))
    for wire in wires:
        wire.close()


async def _write_part(wire: Wire, data: bytes) -> None:
    """Write without waiting for Master to read, which it may refuse."""
    wire.writer.write(data)
    await asyncio.sleep(0)


async def post_forms(stage: Stage) -> None:
    """Post form bodies, as JSONP does, and bodies of separators."""
    for body in (b"d=" + b"a=b&" * 4_000_000, b"d=" + b"%41" * 5_500_000, b"\x1e" * 16_000_000):
        peer = await Polling.open(stage.port)
        if peer is not None:
            status, _ = await peer.wire.ask("POST", peer.path, body[: stage.count(len(body))])
            stage.note("refused", status != 200)
            peer.wire.close()


async def _join(stage: Stage, kind: str) -> WebSocket:
    peer = await WebSocket.open(stage.port)
    if not await peer.join(f"/{kind}", stage.tokens[kind]):
        raise RuntimeError(f"the token of a {kind} was refused")
    if kind == "worker":  # Master accepts reports only from the worker that owns the account
        await peer.ask(
            "/worker",
            999_999,
            "worker:register",
            '{"workerId":"attacker","capabilities":["douyin"]}',
        )
    return peer


async def report_large(stage: Stage) -> None:
    """Send 21 reports of 15 MB, each of 4,900 items with 950 empty lists; then allowed ones.

    The others have as many items with less in each, or fewer items with longer text.
    """
    junk = "[" + "[]," * 949 + "[]]"
    for items, filler in (
        (4_900, junk),
        (4_900, "[]," * 20 + "[]"),
        (4_900, "0"),
        (3_000, '"' + "x" * 2_000 + '"'),
    ):
        peer = await _join(stage, "worker")
        list_of_items = ",".join(
            f'{{"id":"{number}","content":"c","more":[{filler}]}}' for number in range(items)
        )
        report = (
            f'{{"type":"comment","account_id":"{stage.account_id}","messages":[{list_of_items}]}}'
        )
        for number in range(stage.count(21)):
            if not await peer.say(f'42/worker,{number}["worker:message:detected",{report}]'):
                break
        answer = await peer.hear_start(f"43/worker,{number}[")
        stage.note("answered", answer != "")
        stage.note("cut", answer == "")
        peer.wire.close()


async def send_attachments(stage: Stage) -> None:
    """Announce 64 attachments and send 24 of 16 MB."""
    peer = await _join(stage, "client")
    await peer.say('4564-/client,1["client:heartbeat",{"_placeholder":true,"num":0}]')
    stage.note("refused", '"unreadable"' in await peer.hear_start("43/client,1["))
    for _ in range(stage.count(24)):
        if not await peer.say(b"x" * (16 * MIB - 1)):
            break
        stage.note("sent", 1)
    await asyncio.sleep(stage.size)
    peer.wire.close()


async def send_junk(stage: Stage) -> None:
    """Send a device's heartbeats with 16 MB, 1 MB and 64 kB of junk.

    The junk: empty lists and objects, numbers, lone surrogates.
    """
    for size in (16 * MIB, MIB - 300, 64_000):
        for piece in ("[],", "0,", '"\\ud83d",', "{},"):
            peer = await _join(stage, "client")
            junk = "[" + piece * (stage.count(size) // len(piece)) + "0]"
            for number in range(stage.count(3)):
                answer = await peer.ask("/client", number, "client:heartbeat", f'{{"junk":{junk}}}')
                stage.note("answered", bool(answer))
                stage.note("refused", not answer.get("success", False))
            peer.wire.close()


async def fill_the_queue(stage: Stage) -> None:
    """Join and leave /admin 10,000 times on each of 8 sessions, while a worker reports."""
    worker = await _join(stage, "worker")

    async def come_and_go() -> None:
        peer = await Polling.open(stage.port)
        if peer is None:
            return
        token = f'40/admin,{{"token":"{stage.tokens["admin"]}"}}'
        await peer.post(token)
        await peer.post(*(token, "41/admin,") * stage.count(4_900))
        peer.wire.close()

    attack = [asyncio.create_task(come_and_go()) for _ in range(8)]
    longest, until = 0.0, time.monotonic() + 10 * stage.size
    number = 0
    while number == 0 or time.monotonic() < until:
        began = time.monotonic()
        item = f'{{"id":"m{number}","content":"c"}}'
        report = f'{{"type":"comment","account_id":"{stage.account_id}","messages":[{item}]}}'
        answer = await worker.ask("/worker", number, "worker:message:detected", report)
        stage.note("stored", answer.get("inserted", 0))
        stage.note("overloaded", not answer.get("success", False))
        longest = max(longest, time.monotonic() - began)
        number += 1
    stage.notes["report_ms"] = longest * 1000
    for task in attack:
        task.cancel()
    await asyncio.gather(*attack, return_exceptions=True)
    worker.wire.close()


LEAST = Budget(wait_ms=250.0)
KEEPING_OPEN = Budget(held=0, growth_mib=24.0)
OPENING = Budget(new_ms=1_500.0, growth_mib=64.0)
"""A new connection waits behind all earlier ones: 4,000 here, a third of a millisecond each."""

ACTS = (
    Act(
        "post-acks",
        "F1",
        "stranger",
        "10,000 acknowledgements in a POST, five times",
        post_acknowledgements,
    ),
    Act("post-connects", "F1", "stranger", "10,000 CONNECTs in a POST, five times", post_connects),
    Act("post-tokens", "F1", "stranger", "the same with wrong tokens", post_wrong_tokens),
    Act(
        "post-cycles",
        "F1",
        "stranger",
        "10,000 CONNECT and DISCONNECT in a POST",
        post_comings_and_goings,
    ),
    Act(
        "write-acks",
        "F1",
        "stranger",
        "15,000 packets, or pings, in one write",
        write_acknowledgements,
    ),
    Act(
        "flood",
        "F1",
        "stranger",
        "wrong tokens on 200 connections for 10 s",
        flood_within_the_rules,
    ),
    Act("sessions", "F3", "stranger", "sessions with 100 kB of headers for 5 s", open_sessions),
    Act(
        "openings",
        "F3",
        "stranger",
        "4,000 WebSockets of one address that say nothing",
        open_web_sockets,
        OPENING,
    ),
    Act(
        "hold",
        "F3",
        "stranger",
        "320 connections in unfinished states",
        keep_connections_open,
        KEEPING_OPEN,
    ),
    Act("forms", "F3", "stranger", "form bodies and separators of 16 MB", post_forms),
    Act(
        "reports",
        "F6",
        "worker",
        "21 reports of 15 MB, and of what is allowed",
        report_large,
        Budget(wait_ms=250.0, growth_mib=64.0),
    ),
    Act("attachments", "F7", "device", "24 attachments of 16 MB", send_attachments, LEAST),
    Act("junk", "F8", "device", "heartbeats full of junk", send_junk, LEAST),
    Act(
        "greetings",
        "F10",
        "reader",
        "CONNECT and DISCONNECT while a worker reports",
        fill_the_queue,
        LEAST,
    ),
)
