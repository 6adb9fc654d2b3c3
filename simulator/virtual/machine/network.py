"""A network in memory: links that carry frames with latency, and break in the ways that real ones do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from simulator.virtual.machine.life import OUTSIDE

TICK_S = 1e-6
WINDOW_BYTES = 65_536
"""What a reader that does not read lets the network keep for it."""

Frame = str | bytes
Deliver = Callable[[Frame | None], None]
"""Takes a frame; None is the end of the connection."""


class Pipe:
    """One direction of a link: first in, first out, each frame after its own latency."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, rng: Random, latency_s: tuple[float, float]
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._latency_s = latency_s
        self._last = 0.0
        self._held: list[Frame | None] | None = None
        self.deliver: Deliver = lambda _: None
        self.tap: Deliver | None = None
        """Hears of each frame before it is delivered, whoever takes it then."""
        self.dead = False
        self.slowness = 1.0
        self._room: list[asyncio.Future[None]] = []
        self._held_bytes = 0

    def put(self, frame: Frame | None, late_s: float = 0.0) -> None:
        """Send a frame, or the end; `late_s` comes on top of its latency."""
        if self.dead:
            return
        if self._held is not None:
            self._held.append(frame)
            self._held_bytes += len(frame or "")
            return
        arrives = self._loop.time() + self._rng.uniform(*self._latency_s) * self.slowness + late_s
        self._last = max(
            self._last + TICK_S, arrives
        )  # the loop keeps no order among timers of one instant
        self._loop.call_at(self._last, self._arrive, frame, context=OUTSIDE)

    def hold(self) -> None:
        """Keep what is sent from now on until `release`."""
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """Send on what was held."""
        held, self._held, self._held_bytes = self._held or [], None, 0
        for frame in held:
            self.put(frame)
        self.make_room()

    @property
    def is_full(self) -> bool:
        """Whether so much is held that a sender has to wait, as TCP lets it."""
        return self._held_bytes > WINDOW_BYTES

    async def wait_room(self) -> None:
        """Wait until something may be sent again."""
        waiter = self._loop.create_future()
        self._room.append(waiter)
        await waiter

    def make_room(self) -> None:
        """Let those who wait look again."""
        waiting, self._room = self._room, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _arrive(self, frame: Frame | None) -> None:
        if not self.dead:
            if self.tap is not None:
                self.tap(frame)
            self.deliver(frame)


class Link:
    """One connection: `up` carries to Master, `down` from it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        rng: Random,
        address: str,
        latency_s: tuple[float, float],
    ) -> None:
        self.address = address
        self.served_as: str | None = None
        """Engine.IO's name of the connection, once Master serves it."""
        self.on_send: Callable[[Frame], Awaitable[None]] | None = None
        """Comes before each frame that Master sends."""
        self.up = Pipe(loop, rng, latency_s)
        self.down = Pipe(loop, rng, latency_s)
        self.ended = False
        self.ended_for_master = False
        """Whether Master's end has learned that it has ended."""

    def sever(self, *, late_s: float = 0.0) -> None:
        """End the connection as a crashed process does: both ends learn of it, Master's `late_s` later."""
        if self.ended:
            return
        self.ended = True
        for pipe in (self.up, self.down):
            pipe.release()
        self.down.put(None)
        self.up.put(None, late_s)

    def hold(self) -> None:
        """Keep what is sent in both directions until `release`."""
        self.up.hold()
        self.down.hold()

    def release(self) -> None:
        """Send on what was held."""
        self.up.release()
        self.down.release()

    def slow_down(self, factor: float) -> None:
        """Let frames take `factor` times their latency from now on."""
        self.up.slowness = self.down.slowness = factor

    @property
    def is_sound(self) -> bool:
        """Whether nothing sent over it was lost so far."""
        return not (self.up.dead or self.down.dead or self.ended)

    def go_dark(self, *, up: bool = True, down: bool = True) -> None:
        """Let frames vanish in one or both directions; nobody learns of it."""
        self.up.dead = self.up.dead or up
        self.down.dead = self.down.dead or down


class ServerEnd:
    """Master's end of a link, as python-engineio's drivers are: `wait` for a frame, `send` one, `close`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._arrived: deque[Frame | None] = deque()
        self._waiter: asyncio.Future[None] | None = None
        link.up.deliver = self._take

    async def wait(self) -> Frame:
        """Return the next frame. Errors: ConnectionError at the end."""
        while not self._arrived:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        frame = self._arrived.popleft()
        if frame is None:
            self._arrived.append(None)
            raise ConnectionError("the link has ended")
        return frame

    async def send(self, frame: Frame) -> None:
        """Send a frame. Errors: ConnectionError once the link has ended."""
        if self._link.on_send is not None:
            await self._link.on_send(frame)
        while self._link.down.is_full and not self._link.ended:
            await self._link.down.wait_room()
        if self._link.ended:
            raise ConnectionError("the link has ended")
        self._link.down.put(frame)

    async def send_all(self, frames: Sequence[Frame]) -> None:
        """Send frames that waited together; Master may die before any of them. Errors: ConnectionError."""
        for frame in frames:
            await self.send(frame)

    async def close(self) -> None:
        """End the link; whoever waits here learns of it even if nothing gets through any more."""
        self._link.sever()
        self._take(None)

    def _take(self, frame: Frame | None) -> None:
        self._link.ended_for_master = self._link.ended_for_master or frame is None
        self._arrived.append(frame)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
