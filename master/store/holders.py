"""Who held an account before: its messages are taken from them for some days, for reports may come late.

Who holds it now stands in the account's own row. A row is written by the turn that takes the account away.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.dialects.postgresql import (
    insert,
)  # its ON CONFLICT is what SQLite understands as well
from sqlalchemy.ext.asyncio import AsyncConnection

from master.draft import Draft, changes_of
from master.farm import Farm
from master.store.many import execute_many
from master.store.rows import chunk_ids
from master.store.schema import account_holders

ANYBODY = ""
"""Stands for whichever workers held an account when nobody wrote down who did; it is no worker's id."""

_COLUMNS = ("account_id", "worker_id", "epoch", "until")
_NEW = insert(account_holders).values({name: bindparam(name) for name in _COLUMNS})
_LOST = _NEW.on_conflict_do_update(
    index_elements=["account_id", "worker_id"],
    set_={name: _NEW.excluded[name] for name in ("epoch", "until")},
)


async def keep_former_holders(connection: AsyncConnection, farm: Farm, draft: Draft) -> None:
    """Store who loses which account by a group's draft, in which epoch it held it and until when (Unix seconds)."""
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
    """Return (account, worker) of those who lost one of these accounts at or after the Unix second `since`."""
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
    """Remove at most `limit` rows of who lost an account before the Unix second `before`; return how many."""
    holders = account_holders.c
    old = select(holders.account_id, holders.worker_id).where(holders.until < before).limit(limit)
    statement = delete(account_holders).where(
        tuple_(holders.account_id, holders.worker_id).in_(old)
    )
    return (await connection.execute(statement)).rowcount
