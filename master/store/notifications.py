"""Notifications' rows, their places in the clients' sequence, and what each device has confirmed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, RowMapping, Text, delete, func, insert, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Device, Notification, NotificationType, Priority
from master.store.rows import chunk_ids, count_by, find_by, find_page, find_rows
from master.store.schema import client_deliveries, client_devices, counters, notifications

SEQUENCE = "notification_seq"


def _to_record(row: RowMapping) -> Notification:
    return Notification(
        id=row["id"],
        seq=row["seq"],
        type=NotificationType(row["type"]),
        account_id=row["account_id"],
        related_id=row["related_id"],
        title=row["title"],
        content=row["content"],
        data=row["data"] or {},
        priority=Priority(row["priority"]),
        is_sent=bool(row["is_sent"]),
        sent_at=row["sent_at"],
        created_at=row["created_at"],
    )


async def take_places(connection: AsyncConnection, count: int) -> int:
    """Return the first of `count` new places in the clients' sequence; a place is never given twice."""
    last = await connection.scalar(
        update(counters)
        .where(counters.c.name == SEQUENCE)
        .values(value=counters.c.value + count)
        .returning(counters.c.value)
    )
    assert last is not None, "the first migration makes the counter"
    return int(last) - count + 1


def _limit(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Return the condition that shows notifications of these accounts alone; None shows all."""
    return [] if accounts is None else [notifications.c.account_id.in_(sorted(accounts))]


def _limit_in_order(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Return the same condition for whoever follows the sequence and ends early.

    The plus keeps SQLite to the sequence's index: by their accounts it would find all of them first.
    """
    return [] if accounts is None else [literal_column("+notifications.account_id", Text).in_(sorted(accounts))]


async def find_last_place(connection: AsyncConnection, accounts: Collection[str] | None = None) -> int:
    """Return the newest place given in the clients' sequence, or the newest of `accounts`; 0 if there is none."""
    if accounts is not None:
        newest = select(func.max(notifications.c.seq)).where(*_limit(accounts))
        return int(await connection.scalar(newest) or 0)
    return int(await connection.scalar(select(counters.c.value).where(counters.c.name == SEQUENCE)) or 0)


async def add_notifications(connection: AsyncConnection, new: Sequence[Notification]) -> None:
    """Insert notifications, all in one statement."""
    if new:
        await connection.execute(
            insert(notifications),
            [
                {
                    "id": one.id,
                    "seq": one.seq,
                    "type": one.type.value,
                    "account_id": one.account_id,
                    "related_id": one.related_id,
                    "title": one.title,
                    "content": one.content,
                    "data": one.data,
                    "priority": one.priority.value,
                    "is_sent": one.is_sent,
                    "sent_at": one.sent_at,
                    "created_at": one.created_at,
                }
                for one in new
            ],
        )


async def mark_sent(connection: AsyncConnection, notification_ids: Sequence[str], now: int) -> None:
    """Note that these notifications have reached at least one person; the first time counts."""
    for chunk in chunk_ids(notification_ids):
        await connection.execute(
            update(notifications)
            .where(notifications.c.id.in_(chunk), notifications.c.is_sent.is_(False))
            .values(is_sent=True, sent_at=now)
        )


async def mark_passed(
    connection: AsyncConnection, after_seq: int, seq: int, now: int, accounts: Collection[str] | None = None
) -> None:
    """Note that what lies after `after_seq` up to `seq`, of `accounts` if given, has reached at least one person."""
    await connection.execute(
        update(notifications)
        .where(
            notifications.c.seq > after_seq,
            notifications.c.seq <= seq,
            notifications.c.is_sent.is_distinct_from(True),  # `= false` would have every unsent one looked at
            *_limit_in_order(accounts),
        )
        .values(is_sent=True, sent_at=now)
    )


async def find_notification(connection: AsyncConnection, notification_id: str) -> Notification | None:
    """Return one notification, or None."""
    row = await find_by(connection, notifications.c.id, notification_id)
    return _to_record(row) if row else None


async def list_notifications(
    connection: AsyncConnection, filters: Mapping[str, str | bool | None], *, limit: int, offset: int
) -> tuple[list[Notification], int]:
    """Return a page of notifications, the newest first, and how many there are; `filters` are column = value."""
    conditions: list[ColumnElement[bool]] = [
        notifications.c[name] == value for name, value in filters.items() if value is not None
    ]
    rows, total = await find_page(connection, notifications, conditions, [notifications.c.seq.desc()], limit, offset)
    return [_to_record(row) for row in rows], total


async def find_since(
    connection: AsyncConnection,
    *,
    after_seq: int | None,
    since: int | None,
    limit: int,
    offset: int,
    accounts: Collection[str] | None = None,
) -> tuple[list[Notification], int]:
    """Return notifications in the order of the sequence, and how many there are in all.

    `after_seq` excludes places up to it; `since` (a Unix second) excludes what was created before it; `accounts`
    excludes what is not about one of them.
    """
    conditions = _limit(accounts)
    if after_seq is not None:
        conditions.append(notifications.c.seq > after_seq)
    if since is not None:
        conditions.append(notifications.c.created_at >= since)
    rows, total = await find_page(connection, notifications, conditions, [notifications.c.seq], limit, offset)
    return [_to_record(row) for row in rows], total


async def remove_notifications_of(connection: AsyncConnection, account_id: str) -> None:
    """Remove every notification of an account."""
    await connection.execute(delete(notifications).where(notifications.c.account_id == account_id))


async def remove_old_notifications(connection: AsyncConnection, before: int) -> int:
    """Remove notifications created before the Unix second `before`; return how many."""
    result = await connection.execute(delete(notifications).where(notifications.c.created_at < before))
    return result.rowcount


async def count_notifications(connection: AsyncConnection) -> dict[str, int]:
    """Return how many notifications there are of each type."""
    return await count_by(connection, notifications.c.type)


# -- devices ---------------------------------------------------------------------------------------------------------


def _to_device(row: RowMapping) -> Device:
    return Device(**{name: row[name] for name in Device.__dataclass_fields__})


async def find_device(connection: AsyncConnection, device_id: str) -> Device | None:
    """Return one device, or None."""
    row = await find_by(connection, client_devices.c.device_id, device_id)
    return _to_device(row) if row else None


async def put_device(connection: AsyncConnection, device: Device) -> None:
    """Insert the device, or renew its names and when it was last seen; what it has seen never shrinks."""
    statement = upsert(client_devices).values(**{name: getattr(device, name) for name in Device.__dataclass_fields__})
    new = statement.excluded
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["device_id"],
            set_={
                "device_type": func.coalesce(new.device_type, client_devices.c.device_type),
                "device_name": func.coalesce(new.device_name, client_devices.c.device_name),
                "last_seen_at": new.last_seen_at,
            },
        )
    )


async def raise_seen(connection: AsyncConnection, device: Device, seq: int, now: int) -> None:
    """Note that a device needs nothing up to `seq` any more, nor that single confirmations up to there are kept.

    What it has passed already stays passed: a lower `seq` changes nothing.
    """
    if seq <= device.seen_seq:
        return
    await connection.execute(
        update(client_devices)
        .where(client_devices.c.device_id == device.device_id, client_devices.c.seen_seq < seq)
        .values(seen_seq=seq, last_seen_at=now)
    )
    covered = (  # looked up by each confirmation's id: a list of what is covered would hold nearly every notification
        select(notifications.c.id)
        .where(notifications.c.id == client_deliveries.c.notification_id, notifications.c.seq <= seq)
        .exists()
    )
    await connection.execute(
        delete(client_deliveries).where(client_deliveries.c.device_id == device.device_id, covered)
    )


async def confirm_delivery(connection: AsyncConnection, device_id: str, notification_id: str, now: int) -> bool:
    """Note that a device has seen a notification; return whether that is new."""
    statement = (
        upsert(client_deliveries)
        .values(device_id=device_id, notification_id=notification_id, confirmed_at=now)
        .on_conflict_do_nothing()
    )
    return (await connection.execute(statement)).rowcount == 1


def _owed_to(device: Device) -> list[ColumnElement[bool]]:
    """Return the conditions of what this device has neither confirmed nor passed."""
    confirmed = (
        select(client_deliveries.c.notification_id)
        .where(
            client_deliveries.c.device_id == device.device_id,
            client_deliveries.c.notification_id == notifications.c.id,
        )
        .exists()
    )
    return [notifications.c.seq > device.seen_seq, ~confirmed]


async def find_owed(
    connection: AsyncConnection, device: Device, *, limit: int, accounts: Collection[str] | None = None
) -> tuple[list[Notification], int]:
    """Return what this device has neither confirmed nor passed, in order, and how many there are in all."""
    conditions = [*_owed_to(device), *_limit(accounts)]
    rows, total = await find_page(connection, notifications, conditions, [notifications.c.seq], limit, 0)
    return [_to_record(row) for row in rows], total


async def find_first_owed(
    connection: AsyncConnection, device: Device, accounts: Collection[str] | None = None
) -> int | None:
    """Return the place of the oldest notification that is owed to this device, or None."""
    query = select(notifications.c.seq).where(*_owed_to(device), *_limit_in_order(accounts))
    seq: int | None = await connection.scalar(query.order_by(notifications.c.seq).limit(1))
    return seq


async def find_first_unsent(connection: AsyncConnection, accounts: Collection[str] | None = None) -> int | None:
    """Return the place of the oldest notification that has reached nobody, or None."""
    seq: int | None = await connection.scalar(
        select(func.min(notifications.c.seq)).where(notifications.c.is_sent.is_(False), *_limit(accounts))
    )
    return seq


async def list_unsent(connection: AsyncConnection, *, limit: int) -> list[Notification]:
    """Return notifications that have reached nobody yet, in order."""
    rows = await find_rows(
        connection,
        select(notifications).where(notifications.c.is_sent.is_(False)).order_by(notifications.c.seq).limit(limit),
    )
    return [_to_record(row) for row in rows]
