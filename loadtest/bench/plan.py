"""The options of a bench: which figures, which sizes, which peer."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.plan import read_seconds
from loadtest.target import ROOT

IN_PROCESS, CONNECT, REGISTER = "inprocess", "connect", "register"
HEARTBEATS, MESSAGES, SCALE = "heartbeats", "messages", "scale"
PARTS = (IN_PROCESS, CONNECT, REGISTER, HEARTBEATS, MESSAGES, SCALE)

ABOUT = "Measure Master's costs, beside a Node server if --peer is given. Times have no threshold."
LOST_SHARE = 0.15

SIZES: dict[str, tuple[float, float, str]] = {
    "rounds": (3, 1, "rounds; figures are medians over them"),
    "connect-workers": (2_000, 300, "workers that connect, register and stay idle"),
    "register-workers": (600, 100, "workers that register while accounts wait"),
    "register-accounts": (10, 10, "accounts that each of them is given"),
    "warm-workers": (200, 20, "workers that connect and register before those are measured"),
    "heartbeat-workers": (100, 50, "workers that send heartbeats"),
    "heartbeat-depth": (8, 8, "unacknowledged heartbeats of each"),
    "report-workers": (50, 20, "workers that report messages"),
    "report-depth": (4, 4, "unacknowledged reports of each"),
    "batch": (3, 3, "messages per report"),
    "admins": (3, 3, "administrators that get a notification of each message"),
    "seconds": (3, 1, "measured seconds of heartbeats and of reports"),
    "warm": (2, 0.5, "seconds of load before them"),
    "settle": (2, 0.5, "seconds between the last registration and the reading of memory"),
}
"""Option -> its default, its default with --quick, and its meaning."""

SCALES = ("1000:10,10000:100,20000:400:72,100000:1000", "1000:10,4000:40")
FRACTIONS = ("seconds", "warm", "settle")


@dataclass(frozen=True, slots=True)
class Scale:
    """One row of the table of scale; `lost` of the workers fall silent."""

    accounts: int
    workers: int
    lost: int


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """One bench. `peer` is None, `auto` or a URL; `root` is the measured checkout."""

    root: Path
    python: str
    peer: str | None
    parts: tuple[str, ...]
    json: bool
    generators: int
    in_flight: int
    rounds: int
    connect_workers: int
    register_workers: int
    register_accounts: int
    warm_workers: int
    heartbeat_workers: int
    heartbeat_depth: int
    report_workers: int
    report_depth: int
    batch: int
    admins: int
    seconds: float
    warm: float
    settle: float
    scales: tuple[Scale, ...]
    secrets: bool
    limit_s: float


def read_bench_plan(arguments: Sequence[str] | None = None) -> BenchPlan:
    """Return the plan of the command line; a wrong value is printed and exits with code 2."""
    options = _make_parser().parse_args(arguments)
    quick = int(options.quick)
    sizes: dict[str, float] = {}
    for name, defaults in SIZES.items():
        key = name.replace("-", "_")
        chosen = getattr(options, key)
        value: float = float(defaults[quick]) if chosen is None else chosen
        sizes[key] = value if name in FRACTIONS else int(value)
    return BenchPlan(
        root=options.root.resolve(),
        python=options.python,
        peer=options.peer,
        parts=options.only,
        json=options.json,
        generators=options.generators,
        in_flight=options.in_flight,
        scales=options.scale or read_scales(SCALES[quick]),
        secrets=options.secrets,
        limit_s=options.limit,
        **sizes,  # type: ignore[arg-type]  # counts are ints by now
    )


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtest bench", description=ABOUT)
    _add_choices(parser)
    _add_sizes(parser)
    return parser


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the measurements."""
    add = parser.add_argument
    meaning = "compare with a Node peer: install and start one (auto), or use a running one"
    add("--peer", metavar="URL|auto", help=meaning)
    add("--json", action="store_true", help="print one JSON object as the last line")
    meaning = f"of {', '.join(PARTS)}"
    add("--only", type=_read_parts, default=PARTS, metavar="NAME,...", help=meaning)
    add("--quick", action="store_true", help="small sizes, one round")
    meaning = "the checkout whose Master is measured (default: this one)"
    add("--root", type=Path, default=ROOT, help=meaning)
    meaning = "the interpreter that has its packages (default: this one)"
    add("--python", default=sys.executable, help=meaning)
    meaning = "leave the accounts of the table of scale without sealed cookies and fingerprints"
    add("--no-secrets", dest="secrets", action="store_false", help=meaning)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add the options that set the sizes of the measurements."""
    add = parser.add_argument
    generators = 1 if (os.cpu_count() or 1) < 4 else 2
    meaning = f"load generator processes (default: {generators})"
    add("--generators", type=_count, default=generators, help=meaning)
    meaning = "arrivals under way per generator (default: 50)"
    add("--in-flight", type=_count, default=50, help=meaning)
    for name, (full, quick, meaning) in SIZES.items():
        kind = read_seconds if name in FRACTIONS else _count
        add(f"--{name}", type=kind, help=f"{meaning} (default: {full:g}, quick: {quick:g})")
    meaning = f"rows of the table of scale (default: {SCALES[0]}; LOST: 15 %% of the workers)"
    add("--scale", type=read_scales, metavar="ACCOUNTS:WORKERS[:LOST],...", help=meaning)
    meaning = "longest seconds of one child process (default: 1200)"
    add("--limit", type=read_seconds, default=1_200.0, help=meaning)


def read_scales(text: str) -> tuple[Scale, ...]:
    """Return the rows of a comma-separated list of `accounts:workers[:lost]`."""
    scales = []
    for part in text.split(","):
        numbers = [_count(number) for number in part.split(":")]
        if len(numbers) not in (2, 3):
            fault = f"{part!r} is not accounts:workers or accounts:workers:lost"
            raise argparse.ArgumentTypeError(fault)
        accounts, workers = numbers[:2]
        lost = numbers[2] if len(numbers) == 3 else math.ceil(workers * LOST_SHARE)
        if accounts % workers or 2 * lost >= workers:
            fault = f"{part!r}: WORKERS must divide ACCOUNTS, LOST be less than half of WORKERS"
            raise argparse.ArgumentTypeError(fault)
        scales.append(Scale(accounts, workers, lost))
    return tuple(scales)


def _read_parts(text: str) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        fault = f"{', '.join(unknown) or 'nothing'} is none of {', '.join(PARTS)}"
        raise argparse.ArgumentTypeError(fault)
    return parts


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return value
