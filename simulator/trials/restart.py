"""A restart of Master under many workers: the seconds until all are back, and moved accounts.

start --> accounts created --> workers connected, accounts assigned --> kill --> start
      --(all back)--> heartbeats --> compared
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from rich.console import Console

from master.clock import SystemClock
from master.model import JsonObject
from simulator.actors.admin import create_accounts
from simulator.actors.crew import Crew, note_stray_faults, open_world, stop_on_signals
from simulator.actors.transport import SocketTransport, open_http_session
from simulator.display.report import choose_console, draw_violations
from simulator.pace import wait_set
from simulator.scenario import Scenario
from simulator.trials.master_process import MasterProcess, StartTrouble, choose_port, prepare_master
from simulator.truth.api import ApiTrouble, HttpApi
from simulator.truth.histogram import Histogram
from simulator.truth.stored_file import compare_owners
from simulator.truth.tally import WorkerState

ARRIVAL_LIMIT_S = 120.0
LOOK_S = 0.05
BEATS = 2.5
"""Heartbeat intervals to wait once all are back: each worker has then sent two heartbeats."""

HEARTBEAT_S = 10.0

SPARE_SLOTS = 1
"""Slots that each worker has beyond its share of the accounts.

A third of the workers know one platform only. Without spare slots, workers that know all platforms
could fill up with accounts that these could own, and some account would find no worker.
"""


@dataclass(frozen=True, slots=True)
class RestartOptions:
    """The numbers of workers and accounts, and the seconds within which all must be back."""

    workers: int = 2000
    accounts: int = 2000
    limit_s: float = 30.0
    seed: int = 1
    json: bool = False


@dataclass(slots=True)
class Figures:
    """The measurements. `_s` is seconds; after the kill they count from the new process's start."""

    connected_s: float = 0.0
    placed_s: float = 0.0
    ready_s: float = 0.0
    all_back_s: float = 0.0
    moved: int = 0
    unowned: int = 0


class RestartRun:
    """One restart of a Master that is not started yet."""

    def __init__(
        self, options: RestartOptions, session: aiohttp.ClientSession, master: MasterProcess
    ) -> None:
        self._options = options
        self._master = master
        self.scenario = Scenario(
            workers=options.workers,
            admins=1,
            clients=0,
            accounts=options.accounts,
            seed=options.seed,
            max_accounts=math.ceil(options.accounts / options.workers) + SPARE_SLOTS,
            rate_per_s=0.0,
            logins_at_once=1,
            crash_rate_per_min=0.0,
            client_drop_rate_per_min=0.0,
            retry_wait_s=(0.5, 5.0),
        )
        url = master.url
        self._run = f"restart{options.seed}-{int(SystemClock().now())}"
        self.world = open_world(
            self.scenario,
            lambda namespace: SocketTransport(session, url, namespace),
            self._run,
            "restart",
        )
        self._api = HttpApi(session, url, self.world.ledger)
        self.figures = Figures()
        self.returned = Histogram()

    async def play(self, stop: asyncio.Event) -> None:
        """Run the whole trial once. Errors: StartTrouble."""
        ledger, figures = self.world.ledger, self.figures
        note_stray_faults(ledger)
        await self._master.spawn()
        await self._master.wait_ready()
        self._say("creating accounts")
        await self._create_accounts()
        crew, trouble = Crew(self.world), None
        async with asyncio.TaskGroup() as group:
            for worker in crew.workers:
                group.create_task(worker.run(crew.calm, crew.leave))
            try:
                figures.connected_s = await self._time(
                    "connected", stop, self._count_connected, self._options.workers
                )
                figures.placed_s = await self._time(
                    "placed", stop, self._count_placed, self._options.accounts
                )
                await self._restart(stop)
            except StartTrouble as fault:  # raised here, the group would wrap it
                trouble = fault
            finally:
                self.world.tally.leaving = True
                crew.leave.set()
        if trouble is not None:
            raise trouble

    async def _create_accounts(self) -> None:
        try:
            await create_accounts(self._api, self.world, self._run)
        except ApiTrouble as trouble:
            raise StartTrouble(f"the accounts could not be created: {trouble}") from trouble

    async def _restart(self, stop: asyncio.Event) -> None:
        before = read_owners(self._master.db_path)
        self._master.strike()
        await self._master.wait_end()
        await self._time("cut off", stop, self._count_away, self._options.workers)
        began = self.world.clock.monotonic()
        await self._master.spawn()
        seen = asyncio.create_task(self._note_returns(began))
        await self._master.wait_ready()
        self.figures.ready_s = self.world.clock.monotonic() - began
        await self._time("back", stop, self._count_connected, self._options.workers)
        self.figures.all_back_s = self.world.clock.monotonic() - began
        seen.cancel()
        if self.figures.all_back_s > self._options.limit_s:
            self.world.ledger.complain(
                "back_too_late", f"all were back after {self.figures.all_back_s:.1f} s"
            )
        self._say("waiting for two heartbeats of each worker")
        await wait_set(stop, BEATS * HEARTBEAT_S)
        after = read_owners(self._master.db_path)
        self.figures.moved = sum(after.get(name) != owner for name, owner in before.items())
        self.figures.unowned = sum(owner is None for owner, _ in after.values())
        if self.figures.moved:
            self.world.ledger.complain(
                "accounts_moved", f"{self.figures.moved} accounts have another owner or epoch"
            )
        ledger = self.world.ledger
        owners = {name: owner for name, (owner, _) in after.items()}
        for detail in compare_owners(owners, ledger.ownership.show_owners()):
            ledger.complain("owner_differs", detail)

    async def _note_returns(self, began: float) -> None:
        """Record when each worker is back."""
        states, waiting = self.world.tally.worker_states, set(self.world.tally.worker_states)
        while waiting:
            await asyncio.sleep(LOOK_S)
            back = {name for name in waiting if states[name] is WorkerState.CONNECTED}
            waiting -= back
            for _ in back:
                self.returned.add(self.world.clock.monotonic() - began)

    async def _time(
        self, what: str, stop: asyncio.Event, count: Callable[[], int], wanted: int
    ) -> float:
        """Wait until `count` reaches `wanted`; return how long that took. Errors: StartTrouble."""
        began = self.world.clock.monotonic()
        while (number := count()) < wanted:
            await wait_set(stop, LOOK_S)
            took = self.world.clock.monotonic() - began
            if stop.is_set() or took > ARRIVAL_LIMIT_S:
                raise StartTrouble(f"after {took:.0f} s {number:,} of {wanted:,} are {what}")
        took = self.world.clock.monotonic() - began
        self._say(f"{wanted:,} {what} after {took:.1f} s")
        return took

    def _count_connected(self) -> int:
        return sum(
            state is WorkerState.CONNECTED for state in self.world.tally.worker_states.values()
        )

    def _count_away(self) -> int:
        return self._options.workers - self._count_connected()

    def _count_placed(self) -> int:
        return sum(owner is not None for owner, _ in read_owners(self._master.db_path).values())

    def _say(self, line: str) -> None:
        choose_console(self._options.json).print(
            line, markup=False, highlight=False, soft_wrap=True
        )

    def show_result(self) -> JsonObject:
        """Return the figures for `--json`."""
        ledger = self.world.ledger
        return {
            "workers": self._options.workers,
            "accounts": self._options.accounts,
            "seed": self._options.seed,
            **{name: round(value, 2) for name, value in asdict(self.figures).items()},
            "returned_ms": self.returned.show_ms(),
            "violations": ledger.violation_count,
            "violation_details": [asdict(violation) for violation in ledger.violations],
        }


def read_owners(path: Path) -> dict[str, tuple[str | None, int]]:
    """Return each account's owner and epoch from a database file."""
    with closing(
        sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    ) as connection:
        rows = connection.execute("SELECT id, assigned_worker_id, epoch FROM accounts")
        return {account_id: (owner, epoch) for account_id, owner, epoch in rows}


def allow_open_files(wanted: int) -> None:
    """Raise the limit of open files to `wanted` for this process and its children.

    The system's hard limit stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))


async def run_restart(options: RestartOptions, environment: dict[str, str]) -> int:
    """Run the trial; return 0 if all are back in time with their accounts, else 1.

    Errors: StartTrouble.
    """
    stop = asyncio.Event()
    allow_open_files(2 * options.workers + 200)
    port = choose_port(environment)
    with stop_on_signals(stop):
        async with open_http_session() as session:
            async with prepare_master(
                session, port, {"HEARTBEAT_INTERVAL_S": f"{HEARTBEAT_S:g}"}
            ) as master:
                run = RestartRun(options, session, master)
                await run.play(stop)
            for rule, detail in master.findings:
                run.world.ledger.complain(rule, detail)
    result = run.show_result()
    print_summary(choose_console(options.json), result)
    if options.json:
        print(json.dumps(result, ensure_ascii=False), flush=True)
    return 1 if result["violations"] else 0


def print_summary(console: Console, result: JsonObject) -> None:
    """Print the summary of a run."""
    back = result["returned_ms"]
    for line in (
        f"{result['workers']:,} workers with {result['accounts']:,} accounts; "
        "Master killed and started again:",
        f"ready after {result['ready_s']:.1f} s; "
        f"workers back after p50 {(back['p50'] or 0) / 1000:.1f} s, "
        f"all after {result['all_back_s']:.1f} s",
        f"accounts moved: {result['moved']}, without an owner: {result['unowned']}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if result["violations"]:
        for part in draw_violations(result):
            console.print(part, soft_wrap=True)
