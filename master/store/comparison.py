"""Compares the file with the farm, as the audit does now and then."""

from __future__ import annotations

import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.farm import Farm
from master.store.accounts import count_holdings
from master.store.farm import CHUNK, SEQUENCE, SHOWN
from master.store.logins import find_open
from master.store.schema import counters, workers


async def touch(connection: AsyncConnection) -> None:
    """Read one value, to check that the file can be read."""
    await connection.scalar(select(counters.c.value).where(counters.c.name == SEQUENCE))


async def find_difference(connection: AsyncConnection, farm: Farm) -> str | None:
    """Return where the file differs from the farm in workers, owners or open logins, or None.

    Accounts are compared by sums per owner, so that no check reads a hundred thousand rows.
    """
    found = await connection.execute(select(workers.c.id, workers.c.status))
    rows = {worker_id: status for worker_id, status in found}  # noqa: C416 - mypy sees no pairs
    known = {one.id: one.status.value for one in farm.workers.all()}
    if rows != known:
        return f"workers {sorted({*rows.items()} ^ {*known.items()})[:SHOWN]}"
    holdings = await count_holdings(connection)
    sums: dict[str | None, tuple[int, int]] = {}
    for number, account in enumerate(farm.accounts.all(), 1):
        if number % CHUNK == 0:
            await asyncio.sleep(0)  # safe: only the writer changes the farm, and it runs this turn
        count, epochs = sums.get(account.assigned_worker_id, (0, 0))
        sums[account.assigned_worker_id] = count + 1, epochs + account.epoch
    if holdings != sums:
        differing = [
            str(owner) for owner in {**holdings, **sums} if holdings.get(owner) != sums.get(owner)
        ]
        return f"accounts of {sorted(differing)[:SHOWN]}"
    ends, expiries = (
        await find_open(connection),
        {one.id: one.expires_at for one in farm.logins.all()},
    )
    if ends != expiries:
        return f"open logins {sorted({*ends.items()} ^ {*expiries.items()})[:SHOWN]}"
    return None
