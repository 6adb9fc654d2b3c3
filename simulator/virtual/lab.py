"""One virtual run: the real Master and the demo's actors in one process; chaos, then healing, then the reckoning."""

from __future__ import annotations

import asyncio
import itertools
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from master.model import JsonObject
from master.settings import Settings, load_settings
from simulator.admin import Admin, create_accounts
from simulator.api import ApiTrouble
from simulator.chance import draw_gap, open_stream
from simulator.client import Client
from simulator.connection import TROUBLE
from simulator.ledger import Ledger
from simulator.platform import Platform
from simulator.samples import Samples
from simulator.stored_file import check_file, read_file
from simulator.tally import Tally
from simulator.transport import Transport
from simulator.virtual.faults import FAULTS
from simulator.virtual.house import House
from simulator.virtual.http import MemoryApi
from simulator.virtual.life import Life, find_life
from simulator.virtual.loop import VirtualClock, VirtualLoop
from simulator.virtual.memory import Memory
from simulator.virtual.network import Frame, Link
from simulator.virtual.overseer import Overseer
from simulator.virtual.plan import Plan
from simulator.virtual.reckoning import check_in_time, reckon
from simulator.virtual.trace import Trace, TracedTransport
from simulator.virtual.wire import LinkTransport
from simulator.worker import Worker, draw_profiles
from simulator.world import WatchedTransport, World

LATENCY_S = (0.001, 0.03)
HEAL_GRACE_S = 30.0
START_GRACE_S = 30.0
"""Virtual seconds without trouble of the disk in which some Master must come to answer."""

DRAIN_LIMIT_S = 240.0
SETTLE_S = 5.0
"""Virtual seconds in which what Master has sent is heard: the end of a login gives its place to somebody else."""

EVEN_S = 60.0
"""Virtual seconds in which Master has made loads even, where it is to; who got an account then may have to wait."""

SWEEP_S = 1.0
MEMORY_S = 5.0
"""How often it is looked at how much Master keeps; what grows is there a little later as well."""

SAMPLES = 400
LAST_EVENTS = 40
FILE_LOOKS = 6
"""How often the whole file is read after a killed Master, at most."""

SIGN = re.compile(r'42/worker,\d+\["worker:(?:heartbeat|register)",\{"workerId":"([^"]*)"')


class MasterStaysAway(Exception):
    """Nothing hinders Master, and it does not start: there is nothing left to be checked."""


@dataclass(slots=True, eq=False)
class Line:
    """One open connection of an actor."""

    owner: str
    namespace: str
    link: Link
    transport: LinkTransport


class Lab:
    """One plan's run; made inside the loop of its virtual time."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop), "a laboratory needs virtual time"
        self.plan, self.scenario, self._loop = plan, plan.scenario, loop
        self.clock = VirtualClock(loop)
        self.trace = Trace(self.clock)
        self.ledger = Ledger(self.clock, overlap_grace_s=0.0)
        self.tally = Tally(self.clock)
        self.platform = Platform(self.scenario, self.clock, f"v{plan.seed}")
        self.settings = _make_settings(plan, folder)
        self.house = House(loop, self.clock, self.settings, plan.seed)
        self.overseer = Overseer(self.house, self.settings, self.ledger, self.clock)
        self.house.on_open, self.house.on_killed = self.overseer.adopt, self._note_killed
        self.world = World(
            self.scenario,
            self.clock,
            self._open_transport,
            self.platform,
            self.ledger,
            self.tally,
            prefix="v",
            draw_code=draw_blank_code,
        )
        self.api = MemoryApi(self.house, self.ledger)
        self.workers: list[Worker] = []
        self.admins: list[Admin] = []
        self.clients: list[Client] = []
        self.crowd: set[str] = set()
        """Workers that came only to fall silent."""
        self.samples = Samples()
        self.last_events: list[str] = []
        """What led to the first violation."""
        self.ledger.on_complaint = self._note_violation
        self._ends_at_violation = False
        self._lines: dict[Line, None] = {}
        self._lives: dict[str, Life] = {}
        self._numbers = itertools.count(1)
        self._file_looks = 0
        self._memory = Memory()
        self._next_success: asyncio.Future[str] | None = None

    # -- what faults may touch -----------------------------------------------------------------------------------

    @property
    def lines(self) -> list[Line]:
        """Return the connections that stand, as far as their actors know."""
        self._lines = {line: None for line in self._lines if not line.transport.ended}
        return [line for line in self._lines if not line.transport.closed]

    def life_of(self, worker: Worker) -> Life:
        """Return a worker's process."""
        return self._lives[worker.profile.id]

    def note(self, fault: str, detail: str = "") -> None:
        """Write into the trace that a fault happens."""
        self.trace.note("fault", fault, detail)

    def freeze(self, worker_id: str, life: Life) -> None:
        """Stop a worker's process."""
        self.ledger.ownership.suspend(worker_id)
        self._loop.stop_life(life)

    def thaw(self, worker_id: str, life: Life) -> None:
        """Let a stopped worker's process run on."""
        self.ledger.ownership.resume(worker_id, self.clock.monotonic())
        self._loop.resume_life(life)

    async def open_master(self) -> None:
        """Start Master again and again until it answers.

        Errors: MasterStaysAway if it does not, though for START_GRACE_S no trouble of the disk kept it from it.
        """
        disk, unhindered_s, tried = self.house.disk, 0.0, 0
        while self.house.master is None:
            began, hindered = self.clock.monotonic(), disk.hinders
            if await self.house.open():
                return
            tried += 1
            await asyncio.sleep(1.0)
            if not (hindered or disk.hinders):
                unhindered_s += self.clock.monotonic() - began
            if unhindered_s > START_GRACE_S:
                raise MasterStaysAway(f"it was started {tried} times: {self.house.trouble}")

    def open_stranger(self, namespace: str, name: str) -> LinkTransport:
        """Return a connection of somebody who is none of the actors."""
        return self._open_line(namespace, name).transport

    async def ask_http(self, method: str, path: str, body: JsonObject) -> None:
        """Ask Master over HTTP; whether it answers or refuses is its own affair, but it may not fail."""
        try:
            status, answer = await self.api.ask(method, path, body=body)
        except ApiTrouble:
            return
        if status >= 400:
            self.trace.note_refusal(answer)
        if status == 500:
            self.ledger.complain("http_failed", f"{method} {path}: {answer}")

    async def wait_success(self, timeout_s: float) -> str | None:
        """Wait until a worker reports a login's success, which Master has not heard yet; return the session, if any."""
        self._next_success = self._loop.create_future()
        await asyncio.wait([self._next_success], timeout=timeout_s)
        return self._next_success.result() if self._next_success.done() else None

    def is_calm_since(self, seconds: float) -> bool:
        """Tell whether Master has been up and unhindered for so long."""
        house = self.house
        hindered = house.master is None or house.disk.hinders or (house.life and house.life.stopped)
        return not hindered and self.clock.monotonic() - house.undisturbed_since > seconds

    # -- the run -------------------------------------------------------------------------------------------------

    def end_at_violation(self) -> None:
        """Let the run end at its first violation."""
        self._ends_at_violation = True

    def _note_violation(self) -> None:
        """Keep what led to the first violation: a run goes on for long, and the trace forgets."""
        if self.ledger.violation_count == 1:
            first = self.ledger.violations[0]
            self.last_events = self.trace.show_latest(f"{first.rule}: {first.detail}", LAST_EVENTS)
        if self._ends_at_violation:
            self._loop.interrupt()

    async def play(self) -> None:
        """Run chaos, healing and the reckoning. Errors: MasterStaysAway; ApiTrouble before anything went wrong."""
        await self.open_master()
        account_ids = await create_accounts(self.api, self.world, f"v{self.plan.seed}")
        await self._play(account_ids)

    def close(self) -> None:
        """Close what the run has opened, however it ended."""
        self.overseer.close()
        self.house.release()

    async def _play(self, account_ids: list[str]) -> None:
        scenario, world = self.scenario, self.world
        self.tally.begin()
        self.ledger.started = self.tally.started
        profiles = draw_profiles(scenario.workers, scenario.platforms, scenario.max_accounts, world.prefix)
        calm, leave = asyncio.Event(), asyncio.Event()
        shares = [account_ids[number :: scenario.admins] for number in range(scenario.admins)]
        async with asyncio.TaskGroup() as group:
            for profile in profiles:
                life = self._lives[profile.id] = Life(profile.id)
                worker = life.call(Worker, profile, world)
                self.workers.append(worker)
                group.create_task(worker.run(calm, leave), context=life.context.copy())
            self.admins = [Admin(number, world, share) for number, share in enumerate(shares, 1)]
            self.clients = [Client(number + 1, world) for number in range(scenario.clients)]
            actors: list[Admin | Client] = [*self.admins, *self.clients]
            for actor in actors:
                group.create_task(actor.run(calm, leave))
            watching = group.create_task(self._watch())
            chaos = [group.create_task(self._repeat(name, gap_s)) for name, gap_s in self.plan.gaps_s.items()]
            await asyncio.sleep(self.plan.chaos_s)
            await self._heal(chaos)
            calm.set()
            await self._calm_down()
            await reckon(self, account_ids)
            watching.cancel()
            self.tally.leaving = True
            for worker in self.workers:
                self.overseer.signs[worker.profile.id].left = True
            leave.set()
        await self.house.close()

    async def _repeat(self, name: str, gap_s: float) -> None:
        rng, fault = open_stream(self.plan.seed, "fault", name), FAULTS[name]
        while True:
            await asyncio.sleep(draw_gap(rng, 1 / gap_s))
            await fault(self, rng)

    async def _heal(self, chaos: list[asyncio.Task[None]]) -> None:
        for task in chaos:
            task.cancel()
        await asyncio.wait(chaos) if chaos else None
        self.note("heal")
        self.house.disarm()
        disk = self.house.disk
        disk.trouble = disk.slow = None
        self.platform.scan_at_the_edge(None, 0.0)
        self.house.resume()
        for worker_id, life in self._lives.items():
            if life.stopped:
                self.thaw(worker_id, life)
        for line in self.lines:
            line.link.slow_down(1.0)
            line.link.release()
        await self.open_master()

    async def _calm_down(self) -> None:
        self.platform.stop_producing()
        await check_in_time(self, 2 * self.settings.heartbeat_timeout_s + HEAL_GRACE_S)
        for admin in self.admins:
            await admin.close_logins()
        for worker in self.workers:
            worker.flush()
        await self._wait_while(self._count_open_logins, self.settings.login_max_s + HEAL_GRACE_S)
        await self._wait_while(self._count_waiting, DRAIN_LIMIT_S)
        if left := self._count_waiting():
            self.ledger.complain("outbox_not_drained", f"{left} reports were not acknowledged")
        await asyncio.sleep(SETTLE_S + (EVEN_S if self.settings.rebalance_interval_s else 0.0))
        await self._wait_while(self._count_waiting_to_act, self.settings.heartbeat_timeout_s)
        for client in self.clients:
            try:
                await client.catch_up()
            except TROUBLE as trouble:
                self.ledger.complain("sync_failed", f"{client.device_id}: {trouble}")

    async def _wait_while(self, count: Callable[[], int], limit_s: float) -> None:
        end = self.clock.monotonic() + limit_s
        while count() and self.clock.monotonic() < end:  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(SWEEP_S)

    def _count_open_logins(self) -> int:
        """Return how many logins are open: some were begun for administrators who never heard of it."""
        master = self.house.master
        return 0 if master is None else len(master.memory.farm.logins)

    def _count_waiting(self) -> int:
        return sum(worker.waiting_reports for worker in self.workers)

    def _count_waiting_to_act(self) -> int:
        """Return how many workers hold what its former owner, until it has heard of it, may still act on."""
        return sum(worker.waits_to_act for worker in self.workers)

    async def _watch(self) -> None:
        """Look at everything once a second, and take samples for the report."""
        sample_s = max(SWEEP_S, (self.plan.chaos_s + 2 * self.settings.heartbeat_timeout_s) / SAMPLES)
        next_sample = next_measure = 0.0
        while True:
            now = self.clock.monotonic()
            self.ledger.ownership.sweep(now)
            if not self.is_calm_since(0.0):
                self.house.disturb()
            calm_s = now - self.house.undisturbed_since
            self.overseer.sweep(calm_s)
            if now >= next_measure:
                next_measure = now + MEMORY_S
                self._look_at_memory(now, calm_s)
            if now >= next_sample:
                next_sample = now + sample_s
                self.samples.take(
                    self.tally, self.ledger, master=self.house.master is not None, waiting=self._count_waiting()
                )
            await asyncio.sleep(SWEEP_S)

    def _look_at_memory(self, now: float, calm_s: float) -> None:
        if self.house.master is None:
            return
        grown = self._memory.find_grown(
            self.house.master,
            workers=len(self.workers) + len(self.crowd),
            accounts=self.scenario.account_count,
            links=self.house.links,
            now=now,
            calm_s=calm_s,
        )
        for detail in grown:
            self.ledger.complain("memory_grows", detail)

    # -- wiring --------------------------------------------------------------------------------------------------

    def _note_killed(self) -> None:
        self.house.disturb()
        if self._file_looks < FILE_LOOKS and self.house.path.exists():
            self._file_looks += 1
            check_file_of(self)

    def _open_transport(self, namespace: str) -> Transport:
        life = find_life(None)
        line = self._open_line(namespace, life.name if life is not None else namespace[1:])
        sign, success = (self.overseer.note_answered, self._note_success) if life is not None else (None, None)
        traced = TracedTransport(line.transport, line.owner, self.trace, self.clock, sign, success)
        return WatchedTransport(traced, namespace, self.ledger, self.tally)

    def _note_success(self, session_id: str, epoch: int | None) -> None:
        self.overseer.note_success(session_id, epoch)
        if self._next_success is not None and not self._next_success.done():
            self._next_success.set_result(session_id)

    def _open_line(self, namespace: str, owner: str) -> Line:
        number = next(self._numbers)
        rng = Random(f"{self.plan.seed}/network/{number}")
        link = Link(self._loop, rng, f"10.0.{number // 250 % 250}.{number % 250 + 1}", LATENCY_S)
        link.up.tap = self._hear_sign
        transport = LinkTransport(self.house.serve, link, namespace)
        line = Line(owner, namespace, link, transport)
        self._lines[line] = None
        return line

    def _hear_sign(self, frame: Frame | None) -> None:
        """Note the signs of life that arrive at Master's door."""
        if isinstance(frame, str):
            found = SIGN.match(frame[:120])
            if found is not None:
                self.overseer.note_arrived(found[1])


def draw_blank_code(text: str) -> str:
    """Return what passes for a PNG image of `text`: drawing a real QR code takes longer than the rest of a login."""
    return f"data:image/png;base64,{b64encode(text.encode()).decode()}"


def check_file_of(lab: Lab) -> None:
    """Hold the file against what has been acknowledged so far."""
    check_file(
        read_file(lab.house.path, thorough=False), lab.ledger.freeze(), lab.ledger, lab.platform, lab.ledger.complain
    )


def _make_settings(plan: Plan, folder: Path) -> Settings:
    environ = {"DB_PATH": str(folder / "master.db"), "LOG_DIR": str(folder), **plan.settings}
    return load_settings(environ, None)
