"""aiohttp's server with connections that hold no more than they must: heads, unread answers, callers that hung up.

How long a connection may stand, and how many may, is lines.py's; here is what only the HTTP protocol itself can see.
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

from master.errors import HeadTooLarge, Unreadable
from master.lines import Lines
from master.web.answers import answer_internal, answer_refusal

log = structlog.get_logger(__name__)

LINES = web.AppKey("lines", Lines)

SOCKETS = "/socket.io/"
"""The path of Socket.IO, which lies on the same port and answers, and allows origins, by itself."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEAD_BYTES = 16 * 1024
"""The largest head of a request: its first line and all its headers together."""

LINGER_S = 2.0
"""How long the rest of a body that was refused is read and thrown away, of those who are known: they read why."""

READ_BYTES = 32 * 1024
"""What is read of a body ahead of its reader, about."""

KEEPALIVE_S = 75.0
"""How long a connection may be idle between two requests: a little longer than proxies keep theirs."""

OPTIONS: dict[str, Any] = {
    "access_log": None,
    "tcp_keepalive": False,  # Engine.IO's pings and the deadlines of lines.py find who is gone
    "keepalive_timeout": KEEPALIVE_S,
    "lingering_time": 0,  # what strangers send is not read once it is refused
    "auto_decompress": False,  # nothing is unpacked before anybody is known, and nobody needs it
    "read_bufsize": READ_BYTES,
}
"""How the server is run; aiohttp's own choices are for servers that know nothing of their callers."""


class Connection(RequestHandler):
    """One TCP connection of the HTTP server."""

    __slots__ = ("_body", "_head", "_lines", "asked")

    def __init__(self, server: web.Server, lines: Lines, **options: Any) -> None:
        super().__init__(server, **options)
        self._lines = lines
        self._head = 0
        """Bytes that came since the last request was complete but for its body."""
        self._body: Any = None
        self.asked: asyncio.Task[Any] | None = None
        """What works on a request, if it is to end when its caller hangs up."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection, and end what nobody waits for any more."""
        super().connection_lost(exc)
        if self.asked is not None:
            self.asked.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what came; hang up on a head that is too large before it is whole."""
        before, is_body = self._request_count, self._body is not None and not self._body.is_eof()
        super().data_received(data)
        if self._request_count != before:
            self._head, self._body = 0, self._messages[-1][1] if self._messages else None
        elif not self._upgraded and not is_body:
            self._head += len(data)
            if self._head > HEAD_BYTES and self.transport is not None:
                self.transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer and wait until its reader has taken it: one that stops holds one answer, and not for long."""
        line = self._lines.find(request)
        self._lingering_time = LINGER_S if line is not None and line.is_known else 0.0
        with self._lines.patience(request):
            done = await super().finish_response(request, resp, start_time)
            transport = self.transport
            if transport is not None and transport.get_write_buffer_size():
                transport.set_write_buffer_limits(
                    high=0
                )  # so that "drained" means that nothing is left
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
        """Answer what is no HTTP, and what is a bug of ours, in the API's words; nothing of the request is repeated."""
        if isinstance(exc, HttpProcessingError) or status < 500:
            log.warning("request_unreadable", address=request.remote, fault=type(exc).__name__)
            answer = answer_refusal(
                Unreadable("This is no HTTP request that can be read."), status=status
            )
        else:
            log.error("request_failed", exc_info=exc)
            answer = answer_internal()
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer has been sent already")
        answer.force_close()
        return answer


class Server(web.Server):
    """aiohttp's server with connections of ours."""

    lines: Lines

    def __call__(self) -> RequestHandler:
        """Return the protocol of one more connection."""
        return Connection(self, self.lines, loop=self._loop, **self._kwargs)


def take_over(server: web.Server | None, lines: Lines, sockets: Answer) -> None:
    """Let a server make connections of ours; aiohttp's runner makes its own and takes no other.

    Requests for SOCKETS are answered by `sockets` and pass nothing of the API: each of its middlewares would keep a
    frame for as long as the connection stands.
    """
    assert server is not None, "set the runner up first"
    server.__class__ = Server
    server.lines = lines  # type: ignore[attr-defined]
    lines.watch(server)
    application = server.request_handler

    def answer(request: web.Request) -> Awaitable[web.StreamResponse]:
        return sockets(request) if request.path == SOCKETS else application(request)

    server.request_handler = answer  # type: ignore[assignment]  # the application's server makes its requests


def require_small_head(request: web.Request) -> None:
    """Refuse a request whose headers come to too much. Errors: HeadTooLarge."""
    if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > HEAD_BYTES:
        raise HeadTooLarge


@contextmanager
def end_with_caller(request: web.Request) -> Iterator[None]:
    """Cancel what is inside as soon as its caller hangs up: it would keep others waiting for nobody's answer."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    connection.asked = asyncio.current_task()
    try:
        yield
    finally:
        connection.asked = None
