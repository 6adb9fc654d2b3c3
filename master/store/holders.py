"""Former owners of accounts: their reports are accepted for some days, because reports may be late.

The present owner is in the account's own row. The turn in which a worker loses an account writes
the former owner's row.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert  # SQLite accepts its ON CONFLICT as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.changes import changes_of
from master.draft import Draft
from master.farm import Farm
from master.store.many import execute_many
from master.store.rows import chunk_ids
from master.store.schema import account_holders

ANYBODY = ""
"""Stands for every worker where an account's former owners are unknown; it is no worker's id."""

_COLUMNS = ("account_id", "worker_id", "epoch", "until")
_NEW = insert(account_holders).values({name: bindparam(name) for name in _COLUMNS})
_LOST = _NEW.on_conflict_do_update(
    index_elements=["account_id", "worker_id"],
    set_={name: _NEW.excluded[name] for name in ("epoch", "until")},
)


async def keep_former_holders(connection: AsyncConnection, farm: Farm, draft: Draft) -> None:
    """Store which workers lose accounts by a batch's draft.

    A row has the epoch in which the worker owned the account, and until when (Unix seconds).
    """
    lost = [
        {
            "account_id": old.id,
            "worker_id": old.assigned_worker_id,
            "epoch": old.epoch,
            "until": new.updated_at,
        }
        for old, new in changes_of(farm.accounts, draft.accounts)
        if old is not None
        and new is not None
        and old.assigned_worker_id not in (None, new.assigned_worker_id)
    ]
    if lost:
        await execute_many(connection, _LOST, lost)


async def find_former_holders(
    connection: AsyncConnection, account_ids: Iterable[str], since: int
) -> set[tuple[str, str]]:
    """Return (account, worker) for workers that lost one of these accounts at or after `since`.

    `since` is a Unix second.
    """
    holders, found = account_holders.c, set[tuple[str, str]]()
    for chunk in chunk_ids(sorted(account_ids)):
        query = select(holders.account_id, holders.worker_id).where(
            holders.account_id.in_(chunk), holders.until >= since
        )
        found.update(
            (account_id, worker_id) for account_id, worker_id in await connection.execute(query)
        )
    return found


async def remove_old_holders(connection: AsyncConnection, before: int, limit: int) -> int:
    """Remove at most `limit` former owners that lost an account before `before`; return how many.

    `before` is a Unix second.
    """
    holders = account_holders.c
    old = select(holders.account_id, holders.worker_id).where(holders.until < before).limit(limit)
    statement = delete(account_holders).where(
        tuple_(holders.account_id, holders.worker_id).in_(old)
    )
    return (await connection.execute(statement)).rowcount
