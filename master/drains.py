"""When drains and the farm's maintenance end, and who waits for a drain's end.

The rows have the ends in Unix seconds; the monotonic ends here stay right even if the clock is
set back.
"""

from __future__ import annotations

import asyncio

from master.due import Ends
from master.model import Worker

FARM = ""
"""Stands for the maintenance of the whole farm; it is no worker's id."""


class Drains(Ends):
    """The ends of draining workers, and of FARM; a start rebuilds them."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, list[asyncio.Future[str]]] = {}

    def note_worker(
        self, worker_id: str, worker: Worker | None, now: float, monotonic: float
    ) -> None:
        """Record until when a worker is drained, or that it is not."""
        deadline_at = worker.drain_deadline if worker is not None and worker.is_draining else None
        self.note(worker_id, deadline_at, now, monotonic)

    @property
    def is_any(self) -> bool:
        """Return whether a worker is being drained."""
        return len(self.ends) > (FARM in self.ends)

    def list_draining(self) -> list[str]:
        """Return the workers that are being drained."""
        return sorted(name for name in self.ends if name != FARM)

    def wait(self, worker_id: str) -> asyncio.Future[str]:
        """Return a future of the state in which a worker's drain ends."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(worker_id, []).append(future)
        return future

    def resolve(self, worker_id: str, state: str) -> None:
        """Tell those who wait that a worker's drain has ended."""
        for future in self._waiting.pop(worker_id, ()):
            if not future.done():
                future.set_result(state)
