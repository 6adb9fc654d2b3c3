"""The writer's queue: each kind of caller has a share, and they alternate."""

from __future__ import annotations

import asyncio
from typing import Any

from master.batch import Item, Waiting
from master.turn import Bulk, Caller


async def nothing(batch: Any, turn: Any) -> list[Any]:
    return []


HEAVY = Bulk(nothing, weigh=lambda event: int(event.partition(" ")[2]))


def make_item(kind: str, name: str) -> Item:
    future = asyncio.get_running_loop().create_future()
    return Item(HEAVY, name, Caller(kind), future)


def pop(waiting: Waiting, most: int = 4, most_weight: int = 100) -> list[str]:
    return [item.event for item in waiting.pop_batch(most, most_weight)]


async def test_one_kind_of_caller_fills_its_own_share_alone() -> None:
    waiting = Waiting(3)
    while waiting.has_room("admin"):
        waiting.put(make_item("admin", "a 1"))
    assert len(waiting) == 3
    assert waiting.has_room("worker")
    assert Waiting(0).has_room("admin")


async def test_kinds_have_their_turns_and_a_batch_keeps_the_order_of_arrival() -> None:
    waiting = Waiting(100)
    for number in range(6):
        waiting.put(make_item("admin", f"a{number} 1"))
    waiting.put(make_item("worker", "w0 1"))
    waiting.put(make_item("worker", "w1 1"))
    assert pop(waiting) == ["a0 1", "a1 1", "w0 1", "w1 1"]
    assert pop(waiting) == ["a2 1", "a3 1", "a4 1", "a5 1"]
    assert len(waiting) == 0


async def test_a_kind_whose_events_fill_a_batch_each_leaves_the_next_batch_to_others() -> None:
    waiting = Waiting(100)
    for number in range(3):
        waiting.put(make_item("worker", f"w{number} 100"))
    waiting.put(make_item("admin", "a0 1"))
    assert [pop(waiting) for _ in range(4)] == [["w0 100"], ["a0 1"], ["w1 100"], ["w2 100"]]


async def test_what_is_put_first_comes_before_everything_else() -> None:
    waiting = Waiting(100)
    waiting.put(make_item("worker", "w0 1"))
    waiting.put_first([make_item("sweep", "s0 1"), make_item("sweep", "s1 500")])
    assert pop(waiting) == ["s0 1"]
    assert pop(waiting) == ["s1 500"]
    assert pop(waiting) == ["w0 1"]
