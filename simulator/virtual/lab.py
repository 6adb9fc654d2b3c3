"""The phases of a virtual run: chaos, healing, reckoning. scene.py has the objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulator.actors.admin import Admin, create_accounts
from simulator.actors.client import Client
from simulator.actors.connection import TROUBLE
from simulator.actors.worker import draw_profiles
from simulator.chance import draw_gap, open_stream
from simulator.display.samples import Samples
from simulator.virtual.faults import FAULTS
from simulator.virtual.faults.field import heal_field
from simulator.virtual.plan import Plan
from simulator.virtual.reckoning import check_in_time, find_unseen, reckon
from simulator.virtual.rules.growth import Memory
from simulator.virtual.scene import Scene

HEAL_GRACE_S = 30.0
DRAIN_LIMIT_S = 240.0
SETTLE_S = 5.0
"""Virtual seconds in which actors receive Master's events: an ended login frees its slot."""

EVEN_S = 60.0
"""Virtual seconds in which Master evens loads, if its settings say so; new owners may wait."""

SWEEP_S = 1.0
MEMORY_S = 5.0
"""Seconds between two measurements of Master's memory; growth is still visible a little later."""

SAMPLES = 400
LAST_EVENTS = 40


class Lab:
    """The run of one plan."""

    def __init__(self, plan: Plan, scene: Scene) -> None:
        self.plan, self.scene = plan, scene
        self.samples = Samples()
        self.last_events: list[str] = []
        """The events that led to the first violation."""
        scene.ledger.on_complaint = self._note_violation
        self._ends_at_violation = False
        self._memory = Memory()

    def end_at_violation(self) -> None:
        """End the run at its first violation."""
        self._ends_at_violation = True

    def _note_violation(self) -> None:
        """Keep the events that led to the first violation; the trace drops old entries."""
        if self.scene.ledger.violation_count == 1:
            first = self.scene.ledger.violations[0]
            self.last_events = self.scene.trace.show_latest(
                f"{first.rule}: {first.detail}", LAST_EVENTS
            )
        if self._ends_at_violation:
            self.scene.interrupt()

    async def play(self) -> None:
        """Run all phases. Errors: MasterStaysAway; ApiTrouble before the first fault."""
        await self.scene.open_master()
        account_ids = await create_accounts(self.scene.api, self.scene.world, f"v{self.plan.seed}")
        await self._play(account_ids)

    async def _play(self, account_ids: list[str]) -> None:
        scenario, world = self.scene.scenario, self.scene.world
        self.scene.tally.begin()
        self.scene.ledger.started = self.scene.tally.started
        profiles = draw_profiles(
            scenario.workers, scenario.platforms, scenario.max_accounts, world.prefix
        )
        calm, leave = asyncio.Event(), asyncio.Event()
        shares = [account_ids[number :: scenario.admins] for number in range(scenario.admins)]
        async with asyncio.TaskGroup() as group:
            for profile in profiles:
                worker, life = self.scene.add_worker(profile)
                group.create_task(worker.run(calm, leave), context=life.context.copy())
            self.scene.admins = [
                Admin(number, world, share) for number, share in enumerate(shares, 1)
            ]
            self.scene.clients = [Client(number + 1, world) for number in range(scenario.clients)]
            actors: list[Admin | Client] = [*self.scene.admins, *self.scene.clients]
            for actor in actors:
                group.create_task(actor.run(calm, leave))
            watching = group.create_task(self._watch())
            chaos = [
                group.create_task(self._repeat(name, gap_s))
                for name, gap_s in self.plan.gaps_s.items()
            ]
            await asyncio.sleep(self.plan.chaos_s)
            await self._heal(chaos)
            calm.set()
            await self._calm_down()
            await reckon(self.scene, account_ids)
            watching.cancel()
            self.scene.tally.leaving = True
            for worker in self.scene.workers:
                self.scene.overseer.signs[worker.profile.id].left = True
            leave.set()
        await self.scene.house.close()

    async def _repeat(self, name: str, gap_s: float) -> None:
        rng, fault = open_stream(self.plan.seed, "fault", name), FAULTS[name]
        while True:
            await asyncio.sleep(draw_gap(rng, 1 / gap_s))
            await fault(self.scene, rng)

    async def _heal(self, chaos: list[asyncio.Task[None]]) -> None:
        for task in chaos:
            task.cancel()
        await asyncio.wait(chaos) if chaos else None
        self.scene.note("heal")
        self.scene.house.disarm()
        disk = self.scene.house.disk
        disk.trouble = disk.slow = None
        self.scene.platform.scan_at_the_edge(None, 0.0)
        heal_field(self.scene)
        self.scene.house.resume()
        for worker_id, life in self.scene.lives.items():
            if life.stopped:
                self.scene.thaw(worker_id, life)
        for line in self.scene.lines:
            line.link.slow_down(1.0)
            line.link.release()
        await self.scene.open_master()
        for worker_id in self.scene.list_drained():
            await self.scene.ask_http("DELETE", f"workers/{worker_id}/drain")

    async def _calm_down(self) -> None:
        self.scene.platform.stop_producing()
        await check_in_time(self.scene, 2 * self.scene.settings.heartbeat_timeout_s + HEAL_GRACE_S)
        for admin in self.scene.admins:
            await admin.close_logins()
        for worker in self.scene.workers:
            worker.flush()
        await self._wait_while(
            self._count_open_logins, self.scene.settings.login_max_s + HEAL_GRACE_S
        )
        await self._wait_while(self._count_waiting, DRAIN_LIMIT_S)
        if left := self._count_waiting():
            self.scene.ledger.complain(
                "outbox_not_drained", f"{left} reports were not acknowledged"
            )
        seen_s = 2 * self.scene.scenario.monitor_interval_s + HEAL_GRACE_S
        await self._wait_while(lambda: len(find_unseen(self.scene)), seen_s)
        await asyncio.sleep(
            SETTLE_S + (EVEN_S if self.scene.settings.rebalance_interval_s else 0.0)
        )
        await self._wait_while(self._count_waiting_to_act, self.scene.settings.heartbeat_timeout_s)
        for client in self.scene.clients:
            try:
                await client.catch_up()
            except TROUBLE as trouble:
                self.scene.ledger.complain("sync_failed", f"{client.device_id}: {trouble}")

    async def _wait_while(self, count: Callable[[], int], limit_s: float) -> None:
        end = self.scene.clock.monotonic() + limit_s
        while count() and self.scene.clock.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(SWEEP_S)

    def _count_open_logins(self) -> int:
        """Return the number of open logins; some have no administrator that knows of them."""
        master = self.scene.house.master
        return 0 if master is None else len(master.memory.farm.logins)

    def _count_waiting(self) -> int:
        return sum(worker.waiting_reports for worker in self.scene.workers)

    def _count_waiting_to_act(self) -> int:
        """Return how many workers own accounts on which a former owner may still act."""
        return sum(worker.waits_to_act for worker in self.scene.workers)

    async def _watch(self) -> None:
        """Check all invariants once a second, and record samples for the report."""
        sample_s = max(
            SWEEP_S, (self.plan.chaos_s + 2 * self.scene.settings.heartbeat_timeout_s) / SAMPLES
        )
        next_sample = next_measure = 0.0
        while True:
            now = self.scene.clock.monotonic()
            self.scene.ledger.ownership.sweep(now)
            if not self.scene.is_calm_since(0.0):
                self.scene.house.disturb()
            calm_s = now - self.scene.house.undisturbed_since
            self.scene.overseer.sweep(calm_s)
            if now >= next_measure:
                next_measure = now + MEMORY_S
                self._look_at_memory(now, calm_s)
            if now >= next_sample:
                next_sample = now + sample_s
                self.samples.record(
                    self.scene.tally,
                    self.scene.ledger,
                    master=self.scene.house.master is not None,
                    waiting=self._count_waiting(),
                )
            await asyncio.sleep(SWEEP_S)

    def _look_at_memory(self, now: float, calm_s: float) -> None:
        if self.scene.house.master is None:
            return
        grown = self._memory.find_grown(
            self.scene.house.master,
            workers=len(self.scene.workers) + len(self.scene.crowd),
            accounts=self.scene.scenario.account_count,
            links=self.scene.house.links,
            now=now,
            calm_s=calm_s,
        )
        for detail in grown:
            self.scene.ledger.complain("memory_grows", detail)
