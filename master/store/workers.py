"""Workers' rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import Worker, WorkerStatus
from master.store.rows import chunk_ids, count_by, find_by, find_page, find_rows
from master.store.schema import accounts, workers


def _to_record(row: RowMapping) -> Worker:
    kept = dict(row["metadata"] or {})
    capabilities = tuple(kept.pop("capabilities", ()))
    max_accounts = int(kept.pop("maxAccounts", 0))
    return Worker(
        id=row["id"],
        host=row["host"],
        port=row["port"],
        status=WorkerStatus(row["status"]),
        capabilities=capabilities,
        max_accounts=max_accounts,
        assigned_accounts=row["assigned_accounts"] or 0,
        last_heartbeat=row["last_heartbeat"],
        started_at=row["started_at"],
        version=row["version"],
        metadata=kept,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def find_worker(connection: AsyncConnection, worker_id: str) -> Worker | None:
    """Return one worker, or None."""
    row = await find_by(connection, workers.c.id, worker_id)
    return _to_record(row) if row else None


ALL = select(workers).order_by(workers.c.id)
CONNECTED = ALL.where(workers.c.status == WorkerStatus.CONNECTED.value)


async def find_all_workers(connection: AsyncConnection) -> list[Worker]:
    """Return every worker, by id."""
    return [_to_record(row) for row in await find_rows(connection, ALL)]


async def find_connected_workers(connection: AsyncConnection) -> list[Worker]:
    """Return the workers whose row says connected, by id."""
    return [_to_record(row) for row in await find_rows(connection, CONNECTED)]


async def list_workers(
    connection: AsyncConnection, *, status: WorkerStatus | None, limit: int, offset: int
) -> tuple[list[Worker], int]:
    """Return a page of workers by id, and how many there are."""
    conditions = [workers.c.status == status.value] if status else []
    rows, total = await find_page(connection, workers, conditions, [workers.c.id], limit, offset)
    return [_to_record(row) for row in rows], total


async def put_worker(connection: AsyncConnection, worker: Worker) -> None:
    """Insert the worker, or replace everything but its load and its creation time."""
    values = {
        "id": worker.id,
        "host": worker.host,
        "port": worker.port,
        "status": worker.status.value,
        "last_heartbeat": worker.last_heartbeat,
        "started_at": worker.started_at,
        "version": worker.version,
        "metadata": {
            **worker.metadata,
            "capabilities": list(worker.capabilities),
            "maxAccounts": worker.max_accounts,
        },
        "created_at": worker.created_at,
        "updated_at": worker.updated_at,
    }
    statement = insert(workers).values(**values)
    changed = {name: statement.excluded[name] for name in values if name not in ("id", "created_at")}
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))


async def set_worker_status(
    connection: AsyncConnection,
    worker_id: str,
    status: WorkerStatus,
    *,
    among: Collection[WorkerStatus],
    now: int,
    last_heartbeat: int | None = None,
) -> bool:
    """Move a worker into `status` if it is in one of `among`; return whether it was."""
    values: dict[str, object] = {"status": status.value, "updated_at": now}
    if last_heartbeat is not None:
        values["last_heartbeat"] = last_heartbeat
    result = await connection.execute(
        update(workers)
        .where(workers.c.id == worker_id, workers.c.status.in_([one.value for one in among]))
        .values(**values)
    )
    return result.rowcount == 1


async def write_heartbeats(connection: AsyncConnection, heard: Mapping[str, int]) -> None:
    """Store many workers' `last_heartbeat` (Unix seconds) at once; a row never goes back in time."""
    for chunk in chunk_ids(sorted(heard)):
        await connection.exec_driver_sql(
            "UPDATE workers SET last_heartbeat = :at, updated_at = :at "
            "WHERE id = :id AND (last_heartbeat IS NULL OR last_heartbeat < :at)",
            [{"id": worker_id, "at": heard[worker_id]} for worker_id in chunk],
        )


async def recount_loads(connection: AsyncConnection, worker_ids: Collection[str]) -> None:
    """Set `assigned_accounts` of these workers to what the accounts say; a count cannot drift."""
    load = (
        select(func.count()).select_from(accounts).where(accounts.c.assigned_worker_id == workers.c.id)
    ).scalar_subquery()
    ids: Sequence[str] = sorted(worker_ids)
    for chunk in chunk_ids(ids):
        await connection.execute(update(workers).where(workers.c.id.in_(chunk)).values(assigned_accounts=load))


async def disconnect_all(connection: AsyncConnection, now: int) -> list[str]:
    """Mark every connected worker disconnected, as after a start when no socket is there yet; return their ids."""
    result = await connection.execute(
        update(workers)
        .where(workers.c.status == WorkerStatus.CONNECTED.value)
        .values(status=WorkerStatus.DISCONNECTED.value, updated_at=now)
        .returning(workers.c.id)
    )
    return list(result.scalars().all())


async def count_workers(connection: AsyncConnection) -> dict[str, int]:
    """Return how many workers are in each state."""
    return await count_by(connection, workers.c.status)
