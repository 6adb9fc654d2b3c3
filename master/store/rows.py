"""What every store file needs: one row, a page of rows, and how to chunk long id lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, RowMapping, Select, Table, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

ID_CHUNK = 5_000
"""Ids per `IN (...)`: well under SQLite's limit of 32,766 variables."""


async def find_row(connection: AsyncConnection, query: Select[Any]) -> RowMapping | None:
    """Return the first row of `query`, or None."""
    row: RowMapping | None = (await connection.execute(query)).mappings().first()
    return row


@cache
def _select_by(column: Column[Any]) -> Select[Any]:
    return select(column.table).where(column == bindparam("value"))


async def find_by(connection: AsyncConnection, column: Column[Any], value: Any) -> RowMapping | None:
    """Return the first row whose `column` is `value`, or None; the statement is built once, not per call."""
    found = await connection.execute(_select_by(column), {"value": value})
    row: RowMapping | None = found.mappings().first()
    return row


async def find_rows(connection: AsyncConnection, query: Select[Any]) -> Sequence[RowMapping]:
    """Return all rows of `query`."""
    rows: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
    return rows


async def find_page(
    connection: AsyncConnection,
    table: Table,
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    limit: int,
    offset: int,
) -> tuple[Sequence[RowMapping], int]:
    """Return one page of a table's rows that meet all `conditions`, and how many there are in all."""
    rows = await find_rows(connection, select(table).where(*conditions).order_by(*order).limit(limit).offset(offset))
    total = await connection.scalar(select(func.count()).select_from(table).where(*conditions))
    return rows, int(total or 0)


async def count_by(connection: AsyncConnection, column: Any) -> dict[str, int]:
    """Return how many rows there are for each value of `column`."""
    rows = await connection.execute(select(column, func.count()).group_by(column))
    return {str(value): int(count) for value, count in rows}


def chunk_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `ids` in runs that fit into one statement."""
    for start in range(0, len(ids), ID_CHUNK):
        yield ids[start : start + ID_CHUNK]
