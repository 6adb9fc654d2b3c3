"""The options of `python -m simulator virtual`, and the command that repeats a run."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from simulator.arguments import Parser, require_between
from simulator.scenario import ScenarioTrouble, change_scenario
from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import DAY, LONGEST_H, Plan, plan_run
from simulator.virtual.tools.ablations import ABLATIONS
from simulator.virtual.tools.seeds import Task

COMMAND = "python -m simulator virtual"
RUN_FLAGS = {
    "workers": "workers",
    "accounts": "accounts",
    "admins": "admins",
    "clients": "clients",
    "rate": "rate_per_s",
    "seed": "seed",
}
"""Flag of a single run -> the setting of a scenario that it changes."""

DRAWN = tuple(flag for flag in RUN_FLAGS if flag != "seed")
"""Flags whose values each seed of a swarm draws."""

HOURS = 24.0
MOST_SWARM_H = 100.0
SEEDS = re.compile(r"(\d+)(?:\.\.(\d+))?", re.ASCII)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator virtual`."""
    parser = Parser(
        prog=COMMAND,
        description="The real Master and the demo's actors in one process, in virtual time: "
        "one run, or with --seeds many small ones.",
        epilog=f"`{COMMAND} shrink --seed N` makes a failing seed of --seeds small, "
        "`shrink --single --seed N ...` a failing run without --seeds; "
        "`replay FILE` replays a record of --trace and compares it line by line; "
        "`ablate` removes Master's safeguards one by one. Each has its own --help. "
        "Exit code: 0 nothing violated, 1 violations, 2 unclear, 130 stopped.",
    )
    _add_run_options(parser)
    add = parser.add_argument
    add("--seed", type=int, metavar="N", help=f"of all randomness of one run, default {DAY.seed}")
    add(
        "--trace",
        type=Path,
        metavar="FILE",
        help="one run only: write all events, line by line",
    )
    add("--report", type=Path, metavar="FILE", help="one run only: write a page with plots")
    add(
        "--seeds",
        metavar="A..B",
        help="play these seeds of a swarm: small runs, each with workers, rates and a mix of "
        "faults of its own; of the options above only --hours and --faults go with it",
    )
    add("--jobs", type=int, metavar="N", help="with --seeds: processes, default 1")
    add(
        "--keep-going",
        action="store_true",
        help="with --seeds: do not stop at the first seed that fails",
    )
    add("--json", action="store_true", help="print one JSON object as the last line of stdout")
    return parser


def build_shrink_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator virtual shrink`."""
    parser = Parser(
        prog=f"{COMMAND} shrink",
        description="Make a failing seed of a swarm small; with --single, a failing run without "
        "--seeds. Pass the options of the failing run: the command that it prints has them.",
    )
    add = parser.add_argument
    add(
        "--seed",
        type=int,
        required=True,
        metavar="N",
        help="the seed that fails: one of --seeds, or with --single",
    )
    add(
        "--single",
        action="store_true",
        help=f"the run is `{COMMAND} --seed N ...`, not one of --seeds",
    )
    _add_run_options(parser, "with --single: ")
    add(
        "--trace",
        type=Path,
        metavar="FILE",
        help="where the small run's record goes, default shrunk-N.jsonl",
    )
    return parser


def _add_run_options(parser: argparse.ArgumentParser, when: str = "") -> None:
    add = parser.add_argument
    add("--workers", type=int, metavar="N", help=f"{when}default {DAY.workers}")
    add("--accounts", type=int, metavar="N", help=f"{when}default four per worker")
    add("--admins", type=int, metavar="N", help=f"{when}default {DAY.admins}")
    add("--clients", type=int, metavar="N", help=f"{when}devices, default {DAY.clients}")
    add(
        "--rate",
        type=float,
        metavar="R",
        help=f"{when}messages per second in all, default {DAY.rate_per_s:g}",
    )
    add(
        "--hours",
        type=float,
        metavar="H",
        help=f"duration of the faults before healing; default {HOURS:g}, "
        "for a seed of a swarm some minutes",
    )
    add("--faults", default="all", metavar="all|none|NAME,NAME", help=f"names: {', '.join(FAULTS)}")


def build_ablate_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator virtual ablate`."""
    parser = Parser(prog=f"{COMMAND} ablate", description="Remove Master's safeguards one by one.")
    add = parser.add_argument
    add("--seeds", default="0..199", metavar="A..B", help="default %(default)s")
    add("--jobs", type=int, default=1, metavar="N", help="processes, default 1")
    add("--only", metavar="NAME,NAME", help=f"names: {', '.join(ABLATIONS)}")
    add("--first", action="store_true", help="stop each at the first seed that notices")
    return parser


# -- the values of options -------------------------------------------------------------------------


def read_faults(written: str) -> tuple[str, ...]:
    """Return the faults named by --faults. Errors: ScenarioTrouble."""
    if written in ("all", "none"):
        return tuple(FAULTS) if written == "all" else ()
    names = tuple(dict.fromkeys(name.strip() for name in written.split(",") if name.strip()))
    if not names:
        raise ScenarioTrouble(
            f"--faults is {written!r}, which names no fault; write none for no faults"
        )
    if unknown := [name for name in names if name not in FAULTS]:
        raise ScenarioTrouble(
            f"--faults: there is no fault {unknown[0]!r}; known are all, none, {', '.join(FAULTS)}"
        )
    return names


def read_seeds(written: str) -> range:
    """Return the seeds of `A..B`, or the one of `A`. Errors: ScenarioTrouble."""
    found = SEEDS.fullmatch(written.strip())
    if found is None or len(written) > 40:
        raise ScenarioTrouble(f"--seeds is {written!r}; allowed is 7 or 0..999")
    first, last = int(found[1]), int(found[2] or found[1])
    if not 0 <= last - first < 10_000_000:
        raise ScenarioTrouble(
            f"--seeds is {written!r}; allowed are up to ten million, the lower one first"
        )
    return range(first, last + 1)


def read_jobs(written: int | None) -> int:
    """Return the number of processes. Errors: ScenarioTrouble."""
    return 1 if written is None else int(require_between(1, 64, written, "--jobs"))


def read_single(parsed: argparse.Namespace) -> Plan:
    """Return the plan of one run. Errors: ScenarioTrouble."""
    refuse(parsed, ("jobs", "keep_going"), "is for --seeds: this is one run")
    changes = {
        name: getattr(parsed, flag)
        for flag, name in RUN_FLAGS.items()
        if getattr(parsed, flag) is not None
    }
    scenario = change_scenario(
        DAY, changes, {name: f"--{flag}" for flag, name in RUN_FLAGS.items()}
    )
    require_between(1, 5_000, scenario.workers, "--workers")
    hours = (
        HOURS if parsed.hours is None else require_between(0.01, LONGEST_H, parsed.hours, "--hours")
    )
    return plan_run(scenario, hours, read_faults(parsed.faults))


def read_swarm(parsed: argparse.Namespace, seeds: Iterable[int]) -> list[Task]:
    """Return the tasks for the seeds of a swarm. Errors: ScenarioTrouble."""
    refuse(parsed, DRAWN, "is for one run: each seed of a swarm draws its own")
    hours = (
        None
        if parsed.hours is None
        else require_between(0.01, MOST_SWARM_H, parsed.hours, "--hours")
    )
    faults = read_faults(parsed.faults)
    return [Task(seed, faults, hours) for seed in seeds]


def read_shrink(parsed: argparse.Namespace) -> Plan:
    """Return the plan of the run to shrink. Errors: ScenarioTrouble."""
    if parsed.single:
        return read_single(parsed)
    refuse(parsed, DRAWN, "is for --single: each seed of a swarm draws its own")
    (task,) = read_swarm(parsed, [parsed.seed])
    return task.make_plan()


def refuse(parsed: argparse.Namespace, flags: Iterable[str], why: str) -> None:
    """Refuse options that would have no effect. Errors: ScenarioTrouble."""
    for flag in flags:
        value = getattr(parsed, flag, None)
        if value is not None and value is not False:
            raise ScenarioTrouble(f"--{flag.replace('_', '-')} {why}")


# -- the command that repeats a run ----------------------------------------------------------------


def name_single(parsed: argparse.Namespace, seed: int) -> tuple[str, str]:
    """Return the command that repeats this run, and the one that shrinks it."""
    words = ["--seed", str(seed), *_name_options(parsed, (*DRAWN, "hours"))]
    return shlex.join([*COMMAND.split(), *words]), shlex.join(
        [*COMMAND.split(), "shrink", "--single", *words]
    )


def name_swarm(parsed: argparse.Namespace, seed: int) -> tuple[str, str]:
    """Return the command that repeats this seed of a swarm, and the one that shrinks it."""
    words = _name_options(parsed, ("hours",))
    return (
        shlex.join([*COMMAND.split(), "--seeds", str(seed), *words]),
        shlex.join([*COMMAND.split(), "shrink", "--seed", str(seed), *words]),
    )


def _name_options(parsed: argparse.Namespace, flags: Iterable[str]) -> list[str]:
    words: list[str] = []
    for flag in flags:
        if getattr(parsed, flag) is not None:
            words += [f"--{flag}", str(getattr(parsed, flag))]
    if parsed.faults != "all":  # in their given order, which is part of the run
        words += ["--faults", ",".join(read_faults(parsed.faults)) or "none"]
    return words
