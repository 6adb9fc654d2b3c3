"""A run over real sockets: everything is wired here, and the run's phases follow one another.

start --> running --(duration, Ctrl-C)--> draining --> checking --> leaving --> summary
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from rich.console import Console

from master.clock import SystemClock
from master.model import JsonObject
from simulator.admin import Admin, create_accounts, delete_accounts
from simulator.api import ApiTrouble, HttpApi
from simulator.client import Client
from simulator.connection import TROUBLE
from simulator.invariants import check_all, read_stored
from simulator.ledger import Ledger
from simulator.master_process import OwnMaster, StartTrouble, run_master, wait_until_ready
from simulator.pace import wait_set
from simulator.platform import Platform
from simulator.report import Listed, build_result, print_summary
from simulator.scenario import Scenario
from simulator.tally import Tally
from simulator.transport import SocketTransport, Transport, open_http_session
from simulator.view import View
from simulator.worker import Worker, draw_profiles
from simulator.world import WatchedTransport, World

DRAIN_LIMIT_S = 20.0
SWEEP_S = 0.25
GIVEN_MASTER_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is shown, and which Master it is for; None: one of its own."""

    url: str | None = None
    json: bool = False
    quiet: bool = False
    keep: bool = False
    prefix: str = "sim"


@dataclass(slots=True)
class Crew:
    """All actors of a run, and the two words that end it: `calm` (nothing new) and `leave`."""

    workers: list[Worker]
    admins: list[Admin]
    clients: list[Client]
    calm: asyncio.Event
    leave: asyncio.Event


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
        clock = SystemClock()
        run = f"{options.prefix}{scenario.seed}-{int(clock.now())}"
        self._run = run
        self._options = options
        self._url = url
        self._session = session
        self._master_ended = master_ended or asyncio.Event()
        self.ledger = Ledger(clock)
        self.tally = Tally(clock)
        self.platform = Platform(scenario, clock, run)
        self.world = World(
            scenario, clock, self._open_transport, self.platform, self.ledger, self.tally, options.prefix
        )
        self.api = HttpApi(session, url, self.ledger)
        self.view = View(choose_console(options), scenario, self.tally, self.ledger, url)
        self.listed = Listed()
        self.lasted_s = 0.0

    async def play(self, stop: asyncio.Event) -> None:
        """Create the accounts, let everybody work until the end, check, and leave. Errors: StartTrouble."""
        asyncio.get_running_loop().set_exception_handler(self._take_stray_fault)
        try:
            account_ids = await create_accounts(self.api, self.world, self._run)
        except ApiTrouble as trouble:
            raise StartTrouble(f"the accounts could not be created: {trouble}") from trouble
        self.tally.begin()
        self.ledger.started = self.tally.started
        crew = self._hire(account_ids)
        async with asyncio.TaskGroup() as group:
            actors: list[Worker | Admin | Client] = [*crew.workers, *crew.admins, *crew.clients]
            for actor in actors:
                group.create_task(actor.run(crew.calm, crew.leave))
            watching = group.create_task(self._sweep(crew, stop))
            if not self._options.quiet:
                group.create_task(self.view.show_until(crew.leave))
            await self._last(stop)
            await self._drain(crew)
            await self._check(crew, account_ids)
            self.view.phase = "leaving"
            self.tally.leaving = True
            watching.cancel()
            crew.leave.set()
        if self._options.url is not None and not self._options.keep:
            await self._clean_up(account_ids)

    def show_result(self) -> JsonObject:
        """Return the run's figures."""
        scenario, produced = self.world.scenario, self.platform.produced
        return build_result(scenario, self.tally, self.ledger, produced, self.listed, self.lasted_s)

    # -- phases ------------------------------------------------------------------------------------------------

    async def _last(self, stop: asyncio.Event) -> None:
        await wait_set(stop, self.world.scenario.duration_s)
        stop.set()  # from now on the next Ctrl-C means: at once
        self.lasted_s = self.tally.elapsed()

    async def _drain(self, crew: Crew) -> None:
        """Let nothing new happen and wait until every report is acknowledged, within a limit."""
        self.view.phase = "draining"
        crew.calm.set()
        self.platform.stop_producing()
        await asyncio.gather(*(admin.close_logins() for admin in crew.admins))
        for worker in crew.workers:
            worker.flush()
        end = self.tally.elapsed() + DRAIN_LIMIT_S
        while self._count_waiting(crew) and self.tally.elapsed() < end:
            if await wait_set(self._master_ended, 0.1):
                break
        if left := self._count_waiting(crew):
            self.ledger.complain("outbox_not_drained", f"{left} reports were not acknowledged")

    async def _check(self, crew: Crew, account_ids: list[str]) -> None:
        self.view.phase = "checking"
        try:
            stored = await read_stored(self.api, account_ids)
        except ApiTrouble as trouble:
            self.ledger.complain("api", str(trouble))
            return
        for client in crew.clients:
            try:
                await client.catch_up()
            except TROUBLE as trouble:
                self.ledger.complain("sync_failed", f"{client.device_id}: {trouble}")
        check_all(stored, self.ledger, self.platform, [client.seen for client in crew.clients])
        self.listed = Listed(sum(map(len, stored.messages.values())), len(stored.notifications))

    async def _clean_up(self, account_ids: list[str]) -> None:
        try:
            await delete_accounts(self.api, account_ids)
        except ApiTrouble as trouble:
            self.ledger.complain("api", str(trouble))

    async def _sweep(self, crew: Crew, stop: asyncio.Event) -> None:
        """Look at what workers believe, for ever; end the run if its own Master has ended."""
        while True:
            self.ledger.ownership.sweep(self.world.clock.monotonic())
            self.tally.waiting_reports = self._count_waiting(crew)
            if self._master_ended.is_set():
                stop.set()
            await asyncio.sleep(SWEEP_S)

    # -- wiring ------------------------------------------------------------------------------------------------

    def _hire(self, account_ids: list[str]) -> Crew:
        scenario, world = self.world.scenario, self.world
        profiles = draw_profiles(scenario.workers, scenario.platforms, scenario.max_accounts, world.prefix)
        return Crew(
            workers=[Worker(profile, world) for profile in profiles],
            admins=[
                Admin(number + 1, world, account_ids[number :: scenario.admins]) for number in range(scenario.admins)
            ],
            clients=[Client(number + 1, world) for number in range(scenario.clients)],
            calm=asyncio.Event(),
            leave=asyncio.Event(),
        )

    def _open_transport(self, namespace: str) -> Transport:
        inner = SocketTransport(self._session, self._url, namespace)
        return WatchedTransport(inner, namespace, self.ledger, self.tally)

    def _take_stray_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.ledger.complain("stray_fault", f"{context.get('message')}: {context.get('exception')!r}")

    @staticmethod
    def _count_waiting(crew: Crew) -> int:
        return sum(worker.waiting_reports for worker in crew.workers)


def choose_console(options: Options) -> Console:
    """Return where the live view goes: never to stdout where the JSON goes there."""
    return Console(stderr=options.json)


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at the first Ctrl-C or SIGTERM, and cancel the present task at the second."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def take_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, take_signal)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def find_master(scenario: Scenario, options: Options, session: aiohttp.ClientSession) -> AsyncIterator[OwnMaster]:
    """Yield the Master that was asked for, ready: the given one, or a new one. Errors: StartTrouble."""
    if options.url is not None:
        await wait_until_ready(session, options.url, GIVEN_MASTER_LIMIT_S)
        yield OwnMaster(options.url)
        return
    extra = {} if scenario.login_ttl_s is None else {"LOGIN_TTL_S": str(scenario.login_ttl_s)}
    async with run_master(session, extra) as master:
        yield master


async def run_demo(scenario: Scenario, options: Options) -> int:
    """Run a scenario, show what came of it, and return 0 if nothing was violated, else 1. Errors: StartTrouble."""
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with open_http_session() as session:
            async with find_master(scenario, options, session) as master:
                demo = Demo(scenario, options, session, master.url, master.ended)
                await demo.play(stop)
            for rule, detail in master.findings:
                demo.ledger.complain(rule, detail)
    result = demo.show_result()
    if not (options.json and options.quiet):
        print_summary(choose_console(options), result)
    if options.json:
        print(json.dumps(result, ensure_ascii=False), file=sys.stdout, flush=True)
    return 1 if result["violations"] else 0
