"""`python -m loadtest attack`: attack a new Master with each attack and print the costs.

The exit code is 1 if a cost exceeds its budget.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loadtest.attack import http as http_edge
from loadtest.attack.acts import ACTS as SOCKETS
from loadtest.attack.acts import MIB, Act, Stage
from loadtest.attack.peers import make_secret
from loadtest.bench.process import raise_file_limit
from loadtest.target import ROOT, Target, TargetFailed, ask

ACTS = (*SOCKETS, *http_edge.ACTS)

LIMIT_S = 600.0
"""The longest that one attack may take."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The costs of an attack. `wait_ms` and `new_ms` are the longest waits of another process, over
    a standing connection and over new ones.
    """

    name: str
    finding: str
    attacker: str
    does: str
    wait_ms: float
    new_ms: float
    growth_mib: float
    left_mib: float
    held: int | None
    log_bytes: int
    notes: dict[str, float]
    exceeded: list[str] = field(default_factory=list)


class Probe:
    """The process that requests /health/live."""

    def __init__(self, target: Target, token: str) -> None:
        self._child = subprocess.Popen(  # noqa: S603
            [
                sys.executable,
                "-m",
                "loadtest.attack.probe",
                str(target.port),
                str(target.pid),
                token,
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        if self._child.stdout.readline().strip() != "ready":
            raise TargetFailed("the probe did not start")

    def stop(self) -> dict[str, float]:
        """End the process and return its figures."""
        said, _ = self._child.communicate("", timeout=LIMIT_S)
        found: dict[str, float] = json.loads(said)
        return found


def read_plan(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest attack", description=__doc__)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object as the last line"
    )
    parser.add_argument(
        "--only", metavar="NAME,...", help=f"of {', '.join(act.name for act in ACTS)}"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="the checkout whose Master is attacked"
    )
    plan = parser.parse_args(arguments)
    wanted = plan.only.split(",") if plan.only else [act.name for act in ACTS]
    if unknown := set(wanted) - {act.name for act in ACTS}:
        parser.error(f"there is no attack called {', '.join(sorted(unknown))}")
    plan.acts = [act for act in ACTS if act.name in wanted]
    return plan


def play(act: Act, *, size: float = 1.0, root: Path = ROOT) -> Cost:
    """Play an attack against a new Master and return its costs. Errors: TargetFailed."""
    tokens = {kind: make_secret() for kind in ("worker", "admin", "client")}
    operator = make_secret()
    settings = {
        "WORKER_TOKENS": f"*:{tokens['worker']}",
        "ADMIN_TOKENS": f"reader:{tokens['admin']}:read,operator:{operator}:operate",
        "CLIENT_TOKENS": f"phone:{tokens['client']}",
        "LOG_LEVEL": "info",
        "APP_ENV": "production",
        "HTTP_REQUESTS_PER_S": "200",
    }
    with Target(settings=settings, root=root) as target:
        stage = Stage(target.port, tokens, _make_account(target, operator), size)
        logged, probe = _count_log(target), Probe(target, tokens["admin"])
        try:
            asyncio.run(asyncio.wait_for(act.play(stage), LIMIT_S))
        finally:
            seen = probe.stop()
        log_bytes = _count_log(target) - logged
    cost = Cost(
        act.name,
        act.finding,
        act.attacker,
        act.does,
        wait_ms=seen["longest_s"] * 1000,
        new_ms=seen["new_s"] * 1000,
        growth_mib=(seen["peak"] - seen["before"]) / MIB,
        left_mib=(seen["after"] - seen["before"]) / MIB,
        held=stage.held,
        log_bytes=log_bytes,
        notes=stage.notes,
    )
    cost.exceeded.extend(judge(act, cost))
    return cost


def judge(act: Act, cost: Cost) -> list[str]:
    """Return the names of the figures over the budget."""
    budget = act.budget
    pairs = (
        ("wait", cost.wait_ms, budget.wait_ms),
        ("new", cost.new_ms, budget.new_ms or budget.wait_ms),
        ("growth", cost.growth_mib, budget.growth_mib),
        ("held", cost.held or 0, budget.held),
        ("log", cost.log_bytes, budget.log_bytes),
    )
    return [name for name, figure, most in pairs if most is not None and figure > most]


def _make_account(target: Target, token: str) -> str:
    body = {"platform": "douyin", "account_name": "one"}
    return str(
        ask("127.0.0.1", target.port, "POST", "/api/v1/accounts", body, token)["account"]["id"]
    )


def _count_log(target: Target) -> int:
    """Return how many bytes Master has logged."""
    return sum(path.stat().st_size for path in (target.db_path.parent / "logs").glob("master.log*"))


def render(costs: Sequence[Cost]) -> str:
    """Return the table."""
    names = f"{'wait ms':>9}{'new ms':>8}{'growth MiB':>12}{'left MiB':>10}{'held':>6}{'log kB':>8}"
    lines = [f"{'attack':<14}{'':<5}{'by':<10}{names}  budget"]
    for cost in costs:
        held = "" if cost.held is None else str(cost.held)
        notes = ", ".join(f"{name} {figure:.0f}" for name, figure in cost.notes.items())
        lines += [
            f"{cost.name:<14}{cost.finding:<5}{cost.attacker:<10}"
            f"{cost.wait_ms:>9.0f}{cost.new_ms:>8.0f}"
            f"{cost.growth_mib:>12.1f}{cost.left_mib:>10.1f}{held:>6}"
            f"{cost.log_bytes / 1000:>8.1f}  "
            + (f"EXCEEDED: {', '.join(cost.exceeded)}" if cost.exceeded else "kept"),
            f"    {cost.does} ({notes})",
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Play the attacks and return the exit code."""
    plan = read_plan(arguments)
    raise_file_limit()
    costs = []
    for act in plan.acts:
        try:
            costs.append(play(act, root=plan.root))
        except TargetFailed as fault:
            print(f"{act.name}: {fault}", file=sys.stderr)
            return 2
        print(render(costs[-1:]) if not plan.json else act.name, file=sys.stderr, flush=True)
    print(render(costs))
    if plan.json:
        print(json.dumps({"attacks": [asdict(cost) for cost in costs]}))
    return 1 if any(cost.exceeded for cost in costs) else 0
