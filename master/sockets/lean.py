"""A lean WebSocket path under python-engineio: no task, no timer and no log line per frame.

The library waits for each frame in a task of its own under a timer, and for each packet to send under another. Here one
coroutine reads and one writes. Who has gone silent is found by the library's own pings, which go on as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import structlog
from aiohttp import WSMsgType
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, Response, StreamResponse, WebSocketResponse
from engineio.async_drivers.aiohttp import WebSocket
from engineio.async_socket import AsyncSocket
from engineio.exceptions import ContentTooLongError, SocketIsClosedError
from engineio.packet import CLOSE, MESSAGE, NOOP, PONG, UPGRADE, Packet

from master.clock import Clock

log = structlog.get_logger(__name__)

FROM_PEERS = frozenset({CLOSE, PONG, MESSAGE, UPGRADE})
"""Kinds of packets that a peer may send; the others are Master's own."""

PACKETS_PER_POST = 10_000
"""What one long-polling POST may hold; its bytes are bounded as well. The library drops all of a POST past 16."""

AT_ONCE = 64
"""Frames that are handed to the transport in one piece."""

DRAIN_BYTES = 64 * 1024
"""What may wait in the transport's own buffer; past it the connection's writer waits for its reader."""

SEPARATOR = "\x1e"


class _Handshake(WebSocketResponse):
    """A WebSocket whose handshake is not sent at once: it leaves together with the first frames (`head`)."""

    head = b""

    async def _start(self, request: BaseRequest) -> AbstractStreamWriter:
        self._req = request
        writer = self._payload_writer = request._payload_writer
        lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in self.headers.items())]
        self.head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        return writer


class PlainWebSocket(WebSocket):
    """The library's driver without compression, which costs four times the memory of a connection without it."""

    async def __call__(self, environ: dict[str, Any]) -> StreamResponse:
        """Shake hands and serve until the end; a peer that is gone already is served nothing."""
        # one that takes over from long-polling is answered at once: nobody sends it a frame before it has spoken
        kind = WebSocketResponse if "sid=" in environ["QUERY_STRING"] else _Handshake
        self._sock = kind(max_msg_size=self.server.max_http_buffer_size, compress=False)
        try:
            await self._sock.prepare(environ["aiohttp.request"])
        except ConnectionError:
            return Response()
        self.environ = environ
        await self.handler(self)
        return self._sock

    async def wait(self) -> str | bytes | None:
        """Return the next frame; None at the end."""
        assert self._sock is not None, "called only while served"
        message = await self._sock.receive()
        return message.data if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None

    async def send(self, frame: str | bytes) -> None:
        """Send a frame; wait while the transport's own buffer is full."""
        assert self._sock is not None, "called only while served"
        if isinstance(frame, str):
            await self._sock.send_str(frame)
        else:
            await self._sock.send_bytes(frame)

    async def send_all(self, frames: Sequence[str]) -> None:
        """Send what waits at once: one piece for the transport, however many frames. Errors: ConnectionError."""
        assert self._sock is not None, "called only while served"
        request = self.environ["aiohttp.request"]
        transport = request.transport
        if transport is None or transport.is_closing() or self._sock.closed:
            raise ConnectionResetError("the peer has gone")
        pieces = [_frame(frame.encode()) for frame in frames]
        if isinstance(self._sock, _Handshake) and self._sock.head:
            pieces.insert(0, self._sock.head)
            self._sock.head = b""
        transport.write(b"".join(pieces))
        if transport.get_write_buffer_size() > DRAIN_BYTES:
            await request.protocol._drain_helper()


def _frame(text: bytes) -> bytes:
    """Return a text as one unmasked WebSocket frame (RFC 6455, section 5.2)."""
    length = len(text)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + text
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + text
    return b"\x81\x7f" + length.to_bytes(8, "big") + text


class LeanSocket(AsyncSocket):
    """A connection of python-engineio with a WebSocket read and written leanly, and POSTs taken packet by packet."""

    taking = 0
    """How many frames are being taken: more than none for long means that this peer is not read meanwhile."""

    taken_at = float("-inf")
    """Monotonic second at which the latest frame was taken."""

    pinged_at: float | None = None
    """Monotonic second at which the ping was sent that is not answered yet."""

    _clock: Clock
    _settle: Callable[[], Awaitable[None]]

    @staticmethod
    def take_over(connection: Any, clock: Clock, settle: Callable[[], Awaitable[None]]) -> None:
        """Make a new connection a lean one, for the library makes its own class and takes no other.

        `settle` waits until everything that was read here has been dealt with.
        """
        connection.__class__ = LeanSocket
        connection._clock, connection._settle = clock, settle
        connection.pinged_at = clock.monotonic()  # so the library knows that it is to send the first one

    @property
    def last_ping(self) -> bool:
        """Tell whether a ping waits for its answer. The library writes here when one was sent, by the wall clock."""
        return self.pinged_at is not None

    @last_ping.setter
    def last_ping(self, sent: float | None) -> None:
        self.pinged_at = None if sent is None else self._clock.monotonic()

    async def check_ping_timeout(self) -> bool:
        """Close the connection of a peer that has not answered a ping in time; return whether it goes on.

        What a peer answers stands behind what it has sent before: the time in which that is not read is not the peer's.
        Errors: SocketIsClosedError.
        """
        if self.closed:
            raise SocketIsClosedError
        if self.pinged_at is None or self.taking:
            return True
        if self._clock.monotonic() - max(self.pinged_at, self.taken_at) <= self.server.ping_timeout:
            return True
        await self.close(reason=self.server.reason.PING_TIMEOUT)
        return False

    async def send(self, pkt: Packet) -> None:
        """Queue a packet; one for a closed connection is dropped."""
        if not self.closed:
            self.queue.put_nowait(pkt)

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Close the connection; its writer ends once it has sent what waits."""
        await super().close(wait=False, abort=abort, reason=reason)
        self.queue.put_nowait(None)
        if self.closed:  # the library fails on a request for a closed connection that it still knows
            self.server.sockets.pop(self.sid, None)

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take what a long-polling peer has sent.

        Errors: ContentTooLongError, UnknownPacketError; either ends the connection, for what was sent is lost.
        """
        limit = self.server.max_http_buffer_size
        if int(environ.get("CONTENT_LENGTH", "0")) > limit:
            raise ContentTooLongError
        body = (await environ["wsgi.input"].read(limit)).decode("utf-8", "replace")
        if body.startswith("d="):
            body = parse_qs(body).get("d", [""])[0]
        frames = body.split(SEPARATOR)
        if len(frames) > PACKETS_PER_POST:
            raise ContentTooLongError
        for frame in frames:
            await self._take(frame)

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        try:
            return await super()._upgrade_websocket(environ)
        finally:
            if not self.connected:  # not even the handshake came about: nobody would ever speak here
                await self.close(abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    async def _websocket_handler(self, ws: Any) -> None:
        if self.connected and not await self._upgrade(ws):
            return
        self.connected = self.upgraded = True
        writing = asyncio.ensure_future(self._write(ws))
        try:
            await self._read(ws)
            if not self.closed:
                await self._settle()
        finally:
            self.queue.put_nowait(None)
            await writing
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def _upgrade(self, ws: Any) -> bool:
        """Take over from long-polling: a probe, its echo, the end of the open poll, the client's word."""
        self.upgrading = True  # nothing but the answers of the handshake goes to the new transport meanwhile
        try:
            if await ws.wait() != "2probe":
                return False
            await ws.send("3probe")
            self.queue.put_nowait(Packet(NOOP))
            return bool(await ws.wait() == "5")
        except OSError:
            return False
        finally:
            self.upgrading = False

    async def _write(self, ws: Any) -> None:
        queue = self.queue
        try:
            ending = False
            while not ending:
                packets = [await queue.get()]
                while len(packets) < AT_ONCE and not queue.empty():
                    packets.append(queue.get_nowait())
                ending = None in packets
                frames = [packet.encode() for packet in packets[: packets.index(None) if ending else None]]
                if frames:
                    await ws.send_all(frames)
        except (OSError, RuntimeError):
            pass  # the reader has gone; the reading side ends with it
        await ws.close()

    async def _read(self, ws: Any) -> None:
        while True:
            try:
                frame = await ws.wait()
            except OSError:
                return
            if frame is None or self.closed:
                return
            await self._take(frame)

    async def _take(self, frame: str | bytes) -> None:
        """Deal with one frame; what is no packet, or none that a peer may send, is skipped."""
        self.taking += 1
        try:
            if isinstance(frame, bytes):
                await self.server.handlers["message"](self.sid, frame)
            elif frame[:1] == "4":
                await self.server.handlers["message"](self.sid, frame[1:])
            elif (packet := _read_packet(frame)) is not None:
                if packet.packet_type == CLOSE:
                    await self._settle()  # who leaves has said before what still waits
                await self.receive(packet)
        except Exception:
            log.exception("frame_failed", connection=self.sid)
        finally:
            self.taking -= 1
            self.taken_at = self._clock.monotonic()


def _read_packet(frame: str) -> Packet | None:
    try:
        packet = Packet(encoded_packet=frame)
    except ValueError:
        return None
    return packet if packet.packet_type in FROM_PEERS else None
