"""A disk that tests can make fail: real SQLite connections in threads, with a hook at each step."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from tests.waiting import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a connection: its name (execute, commit, ...) and its statement."""

    name: str
    statement: str
    writer: bool

    def starts(self, *words: str) -> bool:
        """Tell whether the statement begins with one of these words."""
        return self.statement.startswith(words)


Fault = Callable[[Step], str | None]
"""Return the error that SQLite raises instead of doing a step, or None."""


class Connection(aiosqlite.Connection):
    """A real connection that calls the disk before each step. Closing is always allowed."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(lambda: sqlite3.connect(disk.path, timeout=disk.lock_timeout_s), 64)
        self._thread.daemon = True  # as SQLAlchemy sets it for its connections
        self._disk = disk
        self._writer = True

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        statement = args[0] if args and isinstance(args[0], str) else ""
        name = getattr(fn, "__name__", "")
        if statement == "PRAGMA query_only=ON":
            self._writer = False
        step = Step(name, statement, self._writer)
        counts = name in ("execute", "executemany", "commit", "rollback")
        if counts:
            await self._disk.before(step)
        done = await super()._execute(fn, *args, **kwargs)
        if counts:
            self._disk.after(step)
        return done


class Disk:
    """The disk of all connections of one Master."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock_timeout_s = 0.0
        self.fault: Fault = lambda step: None
        self.late_fault: Fault = lambda step: None
        """Return the error that SQLite raises after a step is done, or None."""
        self.opening_fault: str | None = None
        self.steps: list[Step] = []
        self._full = False
        self._connections: list[Connection] = []
        self._news = asyncio.Condition()
        self._free = asyncio.Event()
        self._free.set()

    async def connect(self, *_: Any, **__: Any) -> Connection:
        """Open one connection: the function that `Master` receives as `connect`."""
        if self.opening_fault is not None:
            raise sqlite3.OperationalError(self.opening_fault)
        connection: Connection = await Connection(self)
        self._connections.append(connection)
        await self._set_size(connection)
        return connection

    async def before(self, step: Step) -> None:
        """Run before a step: record it, wait while the disk hangs, fail if it must."""
        async with self._news:
            self.steps.append(step)
            self._news.notify_all()
        await self._free.wait()
        said = self.fault(step)
        if said is not None:
            raise sqlite3.OperationalError(said)

    def after(self, step: Step) -> None:
        """Run after a step is done: it may still fail, as on a disk that loses its answer."""
        said = self.late_fault(step)
        if said is not None:
            raise sqlite3.OperationalError(said)

    async def saw(self, statement: str) -> None:
        """Wait for a step with a statement that begins so, since the steps were last cleared."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: any(step.starts(statement) for step in self.steps))

    def hang(self) -> None:
        """Let every step hang."""
        self._free.clear()

    def go_on(self) -> None:
        """Let all steps continue, the waiting ones too."""
        self._free.set()

    async def fill_up(self) -> None:
        """Let the file grow by no further page, for real."""
        self._full = True
        for connection in self._connections:
            await self._set_size(connection)

    async def make_room(self) -> None:
        """Let the file grow again."""
        self._full = False
        for connection in self._connections:
            await self._set_size(connection)

    async def _set_size(self, connection: Connection) -> None:
        """Set the file's page limit; SQLite uses the smallest possible one for 1."""
        if connection._connection is not None:
            pragma = f"PRAGMA max_page_count={1 if self._full else 2**30}"
            await aiosqlite.Connection._execute(connection, connection._conn.execute, pragma)


def dump(path: Path) -> dict[str, list[Any]]:
    """Return all rows of all tables, read past Master."""
    connection = sqlite3.connect(path)
    try:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {
            name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}")))  # noqa: S608
            for name in names
        }
    finally:
        connection.close()
