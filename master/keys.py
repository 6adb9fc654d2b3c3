"""The vault's keys: how they are written, and the file beside the database that holds them.

One key is `id:base64 of 32 bytes`. MASTER_KEYS holds several with commas between them, a key file one per line; the
first one is for writing, all of them are for reading.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from master.secret import Secret

KEY_BYTES = 32
KEY_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}")
MAX_KEYS = 100
MAX_FILE_BYTES = 64 * 1024
PRIVATE = 0o600
HEADING = "# The keys of the database beside this file. Keep a copy, apart from the database's. The first one writes.\n"

RandomBytes = Callable[[int], bytes]
"""Returns so many random bytes: `os.urandom`, unless a simulation brings its own."""


class KeyFault(Exception):
    """The keys cannot be used; the message is one readable line without a secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of AES-256 and its name."""

    id: str
    secret: Secret[bytes]


def make_key(random_bytes: RandomBytes) -> Key:
    """Return a new key with a name of its own."""
    return Key(f"k-{random_bytes(4).hex()}", Secret(random_bytes(KEY_BYTES)))


def parse_keys(text: str) -> tuple[Key, ...]:
    """Return the keys of `id:base64`, separated by commas or line ends. Errors: ValueError, which quotes no key."""
    keys: dict[str, Key] = {}
    for number, entry in enumerate(filter(None, map(str.strip, re.split(r"[,\n]", text))), 1):
        name, colon, written = entry.partition(":")
        if not colon or not KEY_ID.fullmatch(name):
            raise ValueError(f"key {number} does not begin with a name and a colon")
        try:
            secret = base64.b64decode(written.strip(), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ValueError(f"key {number} is not the base64 of {KEY_BYTES} bytes")
        if name in keys:
            raise ValueError(f"two keys are called {name}")
        keys[name] = Key(name, Secret(secret))
    if not 1 <= len(keys) <= MAX_KEYS:
        raise ValueError(f"there must be 1 to {MAX_KEYS} keys")
    return tuple(keys.values())


def place_key_file(database: Path) -> Path:
    """Return where the keys of this database are kept, unless MASTER_KEYS holds them."""
    return database.with_name(database.name + ".keys")


class KeyFile:
    """A file of keys that only its owner may read. It is always whole: a new one takes the old one's place at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, int, int] | None:
        """Return what changes whenever the file does, or None if there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns, found.st_size

    def read(self) -> tuple[Key, ...]:
        """Return the keys. Errors: KeyFault if others may read it, or if it is no file of keys."""
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read(MAX_FILE_BYTES).decode()
        except OSError as fault:
            raise KeyFault(f"The key file {self.path} cannot be read: {fault.strerror}.") from None
        except UnicodeDecodeError:
            raise KeyFault(f"The key file {self.path} is not one: it is not UTF-8.") from None
        if os.name == "posix" and mode & 0o077:
            raise KeyFault(
                f"The key file {self.path} has mode {mode:04o}, others may read it; run: chmod 600 {self.path}"
            )
        try:
            return parse_keys("\n".join(line for line in text.splitlines() if not line.startswith("#")))
        except ValueError as fault:
            raise KeyFault(f"The key file {self.path} cannot be used: {fault}.") from None

    def create(self, keys: Sequence[Key]) -> None:
        """Make the file, which must not exist. Errors: KeyFault."""
        self._write(keys, replace=False)

    def replace(self, keys: Sequence[Key]) -> None:
        """Put these keys in the place of those that are there. Errors: KeyFault."""
        self._write(keys, replace=True)

    def _write(self, keys: Sequence[Key], *, replace: bool) -> None:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            draft.unlink(missing_ok=True)  # a process of this number was killed here once
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(HEADING)
                file.writelines(f"{key.id}:{base64.b64encode(key.secret.reveal()).decode()}\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            take_owner(draft, self.path)
            if replace:
                draft.replace(self.path)
            else:
                name_file(draft, self.path)
            sync_folder(self.path.parent)
        except OSError as fault:
            draft.unlink(missing_ok=True)
            raise KeyFault(f"The key file {self.path} cannot be written: {fault.strerror}.") from None


def name_file(draft: Path, path: Path) -> None:
    """Give a whole file its name, which must be free. Errors: OSError."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is taken first, and is empty for a moment
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


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
