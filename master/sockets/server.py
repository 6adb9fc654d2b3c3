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
from socketio import packet

from master.access import name_place
from master.budgets import STRANGER_BYTES, STRANGER_S, Kind
from master.clock import Clock
from master.errors import NotJoined, Refusal, TooLarge, UnknownNamespace, Unreadable
from master.lane import Lane
from master.lines import Lines
from master.meter import Flow
from master.metrics import Metrics
from master.protocol.wire import FastJson, Payload, refuse, require_few_values
from master.reception import Reception, find_largest
from master.sessions import TAKEN_BYTES
from master.sockets.intake import KEPT, Intake, translate
from master.sockets.lean import LeanSocket
from master.sockets.outbound import Frame, OutboundQueue
from master.sockets.plain import PlainWebSocket

log = structlog.get_logger(__name__)

ID_DIGITS = 15

LOOK_S = 1.0

EVENT_PREFIX = re.compile(r"^[025](?:\d+-|[^/,\[]*(?=/))?(/[^,\[]*,)?(\d{1,15})?")
"""Namespace and id of an event packet; what stands where a number of attachments belongs may be anything."""

PREFIX = 200
"""Characters of a packet in which its namespace and id are looked for where it cannot be read."""

EVENT_NAME = re.compile(r'\[\s*"([^"\\]{1,64})"')
"""The name at the beginning of an event's content, where it is an ordinary one."""


def make_connection_id() -> str:
    """Return a connection's or socket's name: 120 random bits, as text that fits into a query string."""
    return urlsafe_b64encode(os.urandom(15)).decode()


class SocketServer(socketio.AsyncServer):
    """The server of all three namespaces.

    Events go to the reception, never to a handler found by name: the library would let a peer's event called
    `connect` or `disconnect` run our own. A packet that cannot be read is refused and forgotten: the library would
    leave it unanswered. And acknowledgements and binary packets never reach it: Master asks for none of either.
    """

    def __init__(
        self, *, outbound_bytes: int, metrics: Metrics, clock: Clock, lines: Lines, **options: Any
    ) -> None:
        super().__init__(async_handlers=False, json=FastJson, **options)
        self.intake = Intake(lines, self._find_flow, self.eio.handle_request)
        self.eio._async = {
            **self.eio._async,
            "translate_request": translate,
            "websocket": PlainWebSocket,
        }
        self.eio.generate_id = make_connection_id
        self.eio.create_queue = lambda: OutboundQueue(outbound_bytes)
        self._outbound_bytes = outbound_bytes
        self._metrics = metrics
        self._clock = clock
        self.expected: dict[str, tuple[str, float]] = {}
        """Sockets of a namespace that have yet to say who they are: by id, namespace and since when (monotonic)."""
        self.flows: dict[str, Flow] = {}
        """What each connection has cost, by its id."""
        self._lines = lines
        self._told = 0
        self.reception: Reception | None = None
        self.lanes: dict[str, Lane] = {}
        self._lane_at: dict[tuple[str, str], Lane] = {}
        """Connection and namespace -> the lane of the socket there."""
        self._closing: set[asyncio.Task[None]] = set()

    async def _handle_eio_connect(  # type: ignore[override]  # the base class names the blocking server's
        self, eio_sid: str, environ: dict[str, Any]
    ) -> None:
        """Note a new connection, which is nobody's yet, and take it over."""
        await super()._handle_eio_connect(
            eio_sid, {name: environ[name] for name in KEPT if name in environ}
        )
        place = name_place(environ.get("REMOTE_ADDR", ""))
        flow = self.flows[eio_sid] = self._lines.meter.open(
            place, lambda: self._end(eio_sid, "nobody is known")
        )
        connection = self.eio.sockets[eio_sid]
        connection.queue.overflow = lambda: self._drop_slow(eio_sid)
        LeanSocket.take_over(connection, self._clock, flow, self)
        self.adopt(eio_sid, environ.get("aiohttp.request"))

    async def _handle_eio_disconnect(  # type: ignore[override]  # the base class names the blocking server's
        self, eio_sid: str, reason: Any
    ) -> None:
        flow = self.flows.pop(eio_sid, None)
        if flow is not None:
            self._lines.meter.close(flow)
        await super()._handle_eio_disconnect(eio_sid, reason)

    def adopt(self, eio_sid: str, request: Any) -> None:
        """Note the request over which a connection speaks from now on."""
        line, flow = (
            self._lines.find(request) if request is not None else None,
            self.flows.get(eio_sid),
        )
        if line is not None and flow is not None:
            self._lines.meter.attach(line, flow)

    def find_flow(self, sid: str, kind: str) -> Flow:
        """Return what the connection of a new socket has cost."""
        return self.flows[self.manager.eio_sid_from_sid(sid, f"/{kind}")]

    def _find_flow(self, eio_sid: str) -> Flow | None:
        return self.flows.get(eio_sid)

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
        self._lines.meter.greet(self.find_flow(sid, kind), Kind(kind))

    async def drop_strangers(self) -> int:
        """Close what has not become known in time; return how many connections and sockets."""
        latest = self._clock.monotonic() - STRANGER_S
        late = [
            (name, namespace)
            for name, (namespace, since) in self.expected.items()
            if since < latest
        ]
        for name, namespace in late:
            self.expected.pop(name, None)
            await self.disconnect(name, namespace=namespace)
        ended = self._lines.meter.hang_up_late()
        if self._lines.meter.hung_up > self._told:
            log.info("strangers_hung_up", number=self._lines.meter.hung_up - self._told)
            self._told = self._lines.meter.hung_up
        return len(late) + ended

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
        connection, flow = self.eio.sockets.get(eio_sid), self.flows.get(eio_sid)
        if flow is not None and connection is not None and connection.upgraded:
            for line in list(flow.lines):
                line.hang_up()  # its writer waits for a reader that does not come; a polite close would wait as well
        self._end(eio_sid, "slow consumer", abort=True)

    def _end(self, eio_sid: str, reason: str, *, abort: bool = False) -> None:
        """Close a connection, without waiting for that."""
        connection = self.eio.sockets.get(eio_sid)
        if connection is not None:
            task = asyncio.create_task(connection.close(abort=abort, reason=reason))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def measure_outbound(self) -> int:
        """Return how many bytes wait for the connection for which the most waits."""
        return max(
            (connection.queue.waiting_bytes for connection in self.eio.sockets.values()), default=0
        )

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
        """Take a packet: an event, a coming or a going; no acknowledgement, and nothing with binary parts.

        What is neither an event nor broken is read by the library.
        """
        kind = data[:1]
        try:
            assert isinstance(data, str), "binary frames are dropped before"
            if kind == "2":
                taken = self._take_event(eio_sid, data)
                data = data[:PREFIX]  # what is large is kept once, also while it waits
                await taken
            elif kind == "5":
                namespace, id = _read_prefix(data)
                self._answer(eio_sid, namespace, id, Unreadable("No event here has binary parts."))
            elif kind == "0" and len(data) > STRANGER_BYTES:
                await self._refuse_connect(eio_sid, _read_prefix(data)[0], TooLarge())
            elif kind in ("0", "1"):
                if kind == "1":
                    await self.settle(eio_sid)  # who leaves has said before what still waits
                await super()._handle_eio_message(eio_sid, data)
        except Exception as fault:
            refusal = (
                fault if isinstance(fault, Refusal) else Unreadable("This packet cannot be read.")
            )
            self._answer(eio_sid, *_read_prefix(data), refusal)
            await self._slow_down(eio_sid)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Refuse a namespace that is none of ours as every refusal looks: the library sends bare words."""
        if (namespace or "/") in self.namespace_handlers:
            await super()._handle_connect(eio_sid, namespace, data)
        else:
            await self._refuse_connect(eio_sid, namespace, UnknownNamespace())

    async def _refuse_connect(self, eio_sid: str, namespace: str | None, refusal: Refusal) -> None:
        error = {"message": refusal.message, "data": refusal.to_wire()}
        await self._send_packet(
            eio_sid, self.packet_class(packet.CONNECT_ERROR, data=error, namespace=namespace)
        )

    async def settle(self, eio_sid: str) -> None:
        """Wait until everything that was read from a connection has had its place."""
        for namespace in self.namespace_handlers:
            lane = self._lane_at.get((eio_sid, namespace))
            if lane is not None:
                await lane.settle()

    async def _take_event(self, eio_sid: str, text: str) -> None:
        """Take an event; what is too large for it is refused before it is parsed.

        Errors: NotJoined, TooLarge; ValueError and IndexError for what cannot be read.
        """
        namespace, id, start = _read_head(text)
        lane = self._lane_at.get((eio_sid, namespace))
        if lane is None or self.reception is None:
            raise NotJoined
        name, size = (
            EVENT_NAME.match(text, start),
            len(text) if text.isascii() else len(text.encode()),
        )
        largest = find_largest(lane.caller.kind, name[1] if name is not None else None)
        if size > largest:
            raise TooLarge(f"This event may have {largest} bytes.")
        if size > Payload.largest:
            require_few_values(text)
        text = text[start:]
        data = FastJson.loads(text)
        text = ""
        if not isinstance(data, list) or not data:
            raise ValueError("an event is a list, its name first")

        def reply(answer: dict[str, Any]) -> None:
            self._acknowledge(eio_sid, namespace, id, answer)

        if not self.reception.answer_live(data, lane, reply):
            await self.reception.receive(data[0], data[1:], lane, reply, size)

    async def _slow_down(self, eio_sid: str) -> None:
        """Let a connection wait that sends events which nobody can take: they have no socket's pace."""
        flow = self.flows.get(eio_sid)
        if flow is not None and flow.is_known:
            wait_s = flow.take_loose()
            if wait_s:
                await asyncio.sleep(wait_s)

    def _answer(
        self, eio_sid: str, namespace: str | None, id: int | None, refusal: Refusal
    ) -> None:
        self._acknowledge(eio_sid, namespace, id, refuse(refusal))

    def _acknowledge(
        self, eio_sid: str, namespace: str | None, id: int | None, answer: dict[str, Any]
    ) -> None:
        connection = self.eio.sockets.get(eio_sid)
        if id is not None and connection is not None and not connection.closed:
            place = f"{namespace}," if namespace and namespace != "/" else ""
            connection.queue.put_nowait(Frame(f"43{place}{id}{FastJson.dumps([answer])}"))


def _read_head(frame: str) -> tuple[str, int | None, int]:
    """Return namespace, acknowledgement id and where the content of an event packet begins.

    Errors: ValueError, IndexError.
    """
    namespace, start = "/", 1
    if frame[1] == "/":
        comma = frame.index(",")
        namespace, start = frame[1:comma].partition("?")[0], comma + 1
    end = start
    while frame[end] in "0123456789":
        end += 1
    if end - start > ID_DIGITS:
        raise ValueError("the acknowledgement's id is too long")
    return namespace, int(frame[start:end]) if end > start else None, end


def _read_prefix(data: str | bytes) -> tuple[str | None, int | None]:
    """Return namespace and acknowledgement id of a packet whose content cannot be read."""
    found = EVENT_PREFIX.match(data[:PREFIX]) if isinstance(data, str) else None
    if found is None:
        return None, None
    return (found[1] or "/").rstrip(","), int(found[2]) if found[2] else None
