"""Silent workers: when one is overdue, when Master is the likely cause, how long a brake lasts."""

from __future__ import annotations

import pytest

from master.decisions.liveness import find_silent, is_more_likely_us, may_be_protected
from master.model import Stall

T = 30


@pytest.mark.parametrize(
    ("heard", "silent"), [(0, True), (69.9, True), (70, False), (100, False), (130, False)]
)
def test_silent_is_who_was_not_heard_for_longer_than_the_timeout(heard, silent):
    assert find_silent([("w", heard)], 100, T) == ["w"] * silent


@pytest.mark.parametrize(
    ("silent", "lately", "alive", "stalled", "braked"),
    [
        (0, 0, 5, True, False),
        (1, 0, 0, False, False),
        (2, 0, 0, False, False),
        (3, 0, 0, False, True),
        (2, 0, 1, False, True),
        (1, 0, 2, False, False),
        (2, 0, 2, False, False),
        (3, 0, 2, False, True),
        (1, 1, 1, False, True),
        (1, 0, 9, True, True),
    ],
)
def test_more_than_half_of_at_least_three_or_a_stall(silent, lately, alive, stalled, braked):
    lost = silent + lately
    assert is_more_likely_us(lost, lost + alive, stalled) is braked


@pytest.mark.parametrize(
    ("now", "stalls", "protected"),
    [
        (31, [], True),
        (90, [], True),
        (90.1, [], False),
        # it began when the worker was long silent: no more time is left
        (
            90.1,
            [(85, 90)],
            False,
        ),
        (90.1, [(31, 90)], False),
        # Master could not have heard the worker since before its deadline
        (90.1, [(30, 90)], True),
        (120, [(30, 90)], True),
        (120.1, [(30, 90)], False),
        (630, [(1, 600)], True),
        (630.1, [(1, 600)], False),
        (90.1, [(10, 15), (20, 25), (28, 33), (80, 88)], False),  # stalls again and again
        # the first stall was long, and ended less than a timeout ago
        (
            91,
            [(10, 61), (65, 90)],
            True,
        ),
        (91.1, [(10, 61), (65, 91)], False),
    ],
)
def test_no_brake_protects_a_worker_for_longer_than_three_timeouts_but_after_one_long_stall(
    now, stalls, protected
):
    assert may_be_protected(0, now, T, [Stall(*one) for one in stalls]) is protected
