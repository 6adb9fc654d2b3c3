"""`python -m simulator virtual`: one run, many seeds, and what is done with a failing one."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from simulator.arguments import Parser, require_between, require_plots, require_report, require_writable
from simulator.scenario import ScenarioTrouble, change_scenario
from simulator.virtual.ablations import ABLATIONS
from simulator.virtual.faults import FAULTS
from simulator.virtual.plan import DAY, plan_run, plan_swarm
from simulator.virtual.record import play_and_record, replay
from simulator.virtual.run import Outcome, play
from simulator.virtual.seeds import SOMETIMES_FROM, Sums, Task, name_commit, play_all, run_seeds
from simulator.virtual.shrink import Shrinking

COMMAND = "python -m simulator virtual"
SHOWN = 10
RUN_FLAGS = {
    "workers": "workers",
    "accounts": "accounts",
    "admins": "admins",
    "clients": "clients",
    "rate": "rate_per_s",
    "seed": "seed",
}
SEEDS = re.compile(r"(\d+)(?:\.\.(\d+))?")


def run_virtual(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit code: 0 only if nothing was violated.

    Errors: ScenarioTrouble.
    """
    words = {"shrink": run_shrink, "replay": run_replay, "ablate": run_ablate}
    if arguments and arguments[0] in words:
        return words[arguments[0]](arguments[1:])
    given = build_parser().parse_args(arguments)
    faults = read_faults(given.faults)
    if given.seeds is not None:
        return run_many(given, faults)
    changes = {name: getattr(given, flag) for flag, name in RUN_FLAGS.items() if getattr(given, flag) is not None}
    scenario = change_scenario(DAY, changes, {name: f"--{flag}" for flag, name in RUN_FLAGS.items()})
    plan = plan_run(
        scenario, require_between(0.01, 8_760, 24 if given.hours is None else given.hours, "--hours"), faults
    )
    report = None if given.report is None else require_report(given.report)
    trace = None if given.trace is None else require_writable(given.trace)
    outcome = play_and_record(plan, trace)
    console = Console(stderr=given.json, emoji=False)
    show_outcome(console, outcome, f"{COMMAND} --seed {scenario.seed}")
    if report is not None:
        write_report(report, outcome)
    if given.json:
        print(json.dumps(outcome.to_wire(), ensure_ascii=False), flush=True)
    return 1 if outcome.violations else 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator virtual`."""
    parser = Parser(
        prog=COMMAND,
        description="The real Master and the demo's actors in one process, in virtual time.",
        epilog=f"`{COMMAND} shrink --seed N` makes a failing seed small, `replay FILE` plays what --trace has written, "
        "`ablate` takes Master's safeguards away one by one. Exit code: 0 nothing violated, 1 violations, 2 unclear.",
    )
    add = parser.add_argument
    add("--workers", type=int, metavar="N", help=f"default {DAY.workers}")
    add("--accounts", type=int, metavar="N", help="default four per worker")
    add("--admins", type=int, metavar="N", help=f"default {DAY.admins}")
    add("--clients", type=int, metavar="N", help=f"devices, default {DAY.clients}")
    add("--rate", type=float, metavar="R", help=f"messages per second in all, default {DAY.rate_per_s:g}")
    add("--hours", type=float, metavar="H", help="how long things go wrong, default 24; then they heal")
    add("--seed", type=int, metavar="N", help=f"of all randomness, default {DAY.seed}")
    add("--faults", default="all", metavar="all|none|NAME,NAME", help=f"names: {', '.join(FAULTS)}")
    add("--seeds", metavar="A..B", help="play these seeds of a swarm: small runs, each with a mix of its own")
    add("--jobs", type=int, default=1, metavar="N", help="processes for --seeds, default 1")
    add("--keep-going", action="store_true", help="with --seeds: do not stop at the first seed that fails")
    add("--trace", type=Path, metavar="FILE", help="write everything that was said, line by line")
    add("--report", type=Path, metavar="FILE", help="write a page with plots")
    add("--json", action="store_true", help="print one JSON object as the last line of stdout")
    return parser


def read_faults(written: str) -> tuple[str, ...]:
    """Return the faults that --faults names. Errors: ScenarioTrouble."""
    if written in ("all", "none"):
        return tuple(FAULTS) if written == "all" else ()
    names = tuple(dict.fromkeys(name.strip() for name in written.split(",") if name.strip()))
    if unknown := [name for name in names if name not in FAULTS]:
        raise ScenarioTrouble(f"--faults: there is no fault {unknown[0]!r}; known are all, none, {', '.join(FAULTS)}")
    return names


def read_seeds(written: str) -> range:
    """Return the seeds of A..B, or the one of A. Errors: ScenarioTrouble."""
    found = SEEDS.fullmatch(written.strip())
    if found is None or len(written) > 40:
        raise ScenarioTrouble(f"--seeds is {written!r}; allowed is 7 or 0..999")
    first, last = int(found[1]), int(found[2] or found[1])
    if not 0 <= last - first < 10_000_000:
        raise ScenarioTrouble(f"--seeds is {written!r}; allowed are up to ten million, the lower one first")
    return range(first, last + 1)


# -- one run -----------------------------------------------------------------------------------------------------


def tell_outcome(outcome: Outcome) -> list[str]:
    """Return what came of a run, line by line."""
    counts, speed = outcome.counts, outcome.simulated_s / max(0.001, outcome.wall_s)
    faults = sum(count for name, count in outcome.faults.items() if name != "heal" and not name.startswith("kill_"))
    return [
        f"seed {outcome.seed}: {outcome.simulated_s:,.0f} virtual s in {outcome.wall_s:,.1f} s, {speed:,.0f} times",
        f"{counts.get('heartbeats', 0):,} heartbeats, {counts.get('logins_succeeded', 0):,} logins, "
        f"{counts.get('messages_stored', 0):,} messages stored, {counts.get('duplicates', 0):,} duplicates",
        f"{faults:,} faults, brake put on: {counts.get('brakes', 0)}, {sum(outcome.refusals.values()):,} refusals, "
        f"{counts.get('checks', 0):,} checks of all invariants",
        f"trace {outcome.trace_hash}",
    ]


def show_outcome(console: Console, outcome: Outcome, command: str) -> None:
    """Print what came of a run, and of a failing one how it came to it."""
    verdict = f"{outcome.violations} violations" if outcome.violations else "No invariant was violated."
    for line in [*tell_outcome(outcome), verdict]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if outcome.violations:
        show_failure(console, outcome, command)


def show_failure(console: Console, outcome: Outcome, command: str) -> None:
    """Print the first violation with what led to it, and how to see it again."""
    say = [f"seed {outcome.seed}, commit {name_commit()}, trace {outcome.trace_hash}"]
    say += [f"  {one['at']:12.3f} {one['rule']}: {one['detail']}" for one in outcome.details[:SHOWN]]
    if outcome.last_events:
        say += ["before the first one, as far as it and its actors go:", *(f"  {e}" for e in outcome.last_events)]
    say.append(f"again: {command}")
    for line in say:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_report(path: Path, outcome: Outcome) -> None:
    """Write the page with plots. Errors: ScenarioTrouble if the library for plots is not installed."""
    bad = [f"{one['at']:.3f} {one['rule']}: {one['detail']}" for one in outcome.details[:SHOWN]]
    require_plots().write_page(
        path, f"Virtual run, seed {outcome.seed}", tell_outcome(outcome), outcome.samples, bad=bad
    )


# -- many seeds --------------------------------------------------------------------------------------------------


def run_many(given: argparse.Namespace, faults: tuple[str, ...]) -> int:
    """Play many seeds, say how fast, and what was seen; stop at the first that fails."""
    console = Console(stderr=given.json, emoji=False)
    hours = None if given.hours is None else require_between(0.01, 100, given.hours, "--hours")
    tasks = [Task(seed, faults, hours) for seed in read_seeds(given.seeds)]
    jobs = int(require_between(1, 64, given.jobs, "--jobs"))

    told = 0

    def tell(sums: Sums) -> None:
        nonlocal told
        for outcome in sums.failed[told:]:  # at once: a run of many hours may never come to its end
            line = f"seed {outcome.seed} failed: {outcome.first}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        told = len(sums.failed)
        if sums.seeds % 100 == 0:
            say_progress(console, sums, len(tasks))

    sums = run_seeds(tasks, jobs, tell, stop_at_first=not given.keep_going)
    say_progress(console, sums, len(tasks))
    rows = sums.list_sometimes(faults)
    show_sometimes(console, rows)
    unseen = [what for what, times in rows if not times] if sums.seeds >= SOMETIMES_FROM else []
    for outcome in sums.failed[:SHOWN]:
        show_failure(console, outcome, f"{COMMAND} --seeds {outcome.seed}; {COMMAND} shrink --seed {outcome.seed}")
    if unseen:
        console.print(f"never seen: {', '.join(unseen)}: such a swarm proves nothing about it", soft_wrap=True)
    if given.json:
        print(json.dumps(show_sums(sums, rows), ensure_ascii=False), flush=True)
    return 1 if sums.failed or unseen else 0


def say_progress(console: Console, sums: Sums, total: int) -> None:
    """Print one line of progress."""
    console.print(
        f"{sums.seeds:,} of {total:,} seeds, {sums.seeds / max(0.001, sums.wall_s):.2f} per second, "
        f"{sums.simulated_s / 3600:,.1f} virtual hours, {len(sums.failed)} failed",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def show_sometimes(console: Console, rows: Sequence[tuple[str, int]]) -> None:
    """Print what was seen, and how often."""
    table = Table("seen", "times", box=None, pad_edge=False)
    for what, times in rows:
        table.add_row(what, f"{times:,}")
    console.print(table)


def show_sums(sums: Sums, rows: Sequence[tuple[str, int]]) -> dict[str, object]:
    """Return what `--json` prints of many seeds."""
    return {
        "seeds": sums.seeds,
        "failed": [outcome.to_wire() for outcome in sums.failed[:SHOWN]],
        "violations": sum(outcome.violations for outcome in sums.failed),
        "simulated_s": round(sums.simulated_s, 1),
        "wall_s": round(sums.wall_s, 1),
        "sometimes": dict(rows),
    }


# -- what is done with a failing one -----------------------------------------------------------------------------


def run_shrink(arguments: Sequence[str]) -> int:
    """Make a failing seed small, and keep its record."""
    parser = Parser(prog=f"{COMMAND} shrink", description="Make a failing seed of a swarm small.")
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="where its record goes, default shrunk-N.jsonl")
    given = parser.parse_args(arguments)
    path = require_writable(given.trace or Path(f"shrunk-{given.seed}.jsonl"))
    console, plan = Console(emoji=False), plan_swarm(given.seed)
    rule = play(plan).first
    if not rule:
        console.print(f"seed {given.seed} violates nothing", highlight=False)
        return 0
    search = Shrinking(plan, rule, play, lambda line: console.print(line, markup=False, highlight=False))
    small = search.run()
    outcome = play_and_record(small, path)
    show_outcome(console, outcome, f"{COMMAND} replay {path}")
    console.print(
        f"after {search.tried} runs: {small.scenario.workers} workers, {small.scenario.account_count} accounts, "
        f"{small.chaos_s:.0f} s, faults: {', '.join(small.gaps_s) or 'none'}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 1


def run_replay(arguments: Sequence[str]) -> int:
    """Play a record again and compare."""
    parser = Parser(prog=f"{COMMAND} replay", description="Play again what --trace has written, and compare.")
    parser.add_argument("file", type=Path, metavar="FILE")
    path = parser.parse_args(arguments).file
    outcome, difference = replay(path)
    console = Console(emoji=False)
    show_outcome(console, outcome, f"{COMMAND} replay {path}")
    console.print(difference or "the same, line by line", markup=False, highlight=False, soft_wrap=True)
    return 1 if outcome.violations or difference else 0


def run_ablate(arguments: Sequence[str]) -> int:
    """Take safeguards away one by one and count the seeds that notice; 0 only if each absence is noticed."""
    parser = Parser(prog=f"{COMMAND} ablate", description="Take Master's safeguards away one by one.")
    parser.add_argument("--seeds", default="0..199", metavar="A..B", help="default %(default)s")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    parser.add_argument("--only", metavar="NAME,NAME", help=f"names: {', '.join(ABLATIONS)}")
    parser.add_argument("--first", action="store_true", help="stop each at the first seed that notices")
    given = parser.parse_args(arguments)
    names = list(ABLATIONS) if given.only is None else given.only.split(",")
    if unknown := [name for name in names if name not in ABLATIONS]:
        raise ScenarioTrouble(f"--only: there is no safeguard {unknown[0]!r}; known are {', '.join(ABLATIONS)}")
    seeds, console = read_seeds(given.seeds), Console(emoji=False)
    jobs, blind = int(require_between(1, 64, given.jobs, "--jobs")), []
    for name in names:
        played, rules = ablate(name, seeds, jobs, first=given.first)
        caught = sum(rules.values())
        most = ", ".join(sorted(rules, key=lambda rule: -rules[rule])[:3])
        console.print(
            f"{name:20} {caught:4} of {played} seeds {('noticed: ' + most) if caught else 'NEVER NOTICED'}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        if not caught:
            blind.append(name)
    return 1 if blind else 0


def ablate(name: str, seeds: Sequence[int], jobs: int, *, first: bool) -> tuple[int, dict[str, int]]:
    """Play seeds without a safeguard; return how many, and how often each rule was the first to break."""
    played, rules = 0, dict[str, int]()
    for outcome in play_all([replace(Task(seed), ablation=name) for seed in seeds], jobs):
        played += 1
        if outcome.violations:
            rules[outcome.first] = rules.get(outcome.first, 0) + 1
            if first:
                break
    return played, rules
