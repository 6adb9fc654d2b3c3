"""Rows of comments and direct messages: two tables of one shape.

Each message is stored once per (account, platform id, conversation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Row,
    Select,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert  # SQLite accepts its ON CONFLICT as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.decisions.intake import SAID
from master.model import Direction, Message, MessageKind
from master.protocol.lists import CommentsQuery
from master.store.mapping import MESSAGES
from master.store.pages import Found, find_bound, find_page, make_orders, search_page
from master.store.rows import chunk_ids, contains, equals, find_record
from master.tallies import Key, Numbers


async def keep_messages(
    connection: AsyncConnection, messages: Sequence[Message]
) -> tuple[list[Message], list[Message]]:
    """Store the messages whose ids are not stored yet, with one statement per kind.

    Return the new ones, and those that differ from the stored one with their id; both in the order
    passed. The stored ones stay unchanged.
    """
    new, differing = set[str](), set[tuple[MessageKind, str, str]]()
    own = {message.id for message in messages}
    for kind, rows in MESSAGES.items():
        values = [rows.to_row(message) for message in messages if message.kind is kind]
        if values:
            for key, account_id, platform_id in await connection.execute(_keep_in(kind), values):
                if key in own:
                    new.add(key)
                else:
                    differing.add((kind, account_id, platform_id))
    return [one for one in messages if one.id in new], [
        one for one in messages if (one.kind, one.account_id, one.platform_id) in differing
    ]


@cache
def _keep_in(kind: MessageKind) -> Any:
    """Return the statement that stores a message, or returns a stored one that differs.

    RETURNING returns only rows that were written, so a stored row's column is set to its own value.
    """
    rows = MESSAGES[kind]
    table, new = rows.table, insert(rows.table)
    platform_id = table.c[rows.renamed["platform_id"]]
    differs = or_(
        *(table.c[name].is_distinct_from(new.excluded[name]) for name in rows.name_columns(SAID))
    )
    return new.on_conflict_do_update(
        index_elements=[table.c.account_id, platform_id, table.c.variant],
        set_={"is_read": table.c.is_read},
        where=differs,
    ).returning(table.c.id, table.c.account_id, platform_id)


async def find_with_ids(
    connection: AsyncConnection, kind: MessageKind, reported: Sequence[Message]
) -> list[Message]:
    """Return the stored messages with the account and the platform id of one that is reported.

    `reported` are few: each text may be large.
    """
    rows = MESSAGES[kind]
    names = tuple_(rows.table.c.account_id, rows.table.c[rows.renamed["platform_id"]])
    wanted = {(one.account_id, one.platform_id) for one in reported}
    query = rows.query.where(names.in_(sorted(wanted))).order_by(rows.table.c.variant)
    return rows.to_records((await connection.execute(query)).all())


async def store_edits(connection: AsyncConnection, edited: Sequence[Message]) -> None:
    """Store the present and the first text of edited messages."""
    for kind, rows in MESSAGES.items():
        values = [
            {"key": one.id, **{f"new_{name}": getattr(one, name) for name in EDITED}}
            for one in edited
            if one.kind is kind
        ]
        if values:
            statement = update(rows.table).where(rows.table.c.id == bindparam("key"))
            texts: dict[str, Any] = {name: bindparam(f"new_{name}") for name in EDITED}
            await connection.execute(statement.values(texts), values)


EDITED = ("content", "content_type", "edited_at", "earlier_content")
"""The columns that an edit changes."""


ORDERS = {
    kind: make_orders(
        {
            "detected": [
                (rows.table.c.detected_at, False),
                (rows.table.c.created_at, False),
                (rows.table.c.id, True),
            ]
        }
    )
    for kind, rows in MESSAGES.items()
}
"""The orders of lists; the opposite of `detected` is that of the index of an account's messages."""


async def list_messages(
    connection: AsyncConnection,
    kind: MessageKind,
    asked: CommentsQuery,
    *,
    total: int | None = None,
) -> Found[Message]:
    """Return a page of messages. `total` is the number of those asked for, if it is known."""
    rows = MESSAGES[kind]
    table = rows.table
    conditions = equals(rows, asked.list_filters())
    if asked.since is not None:
        conditions.append(table.c.detected_at >= asked.since)
    if asked.q is not None:
        author = table.c[rows.renamed.get("author_name", "author_name")]
        sought = contains([table.c.content, author], asked.q)
        return await search_page(connection, rows, conditions, sought, ORDERS[kind], asked)
    return await find_page(
        connection,
        rows,
        conditions,
        ORDERS[kind],
        asked,
        total=total,
        # the last unread one of a million must not make the database look at the others
        ends_search=asked.is_read is not None,
    )


async def find_message(
    connection: AsyncConnection, kind: MessageKind, message_id: str
) -> Message | None:
    """Return one message, or None."""
    return await find_record(connection, MESSAGES[kind], message_id)


@dataclass(frozen=True, slots=True)
class Mark:
    """The columns of a message that marking it as read or unread needs."""

    id: str
    account_id: str
    is_read: bool
    is_outbound: bool
    position: list[Any]
    """Its position in the order of an account's messages."""


async def find_marks(
    connection: AsyncConnection, kind: MessageKind, message_ids: Sequence[str]
) -> list[Mark]:
    """Return these messages, as far as they are stored."""
    query = _select_marks(kind).where(MESSAGES[kind].table.c.id.in_(message_ids))
    return [_make_mark(row) for row in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Portion:
    """Where to look for messages of an account: detected before a time, behind a position."""

    account_id: str
    detected_before: int
    behind: list[Any] | None
    looked_at: int
    limit: int


async def find_marks_of(
    connection: AsyncConnection, kind: MessageKind, portion: Portion, *, is_read: bool
) -> tuple[list[Mark], list[Any] | None]:
    """Return an account's messages that are read, or that are not, the newest first.

    Also return the position behind which the next portion begins, or None at the end.
    """
    rows, order = MESSAGES[kind], ORDERS[kind]["-detected"]
    c = rows.table.c
    # one bound alone: of two, a database may use the wider one
    where = [
        c.account_id == portion.account_id,
        c.detected_at < portion.detected_before
        if portion.behind is None
        else order.follow(portion.behind),
    ]
    last = await find_bound(connection, rows, where, order, portion.looked_at)
    if last is not None:
        where.append(order.end_at(last))
    query = _select_marks(kind).where(*where, c.is_read == is_read)
    found = await connection.execute(query.order_by(*order.clauses).limit(portion.limit))
    marks = [_make_mark(row) for row in found]
    return marks, marks[-1].position if len(marks) == portion.limit else last


def _select_marks(kind: MessageKind) -> Select[Any]:
    c = MESSAGES[kind].table.c
    direction = c.direction if "direction" in c else literal(None)
    return select(c.id, c.account_id, c.is_read, direction, c.detected_at, c.created_at)


def _make_mark(row: Row[Any]) -> Mark:
    name, account_id, is_read, way, detected_at, created_at = tuple(row)
    position = [detected_at, created_at, name]
    return Mark(name, account_id, bool(is_read), way == Direction.OUTBOUND, position)


async def mark_messages(
    connection: AsyncConnection, kind: MessageKind, message_ids: Sequence[str], *, is_read: bool
) -> None:
    """Note whether a person has read these messages; all of them are stored."""
    table = MESSAGES[kind].table
    for some in chunk_ids(message_ids):
        await connection.execute(update(table).where(table.c.id.in_(some)).values(is_read=is_read))


async def tally_messages(connection: AsyncConnection) -> dict[Key, Numbers]:
    """Return the numbers of the messages of every account; only indexes are read."""
    found: dict[Key, Numbers] = {}
    for kind, rows in MESSAGES.items():
        table = rows.table
        count = select(table.c.account_id, func.count()).group_by(table.c.account_id)
        read = {
            account_id: int(number)
            for account_id, number in await connection.execute(count.where(table.c.is_read))
        }
        for account_id, number in await connection.execute(count):
            found[account_id, kind] = int(number), int(number) - read.get(account_id, 0)
    return found


async def summarise_messages(
    connection: AsyncConnection, account_ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return per account: comments, direct_messages, unread, last_detected_at.

    `account_ids` must fit into one statement. An account without messages is left out.
    """
    summary: dict[str, dict[str, int]] = {}
    for kind, rows in MESSAGES.items():
        table = rows.table
        query = (
            select(
                table.c.account_id,
                func.count(),
                func.sum(case((table.c.is_read, 1), else_=0)),
                func.max(table.c.detected_at),
            )
            .where(table.c.account_id.in_(account_ids))
            .group_by(table.c.account_id)
        )
        for account_id, total, read, last in await connection.execute(query):
            entry = summary.setdefault(
                account_id,
                {"comments": 0, "direct_messages": 0, "unread": 0, "last_detected_at": 0},
            )
            entry["comments" if kind is MessageKind.COMMENT else "direct_messages"] = int(total)
            entry["unread"] += int(total) - int(read)
            entry["last_detected_at"] = max(entry["last_detected_at"], int(last or 0))
    return summary
