"""Where rows meet the vault: secrets are sealed on their way into a column, and opened long after they left it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import RowMapping, Table, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.secret import SealBroken, Sealed, Secret
from master.store.schema import SEALED
from master.vault import Vault

VAULT = "vault"
"""The name under which a connection knows the vault of its database."""

CHUNK = 500
"""Rows whose values are in memory at once while all of them are opened."""


def vault_of(connection: AsyncConnection) -> Vault:
    """Return the vault of the database that this connection is of."""
    assert connection.sync_connection is not None, "the connection is open"
    vault: Vault = connection.sync_connection.get_execution_options()[VAULT]
    return vault


def seal_values(connection: AsyncConnection, table: str, row_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values with its secrets sealed, as the columns take them."""
    kept = dict(values)
    for column in SEALED[table]:
        if kept.get(column) is not None:
            assert isinstance(kept[column], Secret), f"{table}.{column} takes secrets only"
            kept[column] = vault_of(connection).seal(f"{table}.{column}", row_id, kept[column].reveal())
    return kept


def open_later(vault: Vault, row: RowMapping, table: str, column: str) -> Sealed | None:
    """Return a row's sealed value, which is opened when it is asked for; None if there is none."""
    stored = row[column]
    return None if stored is None else Sealed(vault, f"{table}.{column}", row["id"], stored)


async def find_broken(connection: AsyncConnection, table: Table) -> AsyncIterator[str]:
    """Yield the ids of the rows that have a sealed value which does not open."""
    vault = vault_of(connection)
    columns = SEALED[table.name]
    stored = or_(*(table.c[column].is_not(None) for column in columns))
    query = select(table.c.id, *(table.c[column] for column in columns)).where(stored).order_by(table.c.id)
    last = ""
    while rows := (await connection.execute(query.where(table.c.id > last).limit(CHUNK))).all():
        for row_id, *values in rows:
            try:
                for column, value in zip(columns, values, strict=True):
                    if value is not None:
                        vault.open(f"{table.name}.{column}", row_id, value)
            except SealBroken:
                yield row_id
        last = rows[-1][0]
