"""Whole virtual runs: nothing violated, and the same seed twice is the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.virtual.plan import DAY, plan_run
from simulator.virtual.run import play

ROOT = Path(__file__).parents[2]
SMALL = replace(DAY, workers=6, accounts=18, rate_per_s=1.0, monitor_interval_s=20)

PLAY = """
import json
from simulator.virtual.plan import plan_swarm
from simulator.virtual.run import play
outcome = play(plan_swarm({seed}, hours=0.05))
print(json.dumps([outcome.trace_hash, outcome.violations]))
"""


def play_elsewhere(seed: int, hash_seed: int) -> list:
    """Play a seed in a process of its own, in which sets and dictionaries hash otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", PLAY.format(seed=seed)],
        cwd=ROOT, env={"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_quarter_of_an_hour_with_crashing_workers_violates_nothing():
    outcome = play(plan_run(SMALL, 0.25, ["worker_crash"]))
    assert outcome.details == []
    assert outcome.simulated_s > 900
    assert outcome.faults["worker_crash"] > 0
    assert outcome.counts["messages_stored"] > 100
    assert outcome.counts["logins_succeeded"] > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_is_a_run_whatever_process_plays_it(seed):
    assert play_elsewhere(seed, 0) == play_elsewhere(seed, 12_345)


def test_another_seed_is_another_run():
    assert play_elsewhere(1, 0)[0] != play_elsewhere(2, 0)[0]
