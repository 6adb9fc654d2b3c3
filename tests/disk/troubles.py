"""All simulated disk troubles: their start, their end, and SQLite's error meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol

from tests.disk.disk import Disk, Step

LOCKED = "database is locked"
FULL = "database or disk is full"
IO_ERROR = "disk I/O error"
CANNOT_OPEN = "unable to open database file"

WRITES = ("INSERT", "UPDATE", "DELETE")


class Trouble(Protocol):
    """One kind of trouble. `readers`: committed data is unreadable too."""

    reason: str
    readers: bool

    async def begin(self, disk: Disk) -> None:
        """Make the disk fail."""
        ...

    async def end(self, disk: Disk) -> None:
        """Repair the disk."""
        ...


class Injected:
    """SQLite refuses some steps."""

    def __init__(self, reason: str, hits: Callable[[Step], bool], *, readers: bool = False) -> None:
        self.reason = reason
        self.readers = readers
        self._hits = hits

    async def begin(self, disk: Disk) -> None:
        disk.fault = lambda step: self.reason if self._hits(step) else None

    async def end(self, disk: Disk) -> None:
        disk.fault = lambda step: None


class Locked:
    """Another connection has the file's write lock, for real."""

    reason = LOCKED
    readers = False

    def __init__(self, begin: str) -> None:
        self._begin = begin
        self._other: sqlite3.Connection | None = None

    async def begin(self, disk: Disk) -> None:
        self._other = sqlite3.connect(disk.path, isolation_level=None)
        self._other.execute(self._begin)

    async def end(self, disk: Disk) -> None:
        assert self._other is not None
        self._other.close()


class Full:
    """The file may not grow, for real."""

    reason = FULL
    readers = False

    async def begin(self, disk: Disk) -> None:
        await disk.fill_up()

    async def end(self, disk: Disk) -> None:
        await disk.make_room()


class Gone:
    """Open connections fail, and no new one opens."""

    reason = CANNOT_OPEN
    readers = True

    async def begin(self, disk: Disk) -> None:
        disk.fault = lambda step: IO_ERROR
        disk.opening_fault = CANNOT_OPEN

    async def end(self, disk: Disk) -> None:
        disk.fault = lambda step: None
        disk.opening_fault = None


TROUBLES: dict[str, Callable[[], Trouble]] = {
    "locked by a writer": lambda: Locked("BEGIN IMMEDIATE"),
    "locked exclusively": lambda: Locked("BEGIN EXCLUSIVE"),
    "locked at the begin": lambda: Injected(LOCKED, lambda step: step.starts("BEGIN IMMEDIATE")),
    "locked at the commit": lambda: Injected(
        LOCKED, lambda step: step.writer and step.name == "commit"
    ),
    "full": Full,
    "full at every write": lambda: Injected(FULL, lambda step: step.starts(*WRITES)),
    "full at the commit": lambda: Injected(
        FULL, lambda step: step.writer and step.name == "commit"
    ),
    "I/O error at every write": lambda: Injected(IO_ERROR, lambda step: step.starts(*WRITES)),
    "I/O error at the commit": lambda: Injected(
        IO_ERROR, lambda step: step.writer and step.name == "commit"
    ),
    "I/O error at the begin": lambda: Injected(
        IO_ERROR, lambda step: step.starts("BEGIN IMMEDIATE")
    ),
    "I/O error at every rollback too": lambda: Injected(
        IO_ERROR,
        lambda step: step.starts(*WRITES, "ROLLBACK") or (step.writer and step.name == "rollback"),
    ),
    "I/O error at every step": lambda: Injected(
        IO_ERROR, lambda step: step.writer and not step.starts("PRAGMA")
    ),
    "I/O error at all": lambda: Injected(IO_ERROR, lambda step: True, readers=True),
    "gone": Gone,
}
