"""A run over real sockets: its wiring, and its phases one after another.

start --> running --(duration, Ctrl-C)--> draining --> checking --> leaving --> summary
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from master.clock import SystemClock
from master.model import JsonObject
from simulator.actors.admin import create_accounts, delete_accounts
from simulator.actors.crew import Crew, note_stray_faults, open_world, stop_on_signals
from simulator.actors.transport import SocketTransport, open_http_session
from simulator.arguments import require_plots
from simulator.display.report import Listed, build_result, choose_console, print_summary
from simulator.display.samples import Samples
from simulator.display.view import View
from simulator.pace import wait_set
from simulator.scenario import Scenario
from simulator.trials.master_process import (
    MasterProcess,
    RunningMaster,
    StartTrouble,
    run_master,
    wait_until_ready,
)
from simulator.trials.mishaps import Mishaps
from simulator.truth.api import ApiTrouble, HttpApi
from simulator.truth.invariants import check_all, read_everything, read_stored

RUNNING_MASTER_LIMIT_S = 5.0
SAMPLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """A run's output, and the URL of its Master; None: the run starts its own."""

    url: str | None = None
    json: bool = False
    quiet: bool = False
    keep: bool = False
    prefix: str = "sim"
    report: Path | None = None


class Demo:
    """One run against one Master."""

    def __init__(
        self,
        scenario: Scenario,
        options: Options,
        session: aiohttp.ClientSession,
        url: str,
        master_ended: asyncio.Event | None = None,
    ) -> None:
        self._run = f"{options.prefix}{scenario.seed}-{int(SystemClock().now())}"
        self._options = options
        self._master_ended = master_ended or asyncio.Event()
        self.world = open_world(
            scenario,
            lambda namespace: SocketTransport(session, url, namespace),
            self._run,
            options.prefix,
        )
        self.world.platform.visitors.are_here = True
        self.ledger, self.tally = self.world.ledger, self.world.tally
        self.api = HttpApi(session, url, self.ledger)
        self.view = View(choose_console(options.json), scenario, self.tally, self.ledger, url)
        self.listed = Listed()
        self.lasted_s = 0.0
        self.samples = Samples()

    async def play(self, stop: asyncio.Event) -> None:
        """Create accounts, run all actors until the end, check, and leave. Errors: StartTrouble."""
        note_stray_faults(self.ledger)
        try:
            account_ids = await create_accounts(self.api, self.world, self._run)
        except ApiTrouble as trouble:
            raise StartTrouble(f"the accounts could not be created: {trouble}") from trouble
        self.tally.begin()
        self.ledger.started = self.tally.started
        crew = Crew(self.world, account_ids)
        async with asyncio.TaskGroup() as group:
            crew.start(group)
            watching = [
                group.create_task(crew.look_after()),
                group.create_task(self._mind_master(stop)),
            ]
            watching.append(group.create_task(self._sample(crew)))
            mishaps = Mishaps(self.world, self.api, crew, account_ids)
            watching.append(group.create_task(mishaps.run()))
            if not self._options.quiet:
                group.create_task(self.view.show_until(crew.leave))
            await self._last(stop)
            self.view.phase = "draining"
            await crew.drain(self._master_ended)
            await self._check(crew, account_ids)
            self.view.phase = "leaving"
            self.tally.leaving = True
            for task in watching:
                task.cancel()
            crew.leave.set()
        if self._options.url is not None and not self._options.keep:
            await self._clean_up(account_ids)

    def show_result(self) -> JsonObject:
        """Return the run's figures."""
        scenario, produced = self.world.scenario, self.world.platform.produced
        return build_result(scenario, self.tally, self.ledger, produced, self.listed, self.lasted_s)

    async def _last(self, stop: asyncio.Event) -> None:
        await wait_set(stop, self.world.scenario.duration_s)
        stop.set()  # from now on Ctrl-C ends the run at once
        self.lasted_s = self.tally.elapsed()

    async def _sample(self, crew: Crew) -> None:
        """Add a sample once a second, for the report."""
        while True:
            self.samples.record(
                self.tally,
                self.ledger,
                master=not self._master_ended.is_set(),
                waiting=crew.count_waiting(),
            )
            await asyncio.sleep(SAMPLE_S)

    async def _mind_master(self, stop: asyncio.Event) -> None:
        """End the run if its own Master has ended."""
        await self._master_ended.wait()
        stop.set()

    async def _check(self, crew: Crew, account_ids: list[str]) -> None:
        self.view.phase = "checking"
        facts = self.ledger.freeze()
        try:
            # a Master of others may have a great many rows that are not this run's
            read = read_everything if self._options.url is None else read_stored
            stored = await read(self.api, account_ids)
        except ApiTrouble as trouble:
            self.ledger.complain("api", str(trouble))
            return
        await crew.catch_up()
        check_all(
            stored,
            facts,
            self.ledger,
            self.world.platform,
            [client.seen for client in crew.clients],
        )
        self.listed = Listed(sum(map(len, stored.messages.values())), len(stored.notifications))

    async def _clean_up(self, account_ids: list[str]) -> None:
        try:
            await delete_accounts(self.api, account_ids)
        except ApiTrouble as trouble:
            self.ledger.complain("api", str(trouble))


@contextlib.asynccontextmanager
async def find_master(
    scenario: Scenario, options: Options, session: aiohttp.ClientSession
) -> AsyncIterator[RunningMaster | MasterProcess]:
    """Yield a ready Master: the one at the options' URL, or a new one. Errors: StartTrouble."""
    if options.url is not None:
        await wait_until_ready(session, options.url, RUNNING_MASTER_LIMIT_S)
        yield RunningMaster(options.url)
        return
    extra = {"DEMO": "1", "DEMO_LABEL": f"seed {scenario.seed}, {scenario.workers} workers"}
    if scenario.login_ttl_s is not None:
        extra["LOGIN_TTL_S"] = str(scenario.login_ttl_s)
    async with run_master(session, extra) as master:
        yield master


def write_report(path: Path, demo: Demo, result: JsonObject) -> None:
    """Write the page with plots."""
    demo.samples.marks = [(at, what) for at, what in demo.tally.marks]
    bad = [
        f"{one['at']:.1f} s {one['rule']}: {one['detail']}" for one in result["violation_details"]
    ]
    lines = [
        f"{result['workers']:,} workers, {sum(result['accounts'].values()):,} accounts, "
        f"{demo.lasted_s:.0f} s",
        f"{result['messages']:,} messages stored, {result['duplicates']:,} duplicates, "
        f"{result['notifications']:,} notifications, {result['logins']:,} logins",
    ]
    require_plots().write_page(
        path, f"Demo, seed {demo.world.scenario.seed}", lines, demo.samples, bad=bad
    )


async def run_demo(scenario: Scenario, options: Options) -> int:
    """Run a scenario and print its result; return 0 without violations, else 1.

    Errors: StartTrouble.
    """
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with open_http_session() as session:
            async with find_master(scenario, options, session) as master:
                if not options.json:  # its only line of output is for programs
                    print(f"Console: {master.url}/console/", flush=True)
                demo = Demo(scenario, options, session, master.url, master.ended)
                await demo.play(stop)
            for rule, detail in master.findings:
                demo.ledger.complain(rule, detail)
    result = demo.show_result()
    if options.report is not None:
        write_report(options.report, demo, result)
    if not (options.json and options.quiet):
        print_summary(choose_console(options.json), result)
    if options.json:
        print(json.dumps(result, ensure_ascii=False), file=sys.stdout, flush=True)
    return 1 if result["violations"] else 0
