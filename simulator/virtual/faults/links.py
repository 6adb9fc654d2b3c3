"""Faults of the network between the actors and Master."""

from __future__ import annotations

import asyncio
from random import Random

from simulator.virtual.faults.base import Fault, pick, pick_some
from simulator.virtual.scene import Scene


async def half_open(scene: Scene, rng: Random) -> None:
    """A link loses every frame in both directions; neither end learns of it."""
    line = pick(rng, scene.lines)
    if line is not None:
        scene.note("half_open", line.owner)
        line.link.go_dark()


async def one_way(scene: Scene, rng: Random) -> None:
    """A link loses every frame in one direction."""
    line, up = pick(rng, scene.lines), rng.random() < 0.5
    if line is not None:
        scene.note("one_way", f"{line.owner} {'up' if up else 'down'}")
        line.link.go_dark(up=up, down=not up)


async def cut_link(scene: Scene, rng: Random) -> None:
    """A link breaks; both ends learn of it."""
    line = pick(rng, scene.lines)
    if line is not None:
        scene.note("cut_link", line.owner)
        line.link.sever()


async def clean_close(scene: Scene, rng: Random) -> None:
    """An actor closes its connection properly and reconnects."""
    line = pick(rng, scene.lines)
    if line is not None:
        scene.note("clean_close", line.owner)
        await line.transport.disconnect()


async def lost_ack(scene: Scene, rng: Random) -> None:
    """Acknowledgements are lost and the link breaks: the actor cannot know what Master accepted."""
    line = pick(rng, scene.lines)
    if line is not None:
        scene.note("lost_ack", line.owner)
        line.link.go_dark(up=False)
        await asyncio.sleep(rng.uniform(0.05, 3.0))
        line.transport.cut()  # a link that drops all frames would drop the news of its end as well


async def slow_link(scene: Scene, rng: Random) -> None:
    """Some links become slow for a while, with a long tail of latencies."""
    lines, factor = pick_some(rng, scene.lines), rng.choice((20.0, 100.0, 400.0))
    scene.note("slow_link", f"{len(lines)} links {factor:g} times slower")
    for line in lines:
        line.link.slow_down(factor)
    await asyncio.sleep(rng.uniform(5.0, 60.0))
    for line in lines:
        line.link.slow_down(1.0)


async def swizzle(scene: Scene, rng: Random) -> None:
    """Links stop one by one and resume one by one in another order; no frame is lost."""
    lines = pick_some(rng, scene.lines)
    scene.note("swizzle", f"{len(lines)} links")
    for line in lines:
        line.link.buffer()
        await asyncio.sleep(rng.uniform(0.0, 2.0))
    rng.shuffle(lines)
    for line in lines:
        await asyncio.sleep(rng.uniform(0.0, 4.0))
        line.link.release()


async def late_close(scene: Scene, rng: Random) -> None:
    """A link breaks; Master learns of it long after the actor has reconnected."""
    line = pick(rng, scene.lines)
    if line is not None:
        scene.note("late_close", line.owner)
        line.link.sever(late_s=rng.uniform(1.0, 25.0))


async def storm(scene: Scene, rng: Random) -> None:
    """All links break at once, and all actors reconnect at once."""
    scene.note("storm", f"{len(scene.lines)} links")
    for line in list(scene.lines):
        line.link.sever()


async def slow_reader(scene: Scene, rng: Random) -> None:
    """An administrator or a device stops reading for a while."""
    line = pick(rng, [line for line in scene.lines if line.namespace != "/worker"])
    if line is not None:
        scene.note("slow_reader", line.owner)
        line.link.down.buffer()
        await asyncio.sleep(rng.uniform(5.0, 90.0))
        line.link.down.release()


LINK_FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        half_open,
        one_way,
        cut_link,
        clean_close,
        lost_ack,
        slow_link,
        swizzle,
        late_close,
        storm,
        slow_reader,
    )
}
