"""The rules notice accounts assigned to the wrong worker, and loads that stay uneven."""

from __future__ import annotations

import pytest

from simulator.virtual.rules.evenness import Gain, Taker, find_overloaded, find_uneven


def make_taker(load: int, *, most: int = 10, platforms: str = "xy") -> Taker:
    return Taker(load, most, tuple(platforms))


FREE, PINNED = Gain("a", "x", chosen=True), Gain("a", "x", chosen=False)


@pytest.mark.parametrize(
    ("gains", "lost", "other", "noticed"),
    [
        ([FREE], {}, make_taker(3), False),
        ([FREE], {}, make_taker(2), True),
        ([FREE, FREE], {}, make_taker(2), True),
        ([PINNED], {}, make_taker(2), False),
        ([FREE, PINNED], {}, make_taker(2), False),
        ([FREE], {}, make_taker(2, most=2), False),
        ([FREE], {}, make_taker(2, platforms="y"), False),
        ([FREE, Gain("a", "y", chosen=True)], {}, make_taker(2, platforms="x"), False),
        ([FREE, Gain("a", "y", chosen=True)], {}, make_taker(1, platforms="x"), True),
        ([FREE], {"b": 1}, make_taker(2), False),
        ([FREE], {"b": 1}, make_taker(1), True),
        ([FREE], {"b": 1}, make_taker(1, most=2), False),
        ([FREE, Gain("b", "x", chosen=True, kept="b")], {}, make_taker(2), False),
        ([FREE, Gain("b", "x", chosen=True, kept="a")], {}, make_taker(2), True),
    ],
)
def test_a_gain_is_judged_by_who_could_have_had_it(gains, lost, other, noticed):
    assert bool(list(find_overloaded(gains, lost, {"a": make_taker(4), "b": other}))) is noticed


def test_a_gain_of_a_worker_that_is_gone_again_is_not_judged():
    assert list(find_overloaded([FREE], {}, {"b": make_taker(0)})) == []


@pytest.mark.parametrize(
    ("other", "movable", "noticed"),
    [
        (make_taker(2), [("a", "x")], True),
        (make_taker(3), [("a", "x")], False),
        (make_taker(2, most=2), [("a", "x")], False),
        (make_taker(2, platforms="y"), [("a", "x")], False),
        (make_taker(2), [], False),
        (make_taker(2), [("gone", "x")], False),
    ],
)
def test_loads_are_uneven_if_an_account_could_be_moved(other, movable, noticed):
    assert bool(list(find_uneven({"a": make_taker(4), "b": other}, movable))) is noticed
