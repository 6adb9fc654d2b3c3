"""The maintenance of the whole farm: one row, or none."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.farm import Maintenance
from master.store.schema import maintenance


async def read_maintenance(connection: AsyncConnection) -> Maintenance | None:
    """Return the maintenance under way, or None."""
    columns = maintenance.c
    query = select(columns.since, columns.deadline_at, columns.reason, columns.begun_by)
    row = (await connection.execute(query)).first()
    return None if row is None else Maintenance(row[0], row[1], row[2], row[3] or "")


async def write_maintenance(connection: AsyncConnection, now: Maintenance | None) -> None:
    """Store the maintenance under way, or that there is none."""
    await connection.execute(delete(maintenance))
    if now is not None:
        row = {"id": 1, "since": now.since, "deadline_at": now.deadline_at}
        await connection.execute(
            insert(maintenance).values(**row, reason=now.reason, begun_by=now.by)
        )
