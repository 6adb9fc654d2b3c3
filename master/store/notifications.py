"""Rows of notifications, their sequence numbers, and each device's confirmations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite accepts its ON CONFLICT as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.decisions.retention import BUILT_AT
from master.model import Device, Notification
from master.protocol.lists import NotificationsQuery
from master.store.mapping import NOTIFICATIONS
from master.store.pages import Found, find_page, make_orders
from master.store.rows import chunk_ids, count_by, equals, find_record
from master.store.schema import client_deliveries, notifications

# A confirmation of a device is a hot path: its statements are built once, because SQLAlchemy needs
# longer to build a statement than SQLite to execute it.

_OWED = (
    notifications.c.seq > bindparam("seen_seq"),
    ~select(client_deliveries.c.notification_id)
    .where(
        client_deliveries.c.device_id == bindparam("device_id"),
        client_deliveries.c.notification_id == notifications.c.id,
    )
    .exists(),
)
"""Conditions of notifications that a device has neither confirmed nor passed."""

_FIRST_OWED = (
    select(notifications.c.seq)
    .where(*_OWED, notifications.c.seq <= bindparam("up_to"))
    .order_by(notifications.c.seq)
    .limit(1)
)
_END = (
    select(notifications.c.seq)
    .where(
        notifications.c.seq > bindparam("after_seq"), notifications.c.seq <= bindparam("last_seq")
    )
    .order_by(notifications.c.seq)
    .limit(1)
    .offset(bindparam("passed_over"))
)
_CONFIRM = insert(client_deliveries).on_conflict_do_nothing()
_MARK_SENT = (
    update(notifications)
    .where(
        notifications.c.id.in_(bindparam("ids", expanding=True)), notifications.c.is_sent.is_(False)
    )
    .values(is_sent=True, sent_at=bindparam("at"))
)


def _limit(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Return the condition that limits notifications to these accounts; None is no limit."""
    return [] if accounts is None else [notifications.c.account_id.in_(sorted(accounts))]


def _limit_in_order(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    """Return the same condition for a query that follows the sequence and ends early.

    The expression makes the database use the sequence's index; with the accounts' index, it would
    find all matching rows first.
    """
    return (
        []
        if accounts is None
        else [func.coalesce(notifications.c.account_id, "").in_(sorted(accounts))]
    )


async def find_last_of(connection: AsyncConnection, accounts: Collection[str]) -> int:
    """Return the newest sequence number of a notification about one of these accounts, or 0."""
    return int(
        await connection.scalar(select(func.max(notifications.c.seq)).where(*_limit(accounts))) or 0
    )


async def mark_sent(connection: AsyncConnection, notification_ids: Sequence[str], now: int) -> None:
    """Note that these notifications have reached a person; only the first time is stored."""
    for chunk in chunk_ids(notification_ids):
        await connection.execute(_MARK_SENT, {"ids": chunk, "at": now})


async def mark_passed(
    connection: AsyncConnection,
    after_seq: int,
    seq: int,
    now: int,
    accounts: Collection[str] | None = None,
) -> None:
    """Note that the notifications after `after_seq` up to `seq` have reached a person.

    With `accounts`, only notifications about these count.
    """
    await connection.execute(
        update(notifications)
        .where(
            notifications.c.seq > after_seq,
            notifications.c.seq <= seq,
            # `= false` would make the database look at every unsent row
            notifications.c.is_sent.is_distinct_from(True),
            *_limit_in_order(accounts),
        )
        .values(is_sent=True, sent_at=now)
    )


async def find_notification(
    connection: AsyncConnection, notification_id: str
) -> Notification | None:
    """Return one notification, or None."""
    return await find_record(connection, NOTIFICATIONS, notification_id)


ORDERS = make_orders({"seq": [(notifications.c.seq, False)]})


async def list_notifications(
    connection: AsyncConnection, asked: NotificationsQuery
) -> Found[Notification]:
    """Return a page of notifications."""
    conditions = equals(NOTIFICATIONS, asked.list_filters())
    if asked.after_seq is not None:
        conditions.append(notifications.c.seq > asked.after_seq)
    return await find_page(connection, NOTIFICATIONS, conditions, ORDERS, asked)


async def find_since(
    connection: AsyncConnection,
    *,
    after_seq: int | None,
    since: int | None,
    limit: int,
    offset: int,
    accounts: Collection[str] | None = None,
) -> tuple[list[Notification], bool]:
    """Return notifications in order of their sequence numbers, and whether there are more.

    Nothing is counted. `after_seq` excludes sequence numbers up to it, `since` (a Unix second)
    excludes notifications created before it, `accounts` excludes those about no account in it.
    """
    conditions = _limit(accounts)
    if after_seq is not None:
        conditions.append(notifications.c.seq > after_seq)
    if since is not None:
        conditions.append(notifications.c.created_at >= since)
    return await _find_in_order(connection, conditions, limit, offset)


async def _find_in_order(
    connection: AsyncConnection,
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
    offset: int = 0,
    parameters: dict[str, Any] | None = None,
) -> tuple[list[Notification], bool]:
    query = (
        NOTIFICATIONS.query.where(*conditions)
        .order_by(notifications.c.seq)
        .limit(limit + 1)
        .offset(offset)
    )
    rows = (await connection.execute(query, parameters)).all()
    return NOTIFICATIONS.to_records(rows[:limit]), len(rows) > limit


def _find_old(before: int, *, sent: bool) -> Select[Any]:
    """Return a query of the notifications created before `before`, sent to a person or not.

    `is distinct from` keeps the database from the index of all sent or all unsent rows.
    """
    return select(notifications.c.seq).where(
        notifications.c.created_at < before, notifications.c.is_sent.is_distinct_from(not sent)
    )


async def remove_old_notifications(
    connection: AsyncConnection, before: int, limit: int, *, sent: bool = True
) -> int:
    """Remove the oldest notifications, at most `limit`, created before `before`; return how many.

    `before` is a Unix second; `sent` tells whether to remove those that reached a person, or those
    that did not. Of the latter, those dated by a wrong clock stay: their age is unknown.
    """
    old = _find_old(before, sent=sent)
    if not sent:
        old = old.where(notifications.c.created_at >= BUILT_AT)
    return await _remove(connection, old.order_by(notifications.c.created_at).limit(limit))


async def remove_passed_notifications(
    connection: AsyncConnection, before: int, passed: int, limit: int
) -> int:
    """Remove sent ones in the same way, with sequence numbers up to `passed`; return how many."""
    old = _find_old(before, sent=True)
    last = await connection.scalar(old.order_by(notifications.c.created_at.desc()).limit(1))
    if last is None or limit < 1:
        return 0
    # sequence numbers grow with time, so this bound keeps the query from the rows that are too new
    return await _remove(
        connection,
        old.where(notifications.c.seq <= min(passed, last))
        .order_by(notifications.c.seq)
        .limit(limit),
    )


async def _remove(connection: AsyncConnection, seqs: Select[Any]) -> int:
    return (
        await connection.execute(delete(notifications).where(notifications.c.seq.in_(seqs)))
    ).rowcount


async def count_notifications(connection: AsyncConnection) -> dict[str, int]:
    """Return the number of notifications of each type."""
    return await count_by(connection, notifications.c.type)


# -- devices ---------------------------------------------------------------------------------------


async def find_end(connection: AsyncConnection, after_seq: int, seq: int, limit: int) -> int:
    """Return the sequence number that ends a portion of at most `limit` after `after_seq`.

    It is `seq` or an earlier one.
    """
    last = await connection.scalar(
        _END, {"after_seq": after_seq, "last_seq": seq, "passed_over": limit - 1}
    )
    return seq if last is None else int(last)


async def forget_confirmed(
    connection: AsyncConnection, device_id: str, after_seq: int, seq: int
) -> None:
    """Remove a device's confirmations after `after_seq` up to `seq`: it has passed these."""
    passed = select(notifications.c.id).where(
        notifications.c.seq > after_seq, notifications.c.seq <= seq
    )
    confirmed = client_deliveries.c
    await connection.execute(
        delete(client_deliveries).where(
            confirmed.device_id == device_id,
            confirmed.notification_id.in_(passed.scalar_subquery()),
        )
    )


async def copy_confirmed(
    connection: AsyncConnection, device_id: str, heir: str, limit: int
) -> None:
    """Copy the newest `limit` confirmations of a device to the device `heir`."""
    theirs = select(
        literal(heir), client_deliveries.c.notification_id, client_deliveries.c.confirmed_at
    ).where(client_deliveries.c.device_id == device_id)
    newest = theirs.order_by(client_deliveries.c.confirmed_at.desc()).limit(limit)
    names = ["device_id", "notification_id", "confirmed_at"]
    await connection.execute(
        insert(client_deliveries).from_select(names, newest).on_conflict_do_nothing()
    )


async def confirm_delivery(
    connection: AsyncConnection, device_id: str, notification_id: str, now: int
) -> bool:
    """Store that a device has confirmed a notification; return whether that is new."""
    row = {"device_id": device_id, "notification_id": notification_id, "confirmed_at": now}
    return (await connection.execute(_CONFIRM, row)).rowcount == 1


def _name_device(device: Device) -> dict[str, Any]:
    """Return the parameters of `_OWED`."""
    return {"device_id": device.device_id, "seen_seq": device.seen_seq}


async def find_owed(
    connection: AsyncConnection,
    device: Device,
    *,
    limit: int,
    accounts: Collection[str] | None = None,
    after_seq: int | None = None,
) -> tuple[list[Notification], bool]:
    """Return the notifications owed to this device, in order, and whether there are more.

    It is owed those that it has neither confirmed nor passed. With `after_seq`, only later ones are
    returned: the query then follows the sequence from there, which suits the newest few.
    """
    limits = (
        _limit(accounts)
        if after_seq is None
        else [notifications.c.seq > after_seq, *_limit_in_order(accounts)]
    )
    return await _find_in_order(
        connection, [*_OWED, *limits], limit, parameters=_name_device(device)
    )


async def find_first_owed(
    connection: AsyncConnection, device: Device, up_to: int, accounts: Collection[str] | None = None
) -> int | None:
    """Return the oldest sequence number up to `up_to` that is owed to this device, or None."""
    query = _FIRST_OWED if accounts is None else _FIRST_OWED.where(*_limit_in_order(accounts))
    seq: int | None = await connection.scalar(query, {**_name_device(device), "up_to": up_to})
    return seq


async def find_first_unsent(
    connection: AsyncConnection, accounts: Collection[str] | None = None
) -> int | None:
    """Return the oldest sequence number that has reached no person, or None."""
    seq: int | None = await connection.scalar(
        select(func.min(notifications.c.seq)).where(
            notifications.c.is_sent.is_(False), *_limit(accounts)
        )
    )
    return seq


async def list_unsent(connection: AsyncConnection, *, limit: int) -> list[Notification]:
    """Return notifications that have reached no person yet, in order."""
    unsent = (
        NOTIFICATIONS.query.where(notifications.c.is_sent.is_(False))
        .order_by(notifications.c.seq)
        .limit(limit)
    )
    return NOTIFICATIONS.to_records((await connection.execute(unsent)).all())
