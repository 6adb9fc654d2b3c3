"""Command line: a run over real sockets (the default), one worker as a process, or a trial."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simulator.arguments import Parser, require_report
from simulator.scenario import (
    Scenario,
    ScenarioTrouble,
    change_scenario,
    load_scenario,
    name_scenarios,
)
from simulator.trials.demo import Options, run_demo
from simulator.trials.master_process import StartTrouble
from simulator.trials.single import RATE_PER_ACCOUNT_S, run_worker
from simulator.truth.holdings import WorkerProfile

USAGE_TROUBLE = 2
INTERRUPTED = 130

FLAGS = {
    "workers": "workers",
    "admins": "admins",
    "clients": "clients",
    "accounts": "accounts",
    "duration": "duration_s",
    "seed": "seed",
    "rate": "rate_per_s",
    "login_failure_rate": "login_failure_rate",
    "crash_rate": "crash_rate_per_min",
}
"""The scenario setting that each flag changes."""

CALLED_BY_WORKER = {"platforms": "--platforms", "max_accounts": "--max-accounts"}
CALLED = {setting: f"--{flag.replace('_', '-')}" for flag, setting in FLAGS.items()}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator`."""
    plain = Scenario()
    parser = Parser(
        prog="python -m simulator",
        description="Simulated workers, administrators, devices and a social platform against a "
        "real Master.",
        epilog="Other commands, each with its own --help: `virtual` (faster than the clock, with "
        "faults), `crash` (Master is killed again and again), `restart` (Master restarts under "
        "many workers), `worker` (one worker as a process). PORT in the environment sets the port "
        "of the Master that the run starts. "
        "Exit code: 0 nothing violated, 1 violations, 2 could not start.",
    )
    add = parser.add_argument
    add(
        "--scenario",
        metavar="NAME|PATH",
        help=f"start from a file; names: {', '.join(name_scenarios())}",
    )
    add("--workers", type=int, metavar="N", help=f"default {plain.workers}")
    add("--admins", type=int, metavar="N", help=f"default {plain.admins}")
    add("--clients", type=int, metavar="N", help=f"devices in /client, default {plain.clients}")
    add("--accounts", type=int, metavar="N", help="default four per worker")
    add("--duration", type=float, metavar="S", help="seconds; default: until Ctrl-C")
    add("--seed", type=int, metavar="N", help=f"seed of all randomness, default {plain.seed}")
    add(
        "--rate",
        type=float,
        metavar="R",
        help=f"messages per second in total, default {plain.rate_per_s:g}",
    )
    add(
        "--login-failure-rate",
        type=float,
        metavar="P",
        help=f"0 to 1, default {plain.login_failure_rate:g}",
    )
    add(
        "--crash-rate",
        type=float,
        metavar="R",
        help=f"per worker and minute, default {plain.crash_rate_per_min:g}",
    )
    add("--url", help="use the Master at this URL instead of starting one")
    add(
        "--keep",
        action="store_true",
        help="with --url: do not delete the run's accounts at the end",
    )
    add(
        "--prefix",
        default="sim",
        help="prefix of the names of workers and devices, default %(default)s",
    )
    add("--json", action="store_true", help="print one JSON object as the last line of stdout")
    add("--report", type=Path, metavar="FILE", help="write a page with plots at the end")
    add("--quiet", action="store_true", help="no live view")
    return parser


def build_worker_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of `python -m simulator worker`; its defaults come from `environment`."""
    host, port = (
        environment.get("MASTER_HOST") or "127.0.0.1",
        environment.get("MASTER_PORT") or "3000",
    )
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    parser = Parser(
        prog="python -m simulator worker",
        description="One simulated worker; SIGTERM ends it with a goodbye.",
    )
    add = parser.add_argument
    add(
        "--id",
        default=environment.get("WORKER_ID") or "worker-1",
        help="default WORKER_ID, here %(default)s",
    )
    add(
        "--url",
        default=f"http://{host}:{port}",
        help="default from MASTER_HOST and MASTER_PORT, here %(default)s",
    )
    add(
        "--platforms", default="douyin,xiaohongshu", help="separated by commas, default %(default)s"
    )
    add(
        "--max-accounts",
        type=int,
        default=environment.get("MAX_ACCOUNTS") or "10",
        help="default MAX_ACCOUNTS, here %(default)s",
    )
    add("--seed", type=int, default=1, help="seed of all randomness, default %(default)s")
    add(
        "--rate",
        type=float,
        default=RATE_PER_ACCOUNT_S,
        help="messages per second and account, default %(default)s",
    )
    return parser


def read_run(arguments: Sequence[str]) -> tuple[Scenario, Options]:
    """Return the scenario and options of a command line. Errors: ScenarioTrouble."""
    parsed = build_parser().parse_args(arguments)
    scenario = load_scenario(parsed.scenario) if parsed.scenario else Scenario()
    changes = {
        setting: getattr(parsed, flag)
        for flag, setting in FLAGS.items()
        if getattr(parsed, flag) is not None
    }
    if parsed.keep and parsed.url is None:
        raise ScenarioTrouble(
            "--keep needs --url: without it the Master and its data end with the run"
        )
    url = None if parsed.url is None else _require_url(parsed.url)
    options = Options(
        url,
        parsed.json,
        parsed.quiet,
        parsed.keep,
        parsed.prefix,
        parsed.report and require_report(parsed.report),
    )
    return change_scenario(scenario, changes, CALLED), options


def read_worker(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[WorkerProfile, str, Scenario]:
    """Return a single worker's profile, URL and scenario. Errors: ScenarioTrouble."""
    parsed = build_worker_parser(environment).parse_args(arguments)
    platforms = tuple(name.strip() for name in parsed.platforms.split(",") if name.strip())
    changes = {
        "workers": 1,
        "accounts": 1,  # the rate is per account; Master decides how many accounts there are
        "rate_per_s": parsed.rate,
        "seed": parsed.seed,
        "platforms": platforms,
        "max_accounts": parsed.max_accounts,
        "sms_rate": 0,  # the code is on a phone in this process; the administrator is outside it
        "crash_rate_per_min": 0,
        "ramp_s": 0,
    }
    scenario = change_scenario(Scenario(), changes, {**CALLED, **CALLED_BY_WORKER})
    profile = WorkerProfile(parsed.id, platforms, parsed.max_accounts)
    return profile, _require_url(parsed.url), scenario


def _require_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or too large
        usable = False
    if not usable:
        raise ScenarioTrouble(f"--url is {url!r}; allowed is http://host:port")
    return url.rstrip("/")


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run `work` on the fastest installed event loop and return its exit code."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):  # uvloop does not install everywhere
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code."""
    parsed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if parsed[:1] == ["worker"]:
            profile, url, scenario = read_worker(parsed[1:], os.environ)
            return run(lambda: run_worker(profile, url, scenario))
        if parsed[:1] == ["virtual"]:
            # the laboratory imports all of Master, which would take most of the start of the others
            from simulator.virtual.tools.command import run_virtual

            return run_virtual(parsed[1:])
        if parsed[:1] in (["crash"], ["restart"]):
            from simulator.trials.catalog import COMMANDS

            return run(COMMANDS[parsed[0]](parsed[1:], os.environ))
        whole, options = read_run(parsed)
        return run(lambda: run_demo(whole, options))
    except (ScenarioTrouble, StartTrouble) as trouble:
        print(f"simulator: {trouble}", file=sys.stderr)
        return USAGE_TROUBLE
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("simulator: stopped before the end, nothing was checked", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
