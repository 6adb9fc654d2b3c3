"""Helpers of the store's files: one record, a page of records, chunks of long id lists."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.store.mapping import Rows

R = TypeVar("R")

PAGE_BYTES = 1024 * 1024
"""Approximate size of rows at which a list's page ends, whatever its `limit`."""

FIRST_PART = 4
"""Rows in the first read of a page, before their size is known."""

ID_CHUNK = 5_000
"""Ids per `IN (...)`: well under SQLite's limit of 32,766 variables."""

ROWS = 500
"""Limit of rows that one turn removes; the next turn removes the next portion.

Other turns run in between.
"""


async def find_record(connection: AsyncConnection, rows: Rows[R], key: str) -> R | None:
    """Return the record with this key, or None."""
    row = (await connection.execute(rows.by_key, {"key": key})).first()
    return rows.to_record(row) if row is not None else None


async def find_page(
    connection: AsyncConnection,
    rows: Rows[R],
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    limit: int,
    offset: int,
    most_bytes: int = sys.maxsize,
) -> tuple[list[R], int]:
    """Return one page of the records that meet all `conditions`, and their total number.

    The page ends after the row with which it reaches `most_bytes`; later rows are not included.
    """
    if most_bytes == sys.maxsize:
        query = rows.query.where(*conditions).order_by(*order).limit(limit).offset(offset)
        found = list((await connection.execute(query)).all())
    else:
        # keys first: to sort whole rows, a database would keep all of them in memory
        keys = (
            select(rows.table.c[rows.key])
            .where(*conditions)
            .order_by(*order)
            .limit(limit)
            .offset(offset)
        )
        found = await _read_until(
            connection, rows, (await connection.execute(keys)).scalars().all(), most_bytes
        )
    total = await connection.scalar(select(func.count()).select_from(rows.table).where(*conditions))
    return rows.to_records(found), int(total or 0)


async def _read_until(
    connection: AsyncConnection, rows: Rows[Any], keys: Sequence[str], most_bytes: int
) -> list[Row[Any]]:
    """Return the rows of these keys until they reach `most_bytes`.

    They are read in parts, which are larger the smaller the rows are.
    """
    found: list[Row[Any]] = []
    key, size, start, part = rows.table.c[rows.key], 0, 0, FIRST_PART
    while size < most_bytes and start < len(keys):
        some = keys[start : start + part]
        read = {
            getattr(row, rows.key): row
            for row in await connection.execute(rows.query.where(key.in_(some)))
        }
        for name in some:
            if size < most_bytes and name in read:
                found.append(read[name])
                size += sum(_count_bytes(value) for value in read[name])
        start += part
        part = max(1, min(500, (most_bytes - size) * len(found) // (2 * size + 1)))
    return found


def _count_bytes(value: Any) -> int:
    if isinstance(value, str) and not value.isascii():
        return len(value.encode())
    return len(value) if isinstance(value, str | bytes) else 0


def equals(rows: Rows[Any], filters: dict[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions of `filters`, which are column = value; None filters nothing."""
    return [rows.table.c[name] == value for name, value in filters.items() if value is not None]


async def count_by(connection: AsyncConnection, column: Any) -> dict[str, int]:
    """Return the number of rows for each value of `column`."""
    rows = await connection.execute(select(column, func.count()).group_by(column))
    return {str(value): int(count) for value, count in rows}


def chunk_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `ids` in chunks that fit into one statement."""
    for start in range(0, len(ids), ID_CHUNK):
        yield ids[start : start + ID_CHUNK]
