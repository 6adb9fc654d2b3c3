"""When a Master is killed: moments drawn from the seed, and the hand that waits for them.

Chance alone rarely meets the few milliseconds that matter. Most kills therefore aim: at the storing of what was just
sent, or at the gap between an acknowledgement and what is told to others.
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
    """What a kill aims at."""

    START = "start"
    """Some moment after the start of the process, ready or not."""
    TIME = "time"
    """Some moment after it is ready."""
    STORING = "storing"
    """Just after an event was sent."""
    TELLING = "telling"
    """Just after an event was acknowledged."""
    LATE = "late"
    """After what a start delays has happened: workers that stayed away were given up."""


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
"""What aimed kills wait for; the more often it is here, the more often."""

AIMS = (*(Aim.START,) * 4, *(Aim.TIME,) * 3, *(Aim.STORING,) * 7, *(Aim.TELLING,) * 6)
LATE_EVERY = 20
LATE_FIRST = 7
PATIENCE_S = 2.0
"""How long a kill waits for its event after Master is ready; then it comes as it is."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: `after_s` after the moment that it aims at, which for aimed ones is the `count`-th of an event."""

    aim: Aim
    after_s: float
    event: str = ""
    count: int = 0


def draw_kill(rng: Random, number: int, late_s: float) -> Kill:
    """Return kill `number`; the first is early, so that also a database is met that is just being made."""
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
    """Let a Master that was just started live until its kill; return after how many seconds it was ready, if it was.

    Errors: StartTrouble if it does not become ready.
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
    """Watches the calls of all actors, and strikes when the kill's event has come as often as it must."""

    def __init__(self, kill: Kill, master: MasterProcess) -> None:
        self._kill = kill
        self._master = master
        self._stage = SENT if kill.aim is Aim.STORING else ANSWERED
        self._left = kill.count
        self._blow: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Strike no more: whoever runs next is not meant."""
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
