"""Waiting for a signal, with a time limit."""

from __future__ import annotations

import asyncio

from simulator.pace import Signal
from simulator.virtual.machine.loop import run_virtually


def test_a_signal_ends_a_wait_and_is_over_with_it():
    async def main() -> list[object]:
        signal, loop = Signal(), asyncio.get_running_loop()
        loop.call_later(2, signal.set)
        return [await signal.wait(5), loop.time(), await signal.wait(5), loop.time()]

    assert run_virtually(main) == [True, 2, False, 7]


def test_a_signal_that_came_before_ends_the_next_wait_at_once_unless_it_is_cleared():
    async def main() -> list[object]:
        signal, loop = Signal(), asyncio.get_running_loop()
        signal.set()
        first = await signal.wait(None)
        signal.set()
        signal.clear()
        return [first, await signal.wait(3), loop.time()]

    assert run_virtually(main) == [True, False, 3]


def test_all_who_wait_hear_of_one_signal():
    async def main() -> list[bool]:
        signal = Signal()
        waits = [asyncio.create_task(signal.wait(limit)) for limit in (None, 5, 1)]
        asyncio.get_running_loop().call_later(2, signal.set)
        return [*await asyncio.gather(*waits), await signal.wait(1)]

    assert run_virtually(main) == [True, True, False, False]


def test_a_cancelled_wait_leaves_the_signal_to_the_next():
    async def main() -> bool:
        signal = Signal()
        wait = asyncio.create_task(signal.wait(5))
        await asyncio.sleep(1)
        wait.cancel()
        await asyncio.wait([wait])
        signal.set()
        return await signal.wait(1)

    assert run_virtually(main)
