"""Copies of the database: one is made while Master runs, and one takes the database's place while none does."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from master.keys import PRIVATE, Key, KeyFault, name_file, sync_folder, take_owner
from master.store.sqlite.keyring import hold_keys, require_keys
from master.store.sqlite.upgrade import DatabaseFault, hold, inspect, open_file

SIDE_FILES = ("-wal", "-shm")


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
        version = inspect(draft)
        _sync(draft)
        try:
            name_file(draft, target)
            sync_folder(target.parent)
        except OSError as fault:
            raise DatabaseFault(f"{target} cannot be written: {fault.strerror}.") from None
    return version


def restore(path: Path, source: Path, keys: Sequence[Key] | None) -> tuple[str, Path | None]:
    """Put a copy of the backup `source` in the place of the database; return its version, and where the old one went.

    Nothing is changed unless the backup is whole, of a version that this program knows, and opens with the keys that
    are here. Errors: DatabaseFault, also while a Master runs; KeyFault.
    """
    if not source.is_file():
        raise DatabaseFault(f"There is no file {source}.")
    wal = source.with_name(source.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        raise DatabaseFault(f"{source} is a database in use, not a backup: {wal.name} is beside it. Use `db backup`.")
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
        take_owner(draft, path)
        _sync(draft)
        aside = _set_aside(path) if path.exists() else None
        for suffix in SIDE_FILES:  # a log beside another file than its own would damage that
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        draft.replace(path)
        sync_folder(path.parent)
    return version, aside


def _set_aside(path: Path) -> Path:
    """Give the database one more name, under which it stays; return that."""
    # a damaged one, which may be why there is a restore, is kept with its log
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    number = 1
    while (aside := path.with_name(f"{path.name}.before-restore-{number}")).exists():
        number += 1
    for suffix in ("", "-wal"):
        present = path.with_name(path.name + suffix)
        if present.exists():
            kept = aside.with_name(aside.name + suffix)
            try:
                os.link(present, kept)
            except OSError:  # a file system without links
                shutil.copy2(present, kept)
    return aside


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Give an empty file beside `target` that only its owner may read; what is left of it at the end is removed."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except OSError as fault:
        raise DatabaseFault(f"{draft} cannot be made: {fault.strerror}.") from None
    try:
        yield draft
    finally:
        for suffix in ("", "-journal", *SIDE_FILES):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
