"""aiohttp's server with bounded connections: heads, unread answers, callers that hung up.

lines.py limits how long connections stand and how many there are; this module has the limits that
only the HTTP protocol can see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from master.errors import HeadTooLarge, TooManyRequests, Unreadable
from master.lines import Lines
from master.meter import Line
from master.web.answers import answer_internal, answer_refusal
from master.web.reads import StrangersReads

log = structlog.get_logger(__name__)

LINES = web.AppKey("lines", Lines)

SOCKETS = "/socket.io/"
"""The path of Socket.IO, which shares the port, and answers and checks origins itself."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEAD_BYTES = 16 * 1024
"""The largest head of a request: its first line and all its headers together."""

LINGER_S = 2.0
"""How long the rest of a refused body is read and dropped, so that the caller reads the answer.

For authenticated callers only.
"""

READ_BYTES = 32 * 1024
"""Approximate bytes of a body that are read ahead of its reader."""

KEEPALIVE_S = 75.0
"""How long a connection may idle between requests: a little longer than proxies keep theirs."""

OPTIONS: dict[str, Any] = {
    "access_log": None,
    "tcp_keepalive": False,  # Engine.IO's pings and the deadlines of lines.py find dead peers
    "keepalive_timeout": KEEPALIVE_S,
    "lingering_time": 0,  # the rest of a stranger's refused body is not read
    "auto_decompress": False,  # no stranger's body is decompressed, and no caller needs it
    "read_bufsize": READ_BYTES,
}
"""Options of aiohttp's server; its defaults suit servers that do not know their callers."""


class Connection(RequestHandler):
    """One TCP connection of the HTTP server."""

    __slots__ = ("_body", "_head", "_line", "_lines", "_strangers", "asked")

    def __init__(
        self, server: web.Server, lines: Lines, strangers: StrangersReads, **options: Any
    ) -> None:
        super().__init__(server, **options)
        self._lines = lines
        self._line: Line | None = None
        self._strangers = strangers
        self._head = 0
        """Bytes received since the last head was complete, without bodies."""
        self._body: Any = None
        self.asked: asyncio.Task[Any] | None = None
        """The task of the current request, if it is to be cancelled when its caller hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find the line of the new connection."""
        super().connection_made(transport)
        self._line = self._lines.find_of(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection; cancel its request if that is to end with its caller."""
        self._strangers.drop(self)
        super().connection_lost(exc)
        if self.asked is not None:
            self.asked.cancel()

    def data_received(self, data: bytes) -> None:
        """Process received bytes; those of a stranger wait for a later pass if there are many."""
        line = self._line
        if not data or line is None or line.is_known or self._strangers.admit(self):
            self._process(data)
            return
        self._pause_transport_reading()
        self._strangers.defer(self, data, self._process_deferred)

    def _process_deferred(self, data: bytes) -> None:
        self._process(data)
        if not (self._reading_paused or self._buffer_paused):
            self._resume_transport_reading()

    def _process(self, data: bytes) -> None:
        """Process received bytes; abort as soon as an incomplete head is too large."""
        before, is_body = self._request_count, self._body is not None and not self._body.is_eof()
        super().data_received(data)
        if self._request_count != before:
            self._head, self._body = 0, self._messages[-1][1] if self._messages else None
        elif is_body and not self._upgraded:
            if self._line is not None:
                self._lines.meter.note_body(self._line, len(data))
        elif not self._upgraded:
            self._head += len(data)
            if self._head > HEAD_BYTES and self.transport is not None:
                self.transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer and wait until the caller has read it.

        A caller that stops reading keeps one answer in memory, until its deadline.
        """
        line = self._lines.find(request)
        self._lingering_time = LINGER_S if line is not None and line.is_known else 0.0
        with self._lines.patience(request):
            done = await super().finish_response(request, resp, start_time)
            transport = self.transport
            if transport is not None and transport.get_write_buffer_size():
                # with a limit of 0, "drained" means that the buffer is empty
                transport.set_write_buffer_limits(high=0)
                await self._drain_helper()
                if self.transport is not None:
                    transport.set_write_buffer_limits()
        return done

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a malformed request, or a bug in Master, in the API's envelope.

        The answer repeats no part of the request. A malformed request counts as one of its address.
        """
        if isinstance(exc, HttpProcessingError) or status < 500:
            log.warning("request_unreadable", address=request.remote, fault=type(exc).__name__)
            answer = self._answer_malformed(status)
        else:
            log.error("request_failed", exc_info=exc)
            answer = answer_internal()
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer has been sent already")
        answer.force_close()
        return answer

    def _answer_malformed(self, status: int) -> web.Response:
        try:
            if self._line is not None:
                self._lines.meter.admit(self._line.address)
        except TooManyRequests as refusal:
            return answer_refusal(refusal)
        return answer_refusal(Unreadable("The request is not readable HTTP."), status=status)


class Server(web.Server):
    """aiohttp's server whose connections are Connection."""

    lines: Lines
    strangers: StrangersReads

    def __call__(self) -> RequestHandler:
        """Return the protocol of one more connection."""
        return Connection(self, self.lines, self.strangers, loop=self._loop, **self._kwargs)


def convert_server(
    server: web.Server | None,
    lines: Lines,
    sockets: Answer,
    name_client: Callable[[web.Request], None],
) -> None:
    """Make a server use Connection: aiohttp's runner always makes its own server class.

    `sockets` answers requests for SOCKETS, without the API's middlewares: each would keep a frame
    for as long as the connection stands. `name_client` is called first, for each request.
    """
    assert server is not None, "set the runner up first"
    server.__class__ = Server
    server.lines = lines  # type: ignore[attr-defined]
    server.strangers = StrangersReads()  # type: ignore[attr-defined]
    lines.watch(server)
    application = server.request_handler

    def answer(request: web.Request) -> Awaitable[web.StreamResponse]:
        name_client(request)
        return sockets(request) if request.path == SOCKETS else application(request)

    # `answer` gets the web.Request that the application's server makes
    server.request_handler = answer  # type: ignore[assignment]


def require_small_head(request: web.Request) -> None:
    """Refuse a request with more than HEAD_BYTES of headers. Errors: HeadTooLarge."""
    if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > HEAD_BYTES:
        raise HeadTooLarge


@contextmanager
def end_with_caller(request: web.Request) -> Iterator[None]:
    """Cancel the block when its caller hangs up: others would wait for an unread answer."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    connection.asked = asyncio.current_task()
    try:
        yield
    finally:
        connection.asked = None
