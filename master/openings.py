"""Openings: new Socket.IO connections. Each address has a rate limit; faster connections wait.

After a restart all workers behind one address connect at the same time. Refusals would only make
them retry, later each time; admitting all at once would make each wait for the others' first steps
until its deadline.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from master.budgets import MOST_ADDRESSES, OPENING_WAIT_S, OPENINGS_WAITING, STRANGERS_PER_ADDRESS
from master.clock import Clock
from master.decisions.pace import Paces
from master.errors import TooManyRequests

Turn = asyncio.Future[bool]
"""Resolves to True on admission, and to False if it never comes."""


@dataclass(slots=True)
class _Queue:
    turns: OrderedDict[Turn, None] = field(default_factory=OrderedDict)
    timer: asyncio.TimerHandle | None = None


class Openings:
    """Admits connections: per address STRANGERS_PER_ADDRESS at once, then `per_s`; 0: no limit."""

    def __init__(self, clock: Clock, per_s: float, *, most_waiting: int = OPENINGS_WAITING) -> None:
        self._clock = clock
        self._per_s = per_s
        self._most_waiting = most_waiting
        self._paces = Paces(MOST_ADDRESSES)
        self._queues: dict[str, _Queue] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """Return the number of connections that wait."""
        return self._waiting

    def admit_at_once(self, address: str) -> bool:
        """Admit a connection at once, if it need not wait; return whether it was admitted."""
        return address not in self._queues and not self._ask(address)

    def queue(self, address: str) -> Turn:
        """Queue for about OPENING_WAIT_S; `drop` it in any case. Errors: TooManyRequests."""
        queue = self._queues.get(address) or _Queue()
        too_long = len(queue.turns) >= self._per_s * OPENING_WAIT_S
        if too_long or (self._waiting >= self._most_waiting and not self._make_room(queue)):
            raise TooManyRequests(retry_after_ms=OPENING_WAIT_S * 1_000)
        turn: Turn = asyncio.get_running_loop().create_future()
        self._queues[address] = queue
        queue.turns[turn] = None
        self._waiting += 1
        self._admit_waiting(address)
        return turn

    def drop(self, address: str, turn: Turn) -> None:
        """Cancel a waiting admission; no effect once it has come."""
        queue = self._queues.get(address)
        if queue is not None and turn in queue.turns:
            del queue.turns[turn]
            self._end(turn, False)
            self._admit_waiting(address)

    def refund(self, address: str) -> None:
        """Refund the admission of a peer that has authenticated."""
        self._paces.refund(address)
        self._admit_waiting(address)

    def _ask(self, address: str) -> float:
        return self._paces.find(address).ask(
            self._clock.monotonic(), self._per_s, STRANGERS_PER_ADDRESS
        )

    def _make_room(self, queue: _Queue) -> bool:
        """Cancel the newest wait of the address with the most; return False if that is this one."""
        crowd = max(self._queues.values(), key=lambda one: len(one.turns))
        if crowd is queue:
            return False
        turn, _ = crowd.turns.popitem()
        self._end(turn, False)
        return True

    def _end(self, turn: Turn, has_come: bool) -> None:
        self._waiting -= 1
        if not turn.done():  # its waiter may have been cancelled
            turn.set_result(has_come)

    def _admit_waiting(self, address: str) -> None:
        """Admit as many as the rate allows by now, and schedule the next admission."""
        queue = self._queues.get(address)
        if queue is None:
            return
        if queue.timer is not None:
            queue.timer.cancel()
        while queue.turns:
            wait_s = self._ask(address)
            if wait_s:
                queue.timer = asyncio.get_running_loop().call_later(
                    wait_s, self._admit_waiting, address
                )
                return
            turn, _ = queue.turns.popitem(last=False)
            self._end(turn, True)
        del self._queues[address]
