"""Backup and restore: a backup is made while Master runs, a restore while no Master runs.

A restore is one SQLite transaction into the present database. If it is killed, it has happened
completely or not at all, and a concurrent reader keeps the content that it began with.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from master.files import copy_owner, make_draft, name_file, sync_file, sync_folder, tighten
from master.keys import Key, KeyFault
from master.store.counters import REMOVED_AT
from master.store.holders import ANYBODY
from master.store.sqlite.keyring import (
    COPY,
    COPY_OF_LOG,
    COPY_OF_OLD,
    find_sealed_columns,
    lock_keys,
    require_keys,
)
from master.store.sqlite.upgrade import DatabaseFault, inspect, lock_database, open_file

FAR = 1_000_000_000
"""How far numbers are raised above the last known one if the clock is not ahead of it."""

LARGEST = 2**53
"""The largest number that is exact for every peer: JavaScript's."""

NUMBERS = (
    "SELECT value FROM counters WHERE name = 'notification_seq'",
    "SELECT max(seq) FROM notifications",
    "SELECT max(epoch) FROM accounts",
)

WAIT_S = 0.25
TRIES = 40
"""How often to try a database that another program has locked, WAIT_S seconds apart."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore: the database's `version` now, and the old database's new path.

    `aside` is None if there was no database before. `being_read` tells whether another program
    still reads the old content.
    """

    version: str
    aside: Path | None
    being_read: bool = False


def back_up(path: Path, target: Path) -> str:
    """Copy the database at `path` to the new file `target`; return its version.

    The copy is consistent even if other programs write meanwhile. It has mode 0600 and no keys, and
    gets its name once it is whole. Errors: DatabaseFault.
    """
    if not path.exists():
        raise DatabaseFault(f"There is no database at {path}.")
    if target.exists():
        raise DatabaseFault(f"{target} exists already; a backup overwrites nothing.")
    with _draft(target) as draft:
        with open_file(path) as connection:
            connection.execute("VACUUM INTO ?", (str(draft),))
        try:
            version = inspect(draft)
        except DatabaseFault as fault:
            raise DatabaseFault(str(fault).replace(str(draft), str(path))) from None
        sync_file(draft)
        _name(draft, target)
    return version


def restore(path: Path, source: Path, keys: Sequence[Key] | None, now: float) -> Restored:
    """Replace the database's content with that of the backup `source`; `now` is Unix seconds.

    Nothing changes unless the backup is undamaged, has a version that this program knows, has only
    Master's tables and opens with the present keys. Errors: DatabaseFault, also while a Master
    runs; KeyFault.
    """
    if not source.is_file():
        raise DatabaseFault(f"There is no file {source}.")
    wal = source.with_name(source.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        raise DatabaseFault(
            f"{source} is a database in use, not a backup: {wal.name} is beside it. "
            "Use `db backup`."
        )
    with lock_database(path), lock_keys(path), _draft(path) as draft:
        try:
            shutil.copyfile(source, draft)
        except OSError as fault:
            raise DatabaseFault(f"{source} cannot be copied: {fault.strerror}.") from None
        try:
            version = inspect(draft)
            require_keys(draft, path, keys)
        except (DatabaseFault, KeyFault) as fault:
            reason = str(fault).replace(str(draft), str(source))
            raise type(fault)(f"{source} was not restored. {reason}") from None
        if not path.exists():
            _prepare(draft, _read_numbers(draft), now)
            _install(path, draft)
            return Restored(version, None)
        return _replace(path, draft, version, now)


def _replace(path: Path, draft: Path, version: str, now: float) -> Restored:
    """Replace the present database by the draft file, and keep the old one."""
    log = _locate_log(path)
    with _draft(path, COPY_OF_LOG) as kept_log:
        if log.exists():  # SQLite removes a log whose database it does not recognise
            shutil.copyfile(log, kept_log)
        if _opens(path):
            tighten(path)
            known = zip(_read_numbers(draft), _read_numbers(path), strict=True)
            _prepare(draft, [max(numbers) for numbers in known], now)
            aside = _set_aside(path, lambda copy: _copy_into(path, copy))
            return Restored(version, aside, being_read=_put_into(path, draft))
        _prepare(draft, _read_numbers(draft), now)
        aside = _set_aside(path, lambda copy: shutil.copyfile(path, copy))
        if kept_log.stat().st_size:
            kept_log.replace(_locate_log(aside))
    copy_owner(draft, path)
    _install(path, draft)
    return Restored(version, aside)


def _locate_log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def describe_restore(done: Restored, path: Path, source: Path) -> list[str]:
    """Return a restore's result as lines, including the data that it cannot bring back."""
    lines = [
        f"{path} now has the content of {source}, at version {done.version}."
        + f" The old database is {done.aside}." * bool(done.aside)
    ]
    if done.being_read:
        lines.append(
            "Another program still reads the old one: it sees the new one when it reads again."
        )
    return [
        *lines,
        "Data stored since the backup is not in it: messages, notifications, cookies, accounts and "
        "settings.",
        "Workers send again only unacknowledged reports; accounts whose newer cookies are gone "
        "must log in again.",
        "For LATE_REPORTS_DAYS messages are accepted from every worker: owners since the backup "
        "are unknown.",
        "Sequence numbers of notifications and epochs of accounts continue far above all earlier "
        "ones.",
    ]


def _prepare(draft: Path, known: Sequence[int], now: float) -> None:
    """Raise the numbers that must never be assigned twice above all assigned since the backup.

    These are the sequence number and the accounts' epochs; `known` are the highest in the files. If
    the database is lost, the clock decides: the sequence continues at the present milliseconds and
    the epochs at the present seconds, which neither outruns for long. Errors: DatabaseFault.
    """
    seq, epoch = _raise(known[0], now * 1000), _raise(known[1], now)
    with open_file(draft) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE counters SET value = ? WHERE name = 'notification_seq'", (seq,))
        connection.execute("UPDATE accounts SET epoch = ?", (epoch,))
        # workers may own accounts that were added since the backup
        connection.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (REMOVED_AT, int(now)))
        if connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'account_holders'"
        ).fetchone():
            # owners since the backup are unknown, so late reports are accepted from every worker
            former = "INSERT OR REPLACE INTO account_holders SELECT id, ?, epoch, ? FROM accounts"
            connection.execute(former, (ANYBODY, int(now)))
        if not any(one.table == "worker_configs" for one in find_sealed_columns(connection)):
            # configurations were not authenticated yet, and the upgrade must not trust this file's
            connection.execute("INSERT OR REPLACE INTO counters VALUES ('configs_unproven', 1)")
        connection.execute("COMMIT")
        # only the draft file is used from now on, not a log beside it
        connection.execute("PRAGMA journal_mode=DELETE")
    sync_file(draft)


def _raise(known: int, clock: float) -> int:
    """Return a number above all assigned ones. Errors: DatabaseFault if there is none."""
    raised = int(clock) if clock > known else known + FAR
    if raised + FAR > LARGEST:
        raise DatabaseFault(
            f"Its numbers go up to {known}: above that, there are none that a device can count."
        )
    return raised


def _read_numbers(path: Path) -> Sequence[int]:
    """Return a database's newest sequence number and highest epoch; 0 if it has none."""
    try:
        with open_file(path) as connection:
            found = [connection.execute(query).fetchone() for query in NUMBERS]
    except DatabaseFault:  # damaged, or not Master's
        return 0, 0
    counter, seq, epoch = (
        row[0] if row is not None and isinstance(row[0], int) else 0 for row in found
    )
    return max(counter, seq), epoch


def _opens(path: Path) -> bool:
    """Tell whether SQLite recognises this file as a database, even if parts are damaged."""
    with closing(sqlite3.connect(path, timeout=WAIT_S * TRIES, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as fault:
            if fault.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                return False
            raise DatabaseFault(f"{path} cannot be used as a database: {fault}.") from None
    return True


def _put_into(path: Path, draft: Path) -> bool:
    """Replace the database's content in one transaction.

    Return whether another program still reads the old content.
    """
    with open_file(path) as connection, open_file(draft) as source:
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute("PRAGMA journal_mode=WAL")
        source.execute(f"PRAGMA page_size={page_bytes}")
        if source.execute("PRAGMA page_size").fetchone()[0] != page_bytes:
            source.execute("VACUUM")  # a page can only replace a page of its own size
        source.backup(connection, progress=_make_patience(path))
        connection.execute("PRAGMA busy_timeout=0")  # the restore is done: do not wait for readers
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def _copy_into(path: Path, copy: Path) -> None:
    """Copy a database and its log into one file, page by page; damaged pages stay as they are."""
    with (
        open_file(path) as connection,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        connection.backup(target, progress=_make_patience(path))


def _make_patience(path: Path) -> Callable[[int, int, int], None]:
    """Return a callback that abandons a locked database; by itself, a copy retries for ever."""
    tries = 0

    def count(code: int, left: int, all_pages: int) -> None:
        nonlocal tries
        tries += code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if tries > TRIES:
            raise DatabaseFault(f"Another program writes {path}: close it.")

    return count


def _install(path: Path, draft: Path) -> None:
    """Rename the draft file to the database, where no usable one exists.

    So nothing can be lost between these steps.
    """
    for suffix in ("-wal", "-shm"):  # the log of another file would damage the database
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync_folder(path.parent)
    draft.replace(path)
    sync_folder(path.parent)


def _set_aside(path: Path, copy: Callable[[Path], object]) -> Path:
    """Store the database's content in another file; return its path. Errors: DatabaseFault."""
    number = 1
    while (aside := path.with_name(f"{path.name}.before-restore-{number}")).exists():
        number += 1
    with _draft(path, COPY_OF_OLD) as draft:
        try:
            copy(draft)
            copy_owner(draft, path)
            sync_file(draft)
        except OSError as fault:
            raise DatabaseFault(f"{path} cannot be kept as {aside}: {fault.strerror}.") from None
        _name(draft, aside)
    return aside


def _name(draft: Path, target: Path) -> None:
    try:
        name_file(draft, target)
        sync_folder(target.parent)
    except OSError as fault:
        raise DatabaseFault(f"{target} cannot be written: {fault.strerror}.") from None


@contextmanager
def _draft(target: Path, kind: str = COPY) -> Iterator[Path]:
    """Yield an empty file beside `target` that only its owner may read.

    It is removed at the end, unless it was renamed.
    """
    with _say_what_cannot_be_made(target), make_draft(target, kind) as draft:
        yield draft


@contextmanager
def _say_what_cannot_be_made(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise DatabaseFault(f"A file beside {target} cannot be made: {fault.strerror}.") from None
