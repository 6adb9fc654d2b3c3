"""The rules notice accounts assigned to the wrong worker, and loads that stay uneven."""

from __future__ import annotations

import pytest

from simulator.virtual.rules.evenness import Gain, Taker, find_overloaded, find_uneven


def take(load: int, *, most: int = 10, platforms: str = "xy") -> Taker:
    return Taker(load, most, tuple(platforms))


FREE, PINNED = Gain("a", "x", chosen=True), Gain("a", "x", chosen=False)


@pytest.mark.parametrize(
    ("gains", "lost", "other", "noticed"),
    [
        ([FREE], {}, take(3), False),
        ([FREE], {}, take(2), True),
        ([FREE, FREE], {}, take(2), True),
        ([PINNED], {}, take(2), False),
        ([FREE, PINNED], {}, take(2), False),
        ([FREE], {}, take(2, most=2), False),
        ([FREE], {}, take(2, platforms="y"), False),
        ([FREE, Gain("a", "y", chosen=True)], {}, take(2, platforms="x"), False),
        ([FREE, Gain("a", "y", chosen=True)], {}, take(1, platforms="x"), True),
        ([FREE], {"b": 1}, take(2), False),
        ([FREE], {"b": 1}, take(1), True),
        ([FREE], {"b": 1}, take(1, most=2), False),
        ([FREE, Gain("b", "x", chosen=True, kept="b")], {}, take(2), False),
        ([FREE, Gain("b", "x", chosen=True, kept="a")], {}, take(2), True),
    ],
)
def test_a_gain_is_judged_by_who_could_have_had_it(gains, lost, other, noticed):
    assert bool(list(find_overloaded(gains, lost, {"a": take(4), "b": other}))) is noticed


def test_a_gain_of_a_worker_that_is_gone_again_is_judged_by_nobody():
    assert list(find_overloaded([FREE], {}, {"b": take(0)})) == []


@pytest.mark.parametrize(
    ("other", "movable", "noticed"),
    [
        (take(2), [("a", "x")], True),
        (take(3), [("a", "x")], False),
        (take(2, most=2), [("a", "x")], False),
        (take(2, platforms="y"), [("a", "x")], False),
        (take(2), [], False),
        (take(2), [("gone", "x")], False),
    ],
)
def test_loads_are_uneven_if_an_account_could_be_moved(other, movable, noticed):
    assert bool(list(find_uneven({"a": take(4), "b": other}, movable))) is noticed
