"""Queries of login sessions that memory cannot answer: ended ones, lists and codes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import OPEN_SESSION, Login
from master.protocol.lists import LoginsQuery
from master.store.mapping import LOGINS
from master.store.pages import Found, find_page, make_orders
from master.store.rows import chunk_ids, count_by, equals, find_record
from master.store.schema import login_sessions as logins

_OPEN = sorted(OPEN_SESSION)


async def find_login(connection: AsyncConnection, session_id: str) -> Login | None:
    """Return one login session, ended or not, or None."""
    return await find_record(connection, LOGINS, session_id)


ORDERS = make_orders({"created": [(logins.c.created_at, False), (logins.c.id, True)]})


async def list_logins(connection: AsyncConnection, asked: LoginsQuery) -> Found[Login]:
    """Return a page of login sessions."""
    return await find_page(connection, LOGINS, equals(LOGINS, asked.list_filters()), ORDERS, asked)


async def read_codes(
    connection: AsyncConnection, session_ids: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """Return the codes of these login sessions: `qr_code_data` and `qr_code_url`.

    An ended session has none. If the codes exceed 4 MiB together, only those of the first sessions
    are returned; the others are available one by one.
    """
    found: dict[str, dict[str, str | None]] = {}
    session_ids = await _find_first(connection, session_ids)
    for chunk in chunk_ids(session_ids):
        query = select(logins.c.id, logins.c.qr_code_data, logins.c.qr_code_url).where(
            logins.c.id.in_(chunk)
        )
        for session_id, data, url in await connection.execute(query):
            found[session_id] = {"qr_code_data": data, "qr_code_url": url}
    return found


CODES_CHARACTERS = 4 * 1024 * 1024


async def _find_first(connection: AsyncConnection, session_ids: Sequence[str]) -> list[str]:
    """Return the first of these logins, at least one, whose codes fit into the limit together."""
    sizes: dict[str, int] = {}
    for chunk in chunk_ids(session_ids):
        query = select(logins.c.id, func.length(logins.c.qr_code_data)).where(
            logins.c.id.in_(chunk)
        )
        sizes |= {session_id: size or 0 for session_id, size in await connection.execute(query)}
    first: list[str] = []
    left = CODES_CHARACTERS
    for session_id in session_ids:
        left -= sizes.get(session_id, 0)
        if left < 0 and first:
            break
        first.append(session_id)
    return first


async def find_open(connection: AsyncConnection) -> dict[str, int]:
    """Return when each open login session expires (Unix seconds), as stored."""
    query = select(logins.c.id, logins.c.expires_at).where(logins.c.status.in_(_OPEN))
    return {
        session_id: int(expires_at) for session_id, expires_at in await connection.execute(query)
    }


async def remove_old_logins(connection: AsyncConnection, before: int, limit: int) -> int:
    """Remove at most `limit` ended login sessions created before `before`; return how many.

    `before` is a Unix second.
    """
    old = select(logins.c.id).where(logins.c.created_at < before, logins.c.status.not_in(_OPEN))
    some = old.order_by(logins.c.created_at).limit(limit)
    return (await connection.execute(delete(logins).where(logins.c.id.in_(some)))).rowcount


async def count_logins(connection: AsyncConnection) -> dict[str, int]:
    """Return the number of login sessions in each state."""
    return await count_by(connection, logins.c.status)
