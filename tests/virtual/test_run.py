"""Whole virtual runs: no violations, and the same seed gives the same run twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import DAY, plan_run
from simulator.virtual.run import play

ROOT = Path(__file__).parents[2]
SMALL = replace(DAY, workers=6, accounts=18, rate_per_s=1.0, monitor_interval_s=20)

PLAY = """
import json
from simulator.virtual.plan import plan_swarm
from simulator.virtual.run import play
outcomes = [play(plan_swarm(seed, hours=0.02)) for seed in range(20)]
print(json.dumps([[outcome.trace_hash, outcome.details] for outcome in outcomes]))
"""


def play_elsewhere(hash_seed: int) -> list:
    """Play twenty seeds in a process with another hash seed for sets and dictionaries."""
    done = subprocess.run(
        [sys.executable, "-c", PLAY],
        cwd=ROOT, env={"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=600, check=False,
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


def test_a_seed_is_a_run_whatever_process_plays_it_and_another_seed_is_another():
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(play_elsewhere, (0, 12_345))
    assert first == second
    assert len({trace_hash for trace_hash, _ in first}) == 20
    assert [details for _, details in first if details] == []


def find_rules() -> set[str]:
    """Return the names of all rules of a run."""
    sources = list((ROOT / "simulator").rglob("*.py"))
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(sources))
    return set(re.findall(r'(?:complain\(|\(\(|return |yield \(?)\s*"([a-z]+(?:_[a-z]+)*)",', text))


def test_the_manual_names_only_rules_and_faults_that_there_are_and_every_fault():
    text = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    tables = text[text.index("## What must hold") : text.index("## Ablations")]
    rows = [line.split("|") for line in tables.splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`([a-z]+(?:_[a-z]+)*)`", "|".join(row))}
    assert named - find_rules() - set(FAULTS) == set()
    assert set(FAULTS) - named == set()
    rules = ROOT / "simulator" / "virtual" / "rules"
    laboratory = "".join(path.read_text(encoding="utf-8") for path in rules.glob("*.py"))
    assert set(re.findall(r'complain\(\s*"([a-z_]+)"', laboratory)) - named == set()
