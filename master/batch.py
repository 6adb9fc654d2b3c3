"""The items of a batch, their replies, and the queues that batches are read from."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from typing import Any

from master.draft import Draft
from master.turn import Bulk, Caller, Operation, Parcel, Turn


@dataclass(slots=True)
class Item:
    """One queued event."""

    operation: Operation | Bulk
    event: Any
    caller: Caller
    answer: asyncio.Future[Any]
    rev: int = 0
    """The revision after its batch, once the answer is there."""


@dataclass(slots=True)
class Done:
    """One finished turn: its items and their replies."""

    turn: Turn
    items: Sequence[Item]
    replies: Sequence[Any]


@dataclass(slots=True)
class Batch:
    """A batch: the items that are decided and committed together."""

    items: list[Item]
    draft: Draft
    began: float
    done: list[Done] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)
    rev: int = 0

    def leave_out(self, items: Sequence[Item]) -> None:
        """Remove items that this batch does not decide."""
        left = {id(item) for item in items}
        self.items = [item for item in self.items if id(item) not in left]


def weigh(item: Item) -> int:
    """Return the number of rows that an item may write."""
    return item.operation.weigh(item.event) if isinstance(item.operation, Bulk) else 1


class Waiting:
    """The writer's queues, one per kind of caller, each with its own limit, served in rotation.

    However much one kind of caller queues, the others find room and wait for at most one round.
    """

    def __init__(self, share: int) -> None:
        self._share = share
        self._first: deque[Item] = deque()
        self._queues: dict[str, deque[tuple[int, Item]]] = {}
        self._numbers = count()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def has_room(self, kind: str) -> bool:
        """Return whether a kind of caller may queue another item; a share of 0 is no limit."""
        return not self._share or len(self._queues.get(kind, ())) < self._share

    def put(self, item: Item) -> None:
        """Append an item to the queue of its kind."""
        self._queues.setdefault(item.caller.kind, deque()).append((next(self._numbers), item))
        self._length += 1

    def put_first(self, items: Sequence[Item]) -> None:
        """Put items before all queued ones."""
        self._first.extendleft(reversed(items))
        self._length += len(items)

    def pop_batch(self, most: int, most_weight: int) -> list[Item]:
        """Remove and return at least one item, within both limits, in the order of arrival."""
        batch: list[Item] = []
        weight = 0
        while self._first and len(batch) < most:
            weight += weigh(self._first[0])
            if batch and weight > most_weight:
                break
            batch.append(self._first.popleft())
        popped: list[tuple[int, Item]] = []
        while self._queues and not self._first and len(batch) + len(popped) < most:
            kind, queue = next(iter(self._queues.items()))
            weight += weigh(queue[0][1])
            if (batch or popped) and weight > most_weight:
                break
            popped.append(queue.popleft())
            del self._queues[kind]
            if queue:
                self._queues[kind] = queue  # behind the other kinds
        self._length -= len(batch) + len(popped)
        return batch + [item for _, item in sorted(popped, key=itemgetter(0))]


def is_on_rows(operation: Any) -> bool:
    """Return whether an operation works on rows, that is, whether it is a coroutine function."""
    code = getattr(operation, "__code__", None)
    return (
        bool(code.co_flags & inspect.CO_COROUTINE)
        if code is not None
        else inspect.iscoroutinefunction(operation)
    )


def resolve(answer: asyncio.Future[Any], reply: Any) -> None:
    """Resolve a pending answer with a reply."""
    if answer.done():
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply)
        # marks it as read: the caller may be gone, and asyncio logs unread exceptions
        answer.exception()
    else:
        answer.set_result(reply)
