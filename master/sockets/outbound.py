"""The outbound queue of one connection: bounded in bytes, with only the newest of each state.

Engine.IO's own queue has no bound: one peer that stops reading could fill Master's memory. A long
queue alone is a burst. Its reader is slow once nothing of it was read for a while.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from engineio.packet import MESSAGE, Packet

from master.clock import Clock

PACKET_BYTES = 200
"""Approximate bytes of memory that a queued packet costs beside its text."""

CROWDED_PART = 4
"""A queue is crowded past its limit divided by this: notifications then become one hint."""

SLOW_READER_S = 10.0
"""A crowded queue of which nothing was read for this many seconds overflows."""

FEW = 32
"""A queue of at most this many packets is never crowded: a few large packets are no sign of a
stalled reader.

An account with a whole browser state is one large packet; a worker is sent the next account once it
has read that packet.
"""

HARD_FACTOR = 16
"""Past this many times the limit a queue overflows at once."""


class Frame(Packet):
    """A MESSAGE packet whose text is encoded once for all its connections.

    A frame with a `state_key` carries a whole state: it replaces a queued frame of the same key.
    """

    def __init__(self, text: str, state_key: str | None = None) -> None:
        self.packet_type = MESSAGE
        self.data = text
        self.binary = False
        self.text = text
        self.state_key = state_key

    def encode(self, b64: bool = False) -> str:
        """Return the encoded packet."""
        return self.text


class OutboundQueue:
    """A connection's outbound packets, for one reader; `overflow` is called once, when it is slow.

    `measure_unsent` returns the bytes that were taken from the queue and are not sent yet. It has
    the methods of a queue that Engine.IO calls, and a fraction of the memory of asyncio's.
    """

    __slots__ = (
        "_clock",
        "_items",
        "_limit_bytes",
        "_newest",
        "_progress",
        "_progressed_at",
        "_taken",
        "_urgent",
        "_waiter",
        "_when_caught_up",
        "measure_unsent",
        "overflow",
        "overflowed",
        "waiting_bytes",
    )

    def __init__(
        self, limit_bytes: int, clock: Clock, overflow: Callable[[], None] = lambda: None
    ) -> None:
        self.overflow = overflow
        self.measure_unsent: Callable[[], int] = lambda: 0
        self._clock = clock
        self._taken = 0
        self._progress: tuple[int, int] = (-1, -1)
        """Packets taken and bytes unsent at the latest look at a crowded queue."""
        self._progressed_at = 0.0
        self.overflowed = False
        self.waiting_bytes = 0
        self._limit_bytes = limit_bytes
        self._items: deque[Any] = deque()
        self._urgent: Packet | None = None
        self._newest: dict[str, Packet] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._when_caught_up: tuple[int, Callable[[], object]] | None = None

    @property
    def is_crowded(self) -> bool:
        """Tell whether so much waits that notifications should become one hint."""
        return 0 < self._limit_bytes < self.waiting_bytes * CROWDED_PART and len(self._items) > FEW

    def call_when_caught_up(self, most: int, callback: Callable[[], object]) -> None:
        """Call back once, as soon as no more than `most` bytes wait, which may be at once.

        A later call replaces a callback that has not been called yet.
        """
        if self.waiting_bytes <= most:
            callback()
        else:
            self._when_caught_up = most, callback

    def put_nowait(self, item: Packet | None) -> None:
        """Queue a packet; None ends the writer. After an overflow, drop every packet but None."""
        if item is not None:
            if self.overflowed:
                return
            key = item.state_key if isinstance(item, Frame) else None
            if key is not None and self._newest and key in self._newest and not self._is_too_much():
                self.waiting_bytes += _weigh(item) - _weigh(self._newest[key])
                self._newest[key] = item
                return
            if self._is_too_much():
                self.overflowed = True
                self._forget_all()
                self.overflow()
                return
            self.waiting_bytes += _weigh(item)
            if key is not None:
                if self._newest is None:
                    self._newest = {}
                self._newest[key] = item
        else:
            key = None
        self._items.append(item if key is None else key)
        self._wake()

    def put_ahead(self, item: Packet) -> None:
        """Queue a small packet before all others; it replaces an earlier one that still waits."""
        if not self.overflowed:
            self._urgent = item
            self._wake()

    async def put(self, item: Packet | None) -> None:
        """Queue a packet without waiting."""
        self.put_nowait(item)

    def get_nowait(self) -> Packet | None:
        """Return the next packet. Errors: asyncio.QueueEmpty."""
        if self._urgent is not None:
            item, self._urgent = self._urgent, None
            return item
        if not self._items:
            raise asyncio.QueueEmpty
        item = self._items.popleft()
        self._taken += 1
        if isinstance(item, str) and self._newest is not None:
            item = self._newest.pop(item)
        if item is not None:
            self.waiting_bytes -= _weigh(item)
            if (
                self._when_caught_up is not None
                and self.waiting_bytes <= self._when_caught_up[0]
                and not self.overflowed
            ):
                (_, callback), self._when_caught_up = self._when_caught_up, None
                callback()
        return item

    def peek(self) -> Packet | None:
        """Return the next packet without taking it. Errors: IndexError if the queue is empty."""
        if self._urgent is not None:
            return self._urgent
        item = self._items[0]
        return self._newest[item] if isinstance(item, str) and self._newest else item

    async def get(self) -> Packet | None:
        """Wait for the next packet and return it."""
        while self.empty():
            await self._wait()
        return self.get_nowait()

    def task_done(self) -> None:
        """Do nothing: no code joins this queue."""

    def empty(self) -> bool:
        """Tell whether the queue is empty."""
        return not self._items and self._urgent is None

    def qsize(self) -> int:
        """Return how many packets wait."""
        return len(self._items) + (self._urgent is not None)

    async def _wait(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            waiter = self._waiter = asyncio.get_running_loop().create_future()
        await waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _is_too_much(self) -> bool:
        if 0 < self._limit_bytes * HARD_FACTOR < self.waiting_bytes:
            return True
        return self.is_crowded and self._is_stuck()

    def _is_stuck(self) -> bool:
        """Tell whether nothing was read for SLOW_READER_S, by the looks at the crowded queue."""
        now, progress = self._clock.monotonic(), (self._taken, self.measure_unsent())
        if progress != self._progress:
            self._progress, self._progressed_at = progress, now
        return now - self._progressed_at > SLOW_READER_S

    def _forget_all(self) -> None:
        while not self.empty():
            self.get_nowait()


def measure(item: Packet | None) -> int:
    """Return the approximate bytes of a packet's text; 0 for the end of the queue."""
    return len(item.data) if item is not None and isinstance(item.data, str) else 0


def _weigh(item: Packet) -> int:
    return PACKET_BYTES + sys.getsizeof(item.data)
