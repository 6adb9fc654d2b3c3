"""Pages of long lists: named orders, cursors that rows which arrive do not move, bounded totals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, FromClause, Text, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.protocol.answers import Listing
from master.protocol.lists import SortedPage, read_cursor, write_cursor
from master.store.mapping import Rows
from master.store.rows import PAGE_BYTES, read_until

R = TypeVar("R")
T = TypeVar("T")

MOST_COUNTED = 10_000
"""Rows that a total counts; more are only said to be more."""

MOST_SEARCHED = 50_000
"""Rows of one page in which a text is looked for."""


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that sort a list, each with whether the largest value comes first.

    The last column is unique. No column that a cursor names has NULLs.
    """

    columns: tuple[tuple[ColumnElement[Any], bool], ...]

    def reverse(self) -> Order:
        """Return the opposite order."""
        return Order(tuple((column, not falls) for column, falls in self.columns))

    def follow(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition of the rows that follow the row with these values."""
        return and_(self._bound(values), or_(*self._list_later(values)))

    def end_at(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition of the rows up to the row with these values, and of that row."""
        same = and_(*(one == value for (one, _), value in zip(self.columns, values, strict=True)))
        back = self.reverse()
        return and_(back._bound(values), or_(same, *back._list_later(values)))

    def _bound(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """Return the first column's bound; it stands alone, for a database's use of an index."""
        first, falls = self.columns[0]
        bound: ColumnElement[bool] = first <= values[0] if falls else first >= values[0]
        return bound

    def _list_later(self, values: Sequence[Any]) -> list[ColumnElement[bool]]:
        later = []
        for number, (column, falls) in enumerate(self.columns):
            same = [self.columns[one][0] == values[one] for one in range(number)]
            past = column < values[number] if falls else column > values[number]
            later.append(and_(*same, past))
        return later

    @property
    def clauses(self) -> list[ColumnElement[Any]]:
        """Return what follows ORDER BY."""
        return [column.desc() if falls else column.asc() for column, falls in self.columns]

    def read(self, record: Any) -> list[Any]:
        """Return a record's values of the columns."""
        return [getattr(record, column.key or "") for column, _ in self.columns]

    @property
    def kinds(self) -> tuple[type, ...]:
        """Return the types of the values of a cursor."""
        return tuple(str if isinstance(column.type, Text) else int for column, _ in self.columns)


def make_orders(
    orders: Mapping[str, Sequence[tuple[ColumnElement[Any], bool]]],
) -> dict[str, Order]:
    """Return each order by its name, and the opposite one by the name with `-`."""
    found = {name: Order(tuple(columns)) for name, columns in orders.items()}
    return {**found, **{f"-{name}": order.reverse() for name, order in found.items()}}


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """A page of records: whether more follow, the total, and a cursor behind each record."""

    records: list[R]
    has_more: bool
    total: int
    total_is_more: bool
    cursors: list[str]
    end: str | None = None
    """The position behind the rows that were looked at, if further ones were not."""

    def render(self, render: Callable[[R], T]) -> Listing[T]:
        """Return the page as an answer, each record as `render` returns it."""
        shown = [render(record) for record in self.records]
        return Listing(shown, self.total, self.has_more, self.total_is_more, self.cursors, self.end)


async def find_page(
    connection: AsyncConnection,
    rows: Rows[R],
    conditions: Sequence[ColumnElement[bool]],
    orders: Mapping[str, Order],
    asked: SortedPage,
    *,
    total: int | None = None,
    is_exact: bool = False,
    ends_search: bool = False,
    source: FromClause | None = None,
) -> Found[R]:
    """Return one page of the records that meet all `conditions`. Errors: Invalid for a cursor.

    The page ends after the row with which it reaches PAGE_BYTES. A known `total` is not counted;
    else at most MOST_COUNTED rows are counted, unless the total `is_exact`. `ends_search` tells
    whether the known total also ends the search for further rows. `source` is the table with what
    the conditions and orders need beside it: one row per row of the table.
    """
    source = rows.table if source is None else source
    sort = asked.sort
    order = orders[sort]
    behind = read_cursor(asked.cursor, sort, order.kinds)
    limit = asked.limit + 1
    if total is not None and ends_search and behind is None:
        limit = min(limit, max(0, total - asked.offset))
    start = [] if behind is None else [order.follow(behind)]
    where = [*conditions, *start]
    records, has_more = await _read(connection, rows, source, where, order, asked, limit)
    cursors = [write_cursor(sort, order.read(one)) for one in records] if asked.has_cursor else []
    is_more = False
    if total is None:
        reached = asked.offset + len(records)
        if behind is None and not has_more and (records or not asked.offset):
            total = reached
        else:
            total, is_more = await _count(connection, source, conditions, is_exact=is_exact)
    elif ends_search and behind is None:
        has_more = asked.offset + len(records) < total
    return Found(records, has_more, total, is_more, cursors)


async def search_page(
    connection: AsyncConnection,
    rows: Rows[R],
    conditions: Sequence[ColumnElement[bool]],
    sought: ColumnElement[bool],
    orders: Mapping[str, Order],
    asked: SortedPage,
) -> Found[R]:
    """Return one page of the records that also meet `sought`, which no index serves.

    Only MOST_SEARCHED rows are looked at, from where the page begins; `end` is the position behind
    them. The total is that of these rows.
    """
    order = orders[asked.sort]
    behind = read_cursor(asked.cursor, asked.sort, order.kinds)
    conditions = [*conditions] if behind is None else [*conditions, order.follow(behind)]
    last = await find_bound(connection, rows, conditions, order, MOST_SEARCHED)
    conditions = (
        [*conditions, sought] if last is None else [*conditions, order.end_at(last), sought]
    )
    limit = asked.limit + 1
    records, has_more = await _read(connection, rows, rows.table, conditions, order, asked, limit)
    total, is_more = asked.offset + len(records), False
    if has_more or not records:
        total, is_more = await _count(connection, rows.table, conditions, is_exact=False)
    cursors = [write_cursor(asked.sort, order.read(one)) for one in records]
    end = None if last is None or has_more else write_cursor(asked.sort, last)
    is_bound = last is not None
    return Found(records, has_more or is_bound, total, is_more or is_bound, cursors, end)


async def find_bound(
    connection: AsyncConnection,
    rows: Rows[Any],
    conditions: Sequence[ColumnElement[bool]],
    order: Order,
    number: int,
) -> list[Any] | None:
    """Return the position of the row with this number in an order; None if there are fewer."""
    columns = select(*(column for column, _ in order.columns)).where(*conditions)
    query = columns.order_by(*order.clauses).limit(1).offset(number - 1)
    row = (await connection.execute(query)).first()
    return None if row is None else list(row)


async def _read(
    connection: AsyncConnection,
    rows: Rows[R],
    source: FromClause,
    conditions: Sequence[ColumnElement[bool]],
    order: Order,
    asked: SortedPage,
    limit: int,
) -> tuple[list[R], bool]:
    """Return the records of a page, and whether more of at most `limit` follow."""
    keys = select(rows.table.c[rows.key]).select_from(source).where(*conditions)
    keys = keys.order_by(*order.clauses).limit(limit).offset(asked.offset)
    names = (await connection.execute(keys)).scalars().all() if limit else []
    # keys first: to sort whole rows, a database would keep all of them in memory
    read = await read_until(connection, rows, names[: asked.limit], PAGE_BYTES)
    return rows.to_records(read), len(read) < len(names)


async def _count(
    connection: AsyncConnection,
    source: FromClause,
    conditions: Sequence[ColumnElement[bool]],
    *,
    is_exact: bool,
) -> tuple[int, bool]:
    """Return how many rows meet the conditions, and whether there are more than were counted."""
    if is_exact:
        query = select(func.count()).select_from(source).where(*conditions)
        return int(await connection.scalar(query) or 0), False
    some = select(literal(1)).select_from(source).where(*conditions).limit(MOST_COUNTED + 1)
    count = int(await connection.scalar(select(func.count()).select_from(some.subquery())) or 0)
    return min(count, MOST_COUNTED), count > MOST_COUNTED
