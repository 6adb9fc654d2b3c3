"""The trials that `python -m simulator` runs by name, and their arguments."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from simulator.arguments import Parser, require_between
from simulator.scenario import change_scenario
from simulator.trials.crash import CRASH, CrashOptions, run_crash
from simulator.trials.restart import RestartOptions, run_restart

Work = Callable[[], Coroutine[Any, Any, int]]

CRASH_FLAGS = {"workers": "workers", "accounts": "accounts", "rate": "rate_per_s", "seed": "seed"}


def read_crash(arguments: Sequence[str], environment: Mapping[str, str]) -> Work:
    """Return the crash test for these arguments. Errors: ScenarioTrouble."""
    parser = Parser(
        prog="python -m simulator crash",
        description="Kill a real Master with SIGKILL again and again while workers report and "
        "administrators log in, restart it on the same file each time, and compare the file with "
        "the acknowledgements.",
        epilog="Exit code: 0 nothing lost or doubled, 1 violations, 2 could not start.",
    )
    add = parser.add_argument
    add("--kills", type=int, default=12, metavar="N", help="default %(default)s")
    add("--seed", type=int, metavar="N", help=f"seed of all randomness, default {CRASH.seed}")
    add("--workers", type=int, metavar="N", help=f"default {CRASH.workers}")
    add("--accounts", type=int, metavar="N", help=f"default {CRASH.accounts}")
    add(
        "--rate",
        type=float,
        metavar="R",
        help=f"messages per second in total, default {CRASH.rate_per_s:g}",
    )
    add("--json", action="store_true", help="print one JSON object as the last line of stdout")
    parsed = parser.parse_args(arguments)
    require_between(1, 1_000_000, parsed.kills, "--kills")
    changes = {
        name: getattr(parsed, flag)
        for flag, name in CRASH_FLAGS.items()
        if getattr(parsed, flag) is not None
    }
    scenario = change_scenario(
        CRASH, changes, {name: f"--{flag}" for flag, name in CRASH_FLAGS.items()}
    )
    options = CrashOptions(parsed.kills, parsed.json)
    return lambda: run_crash(scenario, options, dict(environment))


def read_restart(arguments: Sequence[str], environment: Mapping[str, str]) -> Work:
    """Return the restart for these arguments. Errors: ScenarioTrouble."""
    plain = RestartOptions()
    parser = Parser(
        prog="python -m simulator restart",
        description="Connect many workers that own accounts, kill Master, start it again, and "
        "measure when all are back and how many accounts have changed their owner.",
        epilog="Exit code: 0 all are back in time and no account was moved, 1 otherwise, "
        "2 could not start.",
    )
    add = parser.add_argument
    add("--workers", type=int, default=plain.workers, metavar="N", help="default %(default)s")
    add("--accounts", type=int, metavar="N", help="default one per worker")
    add(
        "--limit",
        type=float,
        default=plain.limit_s,
        metavar="S",
        help="seconds until all must be back, default %(default)g",
    )
    add(
        "--seed",
        type=int,
        default=plain.seed,
        metavar="N",
        help="seed of all randomness, default %(default)s",
    )
    add("--json", action="store_true", help="print one JSON object as the last line of stdout")
    parsed = parser.parse_args(arguments)
    require_between(1, 5_000, parsed.workers, "--workers")
    accounts = parsed.workers if parsed.accounts is None else parsed.accounts
    require_between(0, 50_000, accounts, "--accounts")
    require_between(1, 3_600, parsed.limit, "--limit")
    options = RestartOptions(parsed.workers, accounts, parsed.limit, parsed.seed, parsed.json)
    return lambda: run_restart(options, dict(environment))


COMMANDS: dict[str, Callable[[Sequence[str], Mapping[str, str]], Work]] = {
    "crash": read_crash,
    "restart": read_restart,
}
