"""What waits to be sent to one connection: bounded in bytes, and of a thing's state only the newest.

Engine.IO's own queue has no bound: one reader that stopped reading can hold Master's whole memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from engineio.packet import MESSAGE, Packet

PACKET_BYTES = 200
"""About what one queued packet costs beside its text."""

FEW = 32
"""So many packets may pass the limit together: a few large ones are no sign of a reader that stopped.

An account with a whole browser state is one large packet; a worker is told of the next once its reader has taken it.
"""

HARD_FACTOR = 16
"""At this many times the limit even a few packets are too much."""


class Frame(Packet):
    """A message's packet whose text is encoded once, for however many connections.

    One with a `state_key` shows a whole state: an older one that still waits is worth nothing beside a newer one.
    """

    def __init__(self, text: str, state_key: str | None = None) -> None:
        self.packet_type = MESSAGE
        self.data = text
        self.binary = False
        self.text = text
        self.state_key = state_key

    def encode(self, b64: bool = False) -> str:
        """Return the packet as it travels."""
        return self.text


class OutboundQueue:
    """A connection's outbound packets, for one reader. `overflow` is called once, when that has stopped for too long.

    It has what Engine.IO asks of a queue, in a fraction of the memory of asyncio's.
    """

    __slots__ = (
        "_items",
        "_limit_bytes",
        "_newest",
        "_taken",
        "_unfinished",
        "_waiter",
        "overflow",
        "overflowed",
        "waiting_bytes",
    )

    def __init__(self, limit_bytes: int, overflow: Callable[[], None] = lambda: None) -> None:
        self.overflow = overflow
        self.overflowed = False
        self.waiting_bytes = 0
        self._limit_bytes = limit_bytes
        self._items: deque[Any] = deque()
        self._newest: dict[str, Packet] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._taken: tuple[int, Callable[[], object]] | None = None

    def call_when_taken(self, most: int, callback: Callable[[], object]) -> None:
        """Call back once, when no more than `most` bytes wait: at once, or when the reader has taken the others.

        Whoever asks again takes the place of the one who asked before.
        """
        if self.waiting_bytes <= most:
            callback()
        else:
            self._taken = most, callback

    def put_nowait(self, item: Packet | None) -> None:
        """Queue a packet; None ends the connection's writer. After an overflow only None is taken."""
        if item is not None:
            if self.overflowed:
                return
            key = item.state_key if isinstance(item, Frame) else None
            if key is not None and self._newest and key in self._newest:
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

    async def put(self, item: Packet | None) -> None:
        """Queue a packet; there is always room."""
        self.put_nowait(item)

    def get_nowait(self) -> Packet | None:
        """Return the next packet. Errors: asyncio.QueueEmpty."""
        if not self._items:
            raise asyncio.QueueEmpty
        item = self._items.popleft()
        if isinstance(item, str) and self._newest is not None:
            item = self._newest.pop(item)
        if item is not None:
            self.waiting_bytes -= _weigh(item)
            if (
                self._taken is not None
                and self.waiting_bytes <= self._taken[0]
                and not self.overflowed
            ):
                (_, callback), self._taken = self._taken, None
                callback()
        return item  # type: ignore[no-any-return]

    async def get(self) -> Packet | None:
        """Return the next packet; wait for it."""
        while not self._items:
            await self._wait()
        return self.get_nowait()

    def task_done(self) -> None:
        """Take no notice that a packet has been sent: nobody waits for all of them."""

    def empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._items

    def qsize(self) -> int:
        """Return how many packets wait."""
        return len(self._items)

    async def _wait(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            waiter = self._waiter = asyncio.get_running_loop().create_future()
        await waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _is_too_much(self) -> bool:
        limit = self._limit_bytes
        return limit > 0 and self.waiting_bytes > (
            limit if len(self._items) > FEW else limit * HARD_FACTOR
        )

    def _forget_all(self) -> None:
        while self._items:
            self.get_nowait()


def _weigh(item: Packet) -> int:
    return PACKET_BYTES + sys.getsizeof(item.data)
