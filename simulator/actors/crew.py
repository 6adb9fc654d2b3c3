"""All actors of a run, over any transport: their creation, start, end of activity, and checks."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from master.clock import SystemClock
from simulator.actors.admin import Admin
from simulator.actors.client import Client
from simulator.actors.connection import TROUBLE
from simulator.actors.transport import OpenTransport, Transport
from simulator.actors.worker import Worker, draw_profiles
from simulator.actors.world import WatchedTransport, World
from simulator.pace import wait_set
from simulator.scenario import Scenario
from simulator.truth.ledger import Ledger
from simulator.truth.platform import Platform
from simulator.truth.tally import Tally

DRAIN_LIMIT_S = 20.0
SWEEP_S = 0.25


def open_world(scenario: Scenario, open_wire: OpenTransport, run: str, prefix: str) -> World:
    """Return the surroundings of a real-time run; `open_wire` opens its watched connections."""
    clock = SystemClock()
    ledger, tally = Ledger(clock), Tally(clock)

    def open_transport(namespace: str) -> Transport:
        return WatchedTransport(open_wire(namespace), namespace, ledger, tally)

    return World(
        scenario, clock, open_transport, Platform(scenario, clock, run), ledger, tally, prefix
    )


class Crew:
    """All actors of a run, and the two events that end it: `calm` (nothing new) and `leave`."""

    def __init__(self, world: World, account_ids: Sequence[str] = ()) -> None:
        scenario = world.scenario
        self._world = world
        self._shares = [
            list(account_ids[number :: scenario.admins]) for number in range(scenario.admins)
        ]
        profiles = draw_profiles(
            scenario.workers, scenario.platforms, scenario.max_accounts, world.prefix
        )
        self.workers = [Worker(profile, world) for profile in profiles]
        self.admins = [Admin(number, world, share) for number, share in enumerate(self._shares, 1)]
        self.clients = [Client(number, world) for number in range(1, scenario.clients + 1)]
        self.calm = asyncio.Event()
        self.leave = asyncio.Event()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start all actors; they work until `leave`."""
        actors: list[Worker | Admin | Client] = [*self.workers, *self.admins, *self.clients]
        for actor in actors:
            group.create_task(actor.run(self.calm, self.leave))

    def entrust(self, account_id: str) -> None:
        """Assign a new account to the administrator with the fewest accounts."""
        min(self._shares, key=len).append(account_id)

    def count_waiting(self) -> int:
        """Return how many reports Master has not acknowledged yet."""
        return sum(worker.waiting_reports for worker in self.workers)

    async def look_after(self) -> None:
        """Check the workers' beliefs and count waiting reports, forever."""
        while True:
            self._world.ledger.ownership.sweep(self._world.clock.monotonic())
            self._world.tally.waiting_reports = self.count_waiting()
            await asyncio.sleep(SWEEP_S)

    async def drain(self, abandoned: asyncio.Event) -> None:
        """Stop new activity and wait until every report is acknowledged.

        The wait ends at the latest after DRAIN_LIMIT_S, or when `abandoned` is set.
        """
        tally = self._world.tally
        self.calm.set()
        self._world.platform.stop_producing()
        await asyncio.gather(*(admin.close_logins() for admin in self.admins))
        for worker in self.workers:
            worker.flush()
        end = tally.elapsed() + DRAIN_LIMIT_S
        while self.count_waiting() and tally.elapsed() < end:
            if await wait_set(abandoned, 0.1):
                break
        if left := self.count_waiting():
            self._world.ledger.complain(
                "outbox_not_drained", f"{left} reports were not acknowledged"
            )

    async def catch_up(self) -> None:
        """Let every device request the notifications it has missed."""
        for client in self.clients:
            try:
                await client.catch_up()
            except TROUBLE as trouble:
                self._world.ledger.complain("sync_failed", f"{client.device_id}: {trouble}")


def note_stray_faults(ledger: Ledger) -> None:
    """Turn uncaught errors in the running loop into violations."""

    def note_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "client_connection" in context:
            return  # aiohttp reports a request that was cancelled because Master was killed
        ledger.complain("stray_fault", f"{context.get('message')}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(note_fault)


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` at the first Ctrl-C or SIGTERM, and cancel the current task at the second."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
