"""The disk of a virtual Master: slow, locked, full or broken; it can kill Master at any step."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from random import Random

from simulator.virtual.machine.database import InlineConnection

TROUBLES = {
    "locked": (sqlite3.SQLITE_BUSY, "database is locked"),
    "full": (sqlite3.SQLITE_FULL, "database or disk is full"),
    "io_execute": (sqlite3.SQLITE_IOERR, "disk I/O error"),
    "io_commit": (sqlite3.SQLITE_IOERR, "disk I/O error"),
}
"""Trouble -> SQLite's code and text. `io_commit` fails a commit before or after storing it."""

AFTER_SHARE = 0.5

ENDS = frozenset({"commit", "read"})
"""The steps that end a transaction: a slow disk delays these."""

LOOKED_AT = {
    "accounts": ("assigned_worker_id", "epoch", "platform", "pinned_worker_id", "status"),
    "workers": (
        "status",
        "assigned_accounts",
        "metadata",
        "drain_since",
        "drain_deadline",
        "drain_done",
    ),
}
"""Table -> the columns that the overseer checks; an UPDATE of other columns needs no check."""


class Disk:
    """Hook of all database connections, of one Master after another."""

    def __init__(self, sides: Random) -> None:
        self.trouble: str | None = None
        self.slow: Random | None = None
        self.dirty: set[str] = set()
        """Tables written to since the overseer's last check, in columns that it checks."""
        self.on_doubt: Callable[[], None] = lambda: None
        """Called at each commit that is stored and then fails, before its caller learns of it."""
        self._sides = sides
        self.commits = 0
        self._connections: list[InlineConnection] = []
        self._tables: dict[str, str | None] = {}
        self._touched: dict[str, str | None] = {}
        self._strike: Callable[[], None] | None = None
        self._moment: tuple[str, int] = ("", 0)
        self._fails_after = False

    @property
    def hinders(self) -> bool:
        """Tell whether the disk fails or is slow."""
        return self.trouble is not None or self.slow is not None

    def opened(self, connection: InlineConnection) -> None:
        """Register a new connection."""
        self._connections.append(connection)

    def abandon(self) -> None:
        """Close all connections as the end of a process does."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.abandon()
        self.disarm()

    def arm(self, moment: str, count: int, strike: Callable[[], None]) -> None:
        """Call `strike` at the `count`-th step from now, before or after an execute or a commit."""
        self._moment, self._strike = (moment, count), strike

    def disarm(self) -> None:
        """Cancel the strike."""
        self._strike = None

    async def before(self, step: str, statement: str) -> None:
        """Run before a step."""
        if self._strike is not None:
            await self._count_down(f"before_{step}")
        if self.slow is not None and step in ENDS:
            await asyncio.sleep(self.slow.expovariate(2.0))
        self._fails_after = (
            step == "commit" and self.trouble == "io_commit" and self._sides.random() < AFTER_SHARE
        )
        if self.trouble is not None and not self._fails_after and step != "read":
            self._fail(step, statement)
        if step not in ENDS:
            self._note_table(statement)

    async def after(self, step: str, statement: str) -> None:
        """Run after a step that succeeded."""
        if step == "commit":
            self.commits += 1
        if self._strike is not None:
            await self._count_down(f"after_{step}")
        if step == "commit" and self._fails_after:
            self.on_doubt()
            raise _make_fault("io_commit")

    def _fail(self, step: str, statement: str) -> None:
        trouble = self.trouble
        assert trouble is not None
        writes = self._find_table(statement) is not None
        hit = {
            "locked": statement.startswith("BEGIN IMMEDIATE"),
            "full": writes or step == "commit",
            "io_execute": step != "commit",
            "io_commit": step == "commit",
        }[trouble]
        if hit:
            raise _make_fault(trouble)

    def _note_table(self, statement: str) -> None:
        if statement not in self._touched:
            self._touched[statement] = self._find_touched(statement)
        table = self._touched[statement]
        if table is not None:
            self.dirty.add(table)

    def _find_touched(self, statement: str) -> str | None:
        """Return the table whose checked columns a statement may change, or None."""
        table = self._find_table(statement)
        columns = LOOKED_AT.get(table or "")
        if columns is None or not statement.upper().startswith("UPDATE"):
            return table
        changes = statement.partition(" WHERE ")[0].partition(" SET ")[2]
        return table if any(re.search(rf"\b{column}\s*=", changes) for column in columns) else None

    def _find_table(self, statement: str) -> str | None:
        """Return the table that a statement writes to, or None."""
        if statement not in self._tables:
            words = statement.split(None, 3)
            index = {"INSERT": 2, "UPDATE": 1, "DELETE": 2}.get(
                words[0].upper() if words else "", 0
            )
            self._tables[statement] = words[index] if index else None
        return self._tables[statement]

    async def _count_down(self, moment: str) -> None:
        wanted, count = self._moment
        if moment != wanted:
            return
        if count > 1:
            self._moment = (wanted, count - 1)
            return
        strike, self._strike = self._strike, None
        assert strike is not None
        strike()
        # the process that made this step is dead now
        await asyncio.get_running_loop().create_future()


def _make_fault(trouble: str) -> sqlite3.OperationalError:
    code, words = TROUBLES[trouble]
    fault = sqlite3.OperationalError(words)
    fault.sqlite_errorcode = code
    return fault
