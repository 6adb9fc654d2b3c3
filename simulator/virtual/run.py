"""One virtual run: the real Master and the demo's actors in one process; chaos, then healing, then the reckoning."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from master.app import Master
from master.model import JsonObject
from master.settings import Settings, load_settings
from simulator.admin import Admin, create_accounts
from simulator.api import ApiTrouble
from simulator.chance import open_stream
from simulator.client import Client
from simulator.connection import TROUBLE
from simulator.invariants import check_all, read_stored
from simulator.ledger import Ledger
from simulator.platform import Platform
from simulator.scenario import Scenario
from simulator.tally import Tally
from simulator.transport import Listener, Transport
from simulator.virtual.database import connect_inline
from simulator.virtual.http import MemoryApi
from simulator.virtual.loop import VirtualClock, run_virtually
from simulator.virtual.network import Link
from simulator.virtual.trace import Trace
from simulator.virtual.wire import LinkTransport, put_on_links
from simulator.worker import Worker, draw_profiles
from simulator.world import WatchedTransport, World

LATENCY_S = (0.001, 0.03)
HEAL_GRACE_S = 30.0
DRAIN_LIMIT_S = 120.0
SWEEP_S = 1.0


@dataclass(slots=True)
class Outcome:
    """What came of a run. `simulated_s` is virtual, `wall_s` real seconds."""

    seed: int
    trace_hash: str = ""
    simulated_s: float = 0.0
    wall_s: float = 0.0
    violations: int = 0
    details: list[JsonObject] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)

    def to_wire(self) -> JsonObject:
        """Return the object that `--json` prints."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class TracedTransport:
    """A transport that writes everything said over it into the trace."""

    def __init__(self, inner: Transport, actor: str, trace: Trace) -> None:
        self._inner = inner
        self._actor = actor
        self._trace = trace

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, or never came about."""
        return self._inner.closed

    def on(self, event: str, listener: Listener) -> None:
        """Call `listener` with each `event`."""

        def note_first(data: JsonObject) -> None:
            self._trace.note(self._actor, f"<{event}", data)
            listener(data)

        self._inner.on(event, note_first)

    async def connect(self) -> None:
        """Open the connection. Errors: LinkDown."""
        await self._inner.connect()
        self._trace.note(self._actor, "connected")

    async def call(self, event: str, data: JsonObject, timeout_s: float) -> JsonObject:
        """Send an event and return its acknowledgement. Errors: LinkDown, AckLate."""
        self._trace.note(self._actor, f">{event}", data)
        answer = await self._inner.call(event, data, timeout_s)
        self._trace.note(self._actor, f"={event}", answer)
        return answer

    async def disconnect(self) -> None:
        """Close the connection properly."""
        await self._inner.disconnect()

    def cut(self) -> None:
        """End the connection as a crashed process does."""
        self._inner.cut()

    async def wait_closed(self) -> None:
        """Return once the connection is gone."""
        await self._inner.wait_closed()


class VirtualRun:
    """One seed's run. `hours` is how long chaos lasts, in virtual time."""

    def __init__(self, scenario: Scenario, hours: float, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._scenario = scenario
        self._chaos_s = hours * 3600
        self._path = folder / "master.db"
        self.clock = VirtualClock(loop)
        self.trace = Trace(self.clock)
        self.ledger = Ledger(self.clock)
        self.tally = Tally(self.clock)
        self.platform = Platform(scenario, self.clock, f"v{scenario.seed}")
        self._numbers = itertools.count(1)
        self._links = itertools.count(1)
        self.settings = self._make_settings()
        self.master: Master | None = None
        self.world = World(
            scenario, self.clock, self._open_transport, self.platform, self.ledger, self.tally, prefix="v"
        )
        self.api = MemoryApi(lambda: self.master.make_http_protocol if self.master else None, self.ledger)

    async def play(self) -> None:
        """Run chaos, healing and the reckoning."""
        master = self.master = self._make_master()
        with put_on_links(master.sockets, self.clock):
            await master.start(listen=False)
            try:
                await self._play(await create_accounts(self.api, self.world, f"v{self._scenario.seed}"))
            finally:
                await master.close()

    async def _play(self, account_ids: list[str]) -> None:
        scenario, world = self._scenario, self.world
        self.tally.begin()
        self.ledger.started = self.tally.started
        profiles = draw_profiles(scenario.workers, scenario.platforms, scenario.max_accounts, world.prefix)
        workers = [Worker(profile, world) for profile in profiles]
        admins = [Admin(n + 1, world, account_ids[n :: scenario.admins]) for n in range(scenario.admins)]
        clients = [Client(n + 1, world) for n in range(scenario.clients)]
        calm, leave = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            actors: list[Worker | Admin | Client] = [*workers, *admins, *clients]
            for actor in actors:
                group.create_task(actor.run(calm, leave))
            sweeping = group.create_task(self._sweep())
            await asyncio.sleep(self._chaos_s)
            calm.set()
            self.platform.stop_producing()
            for admin in admins:
                await admin.close_logins()
            await asyncio.sleep(2 * self.settings.heartbeat_timeout_s + HEAL_GRACE_S)
            await self._drain(workers)
            await self._reckon(clients, account_ids)
            self.tally.leaving = True
            sweeping.cancel()
            leave.set()

    async def _drain(self, workers: list[Worker]) -> None:
        for worker in workers:
            worker.flush()
        end = self.clock.monotonic() + DRAIN_LIMIT_S
        while any(worker.waiting_reports for worker in workers) and self.clock.monotonic() < end:  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(SWEEP_S)
        left = sum(worker.waiting_reports for worker in workers)
        if left:
            self.ledger.complain("outbox_not_drained", f"{left} reports were not acknowledged")

    async def _reckon(self, clients: list[Client], account_ids: list[str]) -> None:
        facts = self.ledger.freeze()
        try:
            stored = await read_stored(self.api, account_ids)
        except ApiTrouble as trouble:
            self.ledger.complain("api", str(trouble))
            return
        for client in clients:
            try:
                await client.catch_up()
            except TROUBLE as trouble:
                self.ledger.complain("sync_failed", f"{client.device_id}: {trouble}")
        check_all(stored, facts, self.ledger, self.platform, [client.seen for client in clients])

    async def _sweep(self) -> None:
        while True:
            self.ledger.ownership.sweep(self.clock.monotonic())
            await asyncio.sleep(SWEEP_S)

    # -- wiring --------------------------------------------------------------------------------------------------

    def _make_settings(self) -> Settings:
        environ = {"DB_PATH": str(self._path), "LOG_DIR": str(self._path.parent)}
        if self._scenario.login_ttl_s is not None:
            environ["LOGIN_TTL_S"] = str(self._scenario.login_ttl_s)
        return load_settings(environ, None)

    def _make_master(self) -> Master:
        return Master(
            self.settings,
            clock=self.clock,
            new_id=lambda: f"{self._scenario.seed:08x}-0000-4000-8000-{next(self._numbers):012x}",
            connect=connect_inline(self._path),
            random_bytes=open_stream(self._scenario.seed, "vault").randbytes,
        )

    def _open_transport(self, namespace: str) -> Transport:
        number = next(self._links)
        rng = Random(f"{self._scenario.seed}/network/{number}")
        link = Link(self._loop, rng, f"10.0.{number // 250 % 250}.{number % 250 + 1}", LATENCY_S)
        assert self.master is not None, "no actor lives before Master does"
        inner = LinkTransport(self.master.sockets, link, namespace)
        traced = TracedTransport(inner, f"{namespace[1:]}-{number}", self.trace)
        return WatchedTransport(traced, namespace, self.ledger, self.tally)


def play_seed(scenario: Scenario, hours: float) -> Outcome:
    """Play one seed to its end in a loop of its own and return what came of it."""
    began = perf_counter()
    outcome, faults = Outcome(scenario.seed), list[Mapping[str, Any]]()
    with tempfile.TemporaryDirectory(prefix="virtual-") as folder:

        async def main() -> None:
            run = VirtualRun(scenario, hours, Path(folder))
            await run.play()
            outcome.trace_hash = run.trace.hash
            outcome.simulated_s = run.clock.monotonic()
            outcome.violations = run.ledger.violation_count
            outcome.details = [{"at": one.at, "rule": one.rule, "detail": one.detail} for one in run.ledger.violations]
            outcome.counts = {name: getattr(run.tally.counts, name) for name in run.tally.counts.__dataclass_fields__}
            outcome.events = dict(sorted(run.trace.counts.items()))

        run_virtually(main, faults)
    for fault in faults:
        outcome.violations += 1
        outcome.details.append(
            {"at": 0.0, "rule": "stray_fault", "detail": f"{fault.get('message')}: {fault.get('exception')!r}"}
        )
    outcome.wall_s = round(perf_counter() - began, 3)
    return outcome
