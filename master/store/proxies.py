"""Proxies' rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import RowMapping, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Proxy
from master.store.rows import chunk_ids, find_by, find_page
from master.store.schema import proxies, worker_configs
from master.store.sealing import find_broken, open_later, seal_values, vault_of

ACTIVE = "active"


def _to_record(connection: AsyncConnection, row: RowMapping) -> Proxy:
    values = {name: row[name] for name in Proxy.__dataclass_fields__}
    return Proxy(**values | {"password": open_later(vault_of(connection), row, "proxies", "password")})


async def find_proxy(connection: AsyncConnection, proxy_id: str) -> Proxy | None:
    """Return one proxy, or None."""
    row = await find_by(connection, proxies.c.id, proxy_id)
    return _to_record(connection, row) if row else None


async def find_proxy_named(connection: AsyncConnection, name: str) -> Proxy | None:
    """Return the proxy with this name, or None."""
    row = await find_by(connection, proxies.c.name, name)
    return _to_record(connection, row) if row else None


OF_WORKERS = (
    select(worker_configs.c.worker_id, proxies)
    .join(proxies, worker_configs.c.proxy_id == proxies.c.id)
    .where(worker_configs.c.worker_id.in_(bindparam("worker_ids", expanding=True)), proxies.c.status == ACTIVE)
)


async def find_proxies_of_workers(connection: AsyncConnection, worker_ids: Collection[str]) -> dict[str, Proxy]:
    """Return, by worker id, the active proxies that the configurations of these workers name."""
    found: dict[str, Proxy] = {}
    for chunk in chunk_ids(sorted(worker_ids)):
        rows = (await connection.execute(OF_WORKERS, {"worker_ids": chunk})).mappings()
        found.update((row["worker_id"], _to_record(connection, row)) for row in rows)
    return found


async def find_proxy_of_worker(connection: AsyncConnection, worker_id: str) -> Proxy | None:
    """Return the active proxy that the worker's configuration names, or None."""
    return (await find_proxies_of_workers(connection, {worker_id})).get(worker_id)


async def list_proxies(connection: AsyncConnection, *, limit: int, offset: int) -> tuple[list[Proxy], int]:
    """Return a page of proxies by name, and how many there are."""
    rows, total = await find_page(connection, proxies, [], [proxies.c.name], limit, offset)
    return [_to_record(connection, row) for row in rows], total


async def add_proxy(connection: AsyncConnection, proxy: Proxy) -> None:
    """Insert a new proxy."""
    values = {name: getattr(proxy, name) for name in Proxy.__dataclass_fields__}
    await connection.execute(insert(proxies).values(**seal_values(connection, "proxies", proxy.id, values)))


async def change_proxy(connection: AsyncConnection, proxy_id: str, values: Mapping[str, Any], now: int) -> None:
    """Set columns of one proxy."""
    kept = seal_values(connection, "proxies", proxy_id, values)
    await connection.execute(update(proxies).where(proxies.c.id == proxy_id).values(**kept, updated_at=now))


async def remove_proxy(connection: AsyncConnection, proxy_id: str) -> None:
    """Remove a proxy's row; no worker configuration may name it."""
    await connection.execute(delete(proxies).where(proxies.c.id == proxy_id))


async def find_users_of_proxy(connection: AsyncConnection, proxy_id: str, *, limit: int = 20) -> list[str]:
    """Return the workers whose configuration names this proxy, by id, at most `limit`."""
    query = (
        select(worker_configs.c.worker_id)
        .where(worker_configs.c.proxy_id == proxy_id)
        .order_by(worker_configs.c.worker_id)
        .limit(limit)
    )
    return list((await connection.execute(query)).scalars().all())


async def count_proxies(connection: AsyncConnection) -> int:
    """Return how many proxies there are."""
    return int(await connection.scalar(select(func.count()).select_from(proxies)) or 0)


async def find_unreadable(connection: AsyncConnection) -> set[str]:
    """Return the proxies whose password does not open."""
    return {row_id async for row_id in find_broken(connection, proxies)}
