"""Numbers that are kept by name."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import (
    insert,
)  # its ON CONFLICT is what SQLite understands as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.store.schema import counters


async def read_counter(connection: AsyncConnection, name: str) -> int | None:
    """Return what a counter says, or None if there is none of this name."""
    value: int | None = await connection.scalar(
        select(counters.c.value).where(counters.c.name == name)
    )
    return value


async def write_counter(connection: AsyncConnection, name: str, value: int) -> None:
    """Let a counter say this."""
    statement = insert(counters).values(name=name, value=value)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )
