"""One SQLite file: one writing connection, and readers (WAL, synchronous=FULL, foreign keys on)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import SQLITE_BUSY, SQLITE_FULL
from typing import Any

import structlog
from sqlalchemy import Connection, delete, event, insert
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncTransaction,
    create_async_engine,
)

from master.store.schema import counters
from master.store.sealing import VAULT
from master.store.sqlite.identity import Identity
from master.store.sqlite.upgrade import SAFE
from master.vault import Vault

log = structlog.get_logger(__name__)

Connect = Callable[..., Awaitable[Any]]
"""Opens one aiosqlite connection with its lock timeout; a simulation passes its own function."""

READERS = 4
CACHE_KIB, SMALL_CACHE_KIB = 16_384, 4_096
"""Page cache per connection: of the writer's two connections, and of every other reader.

The other readers' caches are small because peers' requests can fill them.
"""

LOCK_TIMEOUT_S = 5
PATIENCE_S = 3
"""How long a reader waits for a connection before it is refused and may retry."""
PROOF = "proof" * 13_000
"""The name of a row that is inserted and removed to test the disk; it is as long as 16 pages."""

_PROVE = insert(counters), {"name": PROOF, "value": 0}
_FORGET_PROOF = delete(counters).where(counters.c.name == PROOF)


class CommitInDoubt(Exception):
    """The commit failed: it is unknown whether the file has the changes."""


def is_about_values(fault: BaseException) -> bool:
    """Tell whether a database fault is about the values to store, not about the disk."""
    return isinstance(fault, (IntegrityError, DataError))


def _can_go_on(fault: DBAPIError) -> bool:
    return is_about_values(fault) or getattr(fault.orig, "sqlite_errorcode", None) in (
        SQLITE_BUSY,
        SQLITE_FULL,
    )


class Transaction:
    """One write transaction.

    It begins when its connection is first needed, so that a batch without writes costs nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: AsyncConnection | None = None
        self._begun: AsyncTransaction | None = None

    async def connect(self) -> AsyncConnection:
        """Return the connection, inside the transaction."""
        if self._connection is None:
            connection = await self._database.connect_writer()
            self._connection = connection
            self._begun = await connection.begin()
            if self._database.trouble is not None:
                await connection.execute(*_PROVE)
                await connection.execute(_FORGET_PROOF)
        return self._connection

    async def commit(self) -> None:
        """Commit, if anything was begun. Errors: CommitInDoubt."""
        if self._connection is None or self._begun is None:
            return
        try:
            await self._begun.commit()
        except DBAPIError as fault:
            await self.abandon(fault, ended=True)
            raise CommitInDoubt from fault
        await self._connection.close()
        self._database.trouble = None

    async def abandon(self, fault: BaseException, *, ended: bool = False) -> None:
        """Undo everything. A connection that failed is discarded, because it may fail for ever.

        After a fault about values, a lock or a full disk, the connection is rolled back and kept,
        unless the commit failed (`ended`).
        """
        if isinstance(fault, DBAPIError):
            self._database.note_trouble(fault)
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if ended or (isinstance(fault, DBAPIError) and not _can_go_on(fault)):
                await connection.invalidate()
            elif self._begun is not None:
                await self._begun.rollback()
        except DBAPIError as further:
            self._database.note_trouble(further)
            await connection.invalidate()
        finally:
            await connection.close()


class Database:
    """The open file. `write` yields the one writing connection, `read` one of a few reading ones.

    Readers see committed rows only. `trouble` is the text of the disk's last failure, or None.
    While it is set, every write transaction first writes some pages of its own, so that only a disk
    that accepts writes again clears it. If the file was replaced or removed, nothing clears it.
    """

    def __init__(self, path: Path, vault: Vault, *, connect: Connect | None = None) -> None:
        self.path = path
        self.trouble: str | None = None
        self._vault = vault
        self._identity = Identity(path)
        self._was_lost = False
        self._writer_engine = self._make_engine(connect, "BEGIN IMMEDIATE", pool_size=1)
        self._reader_engine = self._make_engine(
            connect, "BEGIN", pool_size=READERS, query_only=True, cache_kib=SMALL_CACHE_KIB
        )
        self._readers = {
            "anybody": self._reader_engine,
            "writer": self._make_engine(connect, "BEGIN", pool_size=1, query_only=True),
            "health": self._make_engine(
                connect, "BEGIN", pool_size=1, query_only=True, cache_kib=SMALL_CACHE_KIB
            ),
        }

    def _make_engine(
        self,
        connect: Connect | None,
        begin: str,
        *,
        pool_size: int,
        query_only: bool = False,
        cache_kib: int = CACHE_KIB,
    ) -> AsyncEngine:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{self.path}",
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=PATIENCE_S,
            hide_parameters=True,
            # functions that map rows to records get only a connection
            execution_options={VAULT: self._vault},
            # every transaction is ended here; a reset would be another step per batch
            pool_reset_on_return=None,
            **(
                {"async_creator": connect}
                if connect
                else {
                    "connect_args": {"timeout": LOCK_TIMEOUT_S, "factory": self._identity.connect}
                }
            ),
        )

        @event.listens_for(engine.sync_engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            try:
                _set_up(connection, query_only=query_only, cache_kib=cache_kib)
            except BaseException:
                connection.close()  # the pool does not know it, so nothing else would close it
                raise

        @event.listens_for(engine.sync_engine, "begin")
        def start(connection: Connection) -> None:
            # after a plain BEGIN and a read, a write fails at once if another one has written since
            connection.exec_driver_sql(begin)

        return engine

    async def connect_writer(self) -> AsyncConnection:
        """Return the writing connection. Errors: DBAPIError."""
        return await self._writer_engine.connect()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Yield a write transaction that begins when it is first needed.

        It is committed at the end, and rolled back on any exception. Errors: CommitInDoubt if the
        commit failed.
        """
        transaction = Transaction(self)
        try:
            yield transaction
        except BaseException as fault:
            await transaction.abandon(fault)
            raise
        await transaction.commit()

    async def prove(self) -> None:
        """Test the disk with a commit that leaves nothing behind.

        Errors: DBAPIError, CommitInDoubt.
        """
        async with self.write() as transaction:
            await transaction.connect()

    @asynccontextmanager
    async def read(self, *, by: str = "anybody") -> AsyncIterator[AsyncConnection]:
        """Yield a reading connection with a consistent view of the committed rows.

        The writer and the health check have one each, so that they never wait for other readers.
        """
        try:
            async with self._readers[by].connect() as connection:
                try:
                    async with connection.begin():
                        yield connection
                except DBAPIError as fault:
                    if not is_about_values(fault):
                        await connection.invalidate()
                    raise
        except DBAPIError as fault:
            self.note_trouble(fault)
            raise

    def note_trouble(self, fault: DBAPIError) -> None:
        """Note a fault of the disk as `trouble`; ignore a fault about values."""
        if not is_about_values(fault):
            self.trouble = str(fault.orig)
        if self._identity.is_lost and not self._was_lost:
            self._was_lost = True
            log.error("database_file_lost", path=str(self.path), meaning=self.trouble)

    async def fold_log(self) -> bool:
        """Write the log into the file and empty it; return whether it is empty now.

        Until then, replaced values stay readable in the log. It does not wait for readers and
        writers.
        """
        try:
            async with self._writer_engine.connect() as connection:
                raw: Any = (await connection.get_raw_connection()).driver_connection
                try:
                    patience = await _ask(raw, "PRAGMA busy_timeout")
                    await _ask(raw, "PRAGMA busy_timeout=0")
                    is_busy = await _ask(raw, "PRAGMA wal_checkpoint(TRUNCATE)")
                    await _ask(raw, f"PRAGMA busy_timeout={patience}")
                except sqlite3.Error:
                    # the next write reports the disk's fault, over a connection with its timeout
                    await connection.invalidate()
                    return False
        except DBAPIError:
            return False
        return not is_busy

    async def close(self) -> None:
        """Close every connection; SQLite then folds the write-ahead log into the file."""
        for engine in self._readers.values():
            await engine.dispose()
        await self._writer_engine.dispose()


async def _ask(raw: Any, pragma: str) -> int:
    """Return the first value of a pragma's answer, without an engine's transaction around it."""
    async with raw.execute(pragma) as cursor:
        row = await cursor.fetchone()
    return int(row[0])


def _set_up(connection: Any, *, query_only: bool, cache_kib: int) -> None:
    # transactions are begun by the engine's events, never by the driver
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        *SAFE,
        "foreign_keys=ON",
        "temp_store=MEMORY",
        f"cache_size=-{cache_kib}",
        f"query_only={'ON' if query_only else 'OFF'}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
