"""Faults of people who take workers out of service."""

from __future__ import annotations

import asyncio
from random import Random

from simulator.virtual.faults.base import Fault, pick
from simulator.virtual.scene import Scene


async def drained_by_hand(scene: Scene, rng: Random) -> None:
    """A person takes a worker out of service, and some put it back."""
    worker = pick(rng, scene.workers)
    if worker is None:
        return
    path, deadline_s = f"workers/{worker.profile.id}/drain", rng.choice((10, 30, 120))
    scene.note("drained_by_hand", f"{worker.profile.id} {deadline_s}")
    await scene.ask_http("POST", path, {"deadline_s": deadline_s, "reason": "maintenance"})
    await asyncio.sleep(rng.uniform(1.0, 1.5 * deadline_s))
    if rng.random() < 0.5:  # the others leave the end to the deadline
        await scene.ask_http("DELETE", path)


async def planned_by_hand(scene: Scene, rng: Random) -> None:
    """A person asks what a drain or a pin would do, and then does it."""
    if rng.random() < 0.5:
        await _plan_drain(scene, rng)
    else:
        await _plan_pin(scene, rng)


async def _plan_drain(scene: Scene, rng: Random) -> None:
    forecasts = scene.overseer.forecasts
    seen = forecasts.view
    worker_id = pick(rng, sorted(name for name, one in seen.workers.items() if one.load))
    if worker_id is None:
        return
    scene.note("planned_by_hand", f"{worker_id} is drained")
    answer = await scene.ask_http("POST", "placement/plan", {"drain": [worker_id]})
    if answer is None:
        return
    forecasts.expect(answer["plan"], seen, drain=worker_id)
    deadline_s, path = rng.choice((5, 10, 30)), f"workers/{worker_id}/drain"
    await scene.ask_http("POST", path, {"deadline_s": deadline_s, "reason": "as planned"})
    await asyncio.sleep(rng.uniform(0.5, 1.5) * deadline_s)
    await scene.ask_http("DELETE", path)


async def _plan_pin(scene: Scene, rng: Random) -> None:
    forecasts = scene.overseer.forecasts
    seen = forecasts.view
    found = [
        (account_id, worker_id)
        for account_id, account in sorted(seen.accounts.items())
        for worker_id, worker in sorted(seen.workers.items())
        if worker_id != account.owner and account.platform in worker.capabilities
    ]
    if not found:
        return
    account_id, worker_id = rng.choice(found)
    path, pin = f"accounts/{account_id}", {"pinned_worker_id": worker_id}
    scene.note("planned_by_hand", f"{account_id} is pinned to {worker_id}")
    answer = await scene.ask_http("POST", "placement/plan", {"pin": {account_id: worker_id}})
    if answer is None:
        return
    if answer["plan"]["moves"]:
        forecasts.expect(answer["plan"], seen, pin=(account_id, worker_id))
    await scene.ask_http("PATCH", path, pin)
    await asyncio.sleep(rng.uniform(5.0, 60.0))
    await scene.ask_http("PATCH", path, {"pinned_worker_id": None})


SERVICE_FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (drained_by_hand, planned_by_hand)
}
