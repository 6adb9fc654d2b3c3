"""The WebSocket driver under python-engineio.

It does not compress, sends the handshake together with the first frames, and ends a connection
while it reads a message that is too large for its sender.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aiohttp import WebSocketError, WSCloseCode, WSMsgType
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web import BaseRequest, Response, StreamResponse, WebSocketResponse
from engineio.async_drivers.aiohttp import WebSocket

from master.budgets import PROGRESS_BYTES
from master.meter import Flow

DRAIN_BYTES = 64 * 1024
"""Most bytes in the transport's buffer; past that the writer waits for the peer to read."""

KERNEL_BYTES = 64 * 1024
"""Most unsent bytes in the kernel's buffer, where it has such a limit.

The kernel would take megabytes, and a ping would wait behind them for longer than its client waits
for it. What is not sent waits in Master's own queue, which a ping overtakes and which is bounded.
"""

CONTROL_BYTES = 6
"""Bytes of a client's control frame besides its content (RFC 6455, section 5.2)."""

AHEAD_BYTES = 512 * 1024
"""Bytes that an authenticated peer may send ahead of the frames that are read.

aiohttp stops reading at a quarter of it plus one portion.
"""


class _Handshake(WebSocketResponse):
    """A WebSocket whose handshake (`head`) is sent together with the first frames."""

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
    """The peer behind a gate."""

    flow: Flow

    @property
    def is_known(self) -> bool:
        """Tell whether the peer is authenticated."""
        ...

    @property
    def largest_message(self) -> int:
        """Return the size limit, in bytes, of the message being read."""
        ...


class Gate:
    """Counts the bytes since the last whole message, before a WebSocket's parser sees them.

    The parser's own limit is fixed and the same for all peers; the gate's is small for a stranger
    and grows once the peer is authenticated. While many bytes of a peer are under way, the gate
    reads only the beginning of the next message.
    """

    __slots__ = ("_noted", "_parser", "_protocol", "_refuse", "_sender", "fed")

    def __init__(
        self, parser: Any, protocol: Any, sender: Sender, refuse: Callable[[], None]
    ) -> None:
        self._parser = parser
        self._protocol = protocol
        self._sender = sender
        self._refuse = refuse
        self.fed = 0
        self._noted = 0
        """How many of these bytes have been noted as progress."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass bytes to the parser; past the limit drop them and stop reading."""
        self.fed += len(data)
        sender = self._sender
        self._noted = min(self._noted, self.fed)
        if self.fed - self._noted >= PROGRESS_BYTES:
            self._noted = self.fed
            sender.flow.note_progress()
        if self.fed > sender.largest_message + (AHEAD_BYTES if sender.is_known else 0):
            self._refuse()
            return True, b""
        parsed: tuple[bool, bytes] = self._parser.feed_data(data)
        if self.fed > AHEAD_BYTES and not sender.flow.has_room(self.fed):
            self._protocol.pause_reading()
            sender.flow.call_when_free(self._protocol.resume_reading, self.fed)
        return parsed

    def forget_control(self, content: bytes) -> None:
        """Subtract a control frame (masked, up to 125 bytes) from the message's byte count."""
        self.fed = max(0, self.fed - CONTROL_BYTES - len(content))

    def feed_eof(self) -> None:
        """Tell the parser that the stream has ended."""
        self._parser.feed_eof()


class PlainWebSocket(WebSocket):
    """The library's driver without compression, which would take four times the memory."""

    _gate: Gate | None = None

    async def __call__(self, environ: dict[str, Any]) -> StreamResponse:
        """Shake hands and serve until the end; return at once if the peer has gone already."""
        # an upgrade is answered at once: Master sends it no frame before the peer's probe
        kind = WebSocketResponse if "sid=" in environ["QUERY_STRING"] else _Handshake
        # `wait` answers pings at their sender's pace; the library would answer each at once
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
        _bound_kernel(request.transport)
        await self.handler(self)
        return self._sock

    def _set_gate(self, protocol: Any) -> None:
        if protocol._payload_parser is None or self._sock is None:
            return  # the connection has been lost
        queue = self._sock._reader

        def refuse() -> None:
            queue.set_exception(
                WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "This message is too large.")
            )

        self._gate = protocol._payload_parser = Gate(
            protocol._payload_parser, protocol, self.handler.__self__, refuse
        )

    async def wait(self) -> str | bytes | None:
        """Return the next frame; None at the end, "" for a control frame once it is answered."""
        assert self._sock is not None, "called only while served"
        message = await self._sock.receive()
        kind = message.type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            if self._gate is not None:
                self._gate.fed = 0
            return message.data  # type: ignore[no-any-return]
        if self._gate is not None and kind in (WSMsgType.PING, WSMsgType.PONG):
            self._gate.forget_control(message.data)  # it may come in the middle of a message
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

    async def send_all(self, frames: Sequence[str]) -> bool:
        """Send all frames in one write to the transport.

        Return whether they had to wait until the peer had read. Errors: ConnectionError.
        """
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
        if transport.get_write_buffer_size() <= DRAIN_BYTES:
            return False
        await request.protocol._drain_helper()
        return True


def _bound_kernel(transport: Any) -> None:
    """Keep unsent bytes of a transport in Master instead of the kernel."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    connection = transport.get_extra_info("socket") if transport is not None else None
    if option is not None and connection is not None:
        with suppress(OSError):  # the peer has gone
            connection.setsockopt(socket.IPPROTO_TCP, option, KERNEL_BYTES)


def _frame(text: bytes) -> bytes:
    """Return a text as one unmasked WebSocket frame (RFC 6455, section 5.2)."""
    length = len(text)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + text
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + text
    return b"\x81\x7f" + length.to_bytes(8, "big") + text
