"""A connection to SQLite that works in the loop's own thread, with a hook for disk faults.

aiosqlite works in a thread. A loop that jumps takes a query in a thread for idleness, so virtual
time would leap while it runs. This class is aiosqlite's without its thread; SQLAlchemy uses it
unchanged.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiosqlite


class Hook(Protocol):
    """Called around each step of each connection."""

    def opened(self, connection: InlineConnection) -> None:
        """Register a new connection."""
        ...

    async def before(self, step: str, statement: str) -> None:
        """Run before a step: execute, executemany, commit, read (a read's end). It may fail."""
        ...

    async def after(self, step: str, statement: str) -> None:
        """Run after a step that succeeded."""
        ...


SYNCHRONOUS, UNSYNCHRONIZED = "PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF"
"""A virtual machine never loses power: a real fsync would only cost real time."""

WATCHED = frozenset({"execute", "executemany", "commit"})


class _InlineQueue:
    """Replaces the queue to the thread: an item that is put is executed at once."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Execute the work and resolve its future."""
        future, work = item
        try:
            result = work()
        except BaseException as fault:
            if future is not None and not future.done():
                future.set_exception(fault)
            return
        if future is not None and not future.done():
            future.set_result(result)


class _NoThread:
    """Replaces the thread, which is never started."""

    daemon = True


class InlineConnection(aiosqlite.Connection):
    """An aiosqlite connection without a thread."""

    def __init__(self, path: Path, hook: Hook | None = None) -> None:
        self._running = True
        self._connection = None
        self._iter_chunk_size = 64
        self._connector = lambda: sqlite3.connect(path, check_same_thread=False, timeout=0)
        self._tx = _InlineQueue()  # type: ignore[assignment]  # aiosqlite uses put_nowait alone
        self._thread = _NoThread()  # type: ignore[assignment]
        self._hook = hook
        self._writes = False

    def __await__(self) -> Any:
        return self._connect().__await__()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running or self._connection is None:
            raise ValueError("Connection closed")
        step = getattr(fn, "__name__", "")
        if args and args[0] == SYNCHRONOUS:
            args = (UNSYNCHRONIZED,)
        if self._hook is None or step not in WATCHED:
            return fn(*args, **kwargs)
        statement = args[0] if args and isinstance(args[0], str) else ""
        if statement.startswith("BEGIN"):
            self._writes = statement == "BEGIN IMMEDIATE"
        elif step == "commit" and not self._writes:
            step = "read"  # the end of a read writes nothing: a disk can be slow then, but not fail
        await self._hook.before(step, statement)
        result = fn(*args, **kwargs)
        await self._hook.after(step, statement)
        return result

    def abandon(self) -> None:
        """Close the file as the end of a process does: uncommitted changes are lost."""
        if self._connection is not None:
            if self._connection.in_transaction:
                # SQLite does not really close a connection with an unfinished statement
                self._connection.rollback()
            self._connection.close()


class Compilation:
    """SQLAlchemy's compiled statements, shared by all Masters of a process to save time."""

    def __init__(self) -> None:
        self._model: Any = None

    def share(self, database: Any) -> None:
        """Pass a new Master's engines the cache of an earlier, already connected engine.

        A Master connects its writer's reading engine first: it loads the farm with it.
        """
        model = self._model
        if model is None or getattr(model.dialect, "server_version_info", None) is None:
            self._model = database._readers["writer"].sync_engine
            return
        for engine in (database._writer_engine, *database._readers.values()):
            engine.sync_engine.dialect = model.dialect
            engine.sync_engine._compiled_cache = model._compiled_cache


COMPILATION = Compilation()


def connect_inline(
    path: Path, hook: Hook | None = None
) -> Callable[..., Awaitable[InlineConnection]]:
    """Return the function that `Database` receives as `connect`."""

    async def connect(*_: Any, **__: Any) -> InlineConnection:
        connection: InlineConnection = await InlineConnection(path, hook)
        if hook is not None:
            hook.opened(connection)
        return connection

    return connect
