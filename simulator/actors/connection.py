"""An actor's lasting connection: opened, greeted, and reopened with jitter when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from random import Random
from typing import Any

from master.model import JsonObject
from simulator.actors.transport import AckLate, LinkDown, Listener, Transport
from simulator.actors.world import World
from simulator.chance import draw_backoff
from simulator.pace import end_tasks, read_wait_s, wait_first, wait_forever

CALL_TIMEOUT_S = 10.0

GREETINGS = 8
"""How often a busy Master is greeted on one connection before the actor opens another."""


class Refused(Exception):
    """Master acknowledged with a refusal."""

    def __init__(self, event: str, ack: JsonObject) -> None:
        error = ack.get("error")
        self.error: JsonObject = (
            error if isinstance(error, dict) else {"code": "unknown", "message": str(error)}
        )
        self.code = str(self.error.get("code"))
        self.retryable = self.error.get("retryable") is True
        self.wait_s = read_wait_s(self.error)
        details = f" {self.error['details']}" if self.error.get("details") else ""
        super().__init__(f"{event}: {self.code}: {self.error.get('message')}{details}")


TROUBLE = (LinkDown, AckLate, Refused)
"""Failures of a call that are no bug of the caller."""

Greet = Callable[[], Awaitable[None]]


class Connection:
    """Keeps one namespace connected.

    `greet` introduces the actor on each new connection, before any other call. `on_break` is called
    each time a greeted connection has broken.
    """

    def __init__(
        self,
        namespace: str,
        world: World,
        listeners: Mapping[str, Listener],
        greet: Greet,
        rng: Random,
        on_break: Callable[[], None] | None = None,
    ) -> None:
        self._namespace = namespace
        self._world = world
        self._listeners = listeners
        self._greet = greet
        self._rng = rng
        self._on_break = on_break
        self._transport: Transport | None = None
        self._ready = asyncio.Event()
        self.trouble: str | None = None
        """Why the latest attempt to connect failed; None if it succeeded."""

    @property
    def ready(self) -> bool:
        """Whether the connection is open and Master is greeted."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Return once the connection is open and Master is greeted."""
        await self._ready.wait()

    async def run(self, first_wait_s: float = 0.0) -> None:
        """Stay connected until cancelled; the cancellation cuts the connection."""
        wait_s, attempt = first_wait_s, 0
        try:
            while True:
                await asyncio.sleep(wait_s)
                attempt = 0 if await self._live_once() else attempt + 1
                wait_s = draw_backoff(self._rng, attempt, self._world.scenario.retry_wait_s)
        finally:
            self.cut()

    async def call(
        self, event: str, data: JsonObject, timeout_s: float = CALL_TIMEOUT_S
    ) -> JsonObject:
        """Return Master's acknowledgement of success. Errors: LinkDown, AckLate, Refused."""
        ack = await self.ask(event, data, timeout_s)
        if ack.get("success") is not True:
            raise Refused(event, ack)
        return ack

    async def ask(
        self, event: str, data: JsonObject, timeout_s: float = CALL_TIMEOUT_S
    ) -> JsonObject:
        """Return Master's acknowledgement, success or refusal. Errors: LinkDown, AckLate."""
        if self._transport is None or self._transport.closed:
            raise LinkDown("not connected")
        return await self._transport.call(event, data, timeout_s)

    async def expect(self, event: asyncio.Event, timeout_s: float) -> bool:
        """Wait for `event`, clear it, and return whether it came in time. Errors: LinkDown."""
        if self._transport is None:
            raise LinkDown("not connected")
        came = await wait_first(event.wait(), self._transport.wait_closed(), timeout_s)
        if came == 2:
            raise LinkDown("the connection broke before the event came")
        event.clear()
        return came == 1

    async def greet(self) -> None:
        """Introduce the actor, with retries while Master is busy.

        Errors: LinkDown, AckLate, Refused. Each wait is the one that the refusal requests, plus a
        backoff.
        """
        for attempt in range(GREETINGS):
            try:
                await self._greet()
                return
            except Refused as refused:
                if not refused.retryable or attempt == GREETINGS - 1:
                    raise
                self.trouble = str(refused)
                wait_s = refused.wait_s + draw_backoff(
                    self._rng, attempt, self._world.scenario.retry_wait_s
                )
            await self._rest(wait_s)

    async def _rest(self, wait_s: float) -> None:
        """Wait while the connection is open. Errors: LinkDown if it breaks."""
        if self._transport is None or await wait_first(
            wait_forever(), self._transport.wait_closed(), wait_s
        ):
            raise LinkDown("the connection broke before the next greeting")

    def cut(self) -> None:
        """Break the connection without a goodbye."""
        self._ready.clear()
        if self._transport is not None:
            self._transport.cut()

    async def close(self) -> None:
        """Close the connection cleanly."""
        self._ready.clear()
        if self._transport is not None:
            await self._transport.disconnect()

    async def _live_once(self) -> bool:
        """Connect, greet, and return once the connection is gone; False if it was never greeted."""
        transport = self._transport = self._world.open_transport(self._namespace)
        for event, listener in self._listeners.items():
            transport.on(event, listener)
        try:
            await transport.connect()
            await self.greet()
        except TROUBLE as trouble:
            transport.cut()
            self.trouble = str(trouble) or type(trouble).__name__
            if isinstance(trouble, Refused) and not trouble.retryable:
                self._world.ledger.complain("greeting_refused", f"{self._namespace}: {trouble}")
            return False
        self.trouble = None
        self._ready.set()
        await transport.wait_closed()
        self._ready.clear()
        if self._on_break is not None:
            self._on_break()
        return True


async def live_until(
    leave: asyncio.Event, connection: Connection, work: Coroutine[Any, Any, None]
) -> None:
    """Run `work` until `leave`, then close the connection cleanly.

    An error of `work` is a bug and is raised.
    """
    life = asyncio.create_task(work)
    end = asyncio.create_task(leave.wait())
    try:
        await asyncio.wait({life, end}, return_when=asyncio.FIRST_COMPLETED)
        if not life.done():
            await connection.close()
    finally:
        connection.cut()  # first, so that no further event reaches the actor
        await end_tasks(life, end)
    if not life.cancelled():
        life.result()
