"""One simulated worker as its own process, as Master's supervisor starts it."""

from __future__ import annotations

import asyncio
import os
import sys

from master.clock import SystemClock
from simulator.actors.crew import open_world, stop_on_signals
from simulator.actors.transport import SocketTransport, open_http_session
from simulator.actors.worker import Worker
from simulator.pace import wait_set
from simulator.scenario import Scenario
from simulator.truth.holdings import WorkerProfile
from simulator.truth.ledger import Ledger
from simulator.truth.tally import Tally

LINE_S = 10.0
LOOK_S = 0.2
RATE_PER_ACCOUNT_S = 0.1


async def run_worker(profile: WorkerProfile, url: str, scenario: Scenario) -> int:
    """Run a worker until SIGTERM or Ctrl-C, then say goodbye; return the exit code."""
    run = f"{profile.id}-{int(SystemClock().now())}"
    stop = asyncio.Event()
    with stop_on_signals(stop):
        async with open_http_session() as session:
            world = open_world(
                scenario,
                lambda namespace: SocketTransport(session, url, namespace),
                run,
                profile.id,
            )
            ledger, tally = world.ledger, world.tally
            worker = Worker(profile, world)
            say(
                f"{profile.id}: for {url}, platforms {', '.join(profile.capabilities)}, "
                f"at most {profile.max_accounts} accounts"
            )
            narrator = Narrator(worker, tally, ledger)
            async with asyncio.TaskGroup() as group:
                group.create_task(narrator.speak_until(stop))
                await worker.run(stop, stop)
            narrator.speak()
    say(
        f"{profile.id}: goodbye after {tally.elapsed():.1f} s, "
        f"{worker.waiting_reports} reports not acknowledged"
    )
    return 1 if ledger.violation_count else 0


def say(line: str) -> None:
    """Print a line and flush it, for the supervisor's log."""
    print(line, flush=True)


class Narrator:
    """Prints a worker's figures at intervals, and its state changes and violations at once."""

    def __init__(self, worker: Worker, tally: Tally, ledger: Ledger) -> None:
        self._worker = worker
        self._tally = tally
        self._ledger = ledger
        self._state = ""
        self._violations = 0
        self._line_at = 0.0

    def speak(self) -> None:
        """Print the changes since the last call."""
        name, tally = self._worker.profile.id, self._tally
        trouble = f" ({self._worker.trouble})" if self._worker.trouble else ""
        state = f"{tally.worker_states[name]}{trouble}"
        if state != self._state:
            self._state = state
            say(f"{name}: {state}")
        for violation in self._ledger.violations[self._violations :]:
            print(f"{name}: {violation.rule}: {violation.detail}", file=sys.stderr, flush=True)
        self._violations = len(self._ledger.violations)
        if tally.elapsed() - self._line_at >= LINE_S:
            self._line_at = tally.elapsed()
            say(
                f"{name}: {tally.counts.heartbeats} heartbeats, "
                f"{self._ledger.ownership.count_owned()} accounts, "
                f"{tally.counts.messages_stored} messages stored, pid {os.getpid()}"
            )

    async def speak_until(self, end: asyncio.Event) -> None:
        """Print changes until `end`."""
        while not await wait_set(end, LOOK_S):
            self.speak()
