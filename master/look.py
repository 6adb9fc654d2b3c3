"""Looks: reads beside the writer, from memory as committed and from the database for the rest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from master.batch import is_on_rows
from master.clock import Clock
from master.draft import Draft
from master.errors import Overloaded, StorageTrouble
from master.memory import Memory
from master.metrics import Metrics
from master.protocol.http import Nothing
from master.settings import Settings
from master.store.sqlite.database import Database
from master.turn import SWEEP, Caller, Fetch, Operation, Publisher, Read, Turn

log = structlog.get_logger(__name__)

COUNTED_S = 1.0
"""Maximum age of a shared count in seconds: a count reads every row and is requested often."""


class Looks:
    """Runs operations that read, and makes turns."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        memory: Memory,
        settings: Settings,
        new_id: Callable[[], str],
        publisher: Publisher,
        metrics: Metrics,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._clock = clock
        self._memory = memory
        self._settings = settings
        self._new_id = new_id
        self._publisher = publisher
        self._metrics = metrics
        self._random_bytes = random_bytes
        self._counted: dict[Operation, tuple[asyncio.Task[Any], float, int]] = {}
        """Operation -> the task that counts, and its beginning: monotonic second and revision."""

    @property
    def rev(self) -> int:
        """Return the revision of the committed state; what is read from now on is at least that."""
        return self._memory.revision.value

    async def look_shared(self, operation: Operation) -> tuple[Any, int]:
        """Run a counting operation without a payload once for all concurrent callers.

        Return its reply and its revision.

        A caller within COUNTED_S of another gets the same reply. If a caller disconnects, the count
        continues for the others. Errors: as `look`.
        """
        task, began, rev = self._counted.get(operation, (None, 0.0, 0))
        now = self._clock.monotonic()
        if task is None or (
            task.done() and (now - began >= COUNTED_S or task.cancelled() or task.exception())
        ):
            task = asyncio.create_task(self.look(operation, Nothing()))
            # every caller may be gone, and asyncio logs unread exceptions
            task.add_done_callback(lambda one: one.cancelled() or one.exception())
            rev = self.rev
            self._counted[operation] = task, now, rev
        return await asyncio.shield(task), rev

    async def look(
        self, operation: Operation, event: Any, caller: Caller = SWEEP, *, by: str = "anybody"
    ) -> Any:
        """Run an operation on committed data; its writes to the draft are dropped.

        `by` selects the connections for rows (see Database.read). Errors: Overloaded if none
        becomes free in time, StorageTrouble.
        """
        if is_on_rows(operation):
            async with self._lend_reader(by) as connection:
                turn = self._make_turn(Draft(self._memory), caller, connection)
                reply = await operation(event, turn)
        else:
            turn, reply = await self._look_plainly(operation, event, caller)
        for effect in turn.effects:
            effect()
        if turn.parcels:
            await self._publisher.publish(turn.parcels)
        return reply

    async def _look_plainly(
        self, operation: Operation, event: Any, caller: Caller
    ) -> tuple[Turn, Any]:
        fetched: dict[tuple[Read, Hashable], Any] = {}
        while True:
            turn = self._make_turn(Draft(self._memory), caller, fetched=fetched)
            try:
                return turn, operation(event, turn)
            except Fetch as need:
                async with self._lend_reader("anybody") as connection:
                    fetched[need.read, need.key] = await need.read(connection, need.key)

    @asynccontextmanager
    async def _lend_reader(self, by: str) -> AsyncIterator[AsyncConnection]:
        """Lend a reading connection. Errors: Overloaded, StorageTrouble."""
        try:
            async with self._database.read(by=by) as connection:
                yield connection
        except PoolTimeout as fault:
            raise Overloaded(
                "Too many readers wait for the database.", retry_after_ms=1_000
            ) from fault
        except DBAPIError as fault:
            raise self._report_trouble(fault) from fault

    def _make_turn(
        self,
        draft: Draft,
        caller: Caller,
        rows: AsyncConnection | None = None,
        fetched: dict[tuple[Read, Hashable], Any] | None = None,
    ) -> Turn:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        return Turn(
            now,
            monotonic,
            caller,
            draft,
            self._settings,
            self._new_id,
            rows,
            {} if fetched is None else fetched,
            random_bytes=self._random_bytes,
        )

    def _report_trouble(self, fault: DBAPIError) -> StorageTrouble:
        self._metrics.storage_troubles.inc()
        log.error("storage_trouble", reason=str(fault.orig))
        return StorageTrouble(retry_after_ms=1_000)
