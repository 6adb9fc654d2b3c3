"""The history of accounts and workers: appended with each transaction, read by people."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, not_, or_, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from master.decisions.history import PEOPLE, Event
from master.store.many import execute_many
from master.store.mapping import Rows
from master.store.schema import events

EVENTS = Rows(Event, events, key="seq")

BY_PEOPLE = text(f"by_kind IN ({', '.join(repr(kind) for kind in PEOPLE)})")
"""Written as in the index of the audit, which SQLite uses for this text alone."""

_ADD = insert(events)


async def read_last_event(connection: AsyncConnection) -> int:
    """Return the number of the newest event, or 0."""
    return int(await connection.scalar(select(func.max(events.c.seq))) or 0)


async def add_events(connection: AsyncConnection, new: Sequence[Event], last: int) -> bool:
    """Append events behind the event `last`; return False if one of their numbers is taken."""
    if not new:
        return True
    for seq, event in enumerate(new, last + 1):
        event.seq = seq
    try:
        await execute_many(connection, _ADD, new, getter=attrgetter)
    except IntegrityError:
        return False  # another program has written into the table
    return True


async def list_history(
    connection: AsyncConnection, column: str, key: str, *, before: int | None, limit: int
) -> list[Event]:
    """Return the newest events with `column` = `key` whose number is below `before`."""
    conditions = [events.c[column] == key]
    return await _list_newest(connection, conditions, before, limit)


async def find_next(
    connection: AsyncConnection, column: str, key: str, kinds: Sequence[str], after: int
) -> Event | None:
    """Return the first event of these kinds with `column` = `key` behind the event `after`."""
    query = EVENTS.query.where(
        events.c[column] == key, events.c.seq > after, events.c.kind.in_(kinds)
    )
    row = (await connection.execute(query.order_by(events.c.seq).limit(1))).first()
    return EVENTS.to_record(row) if row is not None else None


async def list_audit(
    connection: AsyncConnection,
    *,
    by: str | None,
    action: str | None,
    target: str | None,
    before: int | None,
    limit: int,
) -> list[Event]:
    """Return the newest events of people whose number is below `before`.

    `by` is the name of a token, `action` the kind of event, `target` the id of any object.
    """
    conditions: list[Any] = [BY_PEOPLE]
    if by is not None:
        conditions.append(events.c.by_name == by)
    if action is not None:
        conditions.append(events.c.kind == action)
    if target is not None:
        columns = events.c.account_id, events.c.worker_id, events.c.target
        conditions.append(or_(*(column == target for column in columns)))
    return await _list_newest(connection, conditions, before, limit)


async def _list_newest(
    connection: AsyncConnection,
    conditions: Sequence[ColumnElement[bool]],
    before: int | None,
    limit: int,
) -> list[Event]:
    query = EVENTS.query.where(*conditions).order_by(events.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.seq < before)
    return EVENTS.to_records((await connection.execute(query)).all())


async def remove_old_events(
    connection: AsyncConnection, after: int, cutoff_ms: int, people_ms: int, limit: int
) -> tuple[int, int | None]:
    """Remove the old ones of `limit` events behind the event `after`; return how many.

    Events of people are old before `people_ms`, others before `cutoff_ms`. The second value is
    where the next portion begins; None if no older event can follow. The newest event stays, so
    that no number is used twice.
    """
    portion = select(events.c.seq, events.c.at_ms).where(events.c.seq > after)
    portion = portion.order_by(events.c.seq).limit(limit)
    last = (await connection.execute(portion.offset(limit - 1).limit(1))).first()
    newest = await read_last_event(connection)
    end = last.seq if last is not None else newest
    is_others = not_(events.c.by_kind.in_(PEOPLE))
    is_old = or_(events.c.at_ms < people_ms, and_(events.c.at_ms < cutoff_ms, is_others))
    within = events.c.seq > after, events.c.seq <= end, events.c.seq < newest
    removed = (await connection.execute(delete(events).where(*within, is_old))).rowcount
    return removed, end if last is not None and last.at_ms < cutoff_ms else None
