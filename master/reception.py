"""The front desk: an event in, always an acknowledgement out; never raises."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from master.access import Access
from master.clock import Clock
from master.decisions.pace import Bucket, fill, take
from master.errors import INTERNAL, Forbidden, NotRegistered, Overloaded, Refusal, Unauthorized, UnknownEvent
from master.memory import Memory
from master.metrics import Metrics
from master.model import Scope
from master.protocol.admin import AuthSuccess
from master.protocol.wire import Outbound, accept, decode, first_object
from master.routes import NAMESPACES, Route
from master.settings import Settings
from master.turn import Bulk, Caller, Onward, Parcel, Publisher, socket_address
from master.writer import Turns

log = structlog.get_logger(__name__)

BURST = 4
"""Seconds' worth of events that one socket may send at once."""

IN_FLIGHT_LIMIT = 64
"""Uncommitted reports per socket; past it nothing more is given to the writer until some are stored."""

BACKLOG_BYTES = 1024 * 1024
"""What may be read from one socket and wait for its place; past it the socket is not read until some is dealt with."""

EARLY_S = 5.0
"""How long reports of a socket wait for the registration that says which worker they are of."""

EVENT_BYTES = 512
"""What an event that waits takes beside its own bytes, about."""


Acknowledge = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event under way: what was said, how it is acknowledged, its bytes, and when it came by both clocks."""

    event: Any
    args: Sequence[Any]
    acknowledge: Acknowledge
    size: int
    now: float
    monotonic: float


class Backlog:
    """What a socket has sent and what is dealt with one by one; it exists only while something is."""

    def __init__(self) -> None:
        self.waiting: deque[Arrival] = deque()
        self.bytes = 0
        self.room = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def put(self, arrival: Arrival) -> None:
        """Put an event behind the others."""
        self.waiting.append(arrival)
        self.bytes += arrival.size
        if self.bytes > BACKLOG_BYTES:
            self.room.clear()

    def take(self) -> Arrival | None:
        """Take the first event, or None if there is no other."""
        if not self.waiting:
            return None
        arrival = self.waiting.popleft()
        self.bytes -= arrival.size
        if self.bytes <= BACKLOG_BYTES:
            self.room.set()
        return arrival

    def clear(self) -> None:
        """Forget what waits: nobody would hear its answer."""
        self.waiting.clear()
        self.bytes = 0
        self.room.set()


class Lane:
    """One socket: who speaks there, and its events in the order in which they came.

    Reports of facts go to the writer without waiting for each other, so that one socket can fill a group; whatever else
    follows waits for them. `authenticate` takes what an `admin:auth` says, makes `caller` who that is, and returns
    their name.
    """

    def __init__(self, caller: Caller, authenticate: Callable[[Any], str]) -> None:
        self.caller = caller
        self.authenticate = authenticate
        self.bucket: Bucket | None = None
        self.pending: set[asyncio.Future[Any]] = set()
        self.backlog: Backlog | None = None
        self.early: list[tuple[Errand, Any]] = []
        """Reports, with their payloads, that came before anybody knew which worker they are of."""
        self.early_end: asyncio.Task[None] | None = None

    def take_early(self) -> list[tuple[Errand, Any]]:
        """Return the reports that were set aside, and keep none."""
        if self.early_end is not None:
            self.early_end.cancel()
        early, self.early, self.early_end = self.early, [], None
        return early

    async def settle(self) -> None:
        """Wait until everything that was read from the socket has had its place."""
        while self.backlog is not None and self.backlog.task is not None:
            await asyncio.wait([self.backlog.task])

    def close(self) -> None:
        """Forget what still waits for its place: the socket has closed."""
        self.take_early()
        if self.backlog is not None:
            self.backlog.clear()

    async def drain(self, limit: int = 0) -> None:
        """Wait until at most `limit` reports are uncommitted."""
        while len(self.pending) > limit:
            await asyncio.wait(self.pending, return_when=asyncio.FIRST_COMPLETED)


@dataclass(frozen=True, slots=True)
class Errand:
    """An arrival that has its place now: who sent it, and where it leads (None: nowhere)."""

    arrival: Arrival
    caller: Caller
    route: Route | None


class Reception:
    """Decodes what arrives, gives it its turn, and says what became of it."""

    def __init__(
        self,
        turns: Turns,
        memory: Memory,
        clock: Clock,
        publisher: Publisher,
        metrics: Metrics,
        settings: Settings,
        access: Access,
    ) -> None:
        self._turns = turns
        self._access = access
        self._events_per_s = settings.socket_events_per_s
        self._registration_rate = settings.registration_rate
        self._registrations: Bucket | None = None
        self._turned_away = 0
        self._memory = memory
        self._clock = clock
        self._publisher = publisher
        self._metrics = metrics

    async def receive(self, event: Any, args: Sequence[Any], lane: Lane, acknowledge: Acknowledge, size: int) -> None:
        """Take one event of so many bytes; `acknowledge` is called once, when it has had its place among the others.

        Returns as soon as the socket may be read on: a sign of life must not be read late because something else of the
        same socket waits for the disk, or for its pace.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        arrival = Arrival(event, args, acknowledge, size + EVENT_BYTES, now, monotonic)
        if lane.backlog is None:
            wait_s = self._take_pace(lane)
            lane.backlog = Backlog()
            lane.backlog.task = asyncio.create_task(self._work_off(lane, lane.backlog, arrival, wait_s))
        else:
            lane.backlog.put(arrival)
        self._look_live(event, args, lane.caller, now, monotonic)
        if lane.backlog.bytes > BACKLOG_BYTES:
            await lane.backlog.room.wait()

    def answer_live(self, data: Sequence[Any], lane: Lane, acknowledge: Acknowledge) -> bool:
        """Answer an event from memory, if nothing of its socket waits and memory alone can; return whether it was."""
        if lane.backlog is not None or lane.pending:
            return False
        caller, event = lane.caller, data[0]
        if not isinstance(event, str) or (route := NAMESPACES[caller.kind].get(event)) is None or route.live is None:
            return False
        reply = self._look_live(event, data[1:], caller, self._clock.now(), self._clock.monotonic())
        if reply is None or not self._has_pace(lane):
            return False
        acknowledge({"success": True, **reply})
        self._metrics.count_event(caller.kind, event, "ok", 0.0)
        return True

    async def _work_off(self, lane: Lane, backlog: Backlog, first: Arrival, wait_s: float) -> None:
        """Give each event of a socket its place, until nothing waits.

        A socket that is too fast is served more slowly: nothing of it is lost, and the others do not feel it.
        """
        arrival: Arrival | None = first
        try:
            while arrival is not None:
                if wait_s:
                    await asyncio.sleep(wait_s)
                try:
                    await self._deal(arrival, lane)
                except Exception:
                    log.exception("event_failed", event_name=str(arrival.event)[:64])
                if (arrival := backlog.take()) is not None:
                    wait_s = self._take_pace(lane)
        finally:
            lane.backlog = None
            backlog.clear()

    async def _deal(self, arrival: Arrival, lane: Lane) -> None:
        """Deal with one event that has its place now."""
        caller = lane.caller
        errand = Errand(arrival, caller, _find_route(arrival, caller))
        try:
            route, payload = self._read(errand)
        except Refusal as refusal:
            await lane.drain()
            await self._refuse(errand, refusal)
            return
        except Exception:
            log.exception("decoding_failed", event_name=str(arrival.event)[:64])
            await self._refuse(errand, None)
            return
        if isinstance(route.operation, Bulk):
            if self._is_known_worker(caller):
                await self._submit(lane, errand, payload)
            else:
                await self._set_aside(lane, errand, payload)
            return
        await lane.drain()
        await self._finish(errand, self._answer(lane, errand, route, payload))
        await self._take_early(lane)

    async def _submit(self, lane: Lane, errand: Errand, payload: Any) -> None:
        """Give a report to the writer, and do not wait for it."""
        assert errand.route is not None, "what has been read has a route"
        assert isinstance(errand.route.operation, Bulk), "other events wait for their answers"
        await lane.drain(IN_FLIGHT_LIMIT - 1)
        answer = self._turns.submit(errand.route.operation, payload, errand.caller)
        task = asyncio.ensure_future(self._finish(errand, answer))
        lane.pending.add(task)
        task.add_done_callback(lane.pending.discard)

    def _is_known_worker(self, caller: Caller) -> bool:
        return caller.is_named_worker or caller.sid in self._memory.sessions.worker_of_socket

    async def _set_aside(self, lane: Lane, errand: Errand, payload: Any) -> None:
        """Let a report wait until its worker has registered.

        A client library sends what it held back while there was no connection before the worker can say who it is.
        """
        size = sum(one.arrival.size for one, _ in lane.early) + errand.arrival.size
        if len(lane.early) >= IN_FLIGHT_LIMIT or size > BACKLOG_BYTES:
            await self._refuse(errand, NotRegistered())
            return
        lane.early.append((errand, payload))
        if lane.early_end is None:
            lane.early_end = asyncio.create_task(self._end_early(lane))

    async def _end_early(self, lane: Lane) -> None:
        await asyncio.sleep(EARLY_S)
        lane.early_end = None
        await self._take_early(lane)

    async def _take_early(self, lane: Lane) -> None:
        """Take the reports that were set aside; if nobody knows now whose they are, they are to be sent again."""
        for errand, payload in lane.take_early():
            if self._is_known_worker(errand.caller):
                await self._submit(lane, errand, payload)
            else:
                await self._refuse(errand, NotRegistered())

    def _read(self, errand: Errand) -> tuple[Route, Any]:
        """Return the route and the payload. Errors: Refusal."""
        route = errand.route
        if route is None:
            raise UnknownEvent(f"/{errand.caller.kind} knows no event of this name.")
        if errand.caller.scope < route.scope:
            raise Forbidden if errand.caller.scope else Unauthorized
        payload = decode(route.payload, first_object(errand.arrival.args))
        if route.admission:
            self._admit()
        return route, payload

    def _look_live(self, event: Any, args: Sequence[Any], caller: Caller, now: float, monotonic: float) -> Any:
        """Note what memory notes of an event, as soon as it comes; return the reply, or None if memory has none.

        Whatever is wrong with the event is said when it has its place.
        """
        route = NAMESPACES[caller.kind].get(event) if isinstance(event, str) else None
        if route is None or route.live is None or caller.scope < route.scope:
            return None
        try:
            return route.live(args[0] if args else {}, caller, self._memory, now, monotonic)
        except Exception:
            return None

    def _take_pace(self, lane: Lane) -> float:
        """Return the seconds that the next event of a socket must wait, because it is too fast."""
        rate = self._events_per_s
        if not rate:
            return 0.0
        now = self._clock.monotonic()
        lane.bucket, wait_s = take(lane.bucket or fill(rate * BURST, now), now, rate, rate * BURST)
        return wait_s

    def _has_pace(self, lane: Lane) -> bool:
        """Tell whether the next event of a socket need not wait; it is counted then, and else where it waits."""
        before = lane.bucket
        if self._take_pace(lane) == 0.0:
            return True
        lane.bucket = before
        return False

    def _admit(self) -> None:
        """Let so many registrations in per second; the others are told when to come again. Errors: Overloaded."""
        rate = self._registration_rate
        if not rate:
            return
        now = self._clock.monotonic()
        bucket, wait_s = take(self._registrations or fill(rate, now), now, rate, rate)
        if wait_s:
            # each one that is turned away is given a later moment, so that they do not come back all at once
            self._turned_away += 1
            wait_s += self._turned_away / rate
            raise Overloaded("Too many workers register at once.", retry_after_ms=round(wait_s * 1000) + 1)
        self._registrations, self._turned_away = bucket, 0

    async def _answer(self, lane: Lane, errand: Errand, route: Route, payload: Any) -> Any:
        caller, arrival = errand.caller, errand.arrival
        if route.authenticates:
            known = AuthSuccess(lane.authenticate(payload), int(self._clock.now() * 1000))
            await self._send(caller, known)
            return known.show()
        if route.live is not None:
            reply = self._look_live(route.event, arrival.args, caller, arrival.now, arrival.monotonic)
            if reply is not None:
                return reply
        if route.speaks_for:
            self._access.require_worker(caller.name, payload.worker_id)
        assert route.operation is not None, "a route without a turn answers from memory"
        if route.writes:
            return await self._turns.run(route.operation, payload, caller)
        assert not isinstance(route.operation, Bulk)
        found = await self._turns.look(route.operation, payload, caller)
        return await self._turns.run(found.operation, found.event, caller) if isinstance(found, Onward) else found

    async def _finish(self, errand: Errand, answer: Awaitable[Any]) -> None:
        try:
            done = await answer
        except Refusal as refusal:
            await self._refuse(errand, refusal)
        except Exception:
            log.exception("event_failed", event_name=errand.route.event if errand.route else "")
            await self._refuse(errand, None)
        else:
            errand.arrival.acknowledge(accept(done))
            self._count(errand, "ok")
            if isinstance(done, dict) and "inserted" in done:
                self._metrics.messages.labels("stored").inc(done["inserted"])
                self._metrics.messages.labels("duplicate").inc(done["duplicates"])

    async def _refuse(self, errand: Errand, refusal: Refusal | None) -> None:
        """Acknowledge a refusal (None is a bug of ours), and send the named one where the route has it."""
        error: dict[str, Any] = refusal.to_wire() if refusal is not None else INTERNAL
        wire: dict[str, Any] = {"success": False, "error": error}
        if error.get("details"):
            wire["details"] = error["details"]
        named = errand.route.refused if errand.route is not None else None
        if errand.caller.scope is Scope.NONE and errand.route is not None and not errand.route.authenticates:
            named = None  # who is not known gets the acknowledgement and no event
        if named is not None:
            await self._send(errand.caller, named(error))
        errand.arrival.acknowledge(wire)
        self._count(errand, error["code"])

    def _count(self, errand: Errand, result: str) -> None:
        event = errand.route.event if errand.route is not None else "(unknown)"
        self._metrics.count_event(errand.caller.kind, event, result, self._clock.monotonic() - errand.arrival.monotonic)

    async def _send(self, caller: Caller, content: Outbound) -> None:
        if caller.sid is not None:
            await self._publisher.publish([Parcel(socket_address(caller), content)])


def _find_route(arrival: Arrival, caller: Caller) -> Route | None:
    return NAMESPACES[caller.kind].get(arrival.event) if isinstance(arrival.event, str) else None
