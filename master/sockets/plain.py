"""The WebSocket driver under python-engineio: no compression, a handshake that leaves with the first frames, and a
gate that ends a connection whose message is too large for its sender while it is still being read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aiohttp import WebSocketError, WSCloseCode, WSMsgType
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, Response, StreamResponse, WebSocketResponse
from engineio.async_drivers.aiohttp import WebSocket

from master.meter import Flow

DRAIN_BYTES = 64 * 1024
"""What may wait in the transport's own buffer; past it the connection's writer waits for its reader."""

CONTROL_BYTES = 6
"""What a control frame of a client has besides its content (RFC 6455, section 5.2)."""

AHEAD_BYTES = 512 * 1024
"""What somebody known may send ahead of what is read: aiohttp stops reading at a quarter of it and one portion."""


class _Handshake(WebSocketResponse):
    """A WebSocket whose handshake is not sent at once: it leaves together with the first frames (`head`)."""

    head = b""

    async def _start(self, request: BaseRequest) -> AbstractStreamWriter:
        self._req = request
        writer = self._payload_writer = request._payload_writer
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        self.head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        return writer


class Sender(Protocol):
    """Who sends what a gate lets through."""

    flow: Flow

    @property
    def is_known(self) -> bool:
        """Tell whether somebody known speaks here."""
        ...

    @property
    def largest_message(self) -> int:
        """Return how large a message may be that is being read."""
        ...


class Gate:
    """Stands before a WebSocket's parser and counts what came since the last whole message.

    The parser's own limit is one for everybody and for ever; a stranger's is small, and grows once they are known. And
    while much of a peer is under way, no more than the beginning of the next message is read.
    """

    __slots__ = ("_parser", "_protocol", "_refuse", "_sender", "fed")

    def __init__(
        self, parser: Any, protocol: Any, sender: Sender, refuse: Callable[[], None]
    ) -> None:
        self._parser = parser
        self._protocol = protocol
        self._sender = sender
        self._refuse = refuse
        self.fed = 0

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass bytes on; past the limit they are dropped, and the connection reads no more."""
        self.fed += len(data)
        sender = self._sender
        if self.fed > sender.largest_message + (AHEAD_BYTES if sender.is_known else 0):
            self._refuse()
            return True, b""
        parsed: tuple[bool, bytes] = self._parser.feed_data(data)
        if self.fed > AHEAD_BYTES and not sender.flow.has_room(self.fed):
            self._protocol.pause_reading()
            sender.flow.call_when_free(self._protocol.resume_reading, self.fed)
        return parsed

    def forget_control(self, content: bytes) -> None:
        """Take a control frame, which is masked and has up to 125 bytes, out of what came of a message."""
        self.fed = max(0, self.fed - CONTROL_BYTES - len(content))

    def feed_eof(self) -> None:
        """Pass on that nothing more comes."""
        self._parser.feed_eof()


class PlainWebSocket(WebSocket):
    """The library's driver without compression, which costs four times the memory of a connection without it."""

    _gate: Gate | None = None

    async def __call__(self, environ: dict[str, Any]) -> StreamResponse:
        """Shake hands and serve until the end; a peer that is gone already is served nothing."""
        # one that takes over from long-polling is answered at once: nobody sends it a frame before it has spoken
        kind = WebSocketResponse if "sid=" in environ["QUERY_STRING"] else _Handshake
        # control frames are taken here, at their sender's pace: the library would answer each without a pause
        self._sock = kind(
            max_msg_size=self.server.max_http_buffer_size, compress=False, autoping=False
        )
        request = environ["aiohttp.request"]
        try:
            await self._sock.prepare(request)
        except ConnectionError:
            return Response()
        self.environ = environ
        self._set_gate(request.protocol)
        await self.handler(self)
        return self._sock

    def _set_gate(self, protocol: Any) -> None:
        if protocol._payload_parser is None or self._sock is None:
            return  # the connection is lost already
        queue = self._sock._reader

        def refuse() -> None:
            queue.set_exception(
                WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "this message is too large")
            )

        self._gate = protocol._payload_parser = Gate(
            protocol._payload_parser, protocol, self.handler.__self__, refuse
        )

    async def wait(self) -> str | bytes | None:
        """Return the next frame; None at the end. A control frame is an empty one, once it is answered."""
        assert self._sock is not None, "called only while served"
        message = await self._sock.receive()
        kind = message.type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            if self._gate is not None:
                self._gate.fed = 0
            return message.data  # type: ignore[no-any-return]
        if self._gate is not None and kind in (WSMsgType.PING, WSMsgType.PONG):
            self._gate.forget_control(message.data)  # a message that is under way goes on behind it
        if kind is WSMsgType.PING:
            await self._sock.pong(message.data)
            return ""
        return "" if kind is WSMsgType.PONG else None

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
