"""A group: the events that are decided and committed together, and what each of them came to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from master.draft import Draft
from master.turn import AGAIN, Bulk, Caller, Operation, Parcel, Turn


@dataclass(slots=True)
class Item:
    """One event that waits for its turn."""

    operation: Operation | Bulk
    event: Any
    caller: Caller
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class Done:
    """One turn that was taken: its items, and what each of them is answered."""

    turn: Turn
    items: Sequence[Item]
    replies: Sequence[Any]


@dataclass(slots=True)
class Group:
    """What is decided and committed together."""

    items: list[Item]
    draft: Draft
    began: float
    done: list[Done] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)

    def list_again(self) -> list[Item]:
        """Return the items that are to have their turn once more before they are answered."""
        answered = [pair for done in self.done for pair in zip(done.items, done.replies, strict=True)]
        return [item for item, reply in answered if reply is AGAIN]


def weigh(item: Item) -> int:
    """Return how many rows an item may make."""
    return item.operation.weigh(item.event) if isinstance(item.operation, Bulk) else 1


def is_on_rows(operation: Any) -> bool:
    """Tell whether an operation works on rows that memory does not hold: whether it is a coroutine function."""
    code = getattr(operation, "__code__", None)
    return bool(code.co_flags & inspect.CO_COROUTINE) if code is not None else inspect.iscoroutinefunction(operation)


def settle(answer: asyncio.Future[Any], reply: Any) -> None:
    """Give an answer to whoever still waits for it, unless the turn is to come once more."""
    if answer.done() or reply is AGAIN:
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply)
        answer.exception()  # nobody may be waiting any more: an unread exception is no news
    else:
        answer.set_result(reply)
