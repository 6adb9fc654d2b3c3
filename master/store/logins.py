"""Login sessions' rows. A session that has ended can never be written again: every change is guarded by its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import OPEN_SESSION, Login, SessionStatus
from master.store.rows import count_by, find_by, find_page, find_row, find_rows
from master.store.schema import accounts
from master.store.schema import login_sessions as logins

_OPEN = sorted(status.value for status in OPEN_SESSION)


def _to_record(row: RowMapping) -> Login:
    return Login(
        id=row["id"],
        account_id=row["account_id"],
        worker_id=row["worker_id"],
        status=SessionStatus(row["status"]),
        login_method=row["login_method"],
        qr_code_data=row["qr_code_data"],
        qr_code_url=row["qr_code_url"],
        error_message=row["error_message"],
        expires_at=row["expires_at"],
        logged_in_at=row["logged_in_at"],
        created_at=row["created_at"],
    )


async def find_login(connection: AsyncConnection, session_id: str) -> Login | None:
    """Return one login session, or None."""
    row = await find_by(connection, logins.c.id, session_id)
    return _to_record(row) if row else None


async def find_open_login(connection: AsyncConnection, account_id: str) -> Login | None:
    """Return the account's open login session, or None."""
    query = select(logins).where(logins.c.account_id == account_id, logins.c.status.in_(_OPEN))
    row = await find_row(connection, query)
    return _to_record(row) if row else None


async def find_open_logins(connection: AsyncConnection, *, worker_id: str | None = None) -> list[Login]:
    """Return the open login sessions, all or one worker's, the oldest first."""
    query = select(logins).where(logins.c.status.in_(_OPEN))
    if worker_id is not None:
        query = query.where(logins.c.worker_id == worker_id)
    rows = await find_rows(connection, query.order_by(logins.c.created_at, logins.c.id))
    return [_to_record(row) for row in rows]


async def list_logins(
    connection: AsyncConnection, filters: Mapping[str, str | None], *, limit: int, offset: int
) -> tuple[list[Login], int]:
    """Return a page of login sessions, the newest first, and how many there are; `filters` are column = value."""
    conditions: list[ColumnElement[bool]] = [
        logins.c[name] == value for name, value in filters.items() if value is not None
    ]
    order = [logins.c.created_at.desc(), logins.c.id]
    rows, total = await find_page(connection, logins, conditions, order, limit, offset)
    return [_to_record(row) for row in rows], total


async def add_login(connection: AsyncConnection, login: Login) -> None:
    """Insert a new login session."""
    await connection.execute(
        insert(logins).values(
            id=login.id,
            account_id=login.account_id,
            worker_id=login.worker_id,
            status=login.status.value,
            login_method=login.login_method,
            expires_at=login.expires_at,
            created_at=login.created_at,
        )
    )


async def change_open_login(connection: AsyncConnection, session_id: str, values: Mapping[str, Any]) -> bool:
    """Set columns of a session that is still open; return False if it has ended."""
    result = await connection.execute(
        update(logins).where(logins.c.id == session_id, logins.c.status.in_(_OPEN)).values(**values)
    )
    return result.rowcount == 1


async def remove_logins_of(connection: AsyncConnection, account_id: str) -> None:
    """Remove every login session of an account."""
    await connection.execute(delete(logins).where(logins.c.account_id == account_id))


async def remove_old_logins(connection: AsyncConnection, before: int) -> int:
    """Remove ended login sessions created before the Unix second `before`; return how many."""
    result = await connection.execute(delete(logins).where(logins.c.created_at < before, logins.c.status.not_in(_OPEN)))
    return result.rowcount


async def count_reserved(connection: AsyncConnection) -> dict[str, int]:
    """Return, per worker, how many open logins it has of accounts that it does not hold."""
    query = (
        select(logins.c.worker_id, func.count())
        .join(accounts, accounts.c.id == logins.c.account_id)
        .where(logins.c.status.in_(_OPEN), accounts.c.assigned_worker_id.is_distinct_from(logins.c.worker_id))
        .group_by(logins.c.worker_id)
    )
    return {worker_id: int(count) for worker_id, count in await connection.execute(query)}


async def count_logins(connection: AsyncConnection) -> dict[str, int]:
    """Return how many login sessions are in each state."""
    return await count_by(connection, logins.c.status)
