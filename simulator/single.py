"""One simulated worker as a process of its own, as Master's supervisor starts it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from master.clock import SystemClock
from simulator.demo import stop_on_signals
from simulator.holdings import WorkerProfile
from simulator.ledger import Ledger
from simulator.platform import Platform
from simulator.scenario import Scenario
from simulator.tally import Tally
from simulator.transport import SocketTransport, Transport, open_http_session
from simulator.worker import Worker
from simulator.world import WatchedTransport, World

LINE_S = 10.0
RATE_PER_ACCOUNT_S = 0.1


async def run_worker(profile: WorkerProfile, url: str, scenario: Scenario) -> int:
    """Be a worker until SIGTERM or Ctrl-C, then say goodbye; return the exit code."""
    clock = SystemClock()
    ledger, tally = Ledger(clock), Tally(clock)
    platform = Platform(scenario, clock, f"{profile.id}-{int(clock.now())}")
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with open_http_session() as session:

            def open_transport(namespace: str) -> Transport:
                return WatchedTransport(SocketTransport(session, url, namespace), namespace, ledger, tally)

            worker = Worker(profile, World(scenario, clock, open_transport, platform, ledger, tally))
            say(f"{profile.id}: for {url}, platforms {', '.join(profile.capabilities)}, at most {profile.max_accounts}")
            async with _narrate(profile.id, tally, ledger):
                await worker.run(stop, stop)
    say(f"{profile.id}: goodbye after {tally.elapsed():.1f} s, {worker.waiting_reports} reports not acknowledged")
    return 1 if ledger.violation_count else 0


def say(line: str) -> None:
    """Print a line at once: it goes to the supervisor's log."""
    print(line, flush=True)


@contextlib.asynccontextmanager
async def _narrate(worker_id: str, tally: Tally, ledger: Ledger) -> AsyncIterator[None]:
    """Say now and then how the worker does, and at once what went wrong."""

    async def speak() -> None:
        told, state, line = 0, None, 0.0
        while True:
            if tally.worker_states.get(worker_id) is not state:
                state = tally.worker_states[worker_id]
                say(f"{worker_id}: {state}")
            for violation in ledger.violations[told:]:
                print(f"{worker_id}: {violation.rule}: {violation.detail}", file=sys.stderr, flush=True)
            told = len(ledger.violations)
            if tally.elapsed() - line >= LINE_S:
                line = tally.elapsed()
                counts = tally.counts
                say(
                    f"{worker_id}: {counts.heartbeats} heartbeats, {ledger.ownership.count_owned()} accounts, "
                    f"{counts.messages_stored} messages stored, pid {os.getpid()}"
                )
            await asyncio.sleep(0.2)

    speaking = asyncio.create_task(speak())
    try:
        yield
    finally:
        speaking.cancel()
        await asyncio.wait({speaking})
