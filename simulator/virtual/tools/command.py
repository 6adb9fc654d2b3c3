"""`python -m simulator virtual`: one run, many seeds, and the tools for a failing one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from simulator.arguments import Parser, require_report, require_writable
from simulator.scenario import ScenarioTrouble
from simulator.virtual.machine.commit import show_version
from simulator.virtual.run import play
from simulator.virtual.tools.ablations import ABLATIONS
from simulator.virtual.tools.options import (
    COMMAND,
    build_ablate_parser,
    build_parser,
    build_shrink_parser,
    name_single,
    name_swarm,
    read_faults,
    read_jobs,
    read_seeds,
    read_shrink,
    read_single,
    read_swarm,
    refuse,
)
from simulator.virtual.tools.record import Replay, play_and_record, replay
from simulator.virtual.tools.seeds import SOMETIMES_FROM, Sums, Task, play_all, run_seeds
from simulator.virtual.tools.shrink import Shrinking
from simulator.virtual.tools.telling import (
    SHOWN,
    say,
    say_progress,
    show_failure,
    show_outcome,
    show_sometimes,
    show_sums,
    write_report,
)

INTERRUPTED = 130


def run_virtual(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code: 0 only if no rule was violated.

    Errors: ScenarioTrouble.
    """
    words = {"shrink": run_shrink, "replay": run_replay, "ablate": run_ablate}
    if arguments and arguments[0] in words:
        return words[arguments[0]](arguments[1:])
    parsed = build_parser().parse_args(arguments)
    return run_one(parsed) if parsed.seeds is None else run_many(parsed)


def run_one(parsed: argparse.Namespace) -> int:
    """Play one run and print its outcome."""
    plan = read_single(parsed)
    report = None if parsed.report is None else require_report(parsed.report)
    trace = None if parsed.trace is None else require_writable(parsed.trace)
    outcome = play_and_record(plan, trace)
    show_outcome(Console(stderr=parsed.json, emoji=False), outcome, *name_single(parsed, plan.seed))
    if report is not None:
        write_report(report, outcome)
    if parsed.json:
        print(json.dumps(outcome.to_wire(), ensure_ascii=False), flush=True)
    return 1 if outcome.violations else 0


def run_many(parsed: argparse.Namespace) -> int:
    """Play many seeds and print what occurred; stop at the first failure or at Ctrl-C."""
    refuse(parsed, ("seed", "report", "trace"), "is for one run, not for --seeds")
    tasks, jobs = read_swarm(parsed, read_seeds(parsed.seeds)), read_jobs(parsed.jobs)
    console, faults = Console(stderr=parsed.json, emoji=False), read_faults(parsed.faults)
    told = 0

    def tell(sums: Sums) -> None:
        nonlocal told
        # at once: a run of many hours may be stopped before its end
        for outcome in sums.failed[told:]:
            say(console, f"seed {outcome.seed} failed: {outcome.first}")
        told = len(sums.failed)
        if sums.seeds % 100 == 0:
            say_progress(console, sums, len(tasks))

    sums = run_seeds(tasks, jobs, tell, stop_at_first=not parsed.keep_going)
    say_progress(console, sums, len(tasks))
    rows = sums.list_sometimes(faults)
    show_sometimes(console, rows)
    unseen = [what for what, times in rows if not times] if sums.seeds >= SOMETIMES_FROM else []
    for outcome in sums.failed[:SHOWN]:
        show_failure(console, outcome, *name_swarm(parsed, outcome.seed))
    if unseen:
        say(console, f"never seen: {', '.join(unseen)}: this swarm does not test that")
    if sums.stopped:
        say(console, "stopped before the end")
    if parsed.json:
        print(json.dumps(show_sums(sums, rows), ensure_ascii=False), flush=True)
    return INTERRUPTED if sums.stopped else int(bool(sums.failed or unseen))


# -- the tools for a failing run -------------------------------------------------------------------


def run_shrink(arguments: Sequence[str]) -> int:
    """Make a failing run small and keep its record."""
    parsed = build_shrink_parser().parse_args(arguments)
    plan, console = read_shrink(parsed), Console(emoji=False)
    path = require_writable(parsed.trace or Path(f"shrunk-{parsed.seed}.jsonl"))
    attempt = partial(play, until_violation=True)
    rule = attempt(plan).first
    if not rule:
        say(console, f"seed {parsed.seed} violates nothing")
        return 0
    search = Shrinking(plan, rule, attempt, partial(say, console))
    small = search.run()
    outcome = play_and_record(small, path)
    show_outcome(console, outcome, f"{COMMAND} replay {path}")
    say(
        console,
        f"after {search.tried} runs: {small.scenario.workers} workers, "
        f"{small.scenario.account_count} accounts, "
        f"{small.chaos_s:.0f} s, faults: {', '.join(small.gaps_s) or 'none'}",
    )
    return 1


def run_replay(arguments: Sequence[str]) -> int:
    """Play a record again and compare it."""
    parser = Parser(
        prog=f"{COMMAND} replay",
        description="Play again what --trace has written, and compare each line.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    path = parser.parse_args(arguments).file
    again, console = replay(path), Console(emoji=False)
    show_outcome(console, again.outcome, f"{COMMAND} replay {path}")
    say(console, tell_replay(again))
    return 1 if again.outcome.violations or again.difference else 0


def tell_replay(again: Replay) -> str:
    """Return whether the replay equals the record, and whether versions explain a difference."""
    if again.difference:
        written, here = again.version or "a version that does not say which", show_version()
        why = "" if written == here else f"; the record is of {written}, this is {here}"
        return again.difference + why
    return "the same, line by line" + (
        ", up to its end: its run was stopped" if again.stopped else ""
    )


def run_ablate(arguments: Sequence[str]) -> int:
    """Remove safeguards one by one and count the seeds that notice; 0 if all are noticed."""
    parsed = build_ablate_parser().parse_args(arguments)
    names = list(ABLATIONS) if parsed.only is None else parsed.only.split(",")
    if unknown := [name for name in names if name not in ABLATIONS]:
        raise ScenarioTrouble(
            f"--only: there is no safeguard {unknown[0]!r}; known are {', '.join(ABLATIONS)}"
        )
    seeds, jobs = read_seeds(parsed.seeds), read_jobs(parsed.jobs)
    console, blind = Console(emoji=False), []
    for name in names:
        played, rules = ablate(name, seeds, jobs, first=parsed.first)
        caught = sum(rules.values())
        most = ", ".join(sorted(rules, key=lambda rule: -rules[rule])[:3])
        verdict = f"noticed: {most}" if caught else "NEVER NOTICED"
        say(console, f"{name:20} {caught:4} of {played} seeds {verdict}")
        if not caught:
            blind.append(name)
    return 1 if blind else 0


def ablate(
    name: str, seeds: Sequence[int], jobs: int, *, first: bool
) -> tuple[int, dict[str, int]]:
    """Play seeds without a safeguard; return how many, and how often each rule broke first."""
    played, rules = 0, dict[str, int]()
    with closing(
        play_all([replace(Task(seed), ablation=name) for seed in seeds], jobs)
    ) as outcomes:
        for outcome in outcomes:
            played += 1
            if outcome.violations:
                rules[outcome.first] = rules.get(outcome.first, 0) + 1
                if first:
                    break
    return played, rules
