"""Queries of accounts that memory cannot answer: long lists and secrets."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Text,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Account
from master.protocol.lists import AccountsQuery
from master.store.columns import JsonMember, JsonNumbers
from master.store.mapping import ACCOUNTS
from master.store.pages import Found, find_page, make_orders
from master.store.rows import ROWS, contains, equals
from master.store.schema import accounts, comments, direct_messages, notifications
from master.store.sealing import Secrets, find_broken, judge_secrets, read_secrets

DETECTED = (notifications, comments, direct_messages)
"""The tables that may have many rows per account."""

HIDDEN = "deleting"
"""Status of the row of a removed account whose messages are still being removed.

Only this module and the farm's loading and storing read it: for everything else the account is
gone.
"""

HIDING: dict[str, str | None] = {
    **{one.name: None for one in accounts.c if one.nullable},
    "status": HIDDEN,
}
"""Column -> its value in a hidden row: all that can be emptied is, secrets and names at once."""


def is_listed() -> ColumnElement[bool]:
    """Return the condition of accounts that are not removed."""
    return accounts.c.status.is_distinct_from(HIDDEN)


BY_AGE = ((accounts.c.created_at, False), (accounts.c.id, False))

ORDERS = make_orders(
    {
        name: [(column, False), *BY_AGE]
        for name, column in {
            "updated": accounts.c.updated_at,
            "name": accounts.c.account_name,
            "platform": accounts.c.platform,
            "status": accounts.c.status,
            "login_status": accounts.c.login_status,
            # databases differ in where they sort NULL
            "last_login": func.coalesce(accounts.c.last_login_time, 0),
            "cookies_end": func.coalesce(accounts.c.cookies_valid_until, 0),
        }.items()
    }
    | {"created": BY_AGE}
)

NAMES = ("nickname", "name", "display_name", "username")
"""Members of a profile by which people know an account."""


async def list_accounts(
    connection: AsyncConnection, asked: AccountsQuery, unread: Mapping[str, int] | None = None
) -> Found[Account]:
    """Return a page of accounts.

    `unread` is account -> how many of its messages are unread, where there are some; it is needed
    if the query `counts_unread`.
    """
    conditions = [is_listed(), *equals(ACCOUNTS, asked.list_filters())]
    if asked.unassigned is not None:
        owner = accounts.c.assigned_worker_id
        conditions.append(owner.is_(None) if asked.unassigned else owner.is_not(None))
    if asked.tag:
        conditions.append(or_(*(contains([_tags], f'"{tag}"') for tag in asked.tag)))
    if asked.q is not None:
        names = [JsonMember(accounts.c.user_info, name) for name in NAMES]
        own = (accounts.c.id, accounts.c.account_name, accounts.c.account_id)
        conditions.append(contains([*own, accounts.c.platform_user_id, *names], asked.q))
    source, orders = None, ORDERS
    if asked.counts_unread:
        source, number = _join_unread(unread or {})
        if asked.unread is not None:
            conditions.append(number > 0 if asked.unread else number == 0)
        orders = orders | make_orders({"unread": [(number, False), *BY_AGE]})
    return await find_page(
        connection, ACCOUNTS, conditions, orders, asked, is_exact=True, source=source
    )


def _join_unread(unread: Mapping[str, int]) -> tuple[FromClause, ColumnElement[int]]:
    """Return the accounts joined with the numbers of their unread messages, and that number.

    The numbers are one parameter: Master keeps them, and to count a million messages takes seconds.
    """
    pairs = JsonNumbers(literal(orjson.dumps(unread).decode(), Text)).table_valued("key", "value")
    read = select(pairs.c.key, cast(pairs.c.value, Integer).label("number")).cte("unread")
    known = read.prefix_with("MATERIALIZED")  # once, and not once per account
    joined = accounts.outerjoin(known, known.c.key == accounts.c.id)
    return joined, func.coalesce(known.c.number, 0)


_tags = type_coerce(accounts.c.tags, Text)
"""The tags as they are stored: a JSON list of texts that need no escapes."""


async def read_account_secrets(
    connection: AsyncConnection, account_ids: tuple[str, ...]
) -> dict[str, Secrets]:
    """Return these accounts' credentials, fingerprint and profile, opened.

    For accounts that are sent to workers now: all values are in memory at the same time.
    """
    return await read_secrets(connection, accounts, account_ids)


async def judge_account_secrets(
    connection: AsyncConnection, account_ids: tuple[str, ...]
) -> dict[str, Secrets]:
    """Return which secrets of these accounts do not open, without their values.

    The accounts may be any number and of any size.
    """
    return await judge_secrets(connection, accounts, account_ids)


async def find_unreadable_accounts(connection: AsyncConnection) -> set[str]:
    """Return the accounts with a stored secret that does not open."""
    return {row_id async for row_id in find_broken(connection, accounts)}


async def count_holdings(connection: AsyncConnection) -> dict[str | None, tuple[int, int]]:
    """Return per owner the number of its accounts and the sum of their epochs, as stored.

    The owner None stands for accounts without a worker.
    """
    owner = accounts.c.assigned_worker_id
    sums = func.count(), func.coalesce(func.sum(accounts.c.epoch), 0)
    rows = await connection.execute(select(owner, *sums).group_by(owner))
    found = {worker_id: (int(count), int(epochs)) for worker_id, count, epochs in rows}
    # hidden accounts have no owner; by a condition above, the index on owners would not suffice
    query = select(*sums).where(accounts.c.status == HIDDEN)
    hidden, epochs = (await connection.execute(query)).one()
    if hidden:
        count, all_epochs = found.pop(None)
        if count > hidden:
            found[None] = count - int(hidden), all_epochs - int(epochs)
    return found


async def has_much(connection: AsyncConnection, account_id: str) -> bool:
    """Tell whether an account has too many rows in one table to be removed in a single turn."""
    for table in DETECTED:
        further = (
            select(table.c.account_id)
            .where(table.c.account_id == account_id)
            .limit(1)
            .offset(ROWS // len(DETECTED))
        )
        if await connection.scalar(further) is not None:
            return True
    return False


async def remove_some(connection: AsyncConnection) -> bool:
    """Remove as much of one hidden account as one turn may remove; return whether there was one."""
    account_id = await connection.scalar(
        select(accounts.c.id).where(accounts.c.status == HIDDEN).limit(1)
    )
    if account_id is None:
        return False
    left = ROWS
    for table in DETECTED:
        some = select(table.c.id).where(table.c.account_id == account_id).limit(left)
        left -= (await connection.execute(delete(table).where(table.c.id.in_(some)))).rowcount
        if left <= 0:
            return True
    await connection.execute(delete(accounts).where(accounts.c.id == account_id))
    return True
