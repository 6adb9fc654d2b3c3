"""The vault: seals secrets in the database with AES-256-GCM, and opens them when needed.

A stored value is the bytes `v1:<key id>:`, nonce, ciphertext and tag. The table, the column and the
row's id are authenticated with it, so that a value moved to another row or column does not open. A
nonce is 96 random bits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from master.keys import KEY_ID, Key, KeyFault, KeyFile, RandomBytes, locate_key_file, parse_keys
from master.secret import SealBroken

log = structlog.get_logger(__name__)

FORMAT = b"v1:"
HEAD = re.compile(FORMAT + rb"(" + KEY_ID.pattern.encode() + rb"):")
NONCE_BYTES = 12


class Vault:
    """Seals and opens values. It is locked until `use` or `follow` loads keys."""

    def __init__(self, random_bytes: RandomBytes = os.urandom) -> None:
        self.random_bytes = random_bytes
        self._ciphers: dict[str, AESGCM] = {}
        self._writing: str | None = None
        self._file: KeyFile | None = None
        self._stamp: tuple[int, int, int] | None = None

    @property
    def writing(self) -> str:
        """Return the id of the key that seals."""
        assert self._writing is not None, "the vault is locked"
        return self._writing

    @property
    def key_ids(self) -> list[str]:
        """Return the ids of the keys that open, in order."""
        return list(self._ciphers)

    def use(self, keys: Sequence[Key]) -> None:
        """Seal with the first of these keys from now on; known keys still open."""
        fresh = {key.id: AESGCM(key.secret.reveal()) for key in keys}
        # an older key stays: a row read before its key was dropped may be opened a moment later
        self._ciphers = fresh | {
            name: cipher for name, cipher in self._ciphers.items() if name not in fresh
        }
        self._writing = keys[0].id

    def follow(self, file: KeyFile) -> None:
        """Use the keys of this file, and its new keys when it changes. Errors: KeyFault."""
        stamp = file.stamp()
        self.use(file.read())
        self._file, self._stamp = file, stamp

    def refresh(self) -> None:
        """Reread the key file if it has changed; an unreadable one is logged once and ignored."""
        if self._file is None or (stamp := self._file.stamp()) == self._stamp:
            return
        self._stamp = stamp
        try:
            self.use(self._file.read())
        except KeyFault as fault:
            log.error("key_file_not_read", reason=str(fault))
        else:
            log.info("key_file_read", writing=self._writing, keys=len(self._ciphers))

    def seal(self, column: str, row_id: str, value: Any) -> bytes:
        """Return the stored form of a JSON value at `column` (table.column) of a row."""
        self.refresh()
        return self.seal_with(self.writing, column, row_id, orjson.dumps(value))

    def seal_with(self, key_id: str, column: str, row_id: str, content: bytes) -> bytes:
        """Return the stored form of a JSON text, sealed with a known key."""
        nonce = self.random_bytes(NONCE_BYTES)
        return (
            head_of(key_id)
            + nonce
            + self._ciphers[key_id].encrypt(nonce, content, _describe(column, row_id))
        )

    def open(self, column: str, row_id: str, stored: object) -> Any:
        """Return the value that was sealed for this column and row. Errors: SealBroken."""
        content = self.open_content(column, row_id, stored)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            raise SealBroken(f"{column} of {row_id} is not JSON.") from None

    def open_content(self, column: str, row_id: str, stored: object) -> bytes:
        """Return the JSON text that was sealed for this column and row. Errors: SealBroken."""
        key_id = read_key_id(stored)
        if key_id is None:
            raise SealBroken(f"{column} of {row_id} is not a sealed value.")
        if key_id not in self._ciphers:
            self.refresh()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken(
                f"{column} of {row_id} was sealed with key {key_id}, which Master does not have."
            )
        assert isinstance(stored, bytes)
        start = len(head_of(key_id))
        nonce = stored[start : start + NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, stored[start + NONCE_BYTES :], _describe(column, row_id))
        except (InvalidTag, ValueError):
            raise SealBroken(
                f"{column} of {row_id} does not open: it was changed or moved."
            ) from None


def head_of(key_id: str) -> bytes:
    """Return the first bytes of every value that this key has sealed."""
    return FORMAT + key_id.encode() + b":"


def read_key_id(stored: object) -> str | None:
    """Return the key id in a stored value or in its beginning, or None if it is not sealed."""
    found = HEAD.match(stored) if isinstance(stored, bytes) else None
    return found[1].decode() if found else None


def open_vault(database: Path, written: str | None = None) -> Vault:
    """Return a vault that opens the values of this database, for tools outside Master.

    `written` is the value of MASTER_KEYS; without it the key file beside the database is read.
    Errors: KeyFault.
    """
    vault = Vault()
    if not written:
        vault.follow(KeyFile(locate_key_file(database)))
        return vault
    try:
        vault.use(parse_keys(written))
    except ValueError as fault:
        raise KeyFault(f"MASTER_KEYS cannot be used: {fault}.") from None
    return vault


def _describe(column: str, row_id: str) -> bytes:
    """Return the authenticated data of a value; separators keep its parts distinct."""
    return FORMAT + f"\0{column}\0{row_id}".encode()
