"""A lean Socket.IO client: one WebSocket, one namespace, no task and no timer per packet.

The generator shares two cores with the server that it loads, so its own cost per event must stay
far below the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from loadtest.bench.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    BrokenStream,
    FrameReader,
    encode_event,
    encode_frame,
    encode_handshake,
    encode_join,
    head_event,
    read_acknowledgement,
)

JOIN_TIMEOUT_S = 60.0

Answered = Callable[[Any], None]
"""Receives the acknowledgement of an event."""

Heard = Callable[[bytes], None]
"""Receives the part of an event's packet after its namespace."""


class ConnectionFailed(Exception):
    """The server refused the connection or closed it."""


class Wire(asyncio.Protocol):
    """One connection to one namespace."""

    def __init__(self, host: str, port: int, namespace: str, heard: Heard | None) -> None:
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host, self._port, self._namespace = host, port, namespace
        self._heard = heard
        self._reader = FrameReader()
        self._http: bytes | None = b""
        self._number = 0
        self._pending: dict[int, Answered] = {}
        self._acknowledged = f"43{namespace},".encode()
        self._event = f"42{namespace},".encode()
        self._transport: asyncio.Transport | None = None
        self._corked = False
        self._out: list[bytes] = []
        self.failed: Exception | None = None
        self.on_failure: Callable[[Exception], None] | None = None

    def ask_then(self, content: bytes, answered: Answered) -> None:
        """Send an encoded event; `answered` is called with its acknowledgement."""
        self._number += 1
        self._pending[self._number] = answered
        self._send(head_event(self._namespace, self._number) + content)

    async def ask(self, event: str, payload: Any) -> dict[str, Any]:
        """Send an event and return its acknowledgement. Errors: ConnectionFailed."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.on_failure = lambda fault: None if answer.done() else answer.set_exception(fault)
        if self.failed is not None:
            raise self.failed
        self.ask_then(encode_event(event, payload), answer.set_result)
        try:
            return await answer
        finally:
            self.on_failure = None

    def close(self) -> None:
        """Close the connection at once."""
        self.on_failure = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no class of asyncio
        self._transport.write(encode_handshake(self._host, self._port))

    def data_received(self, data: bytes) -> None:
        """Handle received frames; frames sent meanwhile leave in one write."""
        self._corked = True
        try:
            if self._http is not None:
                data = self._shake_hands(self._http + data)
            for kind, payload in self._reader.feed(data):
                self._handle_frame(kind, payload)
        except (BrokenStream, ConnectionFailed) as fault:
            self._fail(fault)
        finally:
            self._corked = False
            if self._out and self._transport is not None:
                self._transport.write(b"".join(self._out))
                self._out.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the pending calls."""
        self._fail(ConnectionFailed(f"The server closed {self._namespace}: {exc}"))

    def _shake_hands(self, data: bytes) -> bytes:
        """Return the bytes after the server's HTTP answer. Errors: ConnectionFailed."""
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            self._http = data
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionFailed(f"The server answers {head[:200]!r}.")
        self._http = None
        return rest

    def _handle_frame(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            if payload.startswith(self._acknowledged):
                number, answer = read_acknowledgement(payload, len(self._acknowledged))
                self._pending.pop(number)(answer)
            elif payload.startswith(self._event):
                if self._heard is not None:
                    self._heard(payload[len(self._event) :])
            else:
                self._handle_control(payload)
        elif kind == PING:
            self._write(encode_frame(payload, PONG))
        elif kind == CLOSE:
            raise ConnectionFailed(f"The server closes {self._namespace}.")

    def _handle_control(self, payload: bytes) -> None:
        """Handle the packets for open, ping, joined, refused and closed."""
        if payload[:1] == b"0":
            self._send(encode_join(self._namespace))
        elif payload[:1] == b"2":
            self._send(b"3" + payload[1:])
        elif payload[:2] == b"40":
            if not self.joined.done():
                self.joined.set_result(None)
        elif payload[:1] == b"1" or payload[:2] in (b"41", b"44"):
            raise ConnectionFailed(f"The server refuses {self._namespace}: {payload[:200]!r}")

    def _send(self, packet: bytes) -> None:
        self._write(encode_frame(packet))

    def _write(self, frame: bytes) -> None:
        if self._corked:
            self._out.append(frame)
        elif self._transport is not None:
            self._transport.write(frame)

    def _fail(self, fault: Exception) -> None:
        if self.failed is not None:
            return
        self.failed = fault
        if not self.joined.done():
            self.joined.set_exception(fault)
            self.joined.exception()  # read it here: `connect` may have timed out
        if self.on_failure is not None:
            self.on_failure(fault)
        if self._transport is not None:
            self._transport.abort()


async def connect(host: str, port: int, namespace: str, heard: Heard | None = None) -> Wire:
    """Open a connection and join its namespace.

    Errors: ConnectionFailed, OSError, TimeoutError.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(JOIN_TIMEOUT_S):
        make = partial(Wire, host, port, namespace, heard)
        _, wire = await loop.create_connection(make, host, port)
        await wire.joined
    return wire
