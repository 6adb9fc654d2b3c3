"""One SQLite file: one writer connection, readers beside it (WAL, synchronous=FULL, foreign keys on)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Connect = Callable[..., Awaitable[Any]]
"""Opens one aiosqlite connection; a simulation gives its own."""

READERS = 4


class Database:
    """The open file. `write` gives the one writing connection, `read` one of a few that see committed rows only."""

    def __init__(self, path: Path, *, connect: Connect | None = None) -> None:
        self.path = path
        self._writer_engine = self._make_engine(connect, "BEGIN IMMEDIATE", pool_size=1)
        self._reader_engine = self._make_engine(connect, "BEGIN", pool_size=READERS, query_only=True)

    def _make_engine(
        self, connect: Connect | None, begin: str, *, pool_size: int, query_only: bool = False
    ) -> AsyncEngine:
        options: dict[str, Any] = {"async_creator": connect} if connect else {}
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self.path}",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            hide_parameters=True,
            **options,
        )

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            connection.isolation_level = None  # transactions are begun below, never by the driver
            cursor = connection.cursor()
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                "busy_timeout=5000",
                "temp_store=MEMORY",
                "cache_size=-16384",
                f"query_only={'ON' if query_only else 'OFF'}",
            ):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def start(connection: Connection) -> None:
            # a plain BEGIN that reads and then writes fails at once when somebody else wrote meanwhile
            connection.exec_driver_sql(begin)

        return engine

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give the writing connection in a transaction; commit at the end, roll back on any exception."""
        async with self._writer_engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a reading connection with a consistent view of what is committed."""
        async with self._reader_engine.connect() as connection, connection.begin():
            yield connection

    async def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the file."""
        await self._reader_engine.dispose()
        await self._writer_engine.dispose()
