"""The messages of each minute: counted ones, unknown ones, and a clock that is set."""

from __future__ import annotations

from master.minutes import KEPT, Minutes, name_minute

NOW = 1_760_000_040.0
"""Twenty seconds before the end of a minute."""


def begun(now: float = NOW) -> Minutes:
    minutes = Minutes()
    minutes.begin(now)
    return minutes


def test_minutes_before_the_start_are_unknown_and_quiet_ones_have_no_message():
    minutes = begun()
    minutes.begin(NOW - 600)  # loaded anew: counting goes on
    minutes.add({name_minute(NOW): 3})
    assert minutes.list_counts(NOW + 120) == [None] * (KEPT - 3) + [3, 0, 0]


def test_numbers_of_one_minute_add_up_and_leave_after_an_hour():
    minutes = begun()
    first = name_minute(NOW)
    minutes.add({first: 1})
    minutes.add({first: 2, first + 1: 5})
    assert minutes.list_counts(NOW + 60)[-2:] == [3, 5]
    assert minutes.list_counts(NOW + 59 * 60)[:2] == [3, 5]
    assert minutes.list_counts(NOW + 60 * 60)[:2] == [5, 0]
    minutes.add({first + KEPT: 7})
    assert minutes.list_counts(NOW + 60 * 60) == [5, *[0] * (KEPT - 2), 7]


def test_a_clock_that_is_set_back_counts_on_and_one_set_forward_forgets():
    minutes = begun()
    minutes.add({name_minute(NOW): 2})
    assert minutes.list_counts(NOW - 300) == [None] * (KEPT - 1) + [0]
    minutes.add({name_minute(NOW - 300): 4})
    assert minutes.list_counts(NOW)[-6:] == [4, 0, 0, 0, 0, 2]
    assert minutes.list_counts(NOW + 86_400) == [0] * KEPT


def test_before_the_farm_is_loaded_nothing_is_known():
    assert Minutes().list_counts(NOW) == [None] * KEPT
