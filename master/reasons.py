"""The words with which Master explains where accounts are; docs/protocol.md lists them."""

from __future__ import annotations

from enum import StrEnum


class Unplaced(StrEnum):
    """Why an account that is to be watched has no worker."""

    NO_WORKER_SERVES = "no_worker_serves"
    """No known worker has the account's platform among its capabilities."""
    NO_WORKER_CONNECTED = "no_worker_connected"
    """The workers that have the platform are not connected."""
    NO_ROOM = "no_room"
    """The connected workers that have the platform are full."""
    PINNED_WORKER_GONE = "pinned_worker_gone"
    """The account is pinned to a worker that is offline or was removed."""
    PINNED_WORKER_DISCONNECTED = "pinned_worker_disconnected"
    """The account is pinned to a worker that has lost its connection and may return."""
    PINNED_WORKER_UNFIT = "pinned_worker_unfit"
    """The account is pinned to a worker that does not have its platform."""
    PINNED_WORKER_FULL = "pinned_worker_full"
    """The account is pinned to a worker that is full."""
    DRAINING = "draining"
    """The connected workers that have the platform are taken out of service, or full."""
    PINNED_WORKER_DRAINING = "pinned_worker_draining"
    """The account is pinned to a worker that is taken out of service."""
    MAINTENANCE = "maintenance"
    """The farm is under maintenance: nothing is placed until its end."""
    BEING_PLACED = "being_placed"
    """A worker fits; the account is next."""


class Rule(StrEnum):
    """Why a worker cannot be given an account."""

    NOT_CONNECTED = "not_connected"
    """The worker is disconnected or offline."""
    PLATFORM_NOT_SUPPORTED = "platform_not_supported"
    """The account's platform is not among the worker's capabilities."""
    PINNED_ELSEWHERE = "pinned_elsewhere"
    """The account is pinned to another worker."""
    DRAINING = "draining"
    """The worker is taken out of service."""
    FULL = "full"
    """The worker has as many accounts and reserved places as it may have."""


class Verdict(StrEnum):
    """Where an account is, in one word."""

    WATCHED = "watched"
    """A worker watches it."""
    NOT_WATCHED = "not_watched"
    """It has a worker, but its login is of no use: `rule` is its `login_status`."""
    LOGGING_IN = "logging_in"
    """A login of it is open."""
    NOWHERE = "nowhere"
    """It has no worker; `rule` says why."""
    PAUSED = "paused"
    """Its status says that it is not to be watched: `rule` is `account_` and the status."""


class Action(StrEnum):
    """What would help an account."""

    LOG_IN = "log_in"
    """Log the account in."""
    ACTIVATE = "activate"
    """Set the account's status to `active`."""
    UNPIN = "unpin"
    """Unpin the account, so that another worker can have it."""
    RAISE_MAX_ACCOUNTS = "raise_max_accounts"
    """Let `worker_id` have more accounts."""
    CONNECT_WORKER = "connect_worker"
    """Start `worker_id`, or mend its connection."""
    END_DRAIN = "end_drain"
    """Put `worker_id` back into service: `DELETE /workers/{id}/drain`."""
    END_MAINTENANCE = "end_maintenance"
    """End the farm's maintenance: `DELETE /maintenance`."""
    ADD_WORKER = "add_worker"
    """Start a worker with the account's platform among its capabilities."""
    CHECK_PLATFORM = "check_platform"
    """No worker knows the platform; `known` has the platforms that workers serve."""
