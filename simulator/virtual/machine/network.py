"""A network in memory: links that carry frames with latency and break as real links do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from simulator.virtual.machine.life import OUTSIDE

TICK_S = 1e-6
WINDOW_BYTES = 65_536
"""Bytes that the network buffers for a reader that does not read."""

Frame = str | bytes
Deliver = Callable[[Frame | None], None]
"""Receives a frame; None is the end of the connection."""


class Pipe:
    """One direction of a link: first in, first out, each frame after its own latency."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, rng: Random, latency_s: tuple[float, float]
    ) -> None:
        self._loop = loop
        self._rng = rng
        self._latency_s = latency_s
        self._last = 0.0
        self._buffered: list[Frame | None] | None = None
        self.deliver: Deliver = lambda _: None
        self.tap: Deliver | None = None
        """Called with each frame just before its delivery."""
        self.dead = False
        self.slowness = 1.0
        self._bytes_per_s: float | None = None
        self._queued: deque[Frame | None] = deque()
        self._leaves: asyncio.TimerHandle | None = None
        """When the first of the queued frames has left."""
        self._room: list[asyncio.Future[None]] = []
        self._buffered_bytes = 0

    def put(self, frame: Frame | None, late_s: float = 0.0) -> None:
        """Send a frame, or the end; `late_s` comes on top of its latency."""
        if self.dead:
            return
        if self._buffered is not None:
            self._buffered.append(frame)
            self._buffered_bytes += len(frame or "")
            return
        if self._bytes_per_s is not None:
            self._queued.append(frame)
            self._send_next()
            return
        self._carry(frame, late_s)

    def narrow(self, bytes_per_s: float | None) -> None:
        """Let so many bytes a second leave from now on; None: all that is queued, at once."""
        self._bytes_per_s = bytes_per_s
        if bytes_per_s is None:
            if self._leaves is not None:
                self._leaves.cancel()
                self._leaves = None
            while self._queued:
                self._carry(self._queued.popleft(), 0.0)

    def _send_next(self) -> None:
        """Let the first queued frame leave after its time on the line, if none is leaving."""
        if self._leaves is None and self._queued and self._bytes_per_s is not None:
            takes_s = len(self._queued[0] or "") / self._bytes_per_s
            self._leaves = self._loop.call_later(takes_s, self._leave, context=OUTSIDE)

    def _leave(self) -> None:
        self._leaves = None
        if not self.dead:
            self._carry(self._queued.popleft(), 0.0)
        else:
            self._queued.clear()
        self._send_next()

    def _carry(self, frame: Frame | None, late_s: float) -> None:
        arrives = self._loop.time() + self._rng.uniform(*self._latency_s) * self.slowness + late_s
        # the loop does not order timers of one instant
        self._last = max(self._last + TICK_S, arrives)
        self._loop.call_at(self._last, self._arrive, frame, context=OUTSIDE)

    def buffer(self) -> None:
        """Buffer frames from now on, until `release`."""
        if self._buffered is None:
            self._buffered = []

    def release(self) -> None:
        """Send the buffered frames."""
        buffered, self._buffered, self._buffered_bytes = self._buffered or [], None, 0
        for frame in buffered:
            self.put(frame)
        self.make_room()

    @property
    def is_full(self) -> bool:
        """Whether so much is buffered that a sender has to wait, as with TCP."""
        return self._buffered_bytes > WINDOW_BYTES

    async def wait_room(self) -> None:
        """Wait until a frame may be sent again."""
        waiter = self._loop.create_future()
        self._room.append(waiter)
        await waiter

    def make_room(self) -> None:
        """Wake the waiting senders."""
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
    """One connection: `up` carries frames to Master, `down` carries frames from it."""

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
        """Called before each frame that Master sends."""
        self.up = Pipe(loop, rng, latency_s)
        self.down = Pipe(loop, rng, latency_s)
        self.ended = False
        self.ended_for_master = False
        """Whether Master's end knows that the link has ended."""

    def sever(self, *, late_s: float = 0.0) -> None:
        """End the link as a crash does: both ends learn of it, Master's end `late_s` later."""
        if self.ended:
            return
        self.ended = True
        for pipe in (self.up, self.down):
            pipe.release()
            pipe.narrow(None)
        self.down.put(None)
        self.up.put(None, late_s)

    def buffer(self) -> None:
        """Buffer frames in both directions until `release`."""
        self.up.buffer()
        self.down.buffer()

    def release(self) -> None:
        """Send the buffered frames."""
        self.up.release()
        self.down.release()

    def slow_down(self, factor: float) -> None:
        """Multiply the latency of frames by `factor` from now on."""
        self.up.slowness = self.down.slowness = factor

    @property
    def is_sound(self) -> bool:
        """Whether the link has lost no frame so far."""
        return not (self.up.dead or self.down.dead or self.ended)

    def go_dark(self, *, up: bool = True, down: bool = True) -> None:
        """Drop all frames in one or both directions; neither end learns of it."""
        self.up.dead = self.up.dead or up
        self.down.dead = self.down.dead or down


class ServerEnd:
    """Master's end of a link, with the methods of python-engineio's drivers."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._arrived: deque[Frame | None] = deque()
        self._waiter: asyncio.Future[None] | None = None
        link.up.deliver = self._receive

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

    async def send_all(self, frames: Sequence[Frame]) -> bool:
        """Send queued frames; Master may die before any of them. Errors: ConnectionError.

        Return whether they waited until the peer had read.
        """
        waits = self._link.down.is_full
        for frame in frames:
            await self.send(frame)
        return waits

    async def close(self) -> None:
        """End the link; a task in `wait` learns of it even if no frame passes any more."""
        self._link.sever()
        self._receive(None)

    def _receive(self, frame: Frame | None) -> None:
        self._link.ended_for_master = self._link.ended_for_master or frame is None
        self._arrived.append(frame)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
