"""When Master is killed: moments drawn from the seed, and the code that waits for them.

Random moments rarely hit the few milliseconds that matter. Most kills therefore aim: at the commit
of an event just sent, or at the gap between an acknowledgement and the events that follow it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from simulator.pace import wait_set
from simulator.trials.master_process import MasterProcess
from simulator.truth.tally import ANSWERED, SENT, Tally


class Aim(StrEnum):
    """The target of a kill."""

    START = "start"
    """A moment after the process starts, ready or not."""
    TIME = "time"
    """A moment after Master is ready."""
    STORING = "storing"
    """Just after an event was sent."""
    TELLING = "telling"
    """Just after an event was acknowledged."""
    LATE = "late"
    """After the delayed part of a start: Master has evicted workers that stayed away."""


MESSAGE = "worker:message:detected"
EVENTS = (
    *(MESSAGE,) * 6,
    *(
        "worker:register",
        "worker:heartbeat",
        "worker:login:qrcode",
        "worker:login:status",
        "worker:login:status",
    ),
    *("master:login:start", "client:register", "client:sync:request", "client:notification:ack"),
)
"""The events that aimed kills wait for; an event listed more often is drawn more often."""

AIMS = (*(Aim.START,) * 4, *(Aim.TIME,) * 3, *(Aim.STORING,) * 7, *(Aim.TELLING,) * 6)
LATE_EVERY = 20
LATE_FIRST = 7
PATIENCE_S = 2.0
"""Seconds that a kill waits for its event once Master is ready; then it happens in any case."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill, `after_s` after its target; for an aimed kill, that is the `count`-th `event`."""

    aim: Aim
    after_s: float
    event: str = ""
    count: int = 0


def draw_kill(rng: Random, number: int, late_s: float) -> Kill:
    """Return kill `number`; the first is early, to hit a database while it is created."""
    aim, event = rng.choice(AIMS), rng.choice(EVENTS)
    share, count = rng.random(), rng.randint(1, 40 if event == MESSAGE else 4)
    if number == 1:
        return Kill(Aim.START, share)
    if number % LATE_EVERY == LATE_FIRST:
        return Kill(Aim.LATE, late_s + share)
    if aim is Aim.START:
        return Kill(aim, 1.5 * share)
    if aim is Aim.TIME:
        return Kill(aim, share)
    return Kill(aim, 0.01 * share**2, event, count)


async def carry_out(kill: Kill, master: MasterProcess, tally: Tally) -> float | None:
    """Let a Master that was just started run until its kill.

    Return the seconds until it was ready; None if it was killed earlier. Errors: StartTrouble if it
    does not become ready.
    """
    ready_s, sight = None, Sight(kill, master)
    if kill.aim is Aim.START:
        await wait_set(master.ended, kill.after_s)
    else:
        began = tally.clock.monotonic()
        await master.wait_ready()
        ready_s = tally.clock.monotonic() - began
        if kill.event:
            tally.watcher = sight
        await wait_set(master.ended, PATIENCE_S if kill.event else kill.after_s)
    tally.watcher = None
    sight.close()
    master.strike()
    await master.wait_end()
    return ready_s


class Sight:
    """Watches the calls of all actors, and strikes at the `count`-th event of the kill."""

    def __init__(self, kill: Kill, master: MasterProcess) -> None:
        self._kill = kill
        self._master = master
        self._stage = SENT if kill.aim is Aim.STORING else ANSWERED
        self._left = kill.count
        self._blow: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Cancel the strike: it must not hit the next process."""
        if self._blow is not None:
            self._blow.cancel()

    def __call__(self, stage: str, event: str) -> None:
        """Note one call."""
        if stage != self._stage or event != self._kill.event:
            return
        self._left -= 1
        if self._left == 0:
            self._blow = asyncio.get_running_loop().call_later(
                self._kill.after_s, self._master.strike
            )
