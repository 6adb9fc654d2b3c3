"""The output of worker processes, told to the administrators who follow it.

A follower gets what is written from then on, read from the log a few times per second, so that a
process that writes without end costs a bounded number of bytes: of more, the first lines are
skipped, and the event says how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from master.output import Part
from master.protocol.processes import ProcessLog
from master.sessions import Sessions
from master.turn import Address, Parcel, Publisher

log = structlog.get_logger(__name__)

TICK_S = 0.25
MOST_LINES = 500
MOST_BYTES = 64 * 1024
"""Of one worker's output per tick."""

QUIET_TICKS = 4
"""After so many ticks without a whole line, the beginning of one is told as well."""


class Logs(Protocol):
    """The logs of worker processes; the supervisor has them."""

    async def read_log(
        self, worker_id: str, after: str | None, lines: int, *, most: int, whole: bool
    ) -> Part:
        """Return what a worker's log has behind a position. Errors: OSError."""
        ...


class Tails:
    """One task for each worker whose output somebody follows."""

    def __init__(self, sessions: Sessions, logs: Logs, publisher: Publisher) -> None:
        self._sessions = sessions
        self._logs = logs
        self._publisher = publisher
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def tell(self, worker_id: str) -> None:
        """Tell a worker's output from now on, until its last follower stops."""
        if worker_id not in self._tasks:
            task = asyncio.create_task(self._tell(worker_id), name=f"tail {worker_id}")
            self._tasks[worker_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(worker_id, None))

    async def close(self) -> None:
        """Tell no more."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, worker_id: str) -> None:
        position, quiet = None, 0
        while followers := self._list_followers(worker_id):
            try:
                part = await self._logs.read_log(
                    worker_id,
                    position,
                    MOST_LINES if position is not None else 0,
                    most=MOST_BYTES,
                    whole=quiet < QUIET_TICKS,
                )
            except OSError as fault:
                log.warning("worker_log_not_read", worker=worker_id, reason=fault.strerror)
                return
            if position is not None and (part.lines or part.skipped != 0):
                await self._publish(worker_id, part, followers)
                quiet = 0
            else:
                quiet += 1
            position = part.after
            await asyncio.sleep(TICK_S)

    def _list_followers(self, worker_id: str) -> Sequence[str]:
        return [sid for sid, name in self._sessions.followers.items() if name == worker_id]

    async def _publish(self, worker_id: str, part: Part, followers: Sequence[str]) -> None:
        event = ProcessLog(worker_id, part.lines, part.before, part.after, part.skipped)
        await self._publisher.publish(
            [Parcel(Address("admin_socket", sid), event) for sid in followers]
        )
