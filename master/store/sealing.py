"""Seals secrets on their way into a column, and opens them when they are sent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from operator import add
from typing import Any

import orjson
from sqlalchemy import Select, Table, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from master.model import WorkerConfig
from master.secret import SealBroken, Secret
from master.store.rows import chunk_ids
from master.store.schema import SEALED, worker_configs
from master.vault import Vault

CONFIG_SEAL = "worker_configs.seal"
VAULT = "vault"
"""The execution option in which a connection carries its database's vault."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """One row's opened values, by column; `broken` has a reason per column that does not open."""

    opened: dict[str, Any] = field(repr=False)
    broken: dict[str, str]


CHUNK = 500
"""Rows per query while all rows of a table are checked."""

AT_ONCE = 100
"""Rows whose values are opened in one stretch."""

AT_ONCE_BYTES = 1024 * 1024
"""Limit of sealed bytes in memory at once during that check; a larger row is read alone."""


def vault_of(connection: AsyncConnection) -> Vault:
    """Return the vault of this connection's database."""
    assert connection.sync_connection is not None, "the connection is open"
    vault: Vault = connection.sync_connection.get_execution_options()[VAULT]
    return vault


def seal_values(
    connection: AsyncConnection, table: str, row_id: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row's values with its secrets sealed, as the columns store them."""
    kept = dict(values)
    for column in SEALED.get(table, ()):
        if kept.get(column) is not None:
            assert isinstance(kept[column], Secret), f"{table}.{column} stores secrets only"
            kept[column] = vault_of(connection).seal(
                f"{table}.{column}", row_id, kept[column].reveal()
            )
    return kept


@cache
def _read_sealed(table: Table) -> Select[Any]:
    """Return the query of the sealed columns of the rows `ids`."""
    return select(table.c.id, *(table.c[column] for column in SEALED[table.name])).where(
        table.c.id.in_(bindparam("ids", expanding=True))
    )


async def read_secrets(
    connection: AsyncConnection, table: Table, row_ids: Sequence[str]
) -> dict[str, Secrets]:
    """Return the stored secrets, opened, by row id; one that does not open is in `broken`."""
    vault, columns = vault_of(connection), SEALED[table.name]
    found: dict[str, Secrets] = {}
    for chunk in chunk_ids(row_ids):
        for row_id, *stored in await connection.execute(_read_sealed(table), {"ids": chunk}):
            found[row_id] = _open_all(
                vault, table.name, row_id, dict(zip(columns, stored, strict=True))
            )
            if len(found) % AT_ONCE == 0:
                await asyncio.sleep(0)
    return found


def seal_config(connection: AsyncConnection, config: WorkerConfig) -> bytes:
    """Return the seal that proves that Master has written this worker configuration."""
    return vault_of(connection).seal(CONFIG_SEAL, config.worker_id, digest_config(config))


async def find_unverified(connection: AsyncConnection, configs: Iterable[WorkerConfig]) -> set[str]:
    """Return the workers among these stored configurations that Master has not written itself."""
    known = {config.worker_id: digest_config(config) for config in configs}
    if not known:
        return set()
    vault = vault_of(connection)
    query = select(worker_configs.c.worker_id, worker_configs.c.seal)
    return {
        worker_id
        for worker_id, stored in await connection.execute(query)
        if worker_id in known and not _says(vault, worker_id, stored, known[worker_id])
    }


def _says(vault: Vault, worker_id: str, stored: bytes | None, digest: str) -> bool:
    try:
        return bool(vault.open(CONFIG_SEAL, worker_id, stored) == digest)
    except SealBroken:
        return False


def digest_config(config: WorkerConfig) -> str:
    """Return the SHA-256, in hexadecimal digits, of all fields that decide which program runs."""
    content = [
        config.worker_id,
        config.command,
        list(config.args),
        config.env,
        config.proxy_id,
        config.max_accounts,
        config.auto_start,
        config.auto_restart,
    ]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _open_all(vault: Vault, table: str, row_id: str, stored: Mapping[str, Any]) -> Secrets:
    opened: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for column, value in stored.items():
        try:
            opened[column] = (
                None if value is None else vault.open(f"{table}.{column}", row_id, value)
            )
        except SealBroken as fault:
            opened[column], broken[column] = None, str(fault)
    return Secrets(opened, broken)


async def find_broken(connection: AsyncConnection, table: Table) -> AsyncIterator[str]:
    """Yield the ids of the rows with a sealed value that does not open."""
    columns = SEALED[table.name]
    stored = or_(*(table.c[column].is_not(None) for column in columns))
    query = select(table.c.id).where(stored).order_by(table.c.id)
    last = ""
    while (
        rows := (await connection.execute(query.where(table.c.id > last).limit(CHUNK)))
        .scalars()
        .all()
    ):
        for row_id, secrets in (await judge_secrets(connection, table, rows)).items():
            if secrets.broken:
                yield row_id
        last = rows[-1]


async def judge_secrets(
    connection: AsyncConnection, table: Table, row_ids: Sequence[str]
) -> dict[str, Secrets]:
    """Return which secrets do not open, by row id.

    Values are opened a few at a time, and none is kept.
    """
    found: dict[str, Secrets] = {}
    for some in await _portion_by_size(connection, table, row_ids):
        for row_id, secrets in (await read_secrets(connection, table, some)).items():
            found[row_id] = Secrets({}, secrets.broken)
        await asyncio.sleep(0)
    return found


async def _portion_by_size(
    connection: AsyncConnection, table: Table, row_ids: Sequence[str]
) -> list[list[str]]:
    """Return these row ids in portions whose values may be in memory at once."""
    size = reduce(
        add, (func.coalesce(func.length(table.c[column]), 0) for column in SEALED[table.name])
    )
    runs: list[list[str]] = []
    left = 0
    for chunk in chunk_ids(row_ids):
        query = select(table.c.id, size).where(table.c.id.in_(chunk)).order_by(table.c.id)
        for row_id, stored in await connection.execute(query):
            if stored > left or not runs:
                runs.append([])
                left = AT_ONCE_BYTES
            runs[-1].append(row_id)
            left -= stored
    return runs
