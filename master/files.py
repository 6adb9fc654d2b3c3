"""Files that only their owner may read, whole before they have their names; what an interrupted one left is removed.

A draft stands beside the file that it becomes, as `<name>.<process>.<kind>`. Its maker holds a shared lock on the
folder, so that an exclusive one proves that every draft there is left over: the kernel ends a lock with its process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600
SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite makes beside a database."""


@contextmanager
def make_draft(target: Path, kind: str) -> Iterator[Path]:
    """Give an empty private file beside `target`; what is there under its name at the end is removed.

    Drafts of the same target that were left over are removed first. Errors: OSError.
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
    """Remove what interrupted processes have left of drafts of `target`, unless somebody makes one in that folder."""
    with _lock_folder(target.parent) as alone:
        if alone is not None:
            _remove_drafts(target, kind)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[int | None]:
    """Hold a lock on a folder; give its handle if that is exclusive, None if others make drafts or it has no locks."""
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
    """Take a lock; tell whether it could be: somebody else may hold one, or this file system may have none."""
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
            with suppress(OSError):  # another user's is for that one to remove
                found.unlink()


def _remove(draft: Path) -> None:
    for suffix in ("", *SIDE_FILES):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


@contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Say whether this lock could be taken; if so it is held for as long as this lasts.

    It is the kernel's, and ends with the process, however that ends.
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
    """Give the handle of a file that only its owner may read; it is made if it is not there. Errors: OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        tighten(path)
        yield handle
    finally:
        os.close(handle)


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, or let only its owner read the one that is there.

    That one is not opened: closing it would end the locks that this process holds on it. Errors: OSError.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError:
        tighten(path)


def tighten(*paths: Path) -> None:
    """Let only their owner read these files, as far as they are there and this user may say so."""
    if os.name != "posix":
        return
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mode & 0o077:
                path.chmod(PRIVATE)


def name_file(draft: Path, path: Path) -> None:
    """Give a whole file its name, which must be free. Errors: OSError."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except (
        OSError
    ):  # a file system without links: the name is taken first, and is empty for a moment
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
        draft.replace(path)
    else:
        draft.unlink()


def take_owner(draft: Path, path: Path) -> None:
    """Let a new file belong to whom the one that it replaces belongs, or else the folder.

    An administrator's command must not make files that Master, which runs as somebody else, cannot read.
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
