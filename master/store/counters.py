"""Stored numbers, by name."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert  # SQLite accepts its ON CONFLICT as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.store.schema import counters

REMOVED_AT = "account_removed_at"
"""When the last account was removed (Unix seconds).

A removed account leaves no row, but its worker may act on it for one more timeout.
"""

REV = "rev"
"""The highest reserved revision (revision.py)."""


async def read_counter(connection: AsyncConnection, name: str) -> int | None:
    """Return a counter's value, or None if there is no counter of this name."""
    value: int | None = await connection.scalar(
        select(counters.c.value).where(counters.c.name == name)
    )
    return value


async def write_counter(connection: AsyncConnection, name: str, value: int) -> None:
    """Set a counter's value."""
    statement = insert(counters).values(name=name, value=value)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )
