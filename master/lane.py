"""One socket's events on their way: in the order in which they came, and the bytes of them that are under way."""

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
    """One event under way: what was said, how it is acknowledged, its bytes, and when it came by both clocks.

    `route` is where it leads (None: nowhere). `payload` is what was said as it is decoded, or the refusal of it, where
    that was done when it came.
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
    """What a socket has sent and what is dealt with one by one; it exists only while something is."""

    def __init__(self, flow: Flow) -> None:
        self.waiting: deque[Arrival] = deque()
        self.task: asyncio.Task[None] | None = None
        self._flow = flow

    def take(self) -> Arrival | None:
        """Take the first event, or None if there is no other."""
        return self.waiting.popleft() if self.waiting else None

    def clear(self) -> None:
        """Forget what waits: nobody would hear its answer."""
        while self.waiting:
            self._flow.release(self.waiting.popleft().size)


class Lane:
    """One socket: who speaks there, and its events in the order in which they came.

    Reports of facts go to the writer without waiting for each other, so that one socket can fill a group; whatever else
    follows waits for them. `authenticate` takes what an `admin:auth` says, makes `caller` who that is, and returns
    their name.
    """

    def __init__(self, caller: Caller, authenticate: Callable[[Any], str], flow: Flow) -> None:
        self.caller = caller
        self.authenticate = authenticate
        self.flow = flow
        self.is_closed = False
        self.pending: dict[asyncio.Future[Any], None] = {}
        """Reports that are not committed yet. A dict: an empty set takes three times its memory."""
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
        self.is_closed = True
        for errand, _ in self.take_early():
            self.flow.release(errand.arrival.size)
        if self.backlog is not None:
            self.backlog.clear()

    async def drain(self, limit: int = 0) -> None:
        """Wait until at most `limit` reports are uncommitted."""
        while len(self.pending) > limit:
            await asyncio.wait(self.pending, return_when=asyncio.FIRST_COMPLETED)


@dataclass(frozen=True, slots=True)
class Errand:
    """An arrival that has its place now, and who sent it."""

    arrival: Arrival
    caller: Caller

    @property
    def route(self) -> Route | None:
        """Return where it leads; None: nowhere."""
        return self.arrival.route
