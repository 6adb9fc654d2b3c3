"""What every store file needs: one record, a page of records, and how to chunk long id lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.store.mapping import Rows

R = TypeVar("R")

ID_CHUNK = 5_000
"""Ids per `IN (...)`: well under SQLite's limit of 32,766 variables."""

ROWS = 2_000
"""Rows that one turn removes at most; the next portion is the next turn, so that others come in between."""


async def find_record(connection: AsyncConnection, rows: Rows[R], key: str) -> R | None:
    """Return the record with this key, or None."""
    row = (await connection.execute(rows.query.where(rows.table.c[rows.key] == key))).first()
    return rows.to_record(row) if row is not None else None


async def find_page(
    connection: AsyncConnection,
    rows: Rows[R],
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    limit: int,
    offset: int,
) -> tuple[list[R], int]:
    """Return one page of the records that meet all `conditions`, and how many there are in all."""
    found = await connection.execute(rows.query.where(*conditions).order_by(*order).limit(limit).offset(offset))
    total = await connection.scalar(select(func.count()).select_from(rows.table).where(*conditions))
    return rows.to_records(found.all()), int(total or 0)


def equals(rows: Rows[Any], filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions of filters that are column = value; None filters nothing."""
    return [rows.table.c[name] == value for name, value in filters.items() if value is not None]


async def count_by(connection: AsyncConnection, column: Any) -> dict[str, int]:
    """Return how many rows there are for each value of `column`."""
    rows = await connection.execute(select(column, func.count()).group_by(column))
    return {str(value): int(count) for value, count in rows}


def chunk_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `ids` in runs that fit into one statement."""
    for start in range(0, len(ids), ID_CHUNK):
        yield ids[start : start + ID_CHUNK]
