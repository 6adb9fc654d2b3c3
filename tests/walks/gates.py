"""A writer that tests can stop, in or after a turn, so that later events form one batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from master import writer
from master.turn import Turn
from tests.conftest import Bench
from tests.waiting import PATIENCE_S


class Gate:
    """A point at which the writer waits until it is released."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._entered, self._free = asyncio.Event(), asyncio.Event()

    async def stay(self) -> None:
        """Wait here, as the writer, until released."""
        self._entered.set()
        await self._free.wait()

    async def wait(self) -> None:
        """Wait until the writer is here."""
        await asyncio.wait_for(self._entered.wait(), PATIENCE_S)

    async def wait_for(self, items: int) -> None:
        """Wait until this many items are queued for the writer."""
        async with asyncio.timeout(PATIENCE_S):
            while self._bench.master.turns.waiting < items:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def let_go(self) -> None:
        """Release the writer."""
        self._free.set()


class StoppedTurn(Gate):
    """One turn that ends when released. It works on rows, so plain operations come after it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._turn: asyncio.Future[Any] = asyncio.ensure_future(bench.run(self._perform))

    async def _perform(self, event: None, turn: Turn) -> None:
        await self.stay()

    async def let_go(self) -> None:
        """Let the turn end, and wait for its batch's commit."""
        await super().let_go()
        await self._turn


@asynccontextmanager
async def stopped_in_a_turn(bench: Bench) -> AsyncIterator[StoppedTurn]:
    """Stop the writer inside a turn, at most until the context ends."""
    gate = StoppedTurn(bench)
    await gate.wait()
    try:
        yield gate
    finally:
        await gate.let_go()


@asynccontextmanager
async def stopped_before_storing(bench: Bench) -> AsyncIterator[Gate]:
    """Stop the next batch that changes something once it is decided and before it is stored."""
    gate, store = Gate(bench), writer.write

    async def stay_and_store(*args: Any) -> None:
        await gate.stay()
        await store(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "write", stay_and_store)
        try:
            yield gate
        finally:
            await gate.let_go()
