"""Accounts' rows where memory is not enough: long lists, and secrets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Account
from master.store.mapping import ACCOUNTS
from master.store.rows import PAGE_BYTES, equals, find_page
from master.store.schema import accounts
from master.store.sealing import Secrets, find_broken, read_secrets


async def list_accounts(
    connection: AsyncConnection, filters: dict[str, Any], *, limit: int, offset: int
) -> tuple[list[Account], int]:
    """Return a page of accounts, the newest last, and how many there are; `filters` are column = value."""
    order = [accounts.c.created_at, accounts.c.id]
    return await find_page(connection, ACCOUNTS, equals(ACCOUNTS, filters), order, limit, offset, PAGE_BYTES)


async def read_account_secrets(connection: AsyncConnection, account_ids: tuple[str, ...]) -> dict[str, Secrets]:
    """Return credentials and fingerprint of these accounts, opened."""
    return await read_secrets(connection, accounts, account_ids)


async def find_unreadable_accounts(connection: AsyncConnection) -> set[str]:
    """Return the accounts with a stored secret that does not open."""
    return {row_id async for row_id in find_broken(connection, accounts)}


async def count_holdings(connection: AsyncConnection) -> dict[str | None, tuple[int, int]]:
    """Return, per owner (None: nobody), how many accounts it has and the sum of their epochs, as the file has it."""
    owner = accounts.c.assigned_worker_id
    query = select(owner, func.count(), func.sum(accounts.c.epoch)).group_by(owner)
    return {worker_id: (int(count), int(epochs)) for worker_id, count, epochs in await connection.execute(query)}
