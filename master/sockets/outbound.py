"""What waits to be sent to one connection: bounded in bytes, and of a thing's state only the newest.

Engine.IO's own queue has no bound: one reader that stopped reading can hold Master's whole memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from engineio.packet import MESSAGE, Packet

PACKET_BYTES = 200
"""About what one queued packet costs beside its text."""

FEW = 32
"""So many packets may pass the limit together: a few large ones are no sign of a reader that stopped.

A worker that takes a thousand accounts is told of them in some ten packets, and twice more in its answers.
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


class OutboundQueue(asyncio.Queue[Any]):
    """A connection's outbound packets. `overflow` is called once, when the reader has stopped for too long."""

    def __init__(self, limit_bytes: int, overflow: Callable[[], None]) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes
        self._overflow = overflow
        self._newest: dict[str, Packet] = {}
        self.waiting_bytes = 0
        self.overflowed = False

    def put_nowait(self, item: Packet | None) -> None:
        """Queue a packet; None ends the connection's writer. After an overflow only None is taken."""
        if item is None:
            super().put_nowait(None)
            return
        if self.overflowed:
            return
        key = _find_state_key(item)
        if key is not None and key in self._newest:
            self.waiting_bytes += _weigh(item) - _weigh(self._newest[key])
            self._newest[key] = item
            return
        if self._is_too_much():
            self.overflowed = True
            self._forget_all()
            self._overflow()
            return
        self.waiting_bytes += _weigh(item)
        if key is None:
            super().put_nowait(item)
        else:
            self._newest[key] = item
            super().put_nowait(key)

    def _get(self) -> Any:
        item = super()._get()
        if isinstance(item, str):
            item = self._newest.pop(item)
        if item is not None:
            self.waiting_bytes -= _weigh(item)
        return item

    def _is_too_much(self) -> bool:
        limit = self._limit_bytes
        return limit > 0 and self.waiting_bytes > (limit if self.qsize() > FEW else limit * HARD_FACTOR)

    def _forget_all(self) -> None:
        while not self.empty():
            self.get_nowait()
            self.task_done()


def _weigh(item: Packet) -> int:
    return PACKET_BYTES + sys.getsizeof(item.data)


def _find_state_key(item: Packet) -> str | None:
    return item.state_key if isinstance(item, Frame) else None
