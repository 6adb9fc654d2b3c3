"""What the field does to a farm, as faults: each happens, breaks nothing, and is told by a rule."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest

from simulator.virtual.faults import FAULTS, FIELD_FAULTS, LATER_FAULTS
from simulator.virtual.machine.loop import run_virtually
from simulator.virtual.machine.network import Pipe
from simulator.virtual.plan import DAY, Plan, plan_swarm
from simulator.virtual.run import play
from simulator.virtual.tools.ablations import ABLATIONS

FARM = replace(
    DAY,
    seed=3,
    workers=2,
    accounts=4,
    rate_per_s=1.0,
    monitor_interval_s=10,
    admin_look_s=1.0,
    scan_delay_s=(1.0, 5.0),
    never_scan_rate=0.0,
    login_failure_rate=0.0,
)
TOGETHER = (
    ("logged_out", "captcha", "banned", "restricted"),
    ("odd_fields", "edited", "same_id"),
    ("histories", "short_cookies", "slow_uplink", "stuck_browser"),
    ("wrong_phones",),
)
"""Faults that are played in one run, so that the test is short."""


@pytest.mark.parametrize("faults", TOGETHER, ids=" ".join)
def test_faults_of_the_field_happen_and_no_fact_is_lost(faults):
    outcome = play(Plan(3, FARM, 120.0, dict.fromkeys(faults, 15.0)))
    assert outcome.details == []
    assert set(faults) <= set(outcome.faults)
    if "logged_out" in faults:
        assert outcome.counts["states_told"] > 0
    if "wrong_phones" in faults:
        assert outcome.counts["mismatches"] > 0


def test_every_fault_of_the_field_is_played():
    assert {name for faults in TOGETHER for name in faults} == set(FIELD_FAULTS)


def test_new_faults_come_last_and_change_no_older_plan():
    assert list(FAULTS)[-len(LATER_FAULTS) :] == list(LATER_FAULTS)
    older = tuple(name for name in FAULTS if name not in LATER_FAULTS)
    for seed in range(20):
        plan, before = plan_swarm(seed), plan_swarm(seed, older)
        assert (plan.scenario, plan.chaos_s, plan.settings) == (
            before.scenario,
            before.chaos_s,
            before.settings,
        )
        assert {name: plan.gaps_s[name] for name in before.gaps_s} == before.gaps_s


def test_people_must_be_told_of_accounts_without_a_worker():
    crowded = Plan(3, replace(FARM, workers=1, max_accounts=2), 120.0)
    assert play(crowded).details == []
    with ABLATIONS["unplaced_told"].off():
        rules = {str(one["rule"]) for one in play(crowded).details}
    assert rules == {"unplaced_untold"}


def test_a_narrow_line_carries_its_frames_in_order_and_all_at_once_when_it_is_wide_again():
    arrived: list[tuple[float, object]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        pipe = Pipe(loop, Random(1), (0.0, 0.0))
        pipe.deliver = lambda frame: arrived.append((round(loop.time(), 1), frame))
        began = loop.time()
        pipe.narrow(10.0)
        for frame in ("a" * 20, "b" * 10, "c" * 1_000):
            pipe.put(frame)
        await asyncio.sleep(5.0)
        pipe.narrow(None)
        pipe.put("d")
        await asyncio.sleep(1.0)
        assert [at - round(began, 1) for at, _ in arrived] == [2.0, 3.0, 5.0, 5.0]

    run_virtually(main, lambda _: None)
    assert [str(frame)[0] for _, frame in arrived] == ["a", "b", "c", "d"]
