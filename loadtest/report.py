"""The report of a load test: rows of figures, their table, and their faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ACK = "ACK"
PUSH = "PUSH"
CONNECT = "CONNECT"
GET = "GET"
OWN_KINDS = (CONNECT, ACK, PUSH, GET)
"""Kinds of the rows that the users measure themselves.

Rows that Locust's Socket.IO client logs again (WSC, and WSE at 0 ms) are ignored.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request, with latencies in milliseconds.

    ACK: until the acknowledgement. PUSH: from a report until the notification of an administrator.
    """

    kind: str
    name: str
    count: int
    failures: int
    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def show_table(rows: Iterable[Row]) -> str:
    """Return the rows as a table of plain text."""
    head = ("what", "count", "failed", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms")
    lines = [
        head,
        *(_show(row) for row in sorted(rows, key=lambda r: (OWN_KINDS.index(r.kind), r.name))),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not at else cell.rjust(width)
            for at, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in (list(zip(line, widths, strict=True)) for line in lines)
    )


def _show(row: Row) -> tuple[str, ...]:
    latencies = (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms)
    return (
        f"{row.kind} {row.name}",
        str(row.count),
        str(row.failures),
        f"{row.per_s:.1f}",
        *(f"{latency:.0f}" for latency in latencies),
    )


def find_faults(rows: Sequence[Row], p99_limit_ms: float) -> list[str]:
    """Return a text for each fault: nothing measured, a failure, a p99 above the limit.

    The limit does not apply to connecting: a wave of handshakes keeps the load generator busier
    than Master.
    """
    faults = (
        [] if any(row.kind == ACK and row.count for row in rows) else ["nothing was acknowledged"]
    )
    for row in rows:
        if row.failures:
            faults.append(f"{row.kind} {row.name}: {row.failures} of {row.count} failed")
        if row.kind != CONNECT and row.p99_ms > p99_limit_ms:
            faults.append(
                f"{row.kind} {row.name}: p99 {row.p99_ms:.0f} ms is above {p99_limit_ms:.0f} ms"
            )
    return faults
