"""python-socketio's server; it answers every event in order, also unknown and faulty ones."""

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

from master.access import name_address
from master.budgets import STRANGER_BYTES, STRANGER_S, Kind
from master.clock import Clock
from master.errors import NotJoined, Refusal, TooLarge, UnknownNamespace, Unreadable
from master.lane import Lane
from master.lines import Lines
from master.meter import Flow
from master.metrics import Metrics
from master.protocol.json_text import FastJson, remember, require_few_values
from master.protocol.wire import Payload, refuse
from master.reception import Reception, find_largest
from master.sessions import CAUGHT_UP_BYTES
from master.signins import SIGNIN, Session
from master.sockets.intake import KEPT, Intake, translate
from master.sockets.lean import LeanSocket
from master.sockets.outbound import Frame, OutboundQueue
from master.sockets.plain import PlainWebSocket

log = structlog.get_logger(__name__)

ID_DIGITS = 15

LOOK_S = 1.0
AT_ONCE = 32
"""Connections closed in one pass of the event loop."""

EVENT_PREFIX = re.compile(r"^[025](?:\d+-|[^/,\[]*(?=/))?(/[^,\[]*,)?(\d{1,15})?")
"""Namespace and id of an event packet; the number of attachments may be malformed."""

PREFIX = 200
"""Characters of an unreadable packet that are searched for its namespace and id."""

EVENT_NAME = re.compile(r'\[\s*"([^"\\]{1,64})"')
"""The name at the beginning of an event's content: up to 64 characters without escapes."""


def make_connection_id() -> str:
    """Return an id for a connection or socket: 120 random bits as text that fits a query string."""
    return urlsafe_b64encode(os.urandom(15)).decode()


class SocketServer(socketio.AsyncServer):
    """The server of all three namespaces.

    Events go to the reception, never to a handler found by name: in the library a peer's event
    called `connect` or `disconnect` would run Master's own handler. An unreadable packet is refused
    and dropped; the library would leave it unanswered. Acknowledgements and binary packets never
    reach the library: Master requests neither.
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
        self.eio.create_queue = lambda: OutboundQueue(outbound_bytes, clock)
        self._outbound_bytes = outbound_bytes
        self._metrics = metrics
        self._clock = clock
        self.expected: dict[str, tuple[str, float]] = {}
        """Socket id -> (namespace, monotonic second of its CONNECT), of unauthenticated sockets."""
        self.flows: dict[str, Flow] = {}
        """Connection id -> the flow that meters it."""
        self._lines = lines
        self._told = 0
        self.reception: Reception | None = None
        self.find_signin: Callable[[Any], Session | None] = lambda request: None
        """Returns the console's session of the request that opens a connection, if it counts."""
        self.lanes: dict[str, Lane] = {}
        self._lane_at: dict[tuple[str, str], Lane] = {}
        """Connection and namespace -> the lane of the socket there."""
        self._closing: set[asyncio.Task[None]] = set()

    # the base class has the types of the blocking server
    async def _handle_eio_connect(  # type: ignore[override]
        self, eio_sid: str, environ: dict[str, Any]
    ) -> None:
        """Meter a new connection as a stranger's, and make it a LeanSocket."""
        kept = {name: environ[name] for name in KEPT if name in environ}
        kept[SIGNIN] = self.find_signin(environ.get("aiohttp.request"))
        await super()._handle_eio_connect(eio_sid, kept)
        address = name_address(environ.get("REMOTE_ADDR", ""))
        flow = self.flows[eio_sid] = self._lines.meter.open(
            address, lambda: self._end(eio_sid, "not authenticated")
        )
        connection = self.eio.sockets[eio_sid]
        connection.queue.overflow = lambda: self._drop_slow(eio_sid)
        connection.queue.measure_unsent = flow.measure_unsent
        LeanSocket.convert(connection, self._clock, flow, self)
        self.adopt(eio_sid, environ.get("aiohttp.request"))

    async def _handle_eio_disconnect(  # type: ignore[override]
        self, eio_sid: str, reason: Any
    ) -> None:
        flow = self.flows.pop(eio_sid, None)
        if flow is not None:
            self._lines.meter.close(flow)
        await super()._handle_eio_disconnect(eio_sid, reason)

    def adopt(self, eio_sid: str, request: Any) -> None:
        """Note the request whose TCP connection carries this connection from now on."""
        flow = self.flows.get(eio_sid)
        if request is not None and flow is not None:
            self._lines.carry(request, flow)

    def find_flow(self, sid: str, kind: str) -> Flow:
        """Return the flow of a new socket's connection."""
        return self.flows[self.manager.eio_sid_from_sid(sid, f"/{kind}")]

    def _find_flow(self, eio_sid: str) -> Flow | None:
        return self.flows.get(eio_sid)

    def open_lane(self, sid: str, kind: str, lane: Lane) -> None:
        """Register the lane of a new socket: its events are accepted from now on."""
        self.lanes[sid] = lane
        self._lane_at[self.manager.eio_sid_from_sid(sid, f"/{kind}"), f"/{kind}"] = lane

    def close_lane(self, sid: str, kind: str) -> None:
        """Drop a socket's queued events and accept no more."""
        lane = self.lanes.pop(sid, None)
        if lane is not None:
            lane.close()
            self._lane_at.pop((self.manager.eio_sid_from_sid(sid, f"/{kind}"), f"/{kind}"), None)

    def expect(self, sid: str, kind: str) -> None:
        """Note an unauthenticated socket, which has STRANGER_S to authenticate."""
        self.expected[sid] = (f"/{kind}", self._clock.monotonic())

    def welcome(self, sid: str, kind: str) -> None:
        """Note that a socket is authenticated, and with it its connection."""
        self.expected.pop(sid, None)
        self._lines.meter.greet(self.find_flow(sid, kind), Kind(kind))

    def call_on_progress(self, sid: str, callback: Callable[[float, int], object]) -> None:
        """Call back with the time whenever a part of a worker's unfinished message arrives."""
        self.find_flow(sid, "worker").when_progressing = lambda: callback(
            self._clock.monotonic(), int(self._clock.now())
        )

    async def drop_strangers(self) -> int:
        """Close connections and sockets that did not authenticate in time; return how many."""
        latest = self._clock.monotonic() - STRANGER_S
        late = [
            (name, namespace)
            for name, (namespace, since) in self.expected.items()
            if since < latest
        ]
        for name, namespace in late:
            self.expected.pop(name, None)
            await self.disconnect(name, namespace=namespace)
        ended = portion = self._lines.meter.hang_up_late(AT_ONCE)
        while portion == AT_ONCE:
            await asyncio.sleep(0)  # each closing connection is work for the next pass of the loop
            portion = self._lines.meter.hang_up_late(AT_ONCE)
            ended += portion
        if self._lines.meter.hung_up > self._told:
            log.info("strangers_hung_up", number=self._lines.meter.hung_up - self._told)
            self._told = self._lines.meter.hung_up
        return len(late) + ended

    async def drop_strangers_for_ever(self) -> None:
        """Call `drop_strangers` every LOOK_S seconds."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.drop_strangers()
            except Exception:
                log.exception("dropping_failed")

    def _drop_slow(self, eio_sid: str) -> None:
        """Close a connection whose peer has stopped reading; it requests what it missed later."""
        self._metrics.slow_consumers.inc()
        log.warning("slow_consumer_dropped", connection=eio_sid, limit_bytes=self._outbound_bytes)
        connection, flow = self.eio.sockets.get(eio_sid), self.flows.get(eio_sid)
        if flow is not None and connection is not None and connection.upgraded:
            for line in list(flow.lines):
                # the writer waits for a peer that does not read; a regular close would too
                line.hang_up()
        self._end(eio_sid, "slow consumer", abort=True)

    def _end(self, eio_sid: str, reason: str, *, abort: bool = False) -> None:
        """Close a connection in the background."""
        connection = self.eio.sockets.get(eio_sid)
        if connection is not None:
            task = asyncio.create_task(connection.close(abort=abort, reason=reason))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def measure_outbound(self) -> int:
        """Return the bytes queued for the connection with the most."""
        return max(
            (connection.queue.waiting_bytes for connection in self.eio.sockets.values()), default=0
        )

    def measure_waiting(self, sid: str) -> int:
        """Return the bytes queued for the connection of a worker's socket; 0 if it is closed."""
        queue = self._find_queue(sid)
        return queue.waiting_bytes if queue is not None else 0

    def call_when_caught_up(self, sid: str, callback: Callable[[], object]) -> None:
        """Call back once a worker has read nearly all its queue; never if it disconnects before."""
        queue = self._find_queue(sid)
        if queue is not None:
            queue.call_when_caught_up(CAUGHT_UP_BYTES, callback)

    def _find_queue(self, sid: str) -> OutboundQueue | None:
        eio_sid = self.manager.eio_sid_from_sid(sid, "/worker")
        connection = self.eio.sockets.get(eio_sid) if eio_sid is not None else None
        return None if connection is None or connection.closed else connection.queue

    def hang_up_admin(self, sid: str) -> None:
        """Close a socket of /admin, whose session has ended."""
        task = asyncio.create_task(self.disconnect(sid, namespace="/admin"))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def hang_up_all(self) -> None:
        """Close every connection at once, also of peers that ignore Engine.IO's CLOSE packet."""
        for connection in list(self.eio.sockets.values()):
            await connection.close()

    def tell(self, frame: Frame, namespace: str, room: str, hint: Frame | None = None) -> bool:
        """Queue one encoded event for every socket in a room; return whether there was any.

        A socket's own id is a room. Crowded queues get the `hint` instead, if there is one; their
        sockets do not count.
        """
        reached = False
        for _, eio_sid in self.manager.get_participants(namespace, room):
            connection = self.eio.sockets.get(eio_sid)
            if connection is None or connection.closed:
                continue
            if hint is not None and connection.queue.is_crowded:
                self._metrics.hints.inc()
                connection.queue.put_nowait(hint)
            else:
                connection.queue.put_nowait(frame)
                reached = True
        return reached

    async def _handle_eio_message(  # type: ignore[override]
        self, eio_sid: str, data: str | bytes
    ) -> None:
        """Process a packet: an event, a CONNECT or a DISCONNECT.

        An acknowledgement is ignored, and an event with binary parts is refused. The library
        processes readable CONNECT and DISCONNECT packets.
        """
        kind = data[:1]
        try:
            assert isinstance(data, str), "binary frames were dropped earlier"
            if kind == "2":
                passing = self._pass_event_on(eio_sid, data)
                data = data[:PREFIX]  # a large packet is kept in memory once, also while it waits
                await passing
            elif kind == "5":
                binary = Unreadable("No event here has binary parts.")
                self._refuse_packet(eio_sid, data, binary)
            elif kind == "0" and len(data) > STRANGER_BYTES:
                await self._refuse_connect(eio_sid, _read_prefix(data)[0], TooLarge())
            elif kind in ("0", "1"):
                if kind == "1":
                    # the events still waiting were sent before the DISCONNECT
                    await self.settle(eio_sid)
                await super()._handle_eio_message(eio_sid, data)
        except Exception as fault:
            refusal = (
                fault if isinstance(fault, Refusal) else Unreadable("This packet cannot be read.")
            )
            self._refuse_packet(eio_sid, data, refusal)
            await self._slow_down(eio_sid)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Refuse an unknown namespace with a refusal object; the library would send plain text."""
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
        """Wait until everything that was read from a connection is processed."""
        for namespace in self.namespace_handlers:
            lane = self._lane_at.get((eio_sid, namespace))
            if lane is not None:
                await lane.settle()

    async def _pass_event_on(self, eio_sid: str, text: str) -> None:
        """Pass an event to the reception; one that is too large is refused before it is parsed.

        Errors: NotJoined, TooLarge; ValueError and IndexError for an unreadable packet.
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
            raise TooLarge(f"This event may have at most {largest} bytes.")
        if size > Payload.largest:
            require_few_values(text)
        text = text[start:]
        data, faults = FastJson.read(text)
        text = ""
        if not isinstance(data, list) or not data:
            raise ValueError("an event is a list that begins with its name")
        data[1:2] = [remember(one, faults) for one in data[1:2]]

        def reply(answer: dict[str, Any]) -> None:
            self._acknowledge(eio_sid, namespace, id, answer)

        if not self.reception.answer_live(data, lane, reply):
            await self.reception.receive(data[0], data[1:], lane, reply, size)

    def _refuse_packet(self, eio_sid: str, data: str | bytes, refusal: Refusal) -> None:
        """Answer a packet that is not parsed; it counts as a refusal of the event that it names."""
        namespace, id = _read_prefix(data)
        self._answer(eio_sid, namespace, id, refusal)
        lane = self._lane_at.get((eio_sid, namespace or "/"))
        if lane is not None and self.reception is not None and isinstance(data, str):
            name = EVENT_NAME.search(data[:PREFIX])
            self.reception.note_unparsed(lane.caller, name[1] if name else "", refusal)

    async def _slow_down(self, eio_sid: str) -> None:
        """Delay an authenticated connection after a refused packet: no socket paces those."""
        flow = self.flows.get(eio_sid)
        if flow is not None and flow.is_known:
            wait_s = flow.charge_loose()
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
            prefix = f"{namespace}," if namespace and namespace != "/" else ""
            connection.queue.put_nowait(Frame(f"43{prefix}{id}{FastJson.dumps([answer])}"))


def _read_head(frame: str) -> tuple[str, int | None, int]:
    """Return namespace, acknowledgement id and index of the content of an event packet.

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
    """Return namespace and acknowledgement id of an unreadable packet; None for each not found."""
    found = EVENT_PREFIX.match(data[:PREFIX]) if isinstance(data, str) else None
    if found is None:
        return None, None
    return (found[1] or "/").rstrip(","), int(found[2]) if found[2] else None
