"""Queries of login links that memory cannot answer: ended ones, and lists."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.login_link import OPEN_LINK, LoginLink
from master.store.mapping import LINKS
from master.store.rows import find_record
from master.store.schema import login_links as links

_OPEN = sorted(OPEN_LINK)


async def find_link(connection: AsyncConnection, link_id: str) -> LoginLink | None:
    """Return one login link, ended or not, or None."""
    return await find_record(connection, LINKS, link_id)


async def list_links(
    connection: AsyncConnection, account_id: str, limit: int, offset: int
) -> tuple[list[LoginLink], int]:
    """Return a page of an account's links, the newest first, and how many it has."""
    mine = links.c.account_id == account_id
    order = links.c.created_at.desc(), links.c.id
    query = LINKS.query.where(mine).order_by(*order).limit(limit).offset(offset)
    rows = (await connection.execute(query)).all()
    total = await connection.scalar(select(func.count()).select_from(links).where(mine))
    return LINKS.to_records(rows), int(total or 0)


async def remove_old_links(connection: AsyncConnection, before: int, limit: int) -> int:
    """Remove at most `limit` ended links made before `before` (Unix seconds); return how many."""
    old = select(links.c.id).where(links.c.created_at < before, links.c.state.not_in(_OPEN))
    some = old.order_by(links.c.created_at).limit(limit)
    return (await connection.execute(delete(links).where(links.c.id.in_(some)))).rowcount
