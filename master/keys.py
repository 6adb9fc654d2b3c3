"""The vault's keys: their text form, and the key file beside the database.

A key is `id:base64 of 32 bytes`. MASTER_KEYS lists keys with commas between them, a key file one
per line. The first key seals, all of them open.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from master.files import copy_owner, make_draft, name_file, sync_folder
from master.secret import Secret

KEY_BYTES = 32
KEY_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}")
MAX_KEYS = 100
MAX_FILE_BYTES = 128 * 1024
MOST_READ = 900
"""Limit of keys read from an existing file, which another program may have written."""

DRAFT = "new"
HEADING = (
    "# The keys of the database beside this file. Keep a copy, apart from the database's. "
    "The first one seals.\n"
)

RandomBytes = Callable[[int], bytes]
"""Returns that many random bytes: `os.urandom`, unless a simulation brings its own."""


class KeyFault(Exception):
    """The keys cannot be used; the message is one readable line without a secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """One AES-256 key and its name."""

    id: str
    secret: Secret[bytes]


def make_key(random_bytes: RandomBytes) -> Key:
    """Return a new key with a new name."""
    return Key(f"k-{random_bytes(4).hex()}", Secret(random_bytes(KEY_BYTES)))


def parse_keys(text: str, most: int = MAX_KEYS) -> tuple[Key, ...]:
    """Return the keys of `id:base64`, separated by commas or line ends.

    Errors: ValueError, which quotes no key.
    """
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
    if not 1 <= len(keys) <= most:
        raise ValueError(f"there must be 1 to {most} keys")
    return tuple(keys.values())


def locate_key_file(database: Path) -> Path:
    """Return the path of this database's key file; MASTER_KEYS replaces the file."""
    return database.with_name(database.name + ".keys")


def locate_retired_keys(key_file: Path) -> Path:
    """Return the path for keys that were removed from a key file; only backups need them."""
    return key_file.with_name(key_file.name + ".retired")


class KeyFile:
    """A file of keys that only its owner may read. It is always complete: replacement is atomic."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, int, int] | None:
        """Return a value that changes whenever the file does, or None if there is no file."""
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
            raise KeyFault(f"{self.path} is not a key file: it is not UTF-8.") from None
        if os.name == "posix" and mode & 0o077:
            raise KeyFault(
                f"The key file {self.path} has mode {mode:04o}, others may read it; "
                f"run: chmod 600 {self.path}"
            )
        try:
            return parse_keys(
                "\n".join(line for line in text.splitlines() if not line.startswith("#")), MOST_READ
            )
        except ValueError as fault:
            raise KeyFault(f"The key file {self.path} cannot be used: {fault}.") from None

    def create(self, keys: Sequence[Key]) -> None:
        """Create the file, which must not exist. Errors: KeyFault."""
        self._write(keys, replace=False)

    def replace(self, keys: Sequence[Key]) -> None:
        """Replace the keys in the file. Errors: KeyFault."""
        self._write(keys, replace=True)

    def _write(self, keys: Sequence[Key], *, replace: bool) -> None:
        try:
            with make_draft(self.path, DRAFT) as draft:
                with draft.open("w", encoding="ascii") as file:
                    file.write(HEADING)
                    file.writelines(
                        f"{key.id}:{base64.b64encode(key.secret.reveal()).decode()}\n"
                        for key in keys
                    )
                    file.flush()
                    os.fsync(file.fileno())
                copy_owner(draft, self.path)
                if replace:
                    draft.replace(self.path)
                else:
                    name_file(draft, self.path)
                sync_folder(self.path.parent)
        except OSError as fault:
            raise KeyFault(
                f"The key file {self.path} cannot be written: {fault.strerror}."
            ) from None
