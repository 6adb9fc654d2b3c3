"""The front desk: an event in, always an acknowledgement out; never raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from master.access import Access
from master.clock import Clock
from master.decisions.pace import Bucket, fill, take
from master.errors import INTERNAL, Forbidden, Overloaded, Refusal, Unauthorized, UnknownEvent
from master.metrics import Metrics
from master.model import Scope
from master.presence import Presence
from master.protocol.wire import accept, decode, first_object
from master.routes import ANSWERED_BY, NAMESPACES, Route
from master.settings import Settings
from master.turn import Address, Bulk, Caller, Parcel, Publisher
from master.writer import Turns

log = structlog.get_logger(__name__)

BURST = 4
"""Seconds' worth of events that one socket may send at once."""

IN_FLIGHT_LIMIT = 64
"""Uncommitted reports per socket; past it the socket is not read until some are stored."""


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

    async def drain(self, limit: int = 0) -> None:
        """Wait until at most `limit` reports are uncommitted."""
        while len(self.pending) > limit:
            await asyncio.wait(self.pending, return_when=asyncio.FIRST_COMPLETED)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event under way: who sent it, where it leads (None: nowhere), how it is acknowledged, when it came."""

    caller: Caller
    route: Route | None
    acknowledge: Callable[[dict[str, Any]], Awaitable[None]]
    began: float


class Reception:
    """Decodes what arrives, gives it its turn, and says what became of it."""

    def __init__(
        self,
        turns: Turns,
        presence: Presence,
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
        self._presence = presence
        self._clock = clock
        self._publisher = publisher
        self._metrics = metrics

    async def receive(
        self,
        event: Any,
        args: Sequence[Any],
        lane: Lane,
        acknowledge: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Deal with one event; `acknowledge` is called once, now or after the commit."""
        await self._keep_pace(lane)
        caller = lane.caller
        route = NAMESPACES[caller.kind].get(event) if isinstance(event, str) else None
        arrival = Arrival(caller, route, acknowledge, self._clock.monotonic())
        try:
            if route is None:
                raise UnknownEvent(f"/{caller.kind} knows no event of this name.")
            if caller.scope < route.scope:
                raise Forbidden if caller.scope else Unauthorized
            payload = decode(route.payload, first_object(args))
            if route.admission:
                self._admit()
        except Refusal as refusal:
            await lane.drain()
            await self._refuse(arrival, refusal)
            return
        except Exception:
            log.exception("decoding_failed", event_name=str(event)[:64])
            await self._refuse(arrival, None)
            return
        if isinstance(route.operation, Bulk):
            await lane.drain(IN_FLIGHT_LIMIT - 1)
            answer = self._turns.submit(route.operation, payload, caller)
            task = asyncio.ensure_future(self._finish(arrival, answer))
            lane.pending.add(task)
            task.add_done_callback(lane.pending.discard)
            return
        await lane.drain()
        await self._finish(arrival, self._answer(lane, route, payload))

    async def _keep_pace(self, lane: Lane) -> None:
        """Read a socket that is too fast more slowly: nothing of it is lost, and the others do not feel it."""
        rate = self._events_per_s
        if not rate:
            return
        now = self._clock.monotonic()
        lane.bucket, wait_s = take(lane.bucket or fill(rate * BURST, now), now, rate, rate * BURST)
        if wait_s:
            await asyncio.sleep(wait_s)

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

    async def _answer(self, lane: Lane, route: Route, payload: Any) -> Any:
        caller = lane.caller
        if route.authenticates:
            reply = {"userId": lane.authenticate(payload), "timestamp": int(self._clock.now() * 1000)}
            await self._send(caller, ANSWERED_BY[route.event], reply)
            return reply
        if route.live is not None:
            reply = route.live(payload, caller, self._presence, self._clock.now(), self._clock.monotonic())
            if reply is not None:
                return reply
        if route.speaks_for:
            self._access.require_worker(caller.name, payload.worker_id)
        assert route.operation is not None, "a route without a turn answers from memory"
        if route.writes:
            return await self._turns.run(route.operation, payload, caller)
        assert not isinstance(route.operation, Bulk)
        return await self._turns.look(route.operation, payload, caller)

    async def _finish(self, arrival: Arrival, answer: Awaitable[Any]) -> None:
        try:
            done = await answer
        except Refusal as refusal:
            await self._refuse(arrival, refusal)
        except Exception:
            log.exception("event_failed", event_name=arrival.route.event if arrival.route else "")
            await self._refuse(arrival, None)
        else:
            await arrival.acknowledge(accept(done))
            self._count(arrival, "ok")
            if isinstance(done, dict) and "inserted" in done:
                self._metrics.messages.labels("stored").inc(done["inserted"])
                self._metrics.messages.labels("duplicate").inc(done["duplicates"])

    async def _refuse(self, arrival: Arrival, refusal: Refusal | None) -> None:
        """Acknowledge a refusal (None is a bug of ours), and send the named one where the route has it."""
        error: dict[str, Any] = refusal.to_wire() if refusal is not None else INTERNAL
        wire: dict[str, Any] = {"success": False, "error": error}
        if error.get("details"):
            wire["details"] = error["details"]
        named = arrival.route.refused if arrival.route is not None else None
        if arrival.caller.scope is Scope.NONE and arrival.route is not None and not arrival.route.authenticates:
            named = None  # who is not known gets the acknowledgement and no event
        if named == "worker:registered":
            await self._send(arrival.caller, named, {"success": False, "error": error})
        elif named == "admin:error":
            await self._send(arrival.caller, named, {"error": error["code"], "message": error["message"]})
        elif named is not None:
            await self._send(arrival.caller, named, {"error": error["message"]})
        await arrival.acknowledge(wire)
        self._count(arrival, error["code"])

    def _count(self, arrival: Arrival, result: str) -> None:
        event = arrival.route.event if arrival.route is not None else "(unknown)"
        self._metrics.count_event(arrival.caller.kind, event, result, self._clock.monotonic() - arrival.began)

    async def _send(self, caller: Caller, event: str, payload: dict[str, Any]) -> None:
        if caller.sid is not None:
            await self._publisher.publish([Parcel(Address(caller.kind + "_socket", caller.sid), event, payload)])
