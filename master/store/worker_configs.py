"""Worker configurations' rows: how each worker is run as a child process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import WorkerConfig
from master.store.rows import find_by, find_page, find_rows
from master.store.schema import worker_configs


def _to_record(row: RowMapping) -> WorkerConfig:
    return WorkerConfig(
        worker_id=row["worker_id"],
        command=row["command"],
        args=tuple(row["args"] or ()),
        env=dict(row["env"] or {}),
        proxy_id=row["proxy_id"],
        max_accounts=row["max_accounts"],
        auto_start=bool(row["auto_start"]),
        auto_restart=bool(row["auto_restart"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def find_config(connection: AsyncConnection, worker_id: str) -> WorkerConfig | None:
    """Return how this worker is run, or None."""
    row = await find_by(connection, worker_configs.c.worker_id, worker_id)
    return _to_record(row) if row else None


async def find_auto_start(connection: AsyncConnection) -> list[WorkerConfig]:
    """Return the configurations of the workers that start with Master, by worker id."""
    query = select(worker_configs).where(worker_configs.c.auto_start.is_(True)).order_by(worker_configs.c.worker_id)
    return [_to_record(row) for row in await find_rows(connection, query)]


async def list_configs(connection: AsyncConnection, *, limit: int, offset: int) -> tuple[list[WorkerConfig], int]:
    """Return a page of configurations by worker id, and how many there are."""
    rows, total = await find_page(connection, worker_configs, [], [worker_configs.c.worker_id], limit, offset)
    return [_to_record(row) for row in rows], total


async def add_config(connection: AsyncConnection, config: WorkerConfig) -> None:
    """Insert a new configuration."""
    values = {name: getattr(config, name) for name in WorkerConfig.__dataclass_fields__}
    await connection.execute(insert(worker_configs).values(**values | {"args": list(config.args)}))


async def change_config(connection: AsyncConnection, worker_id: str, values: Mapping[str, Any], now: int) -> None:
    """Set columns of one configuration."""
    await connection.execute(
        update(worker_configs).where(worker_configs.c.worker_id == worker_id).values(**values, updated_at=now)
    )


async def remove_config(connection: AsyncConnection, worker_id: str) -> None:
    """Remove a worker's configuration."""
    await connection.execute(delete(worker_configs).where(worker_configs.c.worker_id == worker_id))


async def count_configs(connection: AsyncConnection) -> int:
    """Return how many configurations there are."""
    return int(await connection.scalar(select(func.count()).select_from(worker_configs)) or 0)
