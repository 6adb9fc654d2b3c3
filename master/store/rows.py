"""Helpers of the store's files: one record, a page of records, chunks of long id lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, func, or_, select
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


async def read_until(
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
    """Return the conditions of `filters`, which are column = value, or = one of several values.

    None and no values filter nothing.
    """
    return [
        rows.table.c[name].in_(value) if isinstance(value, list) else rows.table.c[name] == value
        for name, value in filters.items()
        if value is not None and value != []
    ]


def contains(columns: Iterable[ColumnElement[Any]], text: str) -> ColumnElement[bool]:
    """Return the condition that one of these columns contains a text, whatever the case."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


async def count_by(connection: AsyncConnection, column: Any) -> dict[str, int]:
    """Return the number of rows for each value of `column`."""
    rows = await connection.execute(select(column, func.count()).group_by(column))
    return {str(value): int(count) for value, count in rows}


def chunk_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield `ids` in chunks that fit into one statement."""
    for start in range(0, len(ids), ID_CHUNK):
        yield ids[start : start + ID_CHUNK]
