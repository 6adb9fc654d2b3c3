"""The options of a load test: numbers of users, duration, rates, thresholds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

P99_MS = {"steady": 500.0, "burst": 5_000.0}
"""Shape -> the slowest p99 that passes.

In a burst all users register within one second, and each waits for the others.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """One load test. Field names end in their unit; rates are per worker."""

    workers: int
    admins: int
    clients: int
    accounts: int
    time_s: float
    shape: str
    heartbeat_s: float
    report_s: float
    batch: int
    p99_ms: float
    port: int

    @property
    def users(self) -> int:
        """Return the largest number of users at a time."""
        return self.workers + self.admins + self.clients


def read_plan(arguments: Sequence[str] | None = None) -> Plan:
    """Return the plan of the command line; a wrong value is printed and exits with code 2."""
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__)
    parser.add_argument(
        "--workers", type=_count, default=200, help="simulated workers (default: %(default)s)"
    )
    parser.add_argument(
        "--admins", type=_count, default=2, help="administrators (default: %(default)s)"
    )
    parser.add_argument("--clients", type=_count, default=4, help="devices (default: %(default)s)")
    parser.add_argument(
        "--accounts", type=_count, default=400, help="accounts to watch (default: %(default)s)"
    )
    parser.add_argument(
        "--time", type=read_seconds, default=60.0, help="seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--shape",
        choices=sorted(P99_MS),
        default="steady",
        help="steady: all users stay; burst: users come in waves",
    )
    parser.add_argument(
        "--heartbeat",
        type=read_seconds,
        default=10.0,
        help="seconds between two heartbeats of a worker",
    )
    parser.add_argument(
        "--report", type=read_seconds, default=4.0, help="seconds between two reports of a worker"
    )
    parser.add_argument(
        "--batch", type=_count, default=5, help="messages per report (default: %(default)s)"
    )
    parser.add_argument(
        "--p99-ms", type=read_seconds, help=f"slowest p99 that passes (default: by shape, {P99_MS})"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of the Master (default: any free one)"
    )
    options = parser.parse_args(arguments)
    if not options.workers:
        parser.error("--workers: at least one worker is needed")
    return Plan(
        workers=options.workers,
        admins=options.admins,
        clients=options.clients,
        accounts=options.accounts,
        time_s=options.time,
        shape=options.shape,
        heartbeat_s=options.heartbeat,
        report_s=options.report,
        batch=options.batch,
        p99_ms=options.p99_ms or P99_MS[options.shape],
        port=options.port,
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def read_seconds(text: str) -> float:
    """Read a positive number of seconds. Errors: ArgumentTypeError."""
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("not a positive number")
    return value
