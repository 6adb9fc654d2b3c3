"""Accounts' rows where memory is not enough: long lists, and secrets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Account
from master.store.mapping import ACCOUNTS
from master.store.rows import PAGE_BYTES, ROWS, equals, find_page
from master.store.schema import accounts, comments, direct_messages, notifications
from master.store.sealing import Secrets, find_broken, judge_secrets, read_secrets

DETECTED = (notifications, comments, direct_messages)
"""The tables that may hold many rows of one account."""


async def list_accounts(
    connection: AsyncConnection, filters: dict[str, Any], *, limit: int, offset: int
) -> tuple[list[Account], int]:
    """Return a page of accounts, the newest last, and how many there are; `filters` are column = value."""
    order = [accounts.c.created_at, accounts.c.id]
    return await find_page(
        connection, ACCOUNTS, equals(ACCOUNTS, filters), order, limit, offset, PAGE_BYTES
    )


async def read_account_secrets(
    connection: AsyncConnection, account_ids: tuple[str, ...]
) -> dict[str, Secrets]:
    """Return credentials, fingerprint and profile of these accounts, opened: for those that are handed out at once."""
    return await read_secrets(connection, accounts, account_ids)


async def judge_account_secrets(
    connection: AsyncConnection, account_ids: tuple[str, ...]
) -> dict[str, Secrets]:
    """Return which secrets of these accounts do not open, however many and large; their values are not returned."""
    return await judge_secrets(connection, accounts, account_ids)


async def find_unreadable_accounts(connection: AsyncConnection) -> set[str]:
    """Return the accounts with a stored secret that does not open."""
    return {row_id async for row_id in find_broken(connection, accounts)}


async def count_holdings(connection: AsyncConnection) -> dict[str | None, tuple[int, int]]:
    """Return, per owner (None: nobody), how many accounts it has and the sum of their epochs, as the file has it."""
    owner = accounts.c.assigned_worker_id
    query = select(owner, func.count(), func.sum(accounts.c.epoch)).group_by(owner)
    return {
        worker_id: (int(count), int(epochs))
        for worker_id, count, epochs in await connection.execute(query)
    }


async def has_much(connection: AsyncConnection, account_id: str) -> bool:
    """Tell whether some table has so many rows of an account that they are not to go with it in one turn."""
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


async def remove_some(connection: AsyncConnection, account_id: str) -> None:
    """Remove as many rows of an account as one turn may: messages, and what was told of them."""
    left = ROWS
    for table in DETECTED:
        some = select(table.c.id).where(table.c.account_id == account_id).limit(left)
        left -= (await connection.execute(delete(table).where(table.c.id.in_(some)))).rowcount
        if left <= 0:
            return
