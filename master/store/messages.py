"""Rows of comments and direct messages: two tables of one shape.

Each message is stored once per (account, platform id).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite accepts its ON CONFLICT as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.decisions.intake import SAID
from master.model import Direction, Message, MessageKind
from master.store.mapping import MESSAGES
from master.store.rows import PAGE_BYTES, find_page, find_record


async def keep_messages(
    connection: AsyncConnection, messages: Sequence[Message]
) -> tuple[list[Message], list[str]]:
    """Store the messages that are not stored yet, with one statement per kind.

    Return the new ones in the order passed, and the ids of stored ones that are now reported with
    other content; these stay unchanged.
    """
    found: set[str] = set()
    for kind, rows in MESSAGES.items():
        values = [rows.to_row(message) for message in messages if message.kind is kind]
        if values:
            found.update((await connection.execute(_keep_in(kind), values)).scalars())
    new = [message for message in messages if message.id in found]
    return new, sorted(found.difference(message.id for message in new))


@cache
def _keep_in(kind: MessageKind) -> Any:
    """Return the statement that stores a message, or returns the id of a stored one that differs.

    RETURNING returns only rows that were written, so a stored row's column is set to its own value.
    """
    rows = MESSAGES[kind]
    table, new = rows.table, insert(rows.table)
    platform_id = table.c[rows.renamed["platform_id"]]
    differs = or_(
        *(table.c[name].is_distinct_from(new.excluded[name]) for name in rows.name_columns(SAID))
    )
    return new.on_conflict_do_update(
        index_elements=[table.c.account_id, platform_id],
        set_={"is_read": table.c.is_read},
        where=differs,
    ).returning(table.c.id)


async def list_messages(
    connection: AsyncConnection,
    kind: MessageKind,
    *,
    account_id: str | None,
    is_read: bool | None,
    since: int | None,
    direction: Direction | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Message], int]:
    """Return a page of messages, the last detected first, and their total number.

    Only messages detected at or after the Unix second `since` count.
    """
    rows = MESSAGES[kind]
    table = rows.table
    conditions: list[ColumnElement[bool]] = []
    if account_id is not None:
        conditions.append(table.c.account_id == account_id)
    if is_read is not None:
        conditions.append(table.c.is_read == is_read)
    if since is not None:
        conditions.append(table.c.detected_at >= since)
    if direction is not None:
        conditions.append(table.c.direction == direction)
    order = [table.c.detected_at.desc(), table.c.created_at.desc(), table.c.id]
    return await find_page(connection, rows, conditions, order, limit, offset, PAGE_BYTES)


async def mark_message_read(
    connection: AsyncConnection, kind: MessageKind, message_id: str
) -> Message | None:
    """Note that a person has read this message; return it, or None if there is none."""
    table = MESSAGES[kind].table
    await connection.execute(update(table).where(table.c.id == message_id).values(is_read=True))
    return await find_record(connection, MESSAGES[kind], message_id)


async def count_messages(connection: AsyncConnection, kind: MessageKind) -> dict[str, int]:
    """Return the numbers of messages of this kind: `total` and `unread`."""
    all_of_kind = select(func.count()).select_from(MESSAGES[kind].table)
    total = await connection.scalar(all_of_kind) or 0
    read = await connection.scalar(all_of_kind.where(MESSAGES[kind].table.c.is_read)) or 0
    return {"total": total, "unread": total - read}


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
