"""Durations: percentiles within five percent, in a fixed amount of memory."""

from __future__ import annotations

import pytest

from master.clock import ManualClock
from simulator.display.view import Rates
from simulator.truth.histogram import BUCKETS, Histogram
from simulator.truth.tally import Tally


def filled(*durations: float) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    return histogram


def test_no_durations_have_no_percentile():
    assert filled().show_ms() == {"p50": None, "p95": None, "p99": None, "max": None}


def test_one_duration_is_every_percentile():
    assert filled(0.0123).show_ms() == dict.fromkeys(("p50", "p95", "p99", "max"), 12.3)


@pytest.mark.parametrize("percent", [1, 50, 95, 99, 100])
def test_percentiles_are_right_to_five_percent(percent):
    histogram = filled(*(number / 1000 for number in range(1, 1001)))
    assert histogram.find_percentile(percent) == pytest.approx(percent / 100, rel=0.05)


def test_no_percentile_is_above_the_greatest_duration():
    histogram = filled(0.1, 0.2, 0.3001)
    assert histogram.find_percentile(100) == 0.3001


@pytest.mark.parametrize("duration", [0.0, 1e-9, 119.0, 10_000.0])
def test_durations_at_and_past_the_ends_are_counted(duration):
    histogram = filled(duration)
    assert histogram.count == 1
    assert histogram.max_s == duration
    assert BUCKETS == 290


def test_latencies_are_sorted_by_what_was_said():
    tally = Tally(ManualClock())
    for event in (
        "worker:heartbeat",
        "worker:message:detected",
        "worker:login:status",
        "client:register",
    ):
        tally.note_latency(event, 0.01)
    assert {kind: histogram.count for kind, histogram in tally.latency.items()} == {
        "all": 4,
        "heartbeat": 1,
        "message": 1,
        "login": 1,
        "other": 1,
    }


def test_the_rush_of_leaving_is_no_latency():
    tally = Tally(ManualClock())
    tally.leaving = True
    tally.note_latency("worker:goodbye", 5.0)
    assert tally.latency["all"].count == 0


def test_rates_are_those_of_the_last_five_seconds():
    rates, total = Rates(), 0
    for frame in range(200):
        total += 1 if frame < 100 else 3
        latest = rates.sample(frame * 0.25, total)
    assert latest == [12.0]
    assert Rates().sample(0.0, 5, 6) == [0.0, 0.0]
