"""The entry of events: each event is acknowledged, and no call raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from master.access import Access
from master.clock import Clock
from master.decisions.history import describe_event
from master.decisions.pace import Admission
from master.errors import (
    INTERNAL,
    NOT_NOW,
    Forbidden,
    NotRegistered,
    Refusal,
    Unauthorized,
    UnknownEvent,
)
from master.forgiven import Forgiven
from master.lane import Acknowledge, Arrival, Backlog, Errand, Lane
from master.logs import AUDIT
from master.memory import Memory
from master.metrics import Metrics
from master.model import Scope
from master.protocol.admin import AuthSuccess
from master.protocol.decoding import decode
from master.protocol.wire import Empty, Outbound, Payload, accept, first_object
from master.routes import NAMESPACES, Route
from master.settings import Settings
from master.turn import Bulk, Caller, Onward, Operation, Parcel, Publisher, socket_address
from master.writer import Turns

log = structlog.get_logger(__name__)
audit = structlog.get_logger(AUDIT)

IN_FLIGHT_LIMIT = 64
"""Uncommitted reports per socket; past it the writer gets no more until some are stored."""

EARLY_S = 5.0
"""Seconds that a socket's reports wait for the registration that names their worker."""

SET_ASIDE_BYTES = 1024 * 1024
"""Bytes that these reports may have together."""

EVENT_BYTES = 512
"""Approximate bytes that a queued event needs beside its own."""

ITEM_BYTES = 1024
"""The same for one message of a parsed report."""

EARLY_BYTES = 4 * 1024
"""A larger event is decoded on arrival, to drop its unknown fields before it waits."""


class Reception:
    """Decodes events, runs those of a socket in order, and acknowledges the results."""

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
        self._registrations = Admission(settings.registration_rate)
        self._memory = memory
        self._clock = clock
        self._publisher = publisher
        self._metrics = metrics
        self._forgiven = Forgiven(memory, metrics)

    async def receive(
        self, event: Any, args: Sequence[Any], lane: Lane, acknowledge: Acknowledge, size: int
    ) -> None:
        """Accept one event of `size` bytes; call `acknowledge` once, in the order of the lane.

        The next event of the socket may be read at once, unless the flow has no room. Otherwise a
        sign of life would wait for the disk, or for the rate limit, behind an earlier event.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        route = NAMESPACES[lane.caller.kind].get(event) if isinstance(event, str) else None
        arrival = Arrival(event, args, acknowledge, size + EVENT_BYTES, now, monotonic, route)
        if size > EARLY_BYTES:
            arrival = await _read_early(arrival, lane.caller)
            if lane.is_closed:
                return
        self._put(lane, arrival)
        self._look_live(route, args, lane.caller, now, monotonic)

    def greet(self, lane: Lane, operation: Operation, acknowledge: Acknowledge) -> None:
        """Run an operation at the beginning of a lane, before any event of the socket."""
        route = Route("(greeting)", Empty, operation, Scope.READ)
        now, monotonic = self._clock.now(), self._clock.monotonic()
        self._put(lane, Arrival(route.event, (), acknowledge, EVENT_BYTES, now, monotonic, route))

    def _put(self, lane: Lane, arrival: Arrival) -> None:
        """Append an event to its lane."""
        lane.flow.add_pending(arrival.size)
        if lane.backlog is None:
            wait_s = lane.flow.charge_event()
            lane.backlog = Backlog(lane.flow)
            lane.backlog.task = asyncio.create_task(
                self._work_off(lane, lane.backlog, arrival, wait_s)
            )
        else:
            lane.backlog.waiting.append(arrival)

    def answer_live(self, data: Sequence[Any], lane: Lane, acknowledge: Acknowledge) -> bool:
        """Answer an event from memory, if no other event of its lane waits; return whether it was.

        An event that needs more than memory is not answered.
        """
        if lane.backlog is not None or lane.pending:
            return False
        caller, event = lane.caller, data[0]
        if (
            not isinstance(event, str)
            or (route := NAMESPACES[caller.kind].get(event)) is None
            or route.live is None
        ):
            return False
        reply = self._look_live(route, data[1:], caller, self._clock.now(), self._clock.monotonic())
        if reply is None or not lane.flow.has_event():
            return False
        acknowledge({"success": True, **reply})
        if "notes" in reply:
            self._forgiven.note_kept(route, caller, reply)
        self._metrics.count_event(caller.kind, event, "ok", 0.0)
        return True

    async def _work_off(self, lane: Lane, backlog: Backlog, first: Arrival, wait_s: float) -> None:
        """Process the events of a lane in order, until none waits.

        A socket above its rate limit is served more slowly: no event is lost, and other sockets are
        not affected.
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
                if (arrival := backlog.pop()) is not None:
                    wait_s = lane.flow.charge_event()
        finally:
            lane.backlog = None
            backlog.clear()

    async def _deal(self, arrival: Arrival, lane: Lane) -> None:
        """Process the next event of a lane; its bytes are pending until it is answered."""
        caller = lane.caller
        errand = Errand(arrival, caller)
        try:
            route, payload = self._read(errand)
            if route.is_command:
                deed = describe_event(route.event, payload)
                errand = replace(errand, caller=replace(caller, deed=deed))
            if isinstance(route.operation, Bulk):
                # the bytes of a report are released once it is answered, not here
                arrival = replace(arrival, size=0)
                if self._is_known_worker(caller):
                    await self._submit(lane, errand, payload)
                else:
                    await self._set_aside(lane, errand, payload)
                return
            await lane.drain()
            await self._finish(errand, self._answer(lane, errand, route, payload))
            await self._submit_early(lane)
        except Refusal as refusal:
            await lane.drain()
            await self._refuse(errand, refusal)
        except Exception:
            log.exception("decoding_failed", event_name=str(arrival.event)[:64])
            await self._refuse(errand, None)
        finally:
            lane.flow.release(arrival.size)

    async def _submit(self, lane: Lane, errand: Errand, payload: Any) -> None:
        """Pass a report to the writer without waiting for it."""
        assert errand.route is not None, "a parsed event has a route"
        assert isinstance(errand.route.operation, Bulk), "other events wait for their answers"
        await lane.drain(IN_FLIGHT_LIMIT - 1)
        answer = self._turns.submit(errand.route.operation, payload, errand.caller)
        task = asyncio.ensure_future(self._finish(errand, answer))
        lane.pending[task] = None
        task.add_done_callback(lane.pending.pop)
        task.add_done_callback(lambda _: lane.flow.release(errand.arrival.size))

    def _is_known_worker(self, caller: Caller) -> bool:
        return caller.is_named_worker or caller.sid in self._memory.sessions.worker_of_socket

    async def _set_aside(self, lane: Lane, errand: Errand, payload: Any) -> None:
        """Keep a report until its worker has registered.

        After a reconnection, a client library sends its buffered events before the worker can
        register.
        """
        size = sum(one.arrival.size for one, _ in lane.early) + errand.arrival.size
        if len(lane.early) >= IN_FLIGHT_LIMIT or size > SET_ASIDE_BYTES:
            await self._refuse_early(lane, errand)
            return
        lane.early.append((errand, payload))
        if lane.early_end is None:
            lane.early_end = asyncio.create_task(self._end_early(lane))

    async def _end_early(self, lane: Lane) -> None:
        await asyncio.sleep(EARLY_S)
        lane.early_end = None
        await self._submit_early(lane)

    async def _submit_early(self, lane: Lane) -> None:
        """Submit the reports that were set aside; refuse those without a known worker."""
        for errand, payload in lane.pop_early():
            if self._is_known_worker(errand.caller):
                await self._submit(lane, errand, payload)
            else:
                await self._refuse_early(lane, errand)

    async def _refuse_early(self, lane: Lane, errand: Errand) -> None:
        lane.flow.release(errand.arrival.size)
        await self._refuse(errand, NotRegistered())

    def _read(self, errand: Errand) -> tuple[Route, Any]:
        """Return the route and the payload. Errors: Refusal."""
        route, payload = errand.route, errand.arrival.payload
        if route is None:
            raise UnknownEvent(f"/{errand.caller.kind} has no event of this name.")
        if errand.caller.scope < route.scope:
            raise Forbidden if errand.caller.scope else Unauthorized
        if isinstance(payload, Refusal):
            raise payload
        if payload is None:
            payload = decode(route.payload, first_object(errand.arrival.args))
        if route.admission:
            self._registrations.admit(self._clock.monotonic())
        return route, payload

    def _look_live(
        self, route: Route | None, args: Sequence[Any], caller: Caller, now: float, monotonic: float
    ) -> Any:
        """Apply an event to memory on arrival; return the reply, or None if memory has none.

        Faults of the event are answered later, when it is at the head of its lane.
        """
        if route is None or route.live is None or caller.scope < route.scope:
            return None
        try:
            return route.live(args[0] if args else {}, caller, self._memory, now, monotonic)
        except Exception:
            return None

    async def _answer(self, lane: Lane, errand: Errand, route: Route, payload: Any) -> Any:
        caller, arrival = errand.caller, errand.arrival
        if route.authenticates:
            known = AuthSuccess(lane.authenticate(payload), int(self._clock.now() * 1000))
            await self._send(caller, known)
            return known.render()
        if route.live is not None:
            reply = self._look_live(route, arrival.args, caller, arrival.now, arrival.monotonic)
            if reply is not None:  # as of now, although the sign of life was heard on arrival
                return {**reply, "timestamp": int(self._clock.now() * 1000)}
        if route.speaks_for:
            self._access.require_worker(caller.name, payload.worker_id)
        assert route.operation is not None, "a route without a turn answers from memory"
        if route.writes:
            return await self._turns.run(route.operation, payload, caller)
        assert not isinstance(route.operation, Bulk)
        found = await self._turns.look(route.operation, payload, caller)
        return (
            await self._turns.run(found.operation, found.event, caller)
            if isinstance(found, Onward)
            else self._note(caller, found)
        )

    def _note(self, caller: Caller, found: Any) -> Any:
        """Record a command that needed no turn; return its reply."""
        self._turns.note(caller)
        return found

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
            self._log_change(errand, "ok")
            self._count(errand, "ok")
            if isinstance(done, dict):
                if "inserted" in done:
                    self._metrics.messages.labels("stored").inc(done["inserted"])
                    self._metrics.messages.labels("duplicate").inc(done["duplicates"])
                if "notes" in done or "details" in done:
                    self._forgiven.note_kept(errand.route, errand.caller, done)

    async def _refuse(self, errand: Errand, refusal: Refusal | None) -> None:
        """Acknowledge a refusal (None: a bug of Master); send the route's refusal event, if any."""
        error: dict[str, Any] = refusal.to_wire() if refusal is not None else INTERNAL
        wire: dict[str, Any] = {"success": False, "error": error}
        if error.get("details"):
            wire["details"] = error["details"]
        named = errand.route.refused if errand.route is not None else None
        if (
            errand.caller.scope is Scope.NONE
            and errand.route is not None
            and not errand.route.authenticates
        ):
            named = None  # a stranger gets the acknowledgement and no event
        if named is not None:
            await self._send(errand.caller, named(error))
        errand.arrival.acknowledge(wire)
        is_judged = refusal is not None and not isinstance(refusal, NOT_NOW)
        self._note_refused(errand, error["code"], is_judged=is_judged)
        self._count(errand, error["code"])
        self._forgiven.note_refused(errand.route, errand.caller, error)

    def note_unparsed(self, caller: Caller, event: str, refusal: Refusal) -> None:
        """Count a packet that its edge has refused before it became an event."""
        route = NAMESPACES[caller.kind].get(event)
        name = route.event if route is not None else "(unknown)"
        self._metrics.count_event(caller.kind, name, refusal.code, 0.0)
        self._forgiven.note_refused(route, caller, refusal.to_wire())

    def _note_refused(self, errand: Errand, code: str, *, is_judged: bool) -> None:
        """Record a refused command of an authenticated administrator.

        One that Master could not judge now, because it is too busy or its disk fails, is logged
        only: its record would be one more write.
        """
        caller, route = errand.caller, errand.route
        self._log_change(errand, code)
        if route is not None and route.is_command and caller.scope and is_judged:
            deed = caller.deed or describe_event(route.event, None)
            self._turns.note(replace(caller, deed=replace(deed, refused=code)))

    def _log_change(self, errand: Errand, result: str) -> None:
        """Log who asked for a change, as the HTTP edge does."""
        if errand.route is not None and errand.route.is_command and errand.caller.scope:
            command = errand.route.event
            audit.info("change_asked", by=errand.caller.name, command=command, result=result)

    def _count(self, errand: Errand, result: str) -> None:
        event = errand.route.event if errand.route is not None else "(unknown)"
        self._metrics.count_event(
            errand.caller.kind, event, result, self._clock.monotonic() - errand.arrival.monotonic
        )

    async def _send(self, caller: Caller, content: Outbound) -> None:
        if caller.sid is not None:
            await self._publisher.publish([Parcel(socket_address(caller), content)])


async def _read_early(arrival: Arrival, caller: Caller) -> Arrival:
    """Decode a large event on arrival, in portions; only the fields of its type wait."""
    route = arrival.route
    if route is None or route.live is not None or caller.scope < route.scope:
        return arrival
    try:
        payload = decode(route.payload, first_object(arrival.args))
    except Refusal as refusal:
        return replace(arrival, args=(), payload=refusal)
    for _ in payload.unpack():
        await asyncio.sleep(0)
    rows = route.operation.weigh(payload) if isinstance(route.operation, Bulk) else 0
    return replace(arrival, args=(), payload=payload, size=arrival.size + rows * ITEM_BYTES)


def find_largest(kind: str, name: str | None) -> int:
    """Return the largest packet in bytes of a namespace's event; few for an unknown event."""
    route = NAMESPACES[kind].get(name or "")
    return route.payload.largest if route is not None else Payload.largest
