"""Private files that are complete before they get their names; leftover draft files are removed.

A draft file is an unfinished file beside its target, called `<name>.<process>.<kind>`. (A turn's
draft is something else: draft.py.) The process that makes it has a shared lock on the folder, and
the kernel ends a lock with its process, so that an exclusive lock proves that every draft file
there is left over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600
SIDE_FILES = ("-journal", "-wal", "-shm")
BACKUP_NOTE = ".backup"
"""Ending of the note of a database's newest backup, behind the database's own name."""

"""Files that SQLite creates beside a database."""


@contextmanager
def make_draft(target: Path, kind: str) -> Iterator[Path]:
    """Yield an empty private file beside `target`; remove the file of its name at the end.

    Leftover draft files of the same target are removed first. Errors: OSError.
    """
    draft = target.with_name(f"{target.name}.{os.getpid()}.{kind}")
    with _lock_folder(target.parent) as alone:
        if alone is not None:
            _remove_drafts(target, kind)
            _share(alone)
        _remove(draft)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        try:
            yield draft
        finally:
            _remove(draft)


def sweep_drafts(target: Path, kind: str) -> None:
    """Remove leftover draft files of `target`, unless a process is making one in that folder."""
    with _lock_folder(target.parent) as alone:
        if alone is not None:
            _remove_drafts(target, kind)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[int | None]:
    """Lock a folder; yield its handle if the lock is exclusive.

    Yield None if other processes make draft files there, or if the system has no such locks.
    """
    try:
        import fcntl
    except ImportError:  # no such lock on this system
        yield None
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        alone = _try(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not alone:
            _try(handle, fcntl.LOCK_SH)
        yield handle if alone else None
    finally:
        os.close(handle)


def _try(handle: int, lock: int) -> bool:
    """Acquire a lock; return False if another process owns one or the file system has none."""
    import fcntl

    try:
        fcntl.flock(handle, lock)
    except OSError:
        return False
    return True


def _share(handle: int) -> None:
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_SH)


def _remove_drafts(target: Path, kind: str) -> None:
    wanted = re.compile(re.escape(target.name) + rf"\.\d+\.{kind}(?:{'|'.join(SIDE_FILES)})?")
    for found in list(target.parent.iterdir()):
        if wanted.fullmatch(found.name):
            with suppress(OSError):  # only another user can remove that user's file
                found.unlink()


def _remove(draft: Path) -> None:
    for suffix in ("", *SIDE_FILES):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


@contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Yield whether the lock was acquired; it is kept until the end of the block.

    It is the kernel's lock, and ends with the process in any case.
    """
    with open_private(path) as handle:
        try:
            import fcntl
        except ImportError:  # no such lock on this system
            yield True
            return
        yield _try(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def open_private(path: Path) -> Iterator[int]:
    """Yield the handle of a private file, which is created if needed. Errors: OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        tighten(path)
        yield handle
    finally:
        os.close(handle)


def make_private(path: Path) -> None:
    """Create an empty file that only its owner may read, or restrict the existing one to its owner.

    An existing file is not opened: closing it would end this process's locks on it. Errors:
    OSError.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError:
        tighten(path)


def tighten(*paths: Path) -> None:
    """Let only their owner read these files, if they exist and this user may change them."""
    if os.name != "posix":
        return
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mode & 0o077:
                path.chmod(PRIVATE)


def name_file(draft: Path, path: Path) -> None:
    """Rename a complete draft file to `path`, which must be free. Errors: OSError."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # a file system without links: reserve the name first; the file is empty for a moment
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        draft.replace(path)
    else:
        draft.unlink()


def copy_owner(draft: Path, path: Path) -> None:
    """Change a new file's owner to that of the file that it replaces, or else of the folder.

    An administrator's command must not create files that Master, running as another user, cannot
    read.
    """
    like = (path if path.exists() else path.parent).stat()
    if os.name == "posix":
        with suppress(PermissionError):
            os.chown(draft, like.st_uid, like.st_gid)


def sync_file(path: Path) -> None:
    """Make a file's content survive a loss of power. Errors: OSError."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
