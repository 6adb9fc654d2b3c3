"""Rotation: seals every value with a new key, beside a running Master.

    1. note the new key in the database
    2. put it into the key file
    3. seal every value anew
    4. drop the keys that no value needs

A rotation may be killed after any step: values sealed with either key open, and a further rotation
does the rest. Every program that seals reads the key file first, inside a write transaction. So a
transaction that begins after the key file has changed sees every value that was sealed with the
older key, and no further one appears.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from master.keys import (
    MAX_KEYS,
    MOST_READ,
    Key,
    KeyFault,
    KeyFile,
    RandomBytes,
    locate_key_file,
    locate_retired_keys,
    make_key,
)
from master.secret import SealBroken
from master.store.sqlite.keyring import (
    SEALED_COLUMNS,
    SealedColumn,
    count_by_key,
    count_values,
    forget_keys,
    lock_keys,
    sweep_leftovers,
    unlock,
    verify_keys,
)
from master.store.sqlite.upgrade import DatabaseFault, lock_database, open_file, require_current
from master.vault import Vault, head_of

BATCH = 50
"""Values per transaction; a Master that needs to write waits for one transaction at most."""

PAUSE_S = 0.005
ROUNDS = 3


@dataclass(slots=True)
class Rotation:
    """The result of a rotation, which sealed `resealed` values with the key `to`.

    `is_new` tells whether that key was created for it. `broken` are values that do not open. `kept`
    are older keys that values still name, `dropped` those that no value names.
    """

    to: str
    is_new: bool = True
    resealed: int = 0
    broken: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


def rotate_key_file(path: Path, random_bytes: RandomBytes) -> Rotation:
    """Create a key, seal every value of the database with it, and drop the older keys.

    A key file that is full, as killed rotations leave it, gets no further key: its writing key is
    used, which finishes those rotations. Errors: DatabaseFault; KeyFault, also if another rotation
    is under way.
    """
    require_current(path)
    file = KeyFile(locate_key_file(path))
    with lock_keys(path), open_file(path) as connection:
        unlock(path, Vault(random_bytes), None)  # creates the file if nothing is sealed yet
        sweep_leftovers(path)
        older = file.read()
        keys = [make_key(random_bytes), *older] if len(older) < MAX_KEYS else list(older)
        vault = Vault(random_bytes)
        vault.use(keys)
        connection.execute("BEGIN IMMEDIATE")
        verify_keys(connection, path, vault)
        connection.execute("COMMIT")
        done = Rotation(keys[0].id, is_new=len(keys) > len(older))
        if done.is_new:
            file.replace(keys)
        _reseal_all(connection, vault, done)
        connection.execute("BEGIN IMMEDIATE")
        _divide_keys(connection, path, vault, done)
        retire_keys(file, [key for key in older if key.id in done.dropped])
        file.replace([key for key in keys if key.id not in done.dropped])
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as far as other readers allow it
        return done


def rotate_to_first(path: Path, keys: Sequence[Key], random_bytes: RandomBytes) -> Rotation:
    """Seal every value of the database with the first of MASTER_KEYS.

    Errors: DatabaseFault; KeyFault, also if a running Master does not know that key.
    """
    require_current(path)
    with ExitStack() as stack:
        stack.enter_context(lock_keys(path))
        connection = stack.enter_context(open_file(path))
        try:
            stack.enter_context(lock_database(path))
        except DatabaseFault:
            _require_known(connection, keys[0])
        vault = Vault(random_bytes)
        vault.use(keys)
        connection.execute("BEGIN IMMEDIATE")
        verify_keys(connection, path, vault)
        connection.execute("COMMIT")
        done = Rotation(keys[0].id)
        _reseal_all(connection, vault, done)
        connection.execute("BEGIN IMMEDIATE")
        _divide_keys(connection, path, vault, done)
        connection.execute("COMMIT")
        return done


def retire_keys(file: KeyFile, dropped: Sequence[Key]) -> None:
    """Store these keys in a file that Master does not read, the newest first. Errors: KeyFault."""
    retired = KeyFile(locate_retired_keys(file.path))
    known = retired.read() if retired.stamp() is not None else ()
    new = [key for key in dropped if key.id not in {one.id for one in known}]
    if new:
        retired.replace([*new, *known][:MOST_READ])


def describe_rotation(done: Rotation, *, key_file: Path | None) -> list[str]:
    """Return a rotation's result as lines; without a key file, a person removes keys by hand."""
    source = (
        f"the {'new ' * done.is_new}writing key of {key_file}"
        if key_file
        else "the first of MASTER_KEYS"
    )
    lines = [f"{count_values(done.resealed)} sealed anew with key {done.to}, {source}."]
    if done.dropped:
        names = ", ".join(done.dropped)
        lines.append(
            f"Dropped: {names}. "
            f"Backups made before need it: it is kept in {locate_retired_keys(key_file)}."
            if key_file
            else f"Nothing in the database needs {names} any more: "
            "remove it from MASTER_KEYS at the next start."
        )
    if key_file and not done.is_new:
        lines.append(
            f"No new key was made: there were {MAX_KEYS} or more. Rotate again to get one."
        )
    if done.broken:
        lines.append(
            f"Not sealed anew, because they do not open: {', '.join(done.broken[:20])}. "
            "A new login or password replaces them."
        )
    if done.kept:
        lines.append(f"Still needed: {', '.join(done.kept)}. Rotate again once no value names it.")
    return lines


def _reseal_all(connection: sqlite3.Connection, vault: Vault, done: Rotation) -> None:
    """Seal every value that opens with the new key.

    Repeat if another program has sealed values with an older key meanwhile.
    """
    for _ in range(ROUNDS):
        done.broken.clear()
        before = done.resealed
        for values in SEALED_COLUMNS:
            for batch in _iterate_batches(connection, values, done.to):
                _reseal_batch(connection, vault, values, batch, done)
                connection.execute("COMMIT")
                # SQLite has no queue of writers: without a pause, Master might never get the lock
                time.sleep(PAUSE_S)
        if done.resealed == before:
            return


def _iterate_batches(
    connection: sqlite3.Connection, values: SealedColumn, to: str
) -> Iterator[Sequence[tuple[str, bytes]]]:
    """Yield batches of (row id, bytes) of values that are not sealed with the key `to`.

    Each batch has a write transaction, which the caller ends.
    """
    (table, column, key), last, head = values, "", head_of(to)
    while True:
        connection.execute("BEGIN IMMEDIATE")
        batch = connection.execute(
            f"SELECT {key}, CAST({column} AS BLOB) FROM {table} "  # noqa: S608 - our names
            f"WHERE {column} IS NOT NULL AND {key} > ? "
            f"AND substr(CAST({column} AS BLOB), 1, ?) <> ? ORDER BY {key} LIMIT ?",
            (last, len(head), head, BATCH),
        ).fetchall()
        yield batch
        if len(batch) < BATCH:
            return
        last = batch[-1][0]


def _reseal_batch(
    connection: sqlite3.Connection,
    vault: Vault,
    values: SealedColumn,
    batch: Sequence[tuple[str, bytes]],
    done: Rotation,
) -> None:
    table, column, key = values
    for row_id, stored in batch:
        try:
            content = vault.open_content(f"{table}.{column}", row_id, stored)
        except SealBroken:
            done.broken.append(f"{table}.{column} of {row_id}")
            continue
        sealed = vault.seal_with(done.to, f"{table}.{column}", row_id, content)
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE {key} = ?",  # noqa: S608 - our names
            (sealed, row_id),
        )
        done.resealed += 1


def _divide_keys(connection: sqlite3.Connection, path: Path, vault: Vault, done: Rotation) -> None:
    """Divide the older keys into `kept` and `dropped`; remove the dropped from the file's notes."""
    verify_keys(connection, path, vault)
    used = count_by_key(connection)
    older = [key_id for key_id in vault.key_ids if key_id != done.to]
    done.kept = [key_id for key_id in older if used[key_id]]
    done.dropped = [key_id for key_id in older if not used[key_id]]
    forget_keys(connection, [done.to])


def _require_known(connection: sqlite3.Connection, key: Key) -> None:
    """Refuse to seal with a key that the running Master has not noted at its start."""
    if connection.execute("SELECT 1 FROM vault_keys WHERE id = ?", (key.id,)).fetchone() is None:
        raise KeyFault(
            f"The running Master does not know key {key.id}: "
            "restart it with these MASTER_KEYS first."
        )
