"""The queue of new connections: admitted at once or in order, or refused past its limit."""

from __future__ import annotations

import asyncio

import pytest

from master.budgets import OPENING_WAIT_S, STRANGERS_PER_ADDRESS
from master.clock import ManualClock
from master.errors import TooManyRequests
from master.openings import Openings

HERE, THERE = "10.0.0.1", "10.0.0.2"


def make(per_s: float = 10, **limits: int) -> tuple[ManualClock, Openings]:
    clock = ManualClock()
    return clock, Openings(clock, per_s, **limits)


def admit_all(openings: Openings, address: str) -> None:
    while openings.admit_at_once(address):
        pass


def test_an_address_has_so_many_turns_at_once_and_each_address_its_own() -> None:
    _, openings = make()
    assert (
        sum(openings.admit_at_once(HERE) for _ in range(STRANGERS_PER_ADDRESS + 10))
        == STRANGERS_PER_ADDRESS
    )
    assert openings.admit_at_once(THERE)


def test_no_limit_is_none() -> None:
    _, openings = make(0)
    assert all(openings.admit_at_once(HERE) for _ in range(10 * STRANGERS_PER_ADDRESS))


async def test_turns_come_in_order_as_somebody_becomes_known() -> None:
    _, openings = make()
    admit_all(openings, HERE)
    turns = [openings.queue(HERE) for _ in range(3)]
    openings.refund(HERE)
    assert [turn.done() for turn in turns] == [True, False, False]
    assert not openings.admit_at_once(HERE), "those that wait come first"
    openings.refund(HERE)
    openings.refund(HERE)
    assert [turn.result() for turn in turns] == [True, True, True]
    assert len(openings) == 0


async def test_turns_come_by_themselves_with_time() -> None:
    clock, openings = make(1_000)
    admit_all(openings, HERE)
    turn = openings.queue(HERE)
    clock.advance(1)
    assert await turn


async def test_one_that_went_away_is_skipped_and_costs_nothing() -> None:
    _, openings = make()
    admit_all(openings, HERE)
    gone, cancelled, stays = (openings.queue(HERE) for _ in range(3))
    openings.drop(HERE, gone)
    cancelled.cancel()
    openings.drop(HERE, cancelled)
    assert gone.result() is False
    assert len(openings) == 1
    openings.refund(HERE)
    assert stays.result() is True
    openings.drop(HERE, stays)
    assert not openings.admit_at_once(HERE)
    assert len(openings) == 0


async def test_no_more_wait_at_an_address_than_have_a_turn_in_time() -> None:
    _, openings = make(10)
    admit_all(openings, HERE)
    for _ in range(10 * OPENING_WAIT_S):
        openings.queue(HERE)
    with pytest.raises(TooManyRequests) as refused:
        openings.queue(HERE)
    assert refused.value.retry_after_ms == OPENING_WAIT_S * 1_000


async def test_the_address_that_waits_for_most_makes_room_for_others() -> None:
    _, openings = make(10, most_waiting=4)
    admit_all(openings, HERE)
    admit_all(openings, THERE)
    turns = [openings.queue(HERE) for _ in range(4)]
    with pytest.raises(TooManyRequests):
        openings.queue(HERE)
    others = [openings.queue(THERE) for _ in range(2)]
    assert [turn.done() for turn in turns] == [False, False, True, True]
    assert turns[3].result() is False
    assert [turn.done() for turn in others] == [False, False]
    assert len(openings) == 4


async def test_all_that_wait_come_by_themselves_though_the_first_has_gone() -> None:
    clock, openings = make(1_000)
    admit_all(openings, HERE)
    turns = [openings.queue(HERE) for _ in range(50)]
    openings.drop(HERE, turns[0])
    clock.advance(1)
    assert all(await asyncio.gather(*turns[1:]))
    assert len(openings) == 0
    assert openings.admit_at_once(HERE), "no queue is left behind"
