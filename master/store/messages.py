"""Comments' and direct messages' rows: two tables of one shape, each stored once per (account, platform id)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Table, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Direction, Message, MessageKind
from master.store.rows import find_page, find_rows
from master.store.schema import comments, direct_messages

TABLES: Mapping[MessageKind, Table] = {
    MessageKind.COMMENT: comments,
    MessageKind.DIRECT_MESSAGE: direct_messages,
}
_PLATFORM_ID = {
    MessageKind.COMMENT: comments.c.platform_comment_id,
    MessageKind.DIRECT_MESSAGE: direct_messages.c.platform_message_id,
}


def _to_record(kind: MessageKind, row: RowMapping) -> Message:
    comment = kind is MessageKind.COMMENT
    return Message(
        id=row["id"],
        account_id=row["account_id"],
        kind=kind,
        platform_id=row[_PLATFORM_ID[kind].name],
        content=row["content"],
        author_name=row["author_name" if comment else "sender_name"],
        author_id=row["author_id" if comment else "sender_id"],
        post_id=row["post_id"] if comment else None,
        post_title=row["post_title"] if comment else None,
        direction=None if comment or row["direction"] is None else Direction(row["direction"]),
        is_read=bool(row["is_read"]),
        detected_at=row["detected_at"],
        created_at=row["created_at"],
    )


def _to_row(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": message.id,
        "account_id": message.account_id,
        "content": message.content,
        "is_read": message.is_read,
        "detected_at": message.detected_at,
        "created_at": message.created_at,
    }
    if message.kind is MessageKind.COMMENT:
        row |= {
            "platform_comment_id": message.platform_id,
            "author_name": message.author_name,
            "author_id": message.author_id,
            "post_id": message.post_id,
            "post_title": message.post_title,
        }
    else:
        row |= {
            "platform_message_id": message.platform_id,
            "sender_name": message.author_name,
            "sender_id": message.author_id,
            "direction": message.direction.value if message.direction else None,
        }
    return row


async def keep_messages(connection: AsyncConnection, messages: Sequence[Message]) -> list[Message]:
    """Store what is not stored yet, in one statement per kind; return the new ones in the given order."""
    new: set[str] = set()
    for kind, table in TABLES.items():
        rows = [_to_row(message) for message in messages if message.kind is kind]
        if rows:
            statement = insert(table).on_conflict_do_nothing().returning(table.c.id)
            new.update((await connection.execute(statement, rows)).scalars())
    return [message for message in messages if message.id in new]


async def list_messages(
    connection: AsyncConnection,
    kind: MessageKind,
    *,
    account_id: str | None,
    is_read: bool | None,
    since: int | None,
    direction: Direction | None,
    limit: int,
    offset: int,
) -> tuple[list[Message], int]:
    """Return a page of messages, the last detected first, and how many there are.

    `since` is a Unix second: only what was detected at or after it.
    """
    table = TABLES[kind]
    conditions: list[ColumnElement[bool]] = []
    if account_id is not None:
        conditions.append(table.c.account_id == account_id)
    if is_read is not None:
        conditions.append(table.c.is_read == is_read)
    if since is not None:
        conditions.append(table.c.detected_at >= since)
    if direction is not None:
        conditions.append(table.c.direction == direction.value)
    order = [table.c.detected_at.desc(), table.c.created_at.desc(), table.c.id]
    rows, total = await find_page(connection, table, conditions, order, limit, offset)
    return [_to_record(kind, row) for row in rows], total


async def mark_message_read(connection: AsyncConnection, kind: MessageKind, message_id: str) -> Message | None:
    """Note that a person has read this message; return it, or None if there is none."""
    table = TABLES[kind]
    await connection.execute(update(table).where(table.c.id == message_id).values(is_read=True))
    rows = await find_rows(connection, select(table).where(table.c.id == message_id))
    return _to_record(kind, rows[0]) if rows else None


async def remove_messages_of(connection: AsyncConnection, account_id: str) -> None:
    """Remove every message of an account."""
    for table in TABLES.values():
        await connection.execute(delete(table).where(table.c.account_id == account_id))


async def count_messages(connection: AsyncConnection, kind: MessageKind) -> dict[str, int]:
    """Return how many messages of this kind there are: `total` and `unread`."""
    all_of_kind = select(func.count()).select_from(TABLES[kind])
    total = await connection.scalar(all_of_kind) or 0
    read = await connection.scalar(all_of_kind.where(TABLES[kind].c.is_read)) or 0
    return {"total": total, "unread": total - read}


async def summarise_messages(connection: AsyncConnection, account_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return for these accounts what their messages come to: comments, direct_messages, unread, last_detected_at.

    At most as many accounts as one statement takes; one without messages is left out.
    """
    summary: dict[str, dict[str, int]] = {}
    for kind, table in TABLES.items():
        query = (
            select(
                table.c.account_id,
                func.count(),
                func.coalesce(func.sum(table.c.is_read), 0),
                func.max(table.c.detected_at),
            )
            .where(table.c.account_id.in_(account_ids))
            .group_by(table.c.account_id)
        )
        for account_id, total, read, last in await connection.execute(query):
            entry = summary.setdefault(
                account_id, {"comments": 0, "direct_messages": 0, "unread": 0, "last_detected_at": 0}
            )
            entry["comments" if kind is MessageKind.COMMENT else "direct_messages"] = int(total)
            entry["unread"] += int(total) - int(read)
            entry["last_detected_at"] = max(entry["last_detected_at"], int(last or 0))
    return summary
