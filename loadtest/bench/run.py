"""`python -m loadtest bench`: Master's costs, beside a Node server of the source document's design.

Both sides are measured in turn (A B A B ...) under the same load in the same run; the tables have
medians over the rounds. Times have no threshold: the exit code is 0 unless a measurement breaks or
its result is wrong.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from loadtest.bench.onwire import ON_WIRE, measure_on_wire
from loadtest.bench.plan import IN_PROCESS, SCALE, BenchPlan, read_bench_plan
from loadtest.bench.process import BenchFailed, ask_version, describe_cpu, raise_file_limit
from loadtest.bench.report import (
    Findings,
    find_limited,
    show_figures,
    show_machine,
    show_scales,
    to_json,
)
from loadtest.bench.scale import Inside, measure_in_process, measure_scale
from loadtest.bench.sides import NodePeer, Ours, RemotePeer, Side, install_peer

VERSIONS = "import platform, sqlite3; print(platform.python_version(), sqlite3.sqlite_version)"


def say(line: str) -> None:
    """Print progress to standard error."""
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench that the command line names and return the exit code."""
    plan = read_bench_plan(arguments)
    raise_file_limit()
    findings = Findings(tell=say)
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the children too
    try:
        with tempfile.TemporaryDirectory(prefix="master-bench-") as folder:
            run_bench(plan, Path(folder), findings)
    except BenchFailed as fault:
        findings.faults.append(str(fault))
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, former)
    print(show_findings(findings))
    if plan.json:
        print(json.dumps(to_json(findings)))
    return 1 if findings.faults else 0


def run_bench(plan: BenchPlan, folder: Path, findings: Findings) -> None:
    """Measure everything that the plan names. Errors: BenchFailed if a side is missing."""
    ours = Ours(plan.root, plan.python, folder)
    peer = find_peer(plan)
    sides: list[Side] = [ours, peer] if peer is not None else [ours]
    inside = Inside(ours, plan, folder)
    findings.machine = describe_machine(plan, peer)
    for number in range(1, plan.rounds + 1):
        findings.tell(f"round {number} of {plan.rounds}")
        if IN_PROCESS in plan.parts:
            attempt(findings, IN_PROCESS, partial(measure_in_process, inside, plan, findings))
        for part in (part for part in ON_WIRE if part in plan.parts):
            for side in sides:
                measure = partial(measure_on_wire, part, side, plan, findings)
                attempt(findings, f"{part}, {side.name}", measure)
    for scale in plan.scales if SCALE in plan.parts else ():
        attempt(
            findings,
            f"scale {scale.accounts}",
            partial(measure_scale, inside, ours, scale, findings),
        )


def attempt(findings: Findings, title: str, measure: Callable[[], None]) -> None:
    """Run one measurement; if it breaks, note the fault and go on."""
    try:
        measure()
    except BenchFailed as fault:
        findings.faults.append(f"{title}: {fault}")
        findings.tell(f"FAILED {title}: {fault}")


def find_peer(plan: BenchPlan) -> Side | None:
    """Return the plan's peer, installed if need be; None without one. Errors: BenchFailed."""
    if plan.peer is None or not set(plan.parts) & set(ON_WIRE):
        return None
    if plan.peer != "auto":
        return RemotePeer(plan.peer)
    say("installing the Node peer, if it is not installed yet")
    return NodePeer(install_peer())


def describe_machine(plan: BenchPlan, peer: Side | None) -> dict[str, str | int | None]:
    """Return the context of the figures: machine, versions, date, commit."""
    versions = (ask_version(plan.python, "-c", VERSIONS) or "? ?").split()
    git = ("git", "-C", str(plan.root))
    changed = ask_version(*git, "status", "--porcelain")
    commit = ask_version(*git, "rev-parse", "--short", "HEAD")
    machine: dict[str, str | int | None] = {
        "cpu": describe_cpu(),
        "cores": os.cpu_count(),
        "python": versions[0],
        "sqlite": versions[1],
        "commit": f"{commit} with changes" if commit and changed else commit,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    if peer is not None:
        with peer.open(0) as server:
            found = server.ask("GET", "/health/ready")
        for name, title in (
            ("node", "node"),
            ("sqlite", "node's sqlite"),
            ("socket_io", "socket.io"),
        ):
            machine[title] = found.get(name)
    return machine


def show_findings(findings: Findings) -> str:
    """Return the whole report as plain text."""
    parts = [
        show_machine(findings.machine),
        show_figures(findings),
        show_scales(findings.scales),
        "\n".join(f"LIMITED {line}" for line in find_limited(findings)),
        "\n".join(f"FAILED {fault}" for fault in findings.faults),
    ]
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    sys.exit(main())
