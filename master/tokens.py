"""Tokens in the settings, separated by commas; only the SHA-256 of a secret leaves this module.

WORKER_TOKENS   worker id:secret              "*" for every worker id without its own token
ADMIN_TOKENS    name:secret[:scope]           read, operate or admin, which is the default
CLIENT_TOKENS   name:secret[:account,...]     all accounts, or those named; an entry without a colon
                                              adds an account to the entry before it, and + may
                                              stand for the comma between accounts
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from master.described import NOTHING
from master.model import Grant, Scope, Token

SHORTEST_SECRET = 16
MOST_TOKENS = 1_000
MOST_ACCOUNTS = 200
PARTS_WITH_ACCOUNTS = 2
"""Colons in the entry of a device token that is limited to accounts."""
ANY_WORKER = "*"

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,128}")
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{1,256}")  # RFC 6750 allows these after "Bearer"
_ACCOUNT = re.compile(r"[^\s,:+]{1,128}")
_SCOPES = {"read": Scope.READ, "operate": Scope.OPERATE, "admin": Scope.ADMIN}


def parse_tokens(kind: str, value: Any) -> Any:
    """Return the tokens of `kind` (worker, admin or client) in a setting; keep a non-text.

    Errors: ValueError, which states the entry's number: its text may contain a secret.
    """
    if not isinstance(value, str):
        return value
    entries = _split_entries(kind, value)
    if len(entries) > MOST_TOKENS:
        raise ValueError(f"there are more than {MOST_TOKENS} tokens")
    tokens = []
    for number, entry in enumerate(entries, 1):
        try:
            tokens.append(_parse_token(kind, entry))
        except ValueError as fault:
            raise ValueError(f"entry {number}: {fault}") from None
    return tuple(tokens)


def _split_entries(kind: str, value: str) -> list[str]:
    entries: list[str] = []
    if value.strip().lower() == NOTHING:
        return entries
    for part in (part.strip() for part in value.split(",")):
        if (
            kind == "client"
            and part
            and ":" not in part
            and entries
            and entries[-1].count(":") == PARTS_WITH_ACCOUNTS
        ):
            entries[-1] += f"+{part}"
        elif part:
            entries.append(part)
    return entries


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret, 32 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def mark_secret(secret: str) -> int:
    """Return a mark that finds a secret in a text: this process's hash of its beginning."""
    return hash(secret[:SHORTEST_SECRET])


def _parse_token(kind: str, entry: str) -> Token:
    name, *rest = entry.split(":")
    if not rest or len(rest) > (1 if kind == "worker" else 2):
        raise ValueError("it has too few or too many parts between colons")
    if not (_NAME.fullmatch(name) or (kind == "worker" and name == ANY_WORKER)):
        raise ValueError("its name is not 1 to 128 letters, digits or ._@-")
    if len(rest[0]) < SHORTEST_SECRET:
        raise ValueError(f"its secret has fewer than {SHORTEST_SECRET} characters")
    if not _SECRET.fullmatch(rest[0]):
        raise ValueError(
            "its secret is longer than 256 characters or has others than letters, digits and "
            "._~+/=-"
        )
    grant = _read_grant(kind, name, rest[1] if len(rest) > 1 else None)
    return Token(grant, hash_secret(rest[0]), mark_secret(rest[0]))


def _read_grant(kind: str, name: str, limit: str | None) -> Grant:
    if kind == "admin":
        scope = Scope.ADMIN if limit is None else _SCOPES.get(limit.strip().lower())
        if scope is None:
            raise ValueError("its scope is not read, operate or admin")
        return Grant(kind, name, scope)
    if limit is None:
        return Grant(kind, name, Scope.READ)
    accounts = frozenset(limit.split("+"))
    if len(accounts) > MOST_ACCOUNTS or not all(
        _ACCOUNT.fullmatch(account) for account in accounts
    ):
        raise ValueError(f"its accounts are not 1 to {MOST_ACCOUNTS} ids with commas between them")
    return Grant(kind, name, Scope.READ, accounts)
