"""Faults of processes and machines: kills, stops, clock steps, disk trouble."""

from __future__ import annotations

import asyncio
from random import Random

from simulator.virtual.faults.base import Fault, pick
from simulator.virtual.machine.disk import TROUBLES
from simulator.virtual.scene import Scene

MOMENTS = (
    "before_execute",
    "after_execute",
    "before_commit",
    "after_commit",
    "before_send",
    "idle",
)
KILL_PATIENCE_S = 30.0


async def worker_crash(scene: Scene, rng: Random) -> None:
    """A worker's process dies and is restarted after a while."""
    worker = pick(rng, scene.workers)
    if worker is not None:
        scene.note("worker_crash", worker.profile.id)
        worker.crash()


async def worker_freeze(scene: Scene, rng: Random) -> None:
    """A worker's process stops, and then continues with old frames and old state."""
    worker = pick(rng, [worker for worker in scene.workers if not scene.life_of(worker).stopped])
    if worker is None:
        return
    life = scene.life_of(worker)
    scene.note("worker_freeze", worker.profile.id)
    scene.freeze(worker.profile.id, life)
    await asyncio.sleep(
        rng.choice((rng.uniform(1.0, 20.0), rng.uniform(20.0, 35.0), rng.uniform(35.0, 120.0)))
    )
    scene.thaw(worker.profile.id, life)


async def master_kill(scene: Scene, rng: Random) -> None:
    """Master is killed around a statement, commit or send, or while idle; then it is restarted."""
    moment, count, away_s = (
        rng.choice(MOMENTS),
        rng.randint(1, 12),
        rng.choice((0.1, 1.0, 5.0, 20.0, 45.0)),
    )
    house = scene.house
    if house.master is None:
        return
    scene.note("master_kill", f"{moment} {count}")
    if moment == "idle":
        house.kill(moment)
    elif moment == "before_send":
        house.arm_send(count, lambda: house.kill(moment))
    else:
        house.disk.arm(moment, count, lambda: house.kill(moment))
    for _ in range(int(KILL_PATIENCE_S * 10)):
        if house.master is None:
            break
        await asyncio.sleep(0.1)
    house.kill("overdue")  # no such step has occurred for a while
    await asyncio.sleep(away_s * rng.uniform(0.5, 1.5))
    if rng.random() < 0.3:  # kill it again during its start
        house.disk.arm(rng.choice(MOMENTS[:4]), rng.randint(1, 6), lambda: house.kill("start"))
    await scene.open_master()


async def master_stall(scene: Scene, rng: Random) -> None:
    """Master's process stops for a while: it reads nothing and runs no timer."""
    scene.note("master_stall")
    scene.house.stall()
    await asyncio.sleep(rng.uniform(2.0, 60.0))
    scene.house.resume()


async def stalls_again(scene: Scene, rng: Random) -> None:
    """A peer keeps Master's loop busy for seconds, again and again, with costly events."""
    scene.note("stalls_again")
    until = scene.clock.monotonic() + scene.settings.heartbeat_timeout_s * rng.uniform(2.0, 4.5)
    while scene.clock.monotonic() < until:
        scene.house.stall()
        await asyncio.sleep(rng.uniform(2.6, 9.0))
        scene.house.resume()
        await asyncio.sleep(rng.uniform(1.5, 4.0))


async def clock_step(scene: Scene, rng: Random) -> None:
    """An administrator sets the wall clock, up to an hour forward or back."""
    seconds = rng.choice((-3600.0, -60.0, 60.0, 3600.0))
    scene.note("clock_step", f"{seconds:g}")
    scene.clock.step(seconds)


async def disk_trouble(scene: Scene, rng: Random, kind: str) -> None:
    """The disk refuses writes for a while."""
    if scene.house.disk.trouble is not None:
        return
    scene.note(f"disk_{kind}")
    scene.house.disk.trouble = kind
    await asyncio.sleep(rng.choice((rng.uniform(0.1, 3.0), rng.uniform(3.0, 40.0))))
    scene.house.disk.trouble = None
    scene.house.disturb()


async def disk_slow(scene: Scene, rng: Random) -> None:
    """Commits take half a second on average, for a while."""
    scene.note("disk_slow")
    scene.house.disk.slow = rng
    await asyncio.sleep(rng.uniform(2.0, 30.0))
    scene.house.disk.slow = None
    scene.house.disturb()


def _make_trouble(kind: str) -> Fault:
    async def fault(scene: Scene, rng: Random) -> None:
        await disk_trouble(scene, rng, kind)

    return fault


PROCESS_FAULTS: dict[str, Fault] = {
    **{
        fault.__name__: fault
        for fault in (
            worker_crash,
            worker_freeze,
            master_kill,
            master_stall,
            clock_step,
            disk_slow,
            stalls_again,
        )
    },
    **{f"disk_{kind}": _make_trouble(kind) for kind in TROUBLES},
}
