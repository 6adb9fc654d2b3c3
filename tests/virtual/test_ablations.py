"""An ablation removes one safeguard only: without faults, no rule notices."""

from __future__ import annotations

import pytest

from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import plan_swarm
from simulator.virtual.run import play
from simulator.virtual.tools.ablations import ABLATIONS

NEEDED_EVERY_DAY = {
    "dedup_key": "workers offer some messages twice, whatever happens",
    "restart_grace": "every run ends with a restart of Master",
    "handover_wait": "accounts change hands because workers come, and for the sake of even loads",
    "capacity_check": "some farms have more accounts than their workers have places",
    "timeline": "accounts get their first workers",
    "may_move": "accounts are moved for the sake of even loads while others are being logged in",
}
"""Safeguards whose removal breaks a rule even without faults, and why."""

SOON = (
    ("stall_check", ("master_stall", "worker_freeze"), "evicted_after_stall", 2),
    (
        "deadline_check",
        ("edge_scans", "disk_slow", "slow_link", "clock_step"),
        "taken_after_deadline",
        8,
    ),
    ("login_owner_check", ("impostor",), "success_of_another", 4),
    ("holder_check", ("impostor",), "foreign_fact", 19),
    ("memory_after_commit", ("disk_io_commit", "disk_full"), "memory_differs", 13),
    ("restart_grace", ("master_kill",), "grace_missed", 0),
    ("hold_end", ("stalls_again", "worker_freeze"), "brake_held", 7),
    ("holders", ("silent_crowd",), "brake_held", 2),
    ("drain_end", ("drained_by_hand", "moved_by_hand"), "drain_never_ended", 8),
    ("planned_moves", ("planned_by_hand",), "plan_differs", 2),
    ("stale_socket_check", ("late_close", "impostor"), "ghost_socket", 2),
    ("states_stored", ("logged_out",), "status_lost", 0),
    ("forgiveness", ("odd_fields",), "fact_lost", 10),
    ("edits", ("edited",), "fact_lost", 0),
    ("conversations", ("same_id",), "fact_lost", 2),
    ("identity_check", ("wrong_phones",), "identity_taken", 0),
)
"""Safeguards, faults under which their removal is soon noticed, the rule that notices, and a seed
that did so when the line was written: it is played first."""


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name not in NEEDED_EVERY_DAY])
def test_without_faults_nothing_misses_a_safeguard(name):
    for seed in range(2):
        with ABLATIONS[name].off():
            assert play(plan_swarm(seed, ())).details == []


@pytest.mark.parametrize("name", NEEDED_EVERY_DAY)
def test_what_is_needed_every_day_is_missed_without_faults(name):
    for seed in range(8):
        with ABLATIONS[name].off():
            if play(plan_swarm(seed, ())).details:
                return
    pytest.fail(f"no seed needed {name} without faults")


@pytest.mark.parametrize(("name", "faults", "rule", "known"), SOON)
def test_under_its_faults_a_safeguard_is_missed_by_the_rule_about_it(name, faults, rule, known):
    assert set(faults) <= set(FAULTS)
    for seed in (known, *range(80)):
        with ABLATIONS[name].off():
            outcome = play(plan_swarm(seed, faults))
        if rule in {str(detail["rule"]) for detail in outcome.details}:
            return
    pytest.fail(f"no seed noticed by {rule} that {name} is away")
