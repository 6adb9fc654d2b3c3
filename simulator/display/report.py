"""A run's output: one JSON object, a summary, and in `view.py` the live terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from master.model import JsonObject
from simulator.scenario import Scenario
from simulator.truth.ledger import Ledger
from simulator.truth.tally import Tally

SHOWN_VIOLATIONS = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows in Master's HTTP lists at the end of a run; 0 if the lists could not be read."""

    messages: int = 0
    notifications: int = 0


def build_result(
    scenario: Scenario, tally: Tally, ledger: Ledger, produced: int, listed: Listed, lasted_s: float
) -> JsonObject:
    """Return the figures for `--json`; latencies are milliseconds, `violations` is a count."""
    counts = tally.counts
    return {
        "workers": scenario.workers,
        "heartbeats": counts.heartbeats,
        "logins": counts.logins_succeeded,
        "messages": listed.messages,
        "notifications": listed.notifications,
        "violations": ledger.violation_count,
        "violation_details": [asdict(violation) for violation in ledger.violations],
        "latency_ms": tally.latency["all"].show_ms(),
        "latency_ms_by_event": {
            name: {**histogram.show_ms(), "count": histogram.count}
            for name, histogram in tally.latency.items()
        },
        "accounts": tally.count_accounts(),
        "duplicates": counts.duplicates,
        "messages_produced": produced,
        "ownership_overlaps": ledger.ownership.overlaps,
        "counts": asdict(counts),
        "seed": scenario.seed,
        "duration_s": round(lasted_s, 3),
    }


def draw_summary(result: JsonObject) -> RenderableType:
    """Return the summary table of a run."""
    counts, latency = result["counts"], result["latency_ms_by_event"]
    table = Table(
        title=f"seed {result['seed']}, {result['duration_s']:.0f} s",
        title_justify="left",
        min_width=60,
    )
    for name, align in (("", "left"), ("", "right"), ("", "left")):
        table.add_column(name, justify=align)  # type: ignore[arg-type]
    table.show_header = False
    for row in _list_figures(result, counts):
        table.add_row(*row)
    table.add_section()
    for name in ("heartbeat", "message", "login", "all"):
        figures = latency[name]
        table.add_row(f"acknowledged: {name}", f"{figures['count']:,}", _show_latency(figures))
    return Group(table, *draw_violations(result))


def _list_figures(result: JsonObject, counts: dict[str, int]) -> list[tuple[str, str, str]]:
    accounts = result["accounts"]
    failed, expired, cancelled = (
        counts[f"logins_{how}"] for how in ("failed", "expired", "cancelled")
    )
    return [
        (
            "workers",
            f"{result['workers']:,}",
            f"{counts['reconnects']} reconnects, {counts['crashes']} crashes, "
            f"{counts['lapses']} stopped by themselves",
        ),
        ("heartbeats", f"{result['heartbeats']:,}", f"{counts['heartbeats_lost']} lost"),
        ("accounts", f"{sum(accounts.values()):,}", f"{accounts['logged_in']} logged in"),
        (
            "logins",
            f"{result['logins']:,}",
            f"{failed} failed, {expired} expired, {cancelled} cancelled",
        ),
        (
            "mishaps of the field",
            f"{counts['mishaps']:,}",
            f"{counts['states_told']} states of accounts told, {counts['mismatches']} logins of "
            "another person",
        ),
        (
            "messages stored",
            f"{result['messages']:,}",
            f"{counts['messages_acknowledged']:,} acknowledged, {result['duplicates']} duplicates",
        ),
        (
            "notifications",
            f"{result['notifications']:,}",
            f"delivered {counts['admin_notifications']:,} times to admins, "
            f"{counts['client_notifications']:,} to devices",
        ),
    ]


def _show_latency(figures: dict[str, Any]) -> str:
    if figures["p50"] is None:
        return "-"
    return f"p50 {figures['p50']:.1f}, p95 {figures['p95']:.1f}, p99 {figures['p99']:.1f} ms"


def draw_violations(result: JsonObject) -> list[RenderableType]:
    """Return the lines that list the violations."""
    count = result["violations"]
    if not count:
        return [
            Text(
                "No violation: every acknowledged message is listed exactly once.",
                style="green",
            )
        ]
    lines: list[RenderableType] = [
        Text(f"{count} violation{'s' if count > 1 else ''}", style="bold red")
    ]
    for violation in result["violation_details"][:SHOWN_VIOLATIONS]:
        lines.append(
            Text(
                f"  {violation['at']:8.1f} s  {violation['rule']}: {violation['detail']}",
                style="red",
            )
        )
    if count > SHOWN_VIOLATIONS:
        lines.append(Text(f"  and {count - SHOWN_VIOLATIONS} more", style="red"))
    return lines


def choose_console(as_json: bool) -> Console:
    """Return the console for people: stderr if stdout carries the JSON."""
    return Console(stderr=as_json)


def print_summary(console: Console, result: JsonObject) -> None:
    """Print the summary table of a run."""
    console.print(draw_summary(result))
