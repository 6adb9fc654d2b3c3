"""Rows of comments and direct messages: two tables of one shape.

Each message is stored once per (account, platform id, conversation).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert  # SQLite accepts its ON CONFLICT as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.decisions.intake import SAID
from master.model import Direction, Message, MessageKind
from master.store.mapping import MESSAGES
from master.store.rows import PAGE_BYTES, find_page, find_record


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
