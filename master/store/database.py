"""One SQLite file: one writer connection, readers beside it (WAL, synchronous=FULL, foreign keys on)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, event, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from master.store.schema import counters
from master.store.sealing import VAULT
from master.vault import Vault

Connect = Callable[..., Awaitable[Any]]
"""Opens one aiosqlite connection, which also says how long it waits for a lock; a simulation gives its own."""

READERS = 4
LOCK_TIMEOUT_S = 5
PROOF = "proof" * 13_000
"""The name of a row that is written only to be removed again: as long as 16 pages."""


class Database:
    """The open file. `write` gives the one writing connection, `read` one of a few that see committed rows only.

    `trouble` is what the disk said when it last failed, or None. As long as it says something, every write transaction
    writes some pages of its own first, so that only a disk that takes writes again ends the trouble.
    """

    def __init__(self, path: Path, vault: Vault, *, connect: Connect | None = None) -> None:
        self.path = path
        self.trouble: str | None = None
        self._vault = vault
        self._writer_engine = self._make_engine(connect, "BEGIN IMMEDIATE", pool_size=1)
        self._reader_engine = self._make_engine(connect, "BEGIN", pool_size=READERS, query_only=True)
        self._spare_engine = self._make_engine(connect, "BEGIN", pool_size=1, query_only=True)

    def _make_engine(
        self, connect: Connect | None, begin: str, *, pool_size: int, query_only: bool = False
    ) -> AsyncEngine:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self.path}",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            hide_parameters=True,
            execution_options={VAULT: self._vault},  # rows and records meet where there is only a connection
            pool_reset_on_return=None,  # `_lend` ends every transaction itself; asking again is another step per turn
            **({"async_creator": connect} if connect else {"connect_args": {"timeout": LOCK_TIMEOUT_S}}),
        )

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            try:
                _set_up(connection, query_only=query_only)
            except BaseException:
                connection.close()  # the pool never hears of it: nobody else would
                raise

        @event.listens_for(engine.sync_engine, "begin")
        def start(connection: Connection) -> None:
            # a plain BEGIN that reads and then writes fails at once when somebody else wrote meanwhile
            connection.exec_driver_sql(begin)

        return engine

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give the writing connection in a transaction; commit at the end, roll back on any exception."""
        async with self._lend(self._writer_engine) as connection:
            if self.trouble is not None:
                await connection.execute(insert(counters).values(name=PROOF, value=0))
                await connection.execute(delete(counters).where(counters.c.name == PROOF))
            yield connection
        self.trouble = None

    @asynccontextmanager
    async def read(self, *, apart: bool = False) -> AsyncIterator[AsyncConnection]:
        """Give a reading connection with a consistent view of what is committed; `apart`, one that nobody else uses."""
        async with self._lend(self._spare_engine if apart else self._reader_engine) as connection:
            yield connection

    @asynccontextmanager
    async def _lend(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction. One that has failed is thrown away: it may go on failing for ever."""
        try:
            async with engine.connect() as connection:
                try:
                    async with connection.begin():
                        yield connection
                except DBAPIError:
                    await connection.invalidate()
                    raise
        except DBAPIError as fault:
            self.trouble = str(fault.orig)
            raise

    async def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the file."""
        await self._spare_engine.dispose()
        await self._reader_engine.dispose()
        await self._writer_engine.dispose()


def _set_up(connection: Any, *, query_only: bool) -> None:
    connection.isolation_level = None  # transactions are begun by the engine's events, never by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # what was replaced or removed does not stay in free pages: codes, values of older keys
        "temp_store=MEMORY",
        "cache_size=-16384",
        f"query_only={'ON' if query_only else 'OFF'}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
