"""python-socketio's server with every peer's packet answered: in order, whatever its name, however broken."""

from __future__ import annotations

import asyncio
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import socketio
import structlog
from aiohttp import StreamReader
from aiohttp.web import Request, RequestPayloadError
from engineio.exceptions import ContentTooLongError, UnknownPacketError
from socketio import packet

from master.clock import Clock
from master.errors import NotJoined, Refusal, Unauthorized, UnknownNamespace, Unreadable
from master.metrics import Metrics
from master.protocol.wire import FastJson, refuse
from master.reception import BACKLOG_BYTES, Lane, Reception
from master.sessions import TAKEN_BYTES
from master.sockets.lean import LeanSocket, PlainWebSocket
from master.sockets.outbound import Frame, OutboundQueue

log = structlog.get_logger(__name__)

ATTACHMENTS_LIMIT = 64
ID_DIGITS = 15

STRANGER_S = 30.0
"""How long a connection may stand before somebody who is known speaks on it."""

STRANGER_BYTES = 16 * 1024
"""The largest packet taken on such a connection: nothing that says who somebody is needs more."""

LOOK_S = 1.0

EVENT_PREFIX = re.compile(r"^[025](?:\d+-|[^/,\[]*(?=/))?(/[^,\[]*,)?(\d{1,15})?")
"""Namespace and id of an event packet; what stands where a number of attachments belongs may be anything."""


class _WholeBody:
    """A request body that `read` returns whole, however it is sent.

    Engine.IO asks aiohttp's stream once for the whole length and takes what has arrived so far: a long-polling message
    of some hundred kilobytes would be cut, and one in chunks, without a length, would be empty.
    """

    def __init__(self, content: StreamReader) -> None:
        self._content = content

    async def read(self, limit: int) -> bytes:
        """Return all of it.

        Errors: ContentTooLongError past `limit` bytes; UnknownPacketError if it is cut off or not packed as it says.
        """
        body = bytearray()
        try:
            while chunk := await self._content.readany():
                body += chunk
                if len(body) > limit:
                    raise ContentTooLongError
        except (ConnectionError, RequestPayloadError):
            self._content.feed_eof()  # the HTTP server would read on and call it an error of ours
            raise UnknownPacketError from None
        return bytes(body)


PASSED_ON = ("Authorization", "Connection", "Content-Length", "Cookie", "Host", "Origin", "Upgrade")
"""The headers that anybody behind this reads."""


def _translate(request: Request) -> dict[str, Any]:
    """Return a request as Engine.IO takes it: what it reads, and nothing else."""
    environ: dict[str, Any] = {
        "wsgi.input": _WholeBody(request.content),
        "wsgi.url_scheme": request.headers.get("X-Forwarded-Proto", "http"),
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


_WSGI_NAMES = {
    name: name.upper().replace("-", "_") if name.startswith("Content") else "HTTP_" + name.upper().replace("-", "_")
    for name in PASSED_ON
}


def make_connection_id() -> str:
    """Return a connection's or socket's name: 120 random bits, as text that fits into a query string."""
    return urlsafe_b64encode(os.urandom(15)).decode()


class SocketServer(socketio.AsyncServer):
    """The server of all three namespaces.

    Events go to the reception, never to a handler found by name: the library would let a peer's event called
    `connect` or `disconnect` run our own. And a packet that cannot be read is refused and forgotten: the library would
    leave it unanswered, and after a broken binary one take all that follows for its attachments.
    """

    def __init__(self, *, outbound_bytes: int, metrics: Metrics, clock: Clock, **options: Any) -> None:
        super().__init__(async_handlers=False, json=FastJson, **options)
        self.eio._async = {**self.eio._async, "translate_request": _translate, "websocket": PlainWebSocket}
        self.eio.generate_id = make_connection_id
        self.eio.create_queue = lambda: OutboundQueue(outbound_bytes)
        self._outbound_bytes = outbound_bytes
        self._metrics = metrics
        self._clock = clock
        self.expected: dict[str, tuple[str, float]] = {}
        """Connections, and sockets of a namespace, that have yet to say who they are: by id, namespace and since when.

        A connection has no namespace. Seconds are monotonic.
        """
        self.reception: Reception | None = None
        self.lanes: dict[str, Lane] = {}
        self._lane_at: dict[tuple[str, str], Lane] = {}
        """Connection and namespace -> the lane of the socket there."""
        self._closing: set[asyncio.Task[None]] = set()

    async def _handle_eio_connect(  # type: ignore[override]  # the base class names the blocking server's
        self, eio_sid: str, environ: dict[str, Any]
    ) -> None:
        """Note a new connection, which is nobody's yet, and take it over."""
        await super()._handle_eio_connect(eio_sid, environ)
        self.expected[eio_sid] = ("", self._clock.monotonic())
        connection = self.eio.sockets[eio_sid]
        connection.queue.overflow = lambda: self._drop_slow(eio_sid)
        LeanSocket.take_over(connection, self._clock, lambda: self.settle(eio_sid))

    async def _handle_eio_disconnect(  # type: ignore[override]  # the base class names the blocking server's
        self, eio_sid: str, reason: Any
    ) -> None:
        self.expected.pop(eio_sid, None)
        await super()._handle_eio_disconnect(eio_sid, reason)

    def open_lane(self, sid: str, kind: str, lane: Lane) -> None:
        """Let a new socket's events come in."""
        self.lanes[sid] = lane
        self._lane_at[self.manager.eio_sid_from_sid(sid, f"/{kind}"), f"/{kind}"] = lane

    def close_lane(self, sid: str, kind: str) -> None:
        """Drop what a socket has sent that waits, and take nothing more."""
        lane = self.lanes.pop(sid, None)
        if lane is not None:
            lane.close()
            self._lane_at.pop((self.manager.eio_sid_from_sid(sid, f"/{kind}"), f"/{kind}"), None)

    def expect(self, sid: str, kind: str) -> None:
        """Note a socket that is in its namespace, and has yet to say who it is."""
        self.expected[sid] = (f"/{kind}", self._clock.monotonic())

    def welcome(self, sid: str, kind: str) -> None:
        """Note that somebody known speaks on a socket, and so on its connection."""
        self.expected.pop(sid, None)
        self.expected.pop(self.manager.eio_sid_from_sid(sid, f"/{kind}"), None)

    async def drop_strangers(self) -> int:
        """Close what has not become known in time; return how many."""
        latest = self._clock.monotonic() - STRANGER_S
        late = [(name, namespace) for name, (namespace, since) in self.expected.items() if since < latest]
        for name, namespace in late:
            self.expected.pop(name, None)
            if namespace:
                await self.disconnect(name, namespace=namespace)
            elif name in self.eio.sockets:
                await self.eio.sockets[name].close()
        return len(late)

    async def drop_strangers_for_ever(self) -> None:
        """Look again and again for those who have not become known in time."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.drop_strangers()
            except Exception:
                log.exception("dropping_failed")

    def _drop_slow(self, eio_sid: str) -> None:
        """Close a connection whose reader has stopped; what it is owed it gets by asking again."""
        self._metrics.slow_consumers.inc()
        log.warning("slow_consumer_dropped", connection=eio_sid, limit_bytes=self._outbound_bytes)
        connection, environ = self.eio.sockets.get(eio_sid), self.environ.get(eio_sid, {})
        if connection is None:
            return
        transport = getattr(environ.get("aiohttp.request"), "transport", None)
        if transport is not None and connection.upgraded:
            transport.abort()  # its writer waits for a reader that does not come; a polite close would wait as well
        task = asyncio.create_task(connection.close(abort=True, reason="slow consumer"))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def measure_outbound(self) -> int:
        """Return how many bytes wait for the connection for which the most waits."""
        return max((connection.queue.waiting_bytes for connection in self.eio.sockets.values()), default=0)

    def measure_waiting(self, sid: str) -> int:
        """Return how many bytes wait for the connection of a worker's socket."""
        queue = self._find_queue(sid)
        return queue.waiting_bytes if queue is not None else 0

    def call_when_taken(self, sid: str, callback: Callable[[], object]) -> None:
        """Call back once the reader of a worker's socket has taken nearly all that waits; not if it leaves before."""
        queue = self._find_queue(sid)
        if queue is not None:
            queue.call_when_taken(TAKEN_BYTES, callback)

    def _find_queue(self, sid: str) -> OutboundQueue | None:
        eio_sid = self.manager.eio_sid_from_sid(sid, "/worker")
        connection = self.eio.sockets.get(eio_sid) if eio_sid is not None else None
        return None if connection is None or connection.closed else connection.queue

    async def hang_up_all(self) -> None:
        """Close every connection at once, also of peers that ignore Engine.IO's own packet for it."""
        for connection in list(self.eio.sockets.values()):
            await connection.close()

    def tell(self, frame: Frame, namespace: str, room: str) -> bool:
        """Queue one encoded event for everybody in a room (a socket's own id is a room); return whether anybody was."""
        reached = False
        for _, eio_sid in self.manager.get_participants(namespace, room):
            connection = self.eio.sockets.get(eio_sid)
            if connection is not None and not connection.closed:
                connection.queue.put_nowait(frame)
                reached = True
        return reached

    async def _handle_eio_message(  # type: ignore[override]  # the base class names the blocking server's
        self, eio_sid: str, data: str | bytes
    ) -> None:
        pending = self._binary_packet.get(eio_sid)
        if pending is not None and isinstance(data, str):
            del self._binary_packet[eio_sid]  # the attachments never came: the peer has gone on
            self._answer(eio_sid, pending.namespace, pending.id, Unreadable("Attachments are missing."))
        if len(data) > STRANGER_BYTES and eio_sid in self.expected:
            await self._turn_away(eio_sid, data)
            return
        try:
            if data[:1] == "2" and isinstance(data, str):
                await self._handle_event(eio_sid, *_read_event(data), len(data))
                return
            if data[:1] == "1":
                await self.settle(eio_sid)  # who leaves has said before what still waits
            await super()._handle_eio_message(eio_sid, data)
            await self._look_at_attachments(eio_sid)
        except Exception:
            broken = self._binary_packet.pop(eio_sid, None)
            namespace, id = (broken.namespace, broken.id) if broken is not None else _read_prefix(data)
            self._answer(eio_sid, namespace, id, Unreadable("This packet cannot be read."))

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Refuse a namespace that is none of ours as every refusal looks: the library sends bare words."""
        if (namespace or "/") in self.namespace_handlers:
            await super()._handle_connect(eio_sid, namespace, data)
        else:
            await self._refuse_connect(eio_sid, namespace, UnknownNamespace())

    async def _refuse_connect(self, eio_sid: str, namespace: str | None, refusal: Refusal) -> None:
        error = {"message": refusal.message, "data": refusal.to_wire()}
        await self._send_packet(eio_sid, self.packet_class(packet.CONNECT_ERROR, data=error, namespace=namespace))

    async def _turn_away(self, eio_sid: str, data: str | bytes) -> None:
        """Refuse, unread, what somebody sends who has not said who they are."""
        (namespace, id), refusal = _read_prefix(data), Unauthorized("Say who you are first, in fewer words.")
        if data[:1] != "0":
            self._answer(eio_sid, namespace, id, refusal)
            return
        await self._refuse_connect(eio_sid, namespace, refusal)

    async def _look_at_attachments(self, eio_sid: str) -> None:
        """Take a binary event that announces no attachment at once, and refuse one that announces too many."""
        waiting = self._binary_packet.get(eio_sid)
        if waiting is None or 0 < waiting.attachment_count <= ATTACHMENTS_LIMIT:
            return
        del self._binary_packet[eio_sid]
        if waiting.attachment_count:
            self._answer(eio_sid, waiting.namespace, waiting.id, Unreadable("Too many attachments."))
        elif waiting.packet_type == packet.BINARY_EVENT:
            await self._handle_event(eio_sid, waiting.namespace, waiting.id, waiting.data)

    async def settle(self, eio_sid: str) -> None:
        """Wait until everything that was read from a connection has had its place."""
        for namespace in self.namespace_handlers:
            lane = self._lane_at.get((eio_sid, namespace))
            if lane is not None:
                await lane.settle()

    async def _handle_event(
        self, eio_sid: str, namespace: str | None, id: int | None, data: Any, size: int = BACKLOG_BYTES
    ) -> None:
        """Take an event of so many bytes; one with attachments, which nobody counts, fills the backlog."""
        lane = self._lane_at.get((eio_sid, namespace or "/"))
        if lane is None or self.reception is None:
            self._answer(eio_sid, namespace, id, NotJoined())
            return
        if not isinstance(data, list) or not data:
            self._answer(eio_sid, namespace, id, Unreadable())
            return

        def reply(answer: dict[str, Any]) -> None:
            self._acknowledge(eio_sid, namespace, id, answer)

        if not self.reception.answer_live(data, lane, reply):
            await self.reception.receive(data[0], data[1:], lane, reply, size)

    def _answer(self, eio_sid: str, namespace: str | None, id: int | None, refusal: Refusal) -> None:
        self._acknowledge(eio_sid, namespace, id, refuse(refusal))

    def _acknowledge(self, eio_sid: str, namespace: str | None, id: int | None, answer: dict[str, Any]) -> None:
        connection = self.eio.sockets.get(eio_sid)
        if id is not None and connection is not None and not connection.closed:
            place = f"{namespace}," if namespace and namespace != "/" else ""
            connection.queue.put_nowait(Frame(f"43{place}{id}{FastJson.dumps([answer])}"))


def _read_event(frame: str) -> tuple[str, int | None, Any]:
    """Return namespace, acknowledgement id and content of an event packet. Errors: ValueError, IndexError."""
    namespace, start = "/", 1
    if frame[1] == "/":
        comma = frame.index(",")
        namespace, start = frame[1:comma].partition("?")[0], comma + 1
    end = start
    while frame[end] in "0123456789":
        end += 1
    if end - start > ID_DIGITS:
        raise ValueError("the acknowledgement's id is too long")
    return namespace, int(frame[start:end]) if end > start else None, FastJson.loads(frame[end:])


def _read_prefix(data: str | bytes) -> tuple[str | None, int | None]:
    """Return namespace and acknowledgement id of a packet whose content cannot be read."""
    found = EVENT_PREFIX.match(data[:200]) if isinstance(data, str) else None
    if found is None:
        return None, None
    return (found[1] or "/").rstrip(","), int(found[2]) if found[2] else None
