"""A connection to SQLite that works in the loop's own thread, and the place where the disk can fail.

aiosqlite works in a thread; to a loop that jumps, a query in a thread looks like idleness, and virtual time leaps while
it runs. This one is the same class without its thread, so that SQLAlchemy takes it as any other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiosqlite


class Hook(Protocol):
    """Hears of each step of each connection."""

    def opened(self, connection: InlineConnection) -> None:
        """Note a new connection."""
        ...

    async def before(self, step: str, statement: str) -> None:
        """Come before a step (execute, executemany, commit, read: the end of one); may wait, or fail as a disk does."""
        ...

    async def after(self, step: str, statement: str) -> None:
        """Come after a step that succeeded."""
        ...


SYNCHRONOUS, UNSYNCHRONIZED = "PRAGMA synchronous=FULL", "PRAGMA synchronous=OFF"
"""A virtual Master is killed, but its machine never loses power: waiting for a real disk would only take real time."""

WATCHED = frozenset({"execute", "executemany", "commit"})


class _InlineQueue:
    """Stands in for the queue to the thread: what is put there is done at once."""

    def put_nowait(self, item: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Do the work and settle its future."""
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
    """Stands in for the thread that is never started."""

    daemon = True


class InlineConnection(aiosqlite.Connection):
    """An aiosqlite connection without a thread."""

    def __init__(self, path: Path, hook: Hook | None = None) -> None:
        self._running = True
        self._connection = None
        self._iter_chunk_size = 64
        self._connector = lambda: sqlite3.connect(path, check_same_thread=False, timeout=0)
        self._tx = _InlineQueue()  # type: ignore[assignment]  # all that is asked of it is put_nowait
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
            step = "read"  # its end writes nothing: a disk can be slow there, but not fail
        await self._hook.before(step, statement)
        result = fn(*args, **kwargs)
        await self._hook.after(step, statement)
        return result

    def abandon(self) -> None:
        """Close the file as the end of a process does: what was not committed is gone."""
        if self._connection is not None:
            if self._connection.in_transaction:
                self._connection.rollback()  # a connection with an unfinished statement is not closed for good
            self._connection.close()


class Compilation:
    """What SQLAlchemy has compiled, for all Masters of a process: each of its engines would compile all for itself."""

    def __init__(self) -> None:
        self._model: Any = None

    def share(self, database: Any) -> None:
        """Let a new Master's engines use what an earlier one's, that has been connected, have compiled."""
        for engine in (database._writer_engine.sync_engine, database._reader_engine.sync_engine):
            if (
                self._model is None
                or getattr(self._model.dialect, "server_version_info", None) is None
            ):
                self._model = engine
            else:
                engine.dialect, engine._compiled_cache = (
                    self._model.dialect,
                    self._model._compiled_cache,
                )


COMPILATION = Compilation()


def connect_inline(
    path: Path, hook: Hook | None = None
) -> Callable[..., Awaitable[InlineConnection]]:
    """Return what `Database` takes as `connect`."""

    async def connect(*_: Any, **__: Any) -> InlineConnection:
        connection: InlineConnection = await InlineConnection(path, hook)
        if hook is not None:
            hook.opened(connection)
        return connection

    return connect
