"""A simulated worker: registers, sends heartbeats, watches its accounts and logs them in.

away --connect--> connecting --registered--> connected --socket breaks--> connecting
                                                 |---crash--> crashed --some seconds--> connecting
                                                 +--goodbye-> gone
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

from master.model import JsonObject
from simulator.actors.connection import TROUBLE, Connection
from simulator.actors.login import Logins
from simulator.actors.transport import AckLate, LinkDown
from simulator.actors.watch import Watch
from simulator.actors.world import World
from simulator.chance import draw_gap, open_stream
from simulator.pace import Signal, end_tasks, wait_forever, wait_set
from simulator.truth.holdings import Holdings, WorkerProfile
from simulator.truth.tally import WorkerState

LEASE_SHARE = 5 / 6
"""The share of Master's timeout after which a worker without answers stops: 25 of 30 seconds."""

PATIENCE_SHARE = 1 / 2
"""The share of the interval after which a heartbeat is abandoned, so that the next is on time."""

LAPSED_LOOK_S = 0.5
"""How often a worker that has stopped by itself checks for new accounts and logins."""


class Worker:
    """One worker. A crash ends it without a goodbye; its disk (outbox, cursors) is kept."""

    def __init__(self, profile: WorkerProfile, world: World) -> None:
        seed = world.scenario.seed
        self.profile = self._told = profile
        self._world = world
        self._rng = open_stream(seed, "worker", profile.id)
        self._crashes = open_stream(seed, "crash", profile.id)
        self._interval_s = 10.0
        self._lease_s = 25.0
        self._lease_from = world.clock.monotonic()
        self._beat_at = self._lease_from
        self._fresh = True
        self._hurry = Signal()
        self._crash_now = asyncio.Event()
        self._registered = asyncio.Event()
        self._register_again = False
        self._known = False
        self._leaving = False
        self._tells_successes = False
        self._group: asyncio.TaskGroup | None = None
        listeners = {
            "worker:registered": self._on_registration,
            "master:task:assign": self._on_assignment,
            "master:task:revoke": self._on_revocation,
            "master:login:start": self._on_login,
            "master:login:cancel": self._on_cancellation,
            "master:login:user_input": self._on_input,
        }
        self._connection = Connection(
            "/worker", world, listeners, self._register, self._rng, self._on_break
        )
        self._holdings = Holdings(profile, world.clock, world.ledger)
        watching = open_stream(seed, "watch", profile.id)
        self._watch = Watch(
            profile.id, world, self._holdings, self._connection, watching, self._ask_registration
        )
        self._logins = Logins(
            world,
            self._connection,
            open_stream(seed, "reports", profile.id),
            self._spawn,
            self._holdings.find_epoch,
        )
        self._set_state(WorkerState.AWAY)

    @property
    def waiting_reports(self) -> int:
        """Return how many reports Master has not acknowledged yet."""
        return len(self._watch.outbox)

    @property
    def oldest_report(self) -> float | None:
        """Return when the oldest of these was first due (monotonic seconds); None without one."""
        return self._watch.outbox.find_oldest()

    @property
    def trouble(self) -> str | None:
        """Return why the latest attempt to connect failed; None if it succeeded."""
        return self._connection.trouble

    def crash(self) -> None:
        """Crash now and return later."""
        self._crash_now.set()

    def change(self, profile: WorkerProfile) -> None:
        """Change the profile under the same id, and register again."""
        self.profile = profile
        self._holdings.introduce(profile)
        self._ask_registration()

    def flush(self) -> None:
        """Send reports that wait for a retry now."""
        self._watch.flush()

    def shuffle_reports(self, rng: Random) -> None:
        """Shuffle the reports that wait for a retry."""
        self._watch.outbox.shuffle(rng)

    def get_stuck(self) -> None:
        """Look at nothing and report nothing; heartbeats go on, with figures that say so."""
        self._tells_successes = True
        self._watch.get_stuck()

    def come_round(self) -> None:
        """Look and report again."""
        self._watch.come_round()

    def show_account(self, account_id: str) -> JsonObject | None:
        """Return an account as Master described it; None if this worker does not own it."""
        return self._holdings.find(account_id)

    def find_epoch(self, account_id: str) -> int | None:
        """Return the epoch in which this worker believes to own an account; None if it does not."""
        return self._holdings.find_epoch(account_id)

    @property
    def waits_to_act(self) -> bool:
        """Whether this worker owns an account on which another worker may still act."""
        return self._holdings.waits

    async def run(self, calm: asyncio.Event, leave: asyncio.Event) -> None:
        """Work, crash and return until `leave`; once `calm` is set there are no more crashes."""
        wait_s = self._rng.uniform(0.0, self._world.scenario.ramp_s)
        while not leave.is_set():
            life = asyncio.create_task(self._live(wait_s))
            crash = asyncio.create_task(self._await_crash(calm))
            end = asyncio.create_task(leave.wait())
            try:
                await asyncio.wait({life, crash, end}, return_when=asyncio.FIRST_COMPLETED)
                if leave.is_set() and not life.done():
                    await self._say_goodbye()
            finally:
                self._connection.cut()  # first, so that no further event reaches the worker
                self._logins.cancel_all()
                await end_tasks(life, crash, end)
                self._holdings.drop_all()
            if not life.cancelled():
                life.result()  # raises a bug of the simulator
            if not leave.is_set():
                wait_s = await self._lie_crashed(calm)
        self._set_state(WorkerState.GONE)

    async def _live(self, wait_s: float) -> None:
        self._set_state(WorkerState.CONNECTING)
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._connection.run(wait_s))
            group.create_task(self._beat())
            group.create_task(self._mind_lease())
            group.create_task(self._watch.run_looks())
            for _ in range(self._world.scenario.reports_at_once):
                group.create_task(self._watch.run_shipping())

    def _on_break(self) -> None:
        if not self._leaving:
            self._set_state(WorkerState.CONNECTING)

    async def _await_crash(self, calm: asyncio.Event) -> None:
        rate = self._world.scenario.crash_rate_per_min / 60
        self._crash_now.clear()
        if (
            not await wait_set(self._crash_now, draw_gap(self._crashes, rate) if rate > 0 else None)
            and calm.is_set()
        ):
            await wait_forever()

    async def _lie_crashed(self, calm: asyncio.Event) -> float:
        """Stay crashed for some seconds, or until `calm`; return the wait before reconnecting."""
        self._set_state(WorkerState.CRASHED)
        self._world.tally.counts.crashes += 1
        self._world.tally.mark("worker crash")
        away_s = self._crashes.uniform(*self._world.scenario.crash_return_s)
        self._world.tally.tell(f"{self.profile.id} crashed, back in {away_s:.0f} s")
        await wait_set(calm, away_s)
        return self._crashes.uniform(0.0, 0.5)

    async def _say_goodbye(self) -> None:
        self._leaving = True  # a heartbeat after the goodbye would be a sign of life
        self._logins.cancel_all()
        self._holdings.drop_all()
        try:
            await self._connection.call(
                "worker:goodbye", {"workerId": self.profile.id, "reason": "leaving"}, 5.0
            )
        except TROUBLE:
            return
        await self._connection.close()

    # -- registration and heartbeats ---------------------------------------------------------------

    async def _register(self) -> None:
        """Register, and wait for both answers. Errors: LinkDown, AckLate, Refused."""
        counts = self._world.tally.counts
        self._set_state(WorkerState.CONNECTING)
        self._registered.clear()
        self._register_again = False
        sent = self._world.clock.monotonic()
        self._told = self.profile
        self._holdings.introduce(self._told)
        await self._connection.call("worker:register", self.profile.to_wire())
        if not await self._connection.expect(self._registered, 10.0):
            self._world.ledger.complain(
                "no_named_reply", f"{self.profile.id}: no worker:registered"
            )
        self._lease_from = sent
        self._fresh = True
        counts.registrations += 1
        counts.reconnects += self._known
        self._known = True
        self._set_state(WorkerState.CONNECTED)
        self._watch.flush()
        self._hurry.set()

    def _ask_registration(self) -> None:
        self._register_again = True
        self._hurry.set()

    async def _beat(self) -> None:
        while True:
            await self._connection.wait_ready()
            if not self._register_again:
                self._hurry.clear()
            left_s = self._beat_at + self._interval_s - self._world.clock.monotonic()
            wait_s = self._rng.uniform(0.0, self._interval_s) if self._fresh else max(0.0, left_s)
            self._fresh = False
            await self._hurry.wait(wait_s)
            if self._leaving:
                return
            if not self._connection.ready:
                continue  # the connection broke: the next one begins with a registration
            if self._fresh:
                continue  # registered again: the first heartbeat is spread again
            try:
                if self._register_again or await self._beat_once():
                    await self._connection.greet()
            except TROUBLE:
                self._connection.cut()

    async def _beat_once(self) -> bool:
        """Send one heartbeat; return whether Master's answer requires a registration."""
        counts = self._world.tally.counts
        sent = self._beat_at = self._world.clock.monotonic()
        try:
            health, patience_s = self._describe_health(), self._interval_s * PATIENCE_SHARE
            ack = await self._connection.ask("worker:heartbeat", health, patience_s)
        except (LinkDown, AckLate):
            counts.heartbeats_lost += not self._leaving
            return False
        if ack.get("success") is True:
            counts.heartbeats += 1
            self._lease_from = sent
            return self._holdings.reconcile(ack.get("accountIds") or [], sent)
        error = ack.get("error") or {}
        return bool(error.get("code") == "not_registered")

    def _describe_health(self) -> JsonObject:
        held, figures = len(self._holdings), {}
        if self._tells_successes:
            self._watch.errors += self._watch.is_stuck
            figures = {"successes": self._watch.successes, "errors": self._watch.errors}
        return {
            "workerId": self.profile.id,
            "stats": {
                "activeAccounts": held,
                "memoryUsage": round(180 + 45 * held + self._rng.uniform(-20, 20), 1),
                "cpuUsage": round(min(100.0, 2 + 3 * held * self._rng.uniform(0.5, 1.5)), 1),
                **figures,
            },
            "timestamp": int(self._world.clock.now() * 1000),
        }

    async def _mind_lease(self) -> None:
        """Stop acting after too long without an acknowledgement: Master will move the accounts."""
        while True:
            left_s = self._find_lease_left()
            if left_s <= 0 and (self._holdings or self._logins):
                self._logins.cancel_all()
                self._holdings.drop_all()
                self._world.tally.counts.lapses += 1
                self._world.tally.mark("worker heard nothing and stopped")
                self._world.tally.tell(
                    f"{self.profile.id} heard nothing for {self._lease_s:.0f} s and stopped"
                )
            await asyncio.sleep(left_s if left_s > 0 else LAPSED_LOOK_S)

    def _find_lease_left(self) -> float:
        """Return the seconds for which this worker may act without another acknowledgement."""
        return self._lease_from + self._lease_s - self._world.clock.monotonic()

    # -- events from Master ------------------------------------------------------------------------

    def _on_registration(self, data: JsonObject) -> None:
        if data.get("success") is not True:
            return
        self._interval_s = float(data.get("heartbeatInterval") or 10)
        self._lease_s = float(data.get("heartbeatTimeout") or 30) * LEASE_SHARE
        self._watch.hurry(
            self._holdings.replace(
                data.get("accounts") or [], self._told, data.get("accountsTotal")
            )
        )
        self._registered.set()

    def _on_assignment(self, data: JsonObject) -> None:
        self._world.tally.counts.assignments += 1
        if self._find_lease_left() <= 0:
            # It may be outdated, and another worker acts: the next heartbeat's answer decides.
            return
        self._watch.hurry(self._holdings.take(data["accounts"]))

    def _on_revocation(self, data: JsonObject) -> None:
        dropped = self._holdings.drop(data["accountIds"])
        self._world.tally.counts.revocations += len(dropped)

    def _on_login(self, data: JsonObject) -> None:
        self._logins.start(data)

    def _on_cancellation(self, data: JsonObject) -> None:
        self._logins.cancel(str(data["session_id"]), str(data.get("reason")))

    def _on_input(self, data: JsonObject) -> None:
        self._logins.type_input(data)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._group is not None, "events come only while the worker lives"
        return self._group.create_task(work)

    def _set_state(self, state: WorkerState) -> None:
        self._world.tally.worker_states[self.profile.id] = state


def draw_profiles(
    count: int, platforms: tuple[str, ...], max_accounts: int, prefix: str
) -> list[WorkerProfile]:
    """Return the workers of a run: of every three, two know all platforms and one knows one."""
    profiles = []
    for number in range(1, count + 1):
        some = platforms if number % 3 else (platforms[number // 3 % len(platforms)],)
        profiles.append(
            WorkerProfile(f"{prefix}-worker-{number:03d}", some, max_accounts, port=4000 + number)
        )
    return profiles
