"""Loads the farm, and stores a batch's changes with one statement per table and kind of change.

Every update has a condition: an account must have the epoch that the change was decided on, a login
must be open. If fewer rows match than expected, another program has written into the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Delete, Insert, Table, Update, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from master.changes import Changes
from master.decisions.retention import STEP_S
from master.draft import Draft
from master.farm import Committed, Farm
from master.login_link import OPEN_LINK
from master.model import OPEN_SESSION, Notification
from master.record import change
from master.store.accounts import DETECTED, HIDING, has_much, is_listed
from master.store.counters import REMOVED_AT, read_counter, write_counter
from master.store.events import add_events, read_last_event
from master.store.holders import keep_former_holders
from master.store.maintenance import read_maintenance, write_maintenance
from master.store.many import execute_many
from master.store.mapping import (
    ACCOUNTS,
    CONFIGS,
    FARM,
    LINKS,
    LOGINS,
    NOTIFICATIONS,
    WORKERS,
    Rows,
)
from master.store.messages import tally_messages
from master.store.rows import chunk_ids
from master.store.schema import (
    account_holders,
    accounts,
    counters,
    login_links,
    login_sessions,
    metadata,
    notifications,
    workers,
)
from master.store.sealing import find_unverified, seal_config, seal_values
from master.tallies import Tallies

SEQUENCE = "notification_seq"
CHUNK = 5_000
"""Rows read at once; the event loop runs in between. Only these rows are in memory twice."""

BREATH = 200
"""Rows processed before the event loop runs again."""

ASIDE = "\x1f"
"""Prefix of a temporary name within a transaction.

If another row had such a name, the batch would fail, and each of its turns would be tried alone.
"""

SHOWN = 5
"""Limit of differences that one line names."""

DEPENDENTS = (*DETECTED, login_sessions, login_links, account_holders)
"""The tables whose rows are removed with their account."""


class MemoryOutdated(Exception):
    """A stored row differs from memory: another program wrote into the file."""


async def load(connection: AsyncConnection) -> Farm:
    """Return the farm as stored; it is loaded this way at a start and when memory is in doubt.

    Each worker's accounts are counted, because the stored number may be wrong if another program
    wrote into the file. Worker configurations are verified.
    """
    farm = Farm()
    for rows, table in zip(FARM, farm.tables, strict=True):
        await _load_table(connection, rows, table)
    for worker in list(farm.workers.all()):
        if worker.assigned_accounts != (
            load := len(list(farm.accounts.list_keys("owner", worker.id)))
        ):
            farm.workers.put(change(worker, assigned_accounts=load))
    for name in await find_unverified(connection, farm.configs.all()):
        if (config := farm.configs.get(name)) is not None:
            farm.configs.put(change(config, verified=False))
    last_seq = await connection.scalar(select(counters.c.value).where(counters.c.name == SEQUENCE))
    farm.last_seq = int(last_seq or 0)
    farm.removed_at = await read_counter(connection, REMOVED_AT)
    farm.maintenance = await read_maintenance(connection)
    farm.last_event = await read_last_event(connection)
    known = farm.accounts.get
    farm.messages = Tallies(
        (key, numbers)
        for key, numbers in (await tally_messages(connection)).items()
        if known(key[0]) is not None
    )
    return farm


async def _load_table(connection: AsyncConnection, rows: Rows[Any], table: Committed[Any]) -> None:
    key = rows.table.c[rows.key]
    query = rows.query.order_by(key).limit(CHUNK)
    if rows is ACCOUNTS:
        query = query.where(is_listed())
    if rows is LOGINS:
        query = query.where(login_sessions.c.status.in_(sorted(OPEN_SESSION)))
    if rows is LINKS:
        query = query.where(login_links.c.state.in_(sorted(OPEN_LINK)))
    last = ""
    while True:
        found = (await connection.execute(query.where(key > last))).all()
        table.load(rows.to_records(found))
        if len(found) < CHUNK:
            return
        last = getattr(found[-1], rows.key)
        await asyncio.sleep(0)


async def write(connection: AsyncConnection, farm: Farm, draft: Draft) -> None:
    """Store the changes of a batch's draft. Errors: MemoryOutdated.

    Rows are removed last, because other rows may refer to them until their changes are written.
    Rows that lose a unique name get a temporary one first, so that another row of the batch can
    have the name.
    """
    tables = list(zip(FARM, farm.tables, draft.tables, strict=True))
    for rows, committed, changes in tables:
        await _step_aside(connection, rows, committed, changes)
    for rows, committed, changes in tables:
        await _change(connection, rows, committed, changes)
        await _add(connection, rows, committed, changes, draft.signs)
    await keep_former_holders(connection, farm, draft)
    for rows, committed, changes in reversed(tables):
        await _remove(connection, rows, committed, changes)
    if draft.removed_at is not None:
        await write_counter(connection, REMOVED_AT, draft.removed_at)
    if draft.maintenance != farm.maintenance:
        await write_maintenance(connection, draft.maintenance)
    await _write_kept(connection, draft)
    known = [name for name in sorted(draft.signs) if farm.workers.get(name) is not None]
    if known:
        heard = [{"key": worker_id, "at": draft.signs[worker_id]} for worker_id in known]
        await execute_many(connection, _SIGNS, heard)
    await add_notifications(connection, draft.notes)
    if not await add_events(connection, draft.events, farm.last_event):
        raise MemoryOutdated("an event of this number is stored already")
    if draft.last_seq != farm.last_seq:
        moved = await execute_many(
            connection, _LAST_SEQ, [{"known": farm.last_seq, "reached": draft.last_seq}]
        )
        if moved != 1:
            raise MemoryOutdated("the stored sequence number differs from memory")


_SIGNS = (
    update(workers)
    .where(
        workers.c.id == bindparam("key"),
        or_(
            workers.c.last_heartbeat.is_(None),
            workers.c.last_heartbeat < bindparam("at"),
            workers.c.last_heartbeat > bindparam("at") + STEP_S,
        ),
    )
    .values(last_heartbeat=bindparam("at"))
)
"""Stores when workers were last heard (Unix seconds).

A later time in the row stays, unless it is more than STEP_S ahead: no correct clock wrote that.
"""


_LAST_SEQ = (
    update(counters)
    .where(counters.c.name == SEQUENCE, counters.c.value == bindparam("known"))
    .values(value=bindparam("reached"))
)
"""Stores the clients' last sequence number, if the row still has the known one."""


async def _step_aside(
    connection: AsyncConnection, rows: Rows[Any], committed: Committed[Any], changes: Changes[Any]
) -> None:
    """Set a temporary name in each row whose unique name another row of the batch gets."""
    if rows.named_by is None:
        return
    find_names, aside = changes.kind.unique["name"], list[Any]()
    for key, new in changes.changed.items():
        old = committed.get(key)
        if (
            old is None
            or not (names := find_names(old))
            or (new is not None and find_names(new) == names)
        ):
            continue
        if changes.first("name", names[0]) is not None:
            aside.append(old)
    if aside:
        values = [
            _expected(rows, old) | {rows.named_by: f"{ASIDE}{getattr(old, rows.key)}"}
            for old in aside
        ]
        await _execute_all(connection, _update_of(rows.table, rows.key, (rows.named_by,)), values)


async def _remove(
    connection: AsyncConnection, rows: Rows[Any], committed: Committed[Any], changes: Changes[Any]
) -> None:
    gone = [
        old
        for key, new in changes.changed.items()
        if new is None and (old := committed.get(key)) is not None
    ]
    if gone and rows is ACCOUNTS:
        gone = await _hide_large(connection, gone)
    if gone:
        if rows is WORKERS:
            for some in chunk_ids([one.id for one in gone]):
                named = update(login_sessions).where(login_sessions.c.worker_id.in_(some))
                await connection.execute(named.values(worker_id=None))
        if rows is ACCOUNTS:
            for some in chunk_ids([one.id for one in gone]):
                for table in DEPENDENTS:
                    await connection.execute(delete(table).where(table.c.account_id.in_(some)))
        await _execute_all(
            connection, _remove_from(rows.table, rows.key), [_expected(rows, old) for old in gone]
        )


async def _hide_large(connection: AsyncConnection, gone: Sequence[Any]) -> list[Any]:
    """Hide the accounts with too many messages for one batch; return the others.

    Later turns remove the messages in portions, and the rows at last (`remove_some`).
    """
    hidden = [one for one in gone if await has_much(connection, one.id)]
    if hidden:
        for some in chunk_ids([one.id for one in hidden]):
            for table in (login_sessions, login_links, account_holders):
                await connection.execute(delete(table).where(table.c.account_id.in_(some)))
        hide = _update_of(accounts, "id", tuple(HIDING))
        await _execute_all(connection, hide, [HIDING | _expected(ACCOUNTS, one) for one in hidden])
    names = {one.id for one in hidden}
    return [one for one in gone if one.id not in names]


async def _change(
    connection: AsyncConnection, rows: Rows[Any], committed: Committed[Any], changes: Changes[Any]
) -> None:
    """Update the rows that differ, with one statement per set of changed columns."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for number, (key, new) in enumerate(changes.changed.items(), 1):
        if number % BREATH == 0:
            await asyncio.sleep(0)
        old = committed.get(key)
        if old is None or new is None or not (columns := rows.find_changed(old, new)):
            continue
        values = {column: rows.columns[column][1](new) for column in columns}
        if rows is CONFIGS:
            columns, values = (*columns, "seal"), values | {"seal": seal_config(connection, new)}
        by_columns.setdefault(columns, []).append(values | _expected(rows, old))
    for columns, some in by_columns.items():
        await _execute_all(connection, _update_of(rows.table, rows.key, columns), some)


async def _add(
    connection: AsyncConnection,
    rows: Rows[Any],
    committed: Committed[Any],
    changes: Changes[Any],
    signs: Mapping[str, int],
) -> None:
    new = [
        one
        for key, one in changes.changed.items()
        if one is not None and committed.get(key) is None
    ]
    if new:
        values = [rows.to_row(one) for one in new]
        if rows is WORKERS:
            for row in values:
                row["last_heartbeat"] = signs.get(row["id"])
        if rows is CONFIGS:
            for row, config in zip(values, new, strict=True):
                row["seal"] = seal_config(connection, config)
        await execute_many(connection, _insert_into(rows.table, tuple(values[0])), values)


def _expected(rows: Rows[Any], old: Any) -> dict[str, Any]:
    expected = {"expected_key": getattr(old, rows.key)}
    return expected | {"expected_epoch": old.epoch} if rows.table is accounts else expected


async def _execute_all(
    connection: AsyncConnection, statement: Update | Delete, values: Sequence[Any]
) -> None:
    """Execute a conditional statement for these rows.

    Errors: MemoryOutdated unless each row matched.
    """
    changed = await execute_many(connection, statement, values)
    if changed != len(values):
        raise MemoryOutdated(f"{len(values) - changed} of {len(values)} rows differ from memory")


def _conditions(table: Table, key: str) -> list[Any]:
    conditions = [table.c[key] == bindparam("expected_key")]
    if table is accounts:
        conditions.append(table.c.epoch == bindparam("expected_epoch"))
    if table is login_sessions:
        # no IN: `execute_many` cannot expand it
        conditions.append(or_(*(table.c.status == status for status in sorted(OPEN_SESSION))))
    if table is login_links:
        conditions.append(or_(*(table.c.state == state for state in sorted(OPEN_LINK))))
    return conditions


@cache
def _update_of(table: Table, key: str, columns: tuple[str, ...]) -> Update:
    return (
        update(table)
        .where(*_conditions(table, key))
        .values({column: bindparam(column) for column in columns})
    )


@cache
def _remove_from(table: Table, key: str) -> Delete:
    return delete(table).where(*_conditions(table, key))


@cache
def _insert_into(table: Table, columns: tuple[str, ...]) -> Insert:
    return insert(table).values({column: bindparam(column) for column in columns})


@cache
def _update_kept(table: str, columns: tuple[str, ...]) -> Update:
    kept = metadata.tables[table]
    return (
        update(kept)
        .where(kept.c.id == bindparam("kept_key"))
        .values({column: bindparam(f"kept_{column}") for column in columns})
    )


async def _write_kept(connection: AsyncConnection, draft: Draft) -> None:
    """Store the values that memory does not keep, secrets sealed."""
    by_columns: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
    removed = {
        (changes.kind.name, key)
        for changes in draft.tables
        for key, one in changes.changed.items()
        if one is None
    }
    for (table, key), values in draft.kept.items():
        if (table, key) not in removed:
            sealed = seal_values(connection, table, key, values)
            row = {"kept_key": key, **{f"kept_{column}": value for column, value in sealed.items()}}
            by_columns.setdefault((table, tuple(values)), []).append(row)
    for (table, columns), some in by_columns.items():
        await execute_many(connection, _update_kept(table, columns), some)


async def add_notifications(connection: AsyncConnection, new: Sequence[Notification]) -> None:
    """Insert notifications with one statement."""
    if new:
        rows = [NOTIFICATIONS.to_row(one) for one in new]
        await execute_many(connection, _insert_into(notifications, tuple(rows[0])), rows)


async def read_last_heartbeats(connection: AsyncConnection) -> dict[str, int | None]:
    """Return when each worker was last heard, as stored (Unix seconds, or None)."""
    found = await connection.execute(select(workers.c.id, workers.c.last_heartbeat))
    return {worker_id: at for worker_id, at in found}  # noqa: C416 - mypy sees no pairs
