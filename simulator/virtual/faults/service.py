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


SERVICE_FAULTS: dict[str, Fault] = {fault.__name__: fault for fault in (drained_by_hand,)}
