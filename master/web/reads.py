"""Reads from strangers: a few per pass of the loop, the rest in later passes.

Thousands of connections that a stranger opens become readable in one pass. If all were parsed and
answered in it, an authenticated caller would wait for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

READS_PER_PASS = 8
"""Reads from strangers that one pass of the loop processes: 2 to 4 ms of work."""

DEFERRED_BYTES = 16 * 1024 * 1024
"""Bytes that wait for a later pass, of all strangers together; more are processed at once."""

Process = Callable[[bytes], None]


class StrangersReads:
    """Processes reads in the order of their arrival, READS_PER_PASS in one pass."""

    def __init__(self) -> None:
        self._done = 0
        self._deferred: dict[Any, tuple[bytes, Process]] = {}
        self._deferred_bytes = 0
        self._is_scheduled = False

    def __len__(self) -> int:
        """Return the number of connections with a read that waits."""
        return len(self._deferred)

    def admit(self, connection: Any) -> bool:
        """Return whether a read may be processed in this pass."""
        if not self._is_scheduled:
            self._schedule()
        if self._deferred_bytes > DEFERRED_BYTES:
            return connection not in self._deferred
        if self._deferred or self._done >= READS_PER_PASS:
            return False
        self._done += 1
        return True

    def defer(self, connection: Any, data: bytes, process: Process) -> None:
        """Keep a read for a later pass, behind an earlier one of the same connection."""
        earlier, _ = self._deferred.get(connection, (b"", process))
        self._deferred[connection] = earlier + data, process
        self._deferred_bytes += len(data)

    def drop(self, connection: Any) -> None:
        """Forget the read of a lost connection, if it has one."""
        if (deferred := self._deferred.pop(connection, None)) is not None:
            self._deferred_bytes -= len(deferred[0])

    def _schedule(self) -> None:
        self._is_scheduled = True
        asyncio.get_running_loop().call_soon(self._begin_pass)

    def _begin_pass(self) -> None:
        self._done, self._is_scheduled = 0, False
        while self._deferred and self._done < READS_PER_PASS:
            connection = next(iter(self._deferred))
            data, process = self._deferred.pop(connection)
            self._deferred_bytes -= len(data)
            self._done += 1
            process(data)
        if self._done:
            self._schedule()
