"""Queries of proxies that memory cannot answer: their passwords."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from master.store.schema import proxies
from master.store.sealing import Secrets, find_broken, read_secrets

NO_SECRETS = Secrets({"password": None}, {})


async def read_proxy_secrets(connection: AsyncConnection, proxy_id: str) -> Secrets:
    """Return one proxy's password, opened."""
    return (await read_secrets(connection, proxies, [proxy_id])).get(proxy_id, NO_SECRETS)


async def read_all_proxy_secrets(
    connection: AsyncConnection, proxy_ids: list[str]
) -> dict[str, Secrets]:
    """Return the passwords of these proxies, opened."""
    return await read_secrets(connection, proxies, proxy_ids)


async def find_unreadable_proxies(connection: AsyncConnection) -> set[str]:
    """Return the proxies whose password does not open."""
    return {row_id async for row_id in find_broken(connection, proxies)}
