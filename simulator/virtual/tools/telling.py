"""Prints virtual runs: one, a failing one, and many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from simulator.arguments import require_plots
from simulator.virtual.machine.commit import show_version
from simulator.virtual.run import Outcome
from simulator.virtual.tools.seeds import Sums

SHOWN = 10


def say(console: Console, line: str) -> None:
    """Print one line unchanged."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def tell_outcome(outcome: Outcome) -> list[str]:
    """Return the outcome of a run, line by line."""
    counts, speed = outcome.counts, outcome.simulated_s / max(0.001, outcome.wall_s)
    faults = sum(
        count
        for name, count in outcome.faults.items()
        if name != "heal" and not name.startswith("kill_")
    )
    return [
        f"seed {outcome.seed}: {outcome.simulated_s:,.0f} virtual s in {outcome.wall_s:,.1f} s, "
        f"{speed:,.0f} times real time",
        f"{counts.get('heartbeats', 0):,} heartbeats, "
        f"{counts.get('logins_succeeded', 0):,} logins, "
        f"{counts.get('messages_stored', 0):,} messages stored, "
        f"{counts.get('duplicates', 0):,} duplicates",
        f"{faults:,} faults, brakes: {counts.get('brakes', 0)}, "
        f"{sum(outcome.refusals.values()):,} refusals, "
        f"{counts.get('checks', 0):,} checks of all invariants",
        f"trace {outcome.trace_hash}",
    ]


def show_outcome(console: Console, outcome: Outcome, again: str, smaller: str = "") -> None:
    """Print the outcome of a run, and of a failing one what led to it."""
    verdict = (
        f"{outcome.violations} violations" if outcome.violations else "No invariant was violated."
    )
    for line in [*tell_outcome(outcome), verdict]:
        say(console, line)
    if outcome.violations:
        show_failure(console, outcome, again, smaller)


def show_failure(console: Console, outcome: Outcome, again: str, smaller: str = "") -> None:
    """Print the first violations, the events before them, and the commands to repeat the run."""
    lines = [f"seed {outcome.seed}, version {show_version()}, trace {outcome.trace_hash}"]
    lines += [
        f"  {one['at']:12.3f} {one['rule']}: {one['detail']}" for one in outcome.details[:SHOWN]
    ]
    if outcome.last_events:
        lines += [
            "before the first violation, events of the actors that it names:",
            *(f"  {e}" for e in outcome.last_events),
        ]
    lines.append(f"again: {again}")
    if smaller:
        lines.append(f"smaller: {smaller}")
    for line in lines:
        say(console, line)


def write_report(path: Path, outcome: Outcome) -> None:
    """Write the page with plots. Errors: ScenarioTrouble if plotly is not installed."""
    bad = [f"{one['at']:.3f} {one['rule']}: {one['detail']}" for one in outcome.details[:SHOWN]]
    require_plots().write_page(
        path, f"Virtual run, seed {outcome.seed}", tell_outcome(outcome), outcome.samples, bad=bad
    )


def say_progress(console: Console, sums: Sums, total: int) -> None:
    """Print one line of progress."""
    say(
        console,
        f"{sums.seeds:,} of {total:,} seeds, {sums.rate:.2f} per second, "
        f"{sums.simulated_s / 3600:,.1f} virtual hours, {len(sums.failed)} failed",
    )


def show_sometimes(console: Console, rows: Sequence[tuple[str, int]]) -> None:
    """Print what occurred, and how often."""
    table = Table("seen", "times", box=None, pad_edge=False)
    for what, times in rows:
        table.add_row(what, f"{times:,}")
    console.print(table)


def show_sums(sums: Sums, rows: Sequence[tuple[str, int]]) -> dict[str, object]:
    """Return the object that `--json` prints for many seeds."""
    return {
        "seeds": sums.seeds,
        "stopped": sums.stopped,
        "failed_seeds": {str(outcome.seed): outcome.trace_hash for outcome in sums.failed},
        "failed": [outcome.to_wire() for outcome in sums.failed[:SHOWN]],
        "violations": sum(outcome.violations for outcome in sums.failed),
        "simulated_s": round(sums.simulated_s, 1),
        "wall_s": round(sums.wall_s, 1),
        "seeds_per_s": round(sums.rate, 3),
        "speed": round(sums.simulated_s / sums.wall_s, 1) if sums.wall_s else None,
        "events": dict(sorted(sums.events.items())),
        "refusals": dict(sorted(sums.refusals.items())),
        "faults": dict(sorted(sums.faults.items())),
        "sometimes": dict(rows),
    }
