"""The vault's keys: which ones the file needs, and the check that they are the right ones."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from master.files import lock_file, sweep_drafts
from master.keys import DRAFT as KEY_DRAFT
from master.keys import Key, KeyFault, KeyFile, locate_key_file, locate_retired_keys, make_key
from master.secret import SealBroken
from master.store.schema import SEALED, metadata
from master.store.sqlite.upgrade import make_folder, open_file, require_current, upgrade
from master.vault import FORMAT, Vault, read_key_id

COPY_DRAFTS = COPY, COPY_OF_OLD, COPY_OF_LOG = "part", "old-part", "log-part"
"""Endings of unfinished copies of a database: the copy to use, the old one set aside, its log."""

PROOF_COLUMN = "vault_keys.proof"
PROOF = b'"master 0010"'
OLDER_PROOF = b'"master"'
"""The text that a key seals in the file's notes; OLDER_PROOF is from before version 0010.

That version authenticates worker configurations.
"""

HEAD_BYTES = 40
"""Length of a sealed value's beginning that always includes its key's id."""


class SealedColumn(NamedTuple):
    """A column of sealed values; `key` is the column that identifies a row of the table."""

    table: str
    column: str
    key: str


SEALED_COLUMNS = tuple(
    SealedColumn(table, column, metadata.tables[table].primary_key.columns[0].name)
    for table, columns in SEALED.items()
    for column in columns
)


def prepare_database(path: Path, vault: Vault, keys: Sequence[Key] | None) -> str:
    """Unlock the vault, upgrade the file to this program's version and return that version.

    Errors: DatabaseFault; KeyFault if a key that the file needs is missing or different.
    """
    make_folder(path)
    sweep_leftovers(path)
    is_first = unlock(path, vault, keys)
    version = upgrade(path, vault, vouch=_may_vouch(path, vault, is_first=is_first))
    with open_file(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        verify_keys(connection, path, vault)
        forget_keys(connection, vault.key_ids)
        connection.execute("COMMIT")
    return version


def sweep_leftovers(path: Path) -> None:
    """Remove unfinished key files and copies that killed commands have left beside the database."""
    key_file = locate_key_file(path)
    for target in (key_file, locate_retired_keys(key_file)):
        sweep_drafts(target, KEY_DRAFT)
    for kind in COPY_DRAFTS:
        sweep_drafts(path, kind)


def unlock(path: Path, vault: Vault, keys: Sequence[Key] | None) -> bool:
    """Load the vault's keys: from MASTER_KEYS, from the key file, or a new key in a new file.

    Return whether a file was created. Errors: KeyFault, also instead of a new file if stored values
    need a lost key.
    """
    if keys:
        vault.use(keys)
        return False
    file = KeyFile(locate_key_file(path))
    is_new = file.stamp() is None
    if is_new:
        _refuse_lost_keys(path, file)
        file.create([make_key(vault.random_bytes)])
    vault.follow(file)
    return is_new


def _may_vouch(path: Path, vault: Vault, *, is_first: bool) -> bool:
    """Tell whether an older file is genuine, not a newer one that was made to look older.

    A genuine file from before the vault comes without a key file, a later one with an older proof,
    which this program replaces.
    """
    with open_file(path) as connection:
        if not _has_vault(connection):
            return is_first
        proofs = connection.execute("SELECT id, CAST(proof AS BLOB) FROM vault_keys").fetchall()
        return any(
            _open(vault, PROOF_COLUMN, key_id, proof) == OLDER_PROOF for key_id, proof in proofs
        )


def verify_keys(connection: sqlite3.Connection, path: Path, vault: Vault) -> None:
    """Check that every key the file needs is present and right; note the usable keys in the file.

    The caller begins a write transaction. Errors: KeyFault; a single value that does not open is
    not one (see `find_broken`).
    """
    # a rotation may have begun since the keys were read; it puts a key into the key file first
    vault.refresh()
    used = cache(
        lambda: count_by_key(connection)
    )  # it reads every value: only if a key is in doubt
    proven = set()
    for key_id, proof in connection.execute(
        "SELECT id, CAST(proof AS BLOB) FROM vault_keys ORDER BY id"
    ).fetchall():
        if key_id not in vault.key_ids:
            if number := used()[key_id]:
                keys = locate_key_file(path)
                raise KeyFault(
                    f"Key {key_id} is missing, needed by {count_values(number)} in {path}: "
                    f"put it back into {keys} or MASTER_KEYS."
                )
        elif (said := _open(vault, PROOF_COLUMN, key_id, proof)) is not None:
            if said == PROOF:
                proven.add(key_id)
        elif (number := used()[key_id]) and not _opens_any(connection, vault, key_id):
            raise KeyFault(
                f"Key {key_id} differs from the key of that name that sealed "
                f"{count_values(number)} in {path}: restore that key."
            )
    for key_id in vault.key_ids:
        if key_id not in proven:
            proof = vault.seal_with(key_id, PROOF_COLUMN, key_id, PROOF)
            connection.execute(
                "INSERT OR REPLACE INTO vault_keys (id, proof) VALUES (?, ?)", (key_id, proof)
            )


def forget_keys(connection: sqlite3.Connection, wanted: Sequence[str]) -> None:
    """Remove keys from the file's notes that are neither wanted nor named by any value."""
    used = cache(lambda: count_by_key(connection))
    for (key_id,) in connection.execute("SELECT id FROM vault_keys").fetchall():
        if key_id not in wanted and not used()[key_id]:
            connection.execute("DELETE FROM vault_keys WHERE id = ?", (key_id,))


def require_keys(copy: Path, path: Path, keys: Sequence[Key] | None) -> None:
    """Check that the keys of the database at `path` fit a copy of it. Errors: KeyFault."""
    with open_file(copy) as connection:
        if not _has_vault(connection) or not count_by_key(connection):
            return
        vault = Vault()
        vault.use(keys or KeyFile(locate_key_file(path)).read())
        connection.execute("BEGIN IMMEDIATE")
        verify_keys(connection, path, vault)
        connection.execute("ROLLBACK")


@contextmanager
def lock_keys(path: Path) -> Iterator[None]:
    """Keep other rotations and restores away while this lasts. Errors: KeyFault."""
    file = locate_key_file(path)
    with lock_file(file.with_name(file.name + ".lock")) as locked:
        if not locked:
            raise KeyFault(f"The keys of {path} are being rotated; try again once that is done.")
        yield


def count_by_key(connection: sqlite3.Connection) -> Counter[str]:
    """Return how many sealed values name each key; other bytes are not counted."""
    counts: Counter[str] = Counter()
    start = len(FORMAT)
    for table, column, _ in find_sealed_columns(connection):
        value = f"substr(CAST({column} AS BLOB), 1, {HEAD_BYTES})"
        # up to the colon
        head = f"substr(value, 1, {start} + instr(substr(value, {start + 1}), x'3A'))"
        values = (
            f"SELECT {value} AS value FROM {table} "  # noqa: S608 - our names
            f"WHERE {column} IS NOT NULL"
        )
        for stored, number in connection.execute(
            f"SELECT {head}, COUNT(*) FROM ({values}) GROUP BY 1"  # noqa: S608 - our names
        ):
            key_id = read_key_id(stored)
            if key_id is not None:
                counts[key_id] += number
    return counts


def find_sealed_columns(connection: sqlite3.Connection) -> list[SealedColumn]:
    """Return the columns of sealed values that this file has; an older file lacks some."""
    known = {
        one.table: {row[1] for row in connection.execute(f"PRAGMA table_info({one.table})")}
        for one in SEALED_COLUMNS
    }
    return [one for one in SEALED_COLUMNS if one.column in known[one.table]]


def iterate_values(connection: sqlite3.Connection) -> Iterator[tuple[str, str, bytes]]:
    """Yield (table.column, row id, bytes) of every value that should be sealed."""
    for table, column, key in find_sealed_columns(connection):
        query = (
            f"SELECT {key}, CAST({column} AS BLOB) FROM {table} "  # noqa: S608 - our names
            f"WHERE {column} IS NOT NULL"
        )
        for row_id, stored in connection.execute(query):
            yield f"{table}.{column}", row_id, stored


def describe_keys(path: Path, keys: Sequence[Key] | None) -> tuple[list[str], int]:
    """Return a line for each key, and the number of values that these keys do not open.

    Errors: KeyFault, DatabaseFault.
    """
    require_current(path)
    vault = Vault()
    if not keys:
        keys = KeyFile(locate_key_file(path)).read()
    vault.use(keys)
    with open_file(path) as connection:
        connection.execute("BEGIN")
        used = count_by_key(connection)
        broken = sum(not _opens(vault, *value) for value in iterate_values(connection))
    lines = [f"{key_id}: {count_values(used[key_id])}" for key_id in vault.key_ids]
    lines[0] += "; new values are sealed with it"
    lines += [
        f"{key_id}: {count_values(used[key_id])}; MISSING"
        for key_id in sorted(set(used) - set(vault.key_ids))
    ]
    return lines, broken


def count_values(count: int) -> str:
    """Return a count of values in words."""
    return f"{count} value" if count == 1 else f"{count} values"


def _refuse_lost_keys(path: Path, file: KeyFile) -> None:
    if not path.exists():
        return
    with open_file(path) as connection:
        used = count_by_key(connection) if _has_vault(connection) else Counter[str]()
    if used:
        raise KeyFault(
            f"The key file {file.path} is gone, and {count_values(used.total())} in {path} "
            "cannot be opened without it: put it back, or set MASTER_KEYS."
        )


def _has_vault(connection: sqlite3.Connection) -> bool:
    return (
        connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'vault_keys'").fetchone()
        is not None
    )


def _open(vault: Vault, column: str, row_id: str, stored: bytes) -> bytes | None:
    try:
        return vault.open_content(column, row_id, stored)
    except SealBroken:
        return None


def _opens(vault: Vault, column: str, row_id: str, stored: bytes) -> bool:
    return _open(vault, column, row_id, stored) is not None


def _opens_any(connection: sqlite3.Connection, vault: Vault, key_id: str) -> bool:
    values = iterate_values(connection)
    return any(_opens(vault, *value) for value in values if read_key_id(value[2]) == key_id)
