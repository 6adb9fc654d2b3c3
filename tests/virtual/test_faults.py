"""Faults do what they claim: the invariants are tested with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import DAY, Plan
from simulator.virtual.run import play
from simulator.virtual.tools.seeds import Sums

FARM = replace(
    DAY,
    seed=3,
    workers=3,
    accounts=6,
    rate_per_s=1.0,
    monitor_interval_s=10,
    scan_delay_s=(1.0, 5.0),
)
FARM = replace(FARM, never_scan_rate=0.0, login_failure_rate=0.0)


@pytest.mark.parametrize("fault", ["flood", "mistaken_request", "resent_anyhow"])
def test_a_nuisance_happens_and_breaks_nothing(fault):
    outcome = play(Plan(3, FARM, 120.0, {fault: 15.0}))
    assert outcome.details == []
    assert outcome.faults[fault] > 2


def test_a_flood_is_answered_and_cheap():
    calm, flooded = play(Plan(3, FARM, 60.0)), play(Plan(3, FARM, 60.0, {"flood": 6.0}))
    assert flooded.faults["flood"] > 3
    assert flooded.details == []
    assert flooded.counts["checks"] <= calm.counts["checks"] + 5  # nothing of it reaches the file


def test_a_mistaken_request_is_refused_in_many_ways():
    refusals = play(Plan(3, FARM, 300.0, {"mistaken_request": 3.0})).refusals
    assert {
        "not_found",
        "method_not_allowed",
        "unknown_parameter",
        "invalid",
        "already_exists",
    } <= set(refusals)


def test_reports_are_sent_again_in_another_order():
    farm = replace(FARM, rate_per_s=3.0, monitor_interval_s=5, reports_at_once=4)
    outcome = play(Plan(3, farm, 200.0, {"resent_anyhow": 8.0}))
    assert outcome.details == []
    assert outcome.counts["resends"] > 15


def test_every_moment_of_a_kill_must_be_seen_sometimes():
    named = {name for name, _ in Sums().list_sometimes(["master_kill"])}
    assert {"killed idle", "killed start", "killed before_commit", "killed before_send"} <= named
    assert all(count == 0 for _, count in Sums().list_sometimes(list(FAULTS)))
