"""The objects of one virtual run: Master's host, the actors, their connections, and the checks.

Faults and rules work on a scene; lab.py has the phases of a run.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from master.model import JsonObject
from master.settings import Settings, load_settings
from simulator.actors.admin import Admin
from simulator.actors.client import Client
from simulator.actors.transport import Transport
from simulator.actors.worker import Worker
from simulator.actors.world import WatchedTransport, World
from simulator.scenario import Scenario
from simulator.truth.api import ApiTrouble
from simulator.truth.holdings import WorkerProfile
from simulator.truth.ledger import Ledger
from simulator.truth.platform import Platform
from simulator.truth.stored_file import check_file, read_file
from simulator.truth.tally import Tally
from simulator.virtual.machine.house import House
from simulator.virtual.machine.http import MemoryApi
from simulator.virtual.machine.life import Life, find_life
from simulator.virtual.machine.loop import VirtualClock, VirtualLoop
from simulator.virtual.machine.network import Frame, Link
from simulator.virtual.machine.trace import Trace, TracedTransport
from simulator.virtual.machine.wire import LinkTransport
from simulator.virtual.rules.overseer import Overseer

LATENCY_S = (0.001, 0.03)
START_GRACE_S = 30.0
"""Virtual seconds without disk trouble within which a Master must serve."""

FILE_LOOKS = 6
"""Most times that the whole file is read after a kill of Master."""

SIGN = re.compile(r'42/worker,\d+\["worker:(?:heartbeat|register)",\{"workerId":"([^"]*)"')


class MasterStaysAway(Exception):
    """Master does not start though nothing hinders it; no further check is possible."""


@dataclass(slots=True, eq=False)
class Line:
    """One open connection of an actor."""

    owner: str
    namespace: str
    link: Link
    transport: LinkTransport


class Scene:
    """The objects of one plan's run; created inside the loop of its virtual time."""

    def __init__(
        self, seed: int, scenario: Scenario, settings: Mapping[str, str], folder: Path
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop), "a laboratory needs virtual time"
        self.seed, self.scenario, self._loop = seed, scenario, loop
        self.clock = VirtualClock(loop)
        self.trace = Trace(self.clock)
        self.ledger = Ledger(self.clock, overlap_grace_s=0.0)
        self.tally = Tally(self.clock)
        self.platform = Platform(self.scenario, self.clock, f"v{seed}")
        self.platform.remembers = True
        self.settings = _make_settings(settings, folder)
        self.house = House(loop, self.clock, self.settings, seed)
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
        """Workers that registered only to fall silent."""
        self.lives: dict[str, Life] = {}
        """Each worker's process, by its id."""
        self._lines: dict[Line, None] = {}
        self._numbers = itertools.count(1)
        self._file_looks = 0
        self._next_success: asyncio.Future[str] | None = None

    def add_worker(self, profile: WorkerProfile) -> tuple[Worker, Life]:
        """Create a worker in a process of its own."""
        life = self.lives[profile.id] = Life(profile.id)
        worker = life.call(Worker, profile, self.world)
        self.workers.append(worker)
        return worker, life

    def close(self) -> None:
        """Close everything the run has opened, however it ended."""
        self.overseer.close()
        self.house.release()

    def interrupt(self) -> None:
        """End the run here."""
        self._loop.interrupt()

    # -- the interface of faults ------------------------------------------------------------------

    @property
    def lines(self) -> list[Line]:
        """Return the open connections, as far as their actors know."""
        self._lines = {line: None for line in self._lines if not line.transport.ended}
        return [line for line in self._lines if not line.transport.closed]

    def life_of(self, worker: Worker) -> Life:
        """Return a worker's process."""
        return self.lives[worker.profile.id]

    def note(self, fault: str, detail: str = "") -> None:
        """Add a fault to the trace."""
        self.trace.note("fault", fault, detail)

    def freeze(self, worker_id: str, life: Life) -> None:
        """Stop a worker's process."""
        self.ledger.ownership.suspend(worker_id)
        self._loop.stop_life(life)

    def thaw(self, worker_id: str, life: Life) -> None:
        """Let a stopped worker's process continue."""
        self.ledger.ownership.resume(worker_id, self.clock.monotonic())
        self._loop.resume_life(life)

    async def open_master(self) -> None:
        """Start Master again and again until it serves.

        Errors: MasterStaysAway if it does not serve within START_GRACE_S without disk trouble.
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
        """Return a connection of a peer that is none of the actors."""
        return self._open_line(namespace, name).transport

    async def ask_http(
        self, method: str, path: str, body: JsonObject | None = None
    ) -> JsonObject | None:
        """Send Master an HTTP request and return its answer, or None if it refuses or is away.

        It must not fail.
        """
        try:
            with self._touching(
                path.removeprefix("accounts/") if body and "status" in body else None
            ):
                status, answer = await self.api.ask(method, path, body=body)
        except ApiTrouble:
            return None
        if status >= 400:
            self.trace.note_refusal(answer)
        if status == 500:
            self.ledger.complain("http_failed", f"{method} {path}: {answer}")
        return answer if status < 400 else None

    @contextmanager
    def _touching(self, account_id: str | None) -> Iterator[None]:
        """Note that a person changes the status of an account, if it is one."""
        if account_id is None:
            yield
            return
        states, this = self.ledger.states, object()
        states.touched.add(account_id)
        states.begin(account_id, this)
        try:
            yield
        finally:
            states.end(account_id, this)

    def list_drained(self) -> list[str]:
        """Return the workers that are out of service."""
        known = self.house.master.memory.farm.workers.all() if self.house.master else ()
        return sorted(one.id for one in known if one.drain_since is not None)

    async def wait_success(self, timeout_s: float) -> str | None:
        """Return the session of the next success before Master gets the report, or None."""
        self._next_success = self._loop.create_future()
        await asyncio.wait([self._next_success], timeout=timeout_s)
        return self._next_success.result() if self._next_success.done() else None

    def is_calm_since(self, seconds: float) -> bool:
        """Tell whether Master has been up and undisturbed for more than `seconds`."""
        house = self.house
        hindered = house.master is None or house.disk.hinders or (house.life and house.life.stopped)
        return not hindered and self.clock.monotonic() - house.undisturbed_since > seconds

    # -- wiring ------------------------------------------------------------------------------------

    def _note_killed(self) -> None:
        self.house.disturb()
        if self._file_looks < FILE_LOOKS and self.house.path.exists():
            self._file_looks += 1
            check_file_of(self)

    def _open_transport(self, namespace: str) -> Transport:
        life = find_life(None)
        line = self._open_line(namespace, life.name if life is not None else namespace[1:])
        sign, success = (
            (self.overseer.note_answered, self._note_success) if life is not None else (None, None)
        )
        traced = TracedTransport(line.transport, line.owner, self.trace, self.clock, sign, success)
        return WatchedTransport(traced, namespace, self.ledger, self.tally)

    def _note_success(self, session_id: str, epoch: int | None) -> None:
        self.overseer.note_success(session_id, epoch)
        if self._next_success is not None and not self._next_success.done():
            self._next_success.set_result(session_id)

    def _open_line(self, namespace: str, owner: str) -> Line:
        number = next(self._numbers)
        rng = Random(f"{self.seed}/network/{number}")
        link = Link(self._loop, rng, f"10.0.{number // 250 % 250}.{number % 250 + 1}", LATENCY_S)
        link.up.tap = self._hear_sign
        transport = LinkTransport(self.house.serve, link, namespace)
        line = Line(owner, namespace, link, transport)
        self._lines[line] = None
        return line

    def _hear_sign(self, frame: Frame | None) -> None:
        """Note the signs of life that arrive at Master."""
        if isinstance(frame, str):
            found = SIGN.match(frame[:120])
            if found is not None:
                self.overseer.note_arrived(found[1])


def draw_blank_code(text: str) -> str:
    """Return a placeholder for a PNG of `text`: drawing a real QR code takes too long."""
    return f"data:image/png;base64,{b64encode(text.encode()).decode()}"


def check_file_of(scene: Scene) -> None:
    """Compare the file with everything acknowledged so far."""
    check_file(
        read_file(scene.house.path, thorough=False),
        scene.ledger.freeze(),
        scene.ledger,
        scene.platform,
        scene.ledger.complain,
    )


def _make_settings(values: Mapping[str, str], folder: Path) -> Settings:
    environ = {"DB_PATH": str(folder / "master.db"), "LOG_DIR": str(folder), **values}
    return load_settings(environ, None)
