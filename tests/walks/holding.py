"""A writer that is held inside a turn, so that what is sent meanwhile makes one group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from master.turn import Turn
from tests.conftest import PATIENCE_S, Bench


class Hold:
    """One turn that ends when it is let go."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._entered, self._free = asyncio.Event(), asyncio.Event()
        self._turn: asyncio.Future[Any] = asyncio.ensure_future(bench.run(self._stay))

    async def _stay(self, event: None, turn: Turn) -> None:
        self._entered.set()
        await self._free.wait()

    async def wait(self) -> None:
        """Wait until the writer is in this turn, and with it everything before it in the same group is done."""
        await asyncio.wait_for(self._entered.wait(), PATIENCE_S)

    async def wait_for(self, items: int) -> None:
        """Wait until so many items wait for the writer."""
        async with asyncio.timeout(PATIENCE_S):
            while self._bench.master.turns.waiting < items:  # noqa: ASYNC110 - nobody tells when it is so
                await asyncio.sleep(0)

    async def let_go(self) -> None:
        """Let the turn end, and wait for its group's commit."""
        self._free.set()
        await self._turn


@asynccontextmanager
async def holding(bench: Bench) -> AsyncIterator[Hold]:
    """Hold the writer from here on, at the latest until the end."""
    hold = Hold(bench)
    await hold.wait()
    try:
        yield hold
    finally:
        await hold.let_go()
