"""Whether the wall clock, which tells the age of rows, can be trusted."""

from __future__ import annotations

import pytest

from master.decisions.retention import (
    BUILT_AT,
    DAY_S,
    STEADY_S,
    STEP_S,
    Trust,
    find_passed,
    look_at_clocks,
)
from master.model import Device

NOW, MONOTONIC = 1_760_000_000.0, 1_000.0


@pytest.mark.parametrize(
    ("last_look", "trusted", "stepped_s"),
    [
        (None, True, 0),
        (NOW, True, 0),
        (NOW - STEADY_S, True, 0),
        (NOW - STEADY_S - 1, False, STEADY_S + 1),
        (NOW + STEP_S, True, 0),
        (NOW + STEP_S + 1, False, -STEP_S - 1),
        (NOW - 365 * DAY_S, False, 365 * DAY_S),
    ],
)
def test_a_start_believes_a_clock_that_stands_near_the_last_look(last_look, trusted, stepped_s):
    trust = look_at_clocks(None, last_look, NOW, MONOTONIC)
    assert (trust.is_trusted, trust.stepped_s) == (trusted, stepped_s)


@pytest.mark.parametrize("last_look", [None, 60, int(NOW)])
@pytest.mark.parametrize("now", [0.0, 120.0, BUILT_AT - 1.0])
def test_a_clock_before_the_program_was_written_is_never_believed(now, last_look):
    trust = look_at_clocks(None, last_look, now, MONOTONIC)
    assert (trust.is_trusted, trust.stepped_s) == (False, int(now - BUILT_AT))
    for _ in range(50):
        trust = look_at_clocks(trust, None, min(now, BUILT_AT - 3_600.0), trust.monotonic + 3_600)
        assert not trust.is_trusted
        assert trust.stepped_s == 0, "it is told once"
    set_right = look_at_clocks(trust, None, NOW, trust.monotonic + 3_600)
    assert not set_right.is_trusted
    assert set_right.stepped_s > 0
    assert look_at_clocks(set_right, None, NOW + DAY_S, set_right.monotonic + DAY_S).is_trusted


@pytest.mark.parametrize(
    ("step_s", "trusted"),
    [(0, True), (STEP_S, True), (-STEP_S, True), (STEP_S + 1, False), (-STEP_S - 1, False)],
)
def test_a_step_of_more_than_an_hour_is_doubted_either_way(step_s, trusted):
    before = Trust(NOW, MONOTONIC, MONOTONIC)
    trust = look_at_clocks(before, None, NOW + 7_200 + step_s, MONOTONIC + 7_200)
    assert trust.is_trusted is trusted
    assert trust.stepped_s == (0 if trusted else step_s)


def test_a_doubted_clock_is_believed_again_after_it_went_evenly_for_a_day():
    trust = look_at_clocks(Trust(NOW, MONOTONIC, MONOTONIC), None, NOW + DAY_S, MONOTONIC)
    for _ in range(24):
        assert not trust.is_trusted
        trust = look_at_clocks(trust, None, trust.now + 3_600, trust.monotonic + 3_600)
        assert trust.stepped_s == 0, "it is told once"
    assert trust.is_trusted


def device(name: str, seen_seq: int, last_seen_at: int) -> Device:
    return Device(name, None, None, seen_seq, last_seen_at, 0)


def test_what_the_slowest_active_device_has_passed_is_owed_to_none():
    devices = [device("a", 30, 100), device("b", 20, 101), device("gone", 1, 99)]
    assert find_passed(devices, 100) == 20
    assert find_passed(devices, 102) is None
