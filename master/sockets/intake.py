"""Requests to /socket.io: metering, the environ passed to Engine.IO, and whole request bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import StreamReader
from aiohttp.web import Request, RequestPayloadError, Response, StreamResponse
from engineio.exceptions import ContentTooLongError, UnknownPacketError

from master.access import name_address
from master.budgets import OPENING_WAIT_S
from master.errors import TooManyRequests
from master.lines import Lines
from master.meter import Flow, Line
from master.protocol.json_text import FastJson
from master.protocol.wire import refuse

Answer = Callable[[Request], Awaitable[StreamResponse]]

PASSED_ON = ("Authorization", "Connection", "Content-Length", "Cookie", "Host", "Origin", "Upgrade")
"""Headers passed on to Engine.IO; no other header is read behind this edge."""

KEPT = ("REMOTE_ADDR", "HTTP_AUTHORIZATION")
"""Fields of the opening request that are kept for as long as its connection stands."""

_WSGI_NAMES = {
    name: name.upper().replace("-", "_")
    if name.startswith("Content")
    else "HTTP_" + name.upper().replace("-", "_")
    for name in PASSED_ON
}


class _WholeBody:
    """A request body that `read` returns whole, however it was sent.

    Engine.IO reads aiohttp's stream once, with the whole length, and uses the bytes that have
    arrived: a long-polling message of some hundred kilobytes would be cut, and a chunked one, which
    has no length, would be empty.
    """

    def __init__(self, content: StreamReader) -> None:
        self._content = content

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Errors: ContentTooLongError past `limit` bytes; UnknownPacketError if the body is cut off or
        not encoded as its headers say.
        """
        parts: list[bytes] = []
        size, chunk = 0, b""
        try:
            while chunk := await self._content.readany():
                size += len(chunk)
                if size > limit:
                    raise ContentTooLongError
                parts.append(chunk)
        except (ConnectionError, RequestPayloadError):
            self._content.feed_eof()  # else the HTTP server reads on and reports an internal error
            raise UnknownPacketError from None
        else:
            return b"".join(parts)
        finally:
            # the stream keeps its exception, and the traceback keeps this frame: drop the body here
            parts, chunk = [], b""


def translate(request: Request) -> dict[str, Any]:
    """Return a request as Engine.IO's environ, with only the fields that Engine.IO reads."""
    environ: dict[str, Any] = {
        "wsgi.input": _WholeBody(request.content),
        "wsgi.url_scheme": "http",
        "REMOTE_ADDR": str(request.remote or ""),
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string,
        "PATH_INFO": request.path,
        "aiohttp.request": request,
    }
    for name in PASSED_ON:
        value = request.headers.get(name)
        if value is not None:
            environ[_WSGI_NAMES[name]] = value
    return environ


class Intake:
    """Meters each request before Engine.IO; each belongs to a TCP connection with a deadline."""

    def __init__(
        self, lines: Lines, find_flow: Callable[[str], Flow | None], answer: Answer
    ) -> None:
        self._lines = lines
        self._find_flow = find_flow
        self._answer = answer

    async def handle(self, request: Request) -> StreamResponse:
        """Answer one request of Engine.IO."""
        flow, line = self._find_flow(request.query.get("sid", "")), self._lines.find(request)
        if flow is None:
            try:
                await self._let_open(name_address(request.remote or ""), line)
            except TooManyRequests as refusal:
                return _refuse(refusal)
        if flow is None or line is None or "Upgrade" in request.headers:
            # an upgrade gets its line after its handshake (`LeanSocket` calls `adopt`)
            return await self._answer(request)
        self._lines.carry(request, flow)
        if request.method != "POST":
            return await self._answer(request)
        with self._lines.patience(request, flow):
            return await self._answer(request)

    async def _let_open(self, address: str, line: Line | None) -> None:
        """Return once an address may open a connection; the line has no deadline meanwhile.

        Errors: TooManyRequests.
        """
        meter = self._lines.meter
        if meter.openings.admit_at_once(address):
            return
        turn = meter.openings.queue(address)
        if line is not None:
            meter.set_aside(line)
            line.when_ended = lambda: meter.openings.drop(address, turn)
        try:
            if not await turn:
                raise TooManyRequests(retry_after_ms=OPENING_WAIT_S * 1_000)
        finally:
            meter.openings.drop(address, turn)
            if line is not None:
                line.when_ended = None
                meter.suspect(line)


def _refuse(refusal: TooManyRequests) -> Response:
    wait_s = -(-(refusal.retry_after_ms or 1_000) // 1_000)
    return Response(
        status=refusal.status,
        text=FastJson.dumps(refuse(refusal)),
        content_type="application/json",
        headers={"Retry-After": str(wait_s)},
    )
