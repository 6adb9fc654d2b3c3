"""One socket's events in order of arrival, and their pending bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from master.errors import Refusal
from master.meter import Flow
from master.routes import Route
from master.turn import Caller

Acknowledge = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event under way: its content, its acknowledgement, its bytes, its arrival by both clocks.

    `route` is None for an unknown event. `payload` is the decoded content, or its refusal, if it
    was decoded on arrival.
    """

    event: Any
    args: Sequence[Any]
    acknowledge: Acknowledge
    size: int
    now: float
    monotonic: float
    route: Route | None
    payload: BaseModel | Refusal | None = None


class Backlog:
    """A socket's queued events and the task that processes them; it exists only while needed."""

    def __init__(self, flow: Flow) -> None:
        self.waiting: deque[Arrival] = deque()
        self.task: asyncio.Task[None] | None = None
        self._flow = flow

    def pop(self) -> Arrival | None:
        """Remove and return the first event, or None."""
        return self.waiting.popleft() if self.waiting else None

    def clear(self) -> None:
        """Drop queued events; the socket is closed."""
        while self.waiting:
            self._flow.release(self.waiting.popleft().size)


class Lane:
    """One socket: its caller, and its events in order of arrival.

    Reports of facts go to the writer without waiting for each other, so that one socket can fill a
    batch; every other event waits for them. `authenticate` accepts the payload of `admin:auth`,
    sets `caller`, and returns the caller's name.
    """

    def __init__(self, caller: Caller, authenticate: Callable[[Any], str], flow: Flow) -> None:
        self.caller = caller
        self.authenticate = authenticate
        self.flow = flow
        self.is_closed = False
        self.pending: dict[asyncio.Future[Any], None] = {}
        """Reports that are not committed yet. A dict: an empty set needs three times its memory."""
        self.backlog: Backlog | None = None
        self.early: list[tuple[Errand, Any]] = []
        """Reports, with their payloads, that arrived before their worker was known."""
        self.early_end: asyncio.Task[None] | None = None

    def pop_early(self) -> list[tuple[Errand, Any]]:
        """Remove and return the reports that were set aside."""
        if self.early_end is not None:
            self.early_end.cancel()
        early, self.early, self.early_end = self.early, [], None
        return early

    async def settle(self) -> None:
        """Wait until every event that was read from the socket has been processed."""
        while self.backlog is not None and self.backlog.task is not None:
            await asyncio.wait([self.backlog.task])

    def close(self) -> None:
        """Drop queued events; the socket has closed."""
        self.is_closed = True
        for errand, _ in self.pop_early():
            self.flow.release(errand.arrival.size)
        if self.backlog is not None:
            self.backlog.clear()

    async def drain(self, limit: int = 0) -> None:
        """Wait until at most `limit` reports are uncommitted."""
        while len(self.pending) > limit:
            await asyncio.wait(self.pending, return_when=asyncio.FIRST_COMPLETED)


@dataclass(frozen=True, slots=True)
class Errand:
    """The arrival at the head of the lane, and its caller."""

    arrival: Arrival
    caller: Caller

    @property
    def route(self) -> Route | None:
        """Return the event's route, or None if the event is unknown."""
        return self.arrival.route
