"""Copies of the database: one is made while Master runs, and one takes the database's place while none does.

A restore is one transaction of SQLite's into the database that is there: killed at any moment it has happened or it has
not, and a program that reads goes on with what it began with.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from master.files import make_draft, name_file, sync_file, sync_folder, take_owner, tighten
from master.keys import Key, KeyFault
from master.store.holders import ANYBODY
from master.store.sqlite.keyring import (
    COPY,
    COPY_OF_LOG,
    COPY_OF_OLD,
    find_places,
    hold_keys,
    require_keys,
)
from master.store.sqlite.upgrade import DatabaseFault, hold, inspect, open_file

FAR = 1_000_000_000
"""How far numbers are raised past the last one known, where the clock stands before it."""

LARGEST = 2**53
"""The largest number that is exact for every peer: JavaScript's."""

NUMBERS = (
    "SELECT value FROM counters WHERE name = 'notification_seq'",
    "SELECT max(seq) FROM notifications",
    "SELECT max(epoch) FROM accounts",
)

WAIT_S = 0.25
TRIES = 40
"""How often to ask for a database that somebody else has locked, and how long to wait in between."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the `version` of what is there now, and where the old one went, if there was one.

    `being_read` tells whether another program still reads the old one.
    """

    version: str
    aside: Path | None
    being_read: bool = False


def back_up(path: Path, target: Path) -> str:
    """Copy the database at `path`, consistent whoever writes meanwhile, to the new file `target`; return its version.

    The file has mode 0600 and holds no keys. It gets its name once it is whole. Errors: DatabaseFault.
    """
    if not path.exists():
        raise DatabaseFault(f"There is no database at {path}.")
    if target.exists():
        raise DatabaseFault(f"{target} is there already; a backup overwrites nothing.")
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
    """Put what the backup `source` holds into the database. `now` is Unix seconds.

    Nothing is changed unless the backup is whole, of a version that this program knows, holds nothing but Master's
    tables, and opens with the keys that are here. Errors: DatabaseFault, also while a Master runs; KeyFault.
    """
    if not source.is_file():
        raise DatabaseFault(f"There is no file {source}.")
    wal = source.with_name(source.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        raise DatabaseFault(
            f"{source} is a database in use, not a backup: {wal.name} is beside it. Use `db backup`."
        )
    with hold(path), hold_keys(path), _draft(path) as draft:
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
            _take_place(path, draft)
            return Restored(version, None)
        return _replace(path, draft, version, now)


def _replace(path: Path, draft: Path, version: str, now: float) -> Restored:
    """Put the draft in the place of the database that is there, which is kept."""
    log = _place_log(path)
    with _draft(path, COPY_OF_LOG) as kept_log:
        if log.exists():  # SQLite removes the log of what it takes for no database
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
            kept_log.replace(_place_log(aside))
    take_owner(draft, path)
    _take_place(path, draft)
    return Restored(version, aside)


def _place_log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def describe_restore(done: Restored, path: Path, source: Path) -> list[str]:
    """Return what to tell whoever asked for a restore, also of what it cannot do."""
    lines = [
        f"{path} is {source} now, at version {done.version}."
        + f" The old one is {done.aside}." * bool(done.aside)
    ]
    if done.being_read:
        lines.append(
            "Another program still reads the old one: it sees the new one once it reads anew."
        )
    return [
        *lines,
        "What was stored since the backup is not in it: messages, notifications, cookies, accounts and settings.",
        "Workers send again only what was not acknowledged; accounts whose newer cookies are gone must log in anew.",
        "Places of notifications and epochs of accounts go on far past all that were given.",
    ]


def _prepare(draft: Path, known: Sequence[int], now: float) -> None:
    """Raise every number that must never be given twice past what was given since the backup was made.

    Those are the clients' sequence and the accounts' epochs, `known` as far as files say. Where the database is lost,
    the clock tells: the sequence goes on at the milliseconds of now and the epochs at the seconds, which neither
    outruns for long. Errors: DatabaseFault.
    """
    seq, epoch = _raise(known[0], now * 1000), _raise(known[1], now)
    with open_file(draft) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE counters SET value = ? WHERE name = 'notification_seq'", (seq,))
        connection.execute("UPDATE accounts SET epoch = ?", (epoch,))
        if connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = 'account_holders'"
        ).fetchone():
            # who held accounts since the backup stands nowhere: late reports of theirs are taken from any worker
            former = "INSERT OR REPLACE INTO account_holders SELECT id, ?, epoch, ? FROM accounts"
            connection.execute(former, (ANYBODY, int(now)))
        if not any(place.table == "worker_configs" for place in find_places(connection)):
            # of before they were authenticated: the upgrade must not do it for whatever stands there
            connection.execute("INSERT OR REPLACE INTO counters VALUES ('configs_unproven', 1)")
        connection.execute("COMMIT")
        connection.execute(
            "PRAGMA journal_mode=DELETE"
        )  # the draft alone is copied on, without a log
    sync_file(draft)


def _raise(known: int, clock: float) -> int:
    """Return a number past all that were given. Errors: DatabaseFault if there is none."""
    raised = int(clock) if clock > known else known + FAR
    if raised + FAR > LARGEST:
        raise DatabaseFault(
            f"Its numbers go up to {known}: after them there are none that a device can count."
        )
    return raised


def _read_numbers(path: Path) -> Sequence[int]:
    """Return the newest place in the clients' sequence and the highest epoch of a database; 0 where it has none."""
    try:
        with open_file(path) as connection:
            found = [connection.execute(query).fetchone() for query in NUMBERS]
    except DatabaseFault:  # damaged, or none of Master's
        return 0, 0
    counter, place, epoch = (
        row[0] if row is not None and isinstance(row[0], int) else 0 for row in found
    )
    return max(counter, place), epoch


def _opens(path: Path) -> bool:
    """Tell whether SQLite takes this file for a database, whatever is damaged in it."""
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
    """Replace all that the database holds, in one transaction; return whether somebody still reads what was there."""
    with open_file(path) as connection, open_file(draft) as source:
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute("PRAGMA journal_mode=WAL")
        source.execute(f"PRAGMA page_size={page_bytes}")
        if source.execute("PRAGMA page_size").fetchone()[0] != page_bytes:
            source.execute("VACUUM")  # pages are put in the place of pages of their length
        source.backup(connection, progress=_make_patience(path))
        connection.execute("PRAGMA busy_timeout=0")  # who reads may go on: it is done
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])


def _copy_into(path: Path, copy: Path) -> None:
    """Copy a database, its log folded in, page by page: what is damaged stays as it is."""
    with (
        open_file(path) as connection,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        connection.backup(target, progress=_make_patience(path))


def _make_patience(path: Path) -> Callable[[int, int, int], None]:
    """Return what gives up where a database stays locked: by itself a copy would ask for ever."""
    tries = 0

    def count(code: int, left: int, all_pages: int) -> None:
        nonlocal tries
        tries += code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if tries > TRIES:
            raise DatabaseFault(f"Another program writes {path}: close it.")

    return count


def _take_place(path: Path, draft: Path) -> None:
    """Be the database, where there is none that could be used: so nothing is lost between these steps."""
    for suffix in ("-wal", "-shm"):  # a log beside another file than its own would damage that
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync_folder(path.parent)
    draft.replace(path)
    sync_folder(path.parent)


def _set_aside(path: Path, copy: Callable[[Path], object]) -> Path:
    """Keep what the database holds in another file; return that. Errors: DatabaseFault."""
    number = 1
    while (aside := path.with_name(f"{path.name}.before-restore-{number}")).exists():
        number += 1
    with _draft(path, COPY_OF_OLD) as draft:
        try:
            copy(draft)
            take_owner(draft, path)
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
    """Give an empty file beside `target` that only its owner may read; what is left of it at the end is removed."""
    with _say_what_cannot_be_made(target), make_draft(target, kind) as draft:
        yield draft


@contextmanager
def _say_what_cannot_be_made(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise DatabaseFault(f"A file beside {target} cannot be made: {fault.strerror}.") from None
