"""A login link: what lets the account's owner log the account in on a phone, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class LinkState(StrEnum):
    """How far a login link has come.

    made --> opened --> started <--> scanned --> done; revoked and expired end it at any time.
    """

    MADE = "made"
    """The link has not been opened yet."""
    OPENED = "opened"
    """A device has opened the link, which is bound to it from then on."""
    STARTED = "started"
    """The owner has started a login."""
    SCANNED = "scanned"
    """The login's code was scanned."""
    DONE = "done"
    """The login succeeded; the link has ended."""
    REVOKED = "revoked"
    """The link was ended by a person, by a newer link of the account, or with the account."""
    EXPIRED = "expired"
    """The link's time was up, or all its logins were used."""


OPEN_LINK = frozenset({LinkState.MADE, LinkState.OPENED, LinkState.STARTED, LinkState.SCANNED})


@dataclass(frozen=True, slots=True)
class LoginLink:
    """One login link. Times are Unix seconds.

    The secret itself is stored nowhere: `secret_hash` and `device_hash` (of the bound device's
    cookie) are SHA-256 in hex. `session_id` is the login that the link started last.
    """

    id: str
    account_id: str
    state: LinkState
    secret_hash: str = field(repr=False)
    note: str | None
    require_uid: str | None
    """The only id on the platform that may log in; None: the account's own rule decides."""
    made_by: str
    created_at: int
    expires_at: int
    device_hash: str | None = field(default=None, repr=False)
    device_address: str | None = None
    device_agent: str | None = None
    opened_at: int | None = None
    session_id: str | None = None
    starts: int = 0
    """How many logins the link has started."""
    outcome: str | None = None
    """Why its last login ended without success; None: it did not."""
    refused: int = 0
    """How often another device than the bound one was refused."""
    ended_at: int | None = None
    end_reason: str | None = None
