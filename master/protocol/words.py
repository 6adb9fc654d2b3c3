"""The words with which Master gives its reasons; docs/protocol.md lists them with their meaning."""

from __future__ import annotations

from enum import StrEnum

from master.model import SERVED, AccountStatus


class RevokeReason(StrEnum):
    """Why a worker loses accounts; whatever the reason, it stops acting on them at once."""

    REASSIGNED = "reassigned"
    """Another worker got the accounts while this one could not be reached."""
    REBALANCED = "rebalanced"
    """A worker with fewer accounts takes over some, so that the loads become even."""
    DRAINED = "drained"
    """The worker is taken out of service; another one takes the accounts over."""
    LOGGED_IN_ELSEWHERE = "logged_in_elsewhere"
    """A login on another worker has succeeded; that worker owns the account now."""
    REGISTERED_ELSEWHERE = "registered_elsewhere"
    """Another process has registered under this worker's id; this process must stop."""
    PINNED_ELSEWHERE = "pinned_elsewhere"
    """An administrator has pinned the account to another worker."""
    PLATFORM_NOT_SUPPORTED = "platform_not_supported"
    """The account's platform is not among the worker's capabilities any more."""
    WORKER_SILENCE = "worker_silence"
    """Master did not hear the worker for longer than `heartbeatTimeout`."""
    WORKER_GOODBYE = "worker_goodbye"
    """The worker has said goodbye."""
    ACCOUNT_DELETED = "account_deleted"
    """The account was removed."""

    _ignore_ = "word"
    for word in AccountStatus:
        if word not in SERVED:
            vars()[f"ACCOUNT_{word.name}"] = f"account_{word}"  # the account's new status

    @classmethod
    def of_status(cls, status: AccountStatus) -> RevokeReason:
        """Return the reason when an account's status is one in which it is not watched."""
        return cls(f"account_{status}")


class DrainState(StrEnum):
    """How far a worker is taken out of service, and how that ended."""

    BEGUN = "begun"
    """It takes no accounts from now on, and its accounts leave it."""
    MOVED = "moved"
    """Some accounts have left it."""
    DONE = "done"
    """Nothing is left on it, so it can be stopped; it takes no accounts until it is cancelled."""
    CANCELLED = "cancelled"
    """An administrator has cancelled the drain; the worker is in service again."""
    DEADLINE = "deadline"
    """The time was up: what is left stays with the worker, which is in service again."""
    OFFLINE = "offline"
    """The worker said goodbye or fell silent; its accounts were given to others."""


class StayReason(StrEnum):
    """Why an account cannot leave its worker, beside the reasons for which one waits."""

    PINNED = "pinned"
    """The account is pinned to this worker."""


class CancelReason(StrEnum):
    """Why a worker must stop working on a login."""

    SUPERSEDED = "superseded"
    """A newer login of the same account was started."""
    CANCELLED = "cancelled"
    """An administrator has cancelled the login."""
    EXPIRED = "expired"
    """The login's time was up."""
    ACCOUNT_DELETED = "account_deleted"
    """The account was removed."""
    IDENTITY_MISMATCH = "identity_mismatch"
    """Another person than the account's has logged in; nothing of the login was kept."""


class LoginErrorType(StrEnum):
    """Why a login failed; a worker's `error_type` is a word of the worker's own instead."""

    FAILED = "failed"
    """The worker reported a failure without an `error_type`."""
    SUPERSEDED = "superseded"
    """A newer login of the same account was started."""
    CANCELLED = "cancelled"
    """An administrator has cancelled the login."""
    WORKER_LOST = "worker_lost"
    """The login's worker fell silent or left."""
    ACCOUNT_DELETED = "account_deleted"
    """The account was removed."""
    IDENTITY_MISMATCH = "identity_mismatch"
    """Another person than the account's has logged in; the message names both."""
