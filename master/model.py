"""Ids, states and frozen records: Master's data model, independent of storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from master.record import quick_to_make

JsonObject = dict[str, Any]

LARGEST_EXACT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""


class WorkerStatus(StrEnum):
    """A worker's state (protocol.md section 5).

    connected --socket closes--> disconnected --silent--> offline; any sign of life --> connected
    """

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    OFFLINE = "offline"


class AccountStatus(StrEnum):
    """Whether an account is watched; an `active` and a `restricted` account are."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PAUSED = "paused"
    ERROR = "error"
    EXPIRED = "expired"
    BANNED = "banned"
    """The platform has closed the account, as its worker reports."""
    RESTRICTED = "restricted"
    """The platform limits the account, as its worker reports."""


SERVED = frozenset({AccountStatus.ACTIVE, AccountStatus.RESTRICTED})
"""The states in which an account gets a worker."""


class LoginStatus(StrEnum):
    """The state of an account's login."""

    NOT_LOGGED_IN = "not_logged_in"
    LOGGING_IN = "logging_in"
    LOGGED_IN = "logged_in"
    LOGIN_FAILED = "login_failed"
    CREDENTIALS_UNREADABLE = "credentials_unreadable"
    """Cookies are stored, but the vault cannot open them; a new login repairs this."""
    EXPIRED = "expired"
    """The cookies' time is up."""
    LOGGED_OUT = "logged_out"
    """The platform has ended the login, as the account's worker reports."""
    NEEDS_VERIFICATION = "needs_verification"
    """The platform wants a person to prove who they are, as the account's worker reports."""


LOST = frozenset({LoginStatus.EXPIRED, LoginStatus.LOGGED_OUT, LoginStatus.NEEDS_VERIFICATION})
"""The states in which stored cookies are of no use.

Only a new login ends them, or the worker's word that the account is logged in.
"""


class SessionStatus(StrEnum):
    """A login session's state; decisions/login.py defines the transitions."""

    PENDING = "pending"
    SCANNING = "scanning"
    SUCCESS = "success"
    FAILED = "failed"
    EXPIRED = "expired"


ACTIVE_PROXY = "active"
"""The status of a proxy in use."""

OPEN_SESSION = frozenset({SessionStatus.PENDING, SessionStatus.SCANNING})


class MessageKind(StrEnum):
    """The two kinds of message that workers detect."""

    COMMENT = "comment"
    DIRECT_MESSAGE = "direct_message"


class NotificationType(StrEnum):
    """The subject of a notification."""

    COMMENT = "comment"
    DIRECT_MESSAGE = "direct_message"
    SYSTEM = "system"
    ACCOUNT_STATUS = "account_status"


class Priority(StrEnum):
    """The urgency of a notification."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Direction(StrEnum):
    """Whether a direct message came in or went out."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Scope(IntEnum):
    """A caller's permission; each scope includes the lower ones. NONE: not authenticated."""

    NONE = 0
    READ = 1
    OPERATE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """The identity and the permissions of a caller.

    `kind` is worker, admin or client. A worker's `name` is the worker id that it may register; "*"
    or "" is any id without a token of its own. `accounts` limits a client; None is no limit.
    """

    kind: str
    name: str
    scope: Scope
    accounts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token's grant and the SHA-256 of its secret; the secret itself is stored nowhere.

    `mark` identifies the secret in log lines (logs.py).
    """

    grant: Grant
    digest: bytes = field(repr=False)
    mark: int = field(repr=False)


@quick_to_make
@dataclass(frozen=True, slots=True)
class Worker:
    """A remote process that runs browsers. Times are Unix seconds.

    Its last sign of life is in sessions.py, because that changes every second.
    """

    id: str
    host: str
    port: int
    status: WorkerStatus
    capabilities: tuple[str, ...]
    max_accounts: int
    assigned_accounts: int
    started_at: int
    version: str | None
    metadata: JsonObject
    created_at: int
    updated_at: int
    drain_since: int | None = None
    """Since when the worker is taken out of service; None: it is in service."""
    drain_deadline: int | None = None
    drain_reason: str | None = None
    drain_by: str | None = None
    drain_moved: int = 0
    drain_done: bool = False
    """Whether nothing is left on it, so that it can be stopped; it still takes no accounts."""

    @property
    def is_draining(self) -> bool:
        """Return whether accounts are to leave the worker."""
        return self.drain_since is not None and not self.drain_done

    @property
    def takes_accounts(self) -> bool:
        """Return whether the worker may be assigned accounts, if it has room."""
        return self.status is WorkerStatus.CONNECTED and self.drain_since is None

    @property
    def room(self) -> int:
        """Return the number of free slots; negative if the worker lowered its capacity."""
        return self.max_accounts - self.assigned_accounts

    def supports(self, platform: str) -> bool:
        """Return whether `platform` is among the worker's capabilities."""
        return platform in self.capabilities


@quick_to_make
@dataclass(frozen=True, slots=True)
class Account:
    """One social-media account to watch. Times are Unix seconds, `monitor_interval` is seconds.

    Its cookies, fingerprint and complete profile are secrets and not part of the record: they are
    read when they are sent. `user_info` is the part of the profile that people may see.
    """

    id: str
    platform: str
    account_name: str
    account_id: str | None
    has_credentials: bool
    """Whether cookies are stored, readable or not."""
    has_fingerprint: bool
    user_info: JsonObject | None
    status: AccountStatus
    login_status: LoginStatus
    monitor_interval: int
    last_login_time: int | None
    cookies_valid_until: int | None
    assigned_worker_id: str | None
    pinned_worker_id: str | None
    platform_user_id: str | None
    epoch: int
    created_at: int
    updated_at: int
    state_since: int | None = None
    """When `status` or `login_status` last changed; None if an older version wrote the row."""
    state_reason: str | None = None
    """Why they changed: a word of Master's or the worker's."""
    state_detail: str | None = None
    cookies_told: int = 0
    """How many warnings of its cookies' end people have got (decisions/account_state.py)."""
    proxy_id: str | None = None
    """Its own proxy, which goes before its worker's."""
    tags: tuple[str, ...] = ()
    note: str | None = None
    has_profile: bool = False
    """Whether the profile has more than `user_info`; that is sealed, for workers only."""
    stored_bytes: int = field(default=0, repr=False, compare=False)
    """Approximate bytes of the account as sent to its worker, beside its plain columns."""

    @property
    def is_served(self) -> bool:
        """Return whether the account is to be watched: a restricted one still gets messages."""
        return self.status in SERVED


@quick_to_make
@dataclass(frozen=True, slots=True)
class Login:
    """One QR login session. Times are Unix seconds.

    Its QR code is not part of the record: the code alone permits a login, so it is read when it is
    returned.
    """

    id: str
    account_id: str
    worker_id: str | None
    status: SessionStatus
    login_method: str
    has_qr_code: bool
    error_message: str | None
    expires_at: int
    logged_in_at: int | None
    created_at: int
    accept_identity: bool = False
    """Whether an administrator accepts another person than the account's."""
    status_before: LoginStatus | None = None
    """The account's login status before this login; None if an older version wrote the row."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A network proxy for a worker's browsers.

    Its password is not part of the record: it is read when it is sent.
    """

    id: str
    name: str
    server: str
    protocol: str
    username: str | None
    has_password: bool
    status: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How to run one worker as a child process.

    `verified`: whether Master wrote the row as it is. Only a verified row may start a program.
    """

    worker_id: str
    command: str | None
    args: tuple[str, ...]
    env: dict[str, str] = field(repr=False)
    proxy_id: str | None
    max_accounts: int | None
    auto_start: bool
    auto_restart: bool
    created_at: int
    updated_at: int
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Device:
    """A person's device that receives notifications.

    `seen_seq`: the device acknowledged every notification up to this sequence number.
    """

    device_id: str
    device_type: str | None
    device_name: str | None
    seen_seq: int
    last_seen_at: int
    created_at: int


@quick_to_make
@dataclass(frozen=True, slots=True)
class Notification:
    """A notification for people. `seq` is its sequence number."""

    id: str
    seq: int
    type: NotificationType
    account_id: str | None
    related_id: str | None
    title: str
    content: str
    data: JsonObject
    priority: Priority
    is_sent: bool
    sent_at: int | None
    created_at: int


@quick_to_make
@dataclass(frozen=True, slots=True)
class Message:
    """A detected comment or direct message. A direct message's `author_*` is its sender.

    `reported_by` is the worker that reported it first; None if an older version stored the message.
    """

    id: str
    account_id: str
    kind: MessageKind
    platform_id: str
    content: str | None
    author_name: str | None
    author_id: str | None
    post_id: str | None
    post_title: str | None
    direction: Direction | None
    is_read: bool
    detected_at: int
    created_at: int
    reported_by: str | None = None
    variant: str = ""
    """Empty, except in a message of another conversation with the id of a stored one."""
    content_type: str | None = None
    """The kind of a content that was sent as an object or a list, and is stored as JSON text."""
    edited_at: int | None = None
    earlier_content: str | None = None
    """The text before the first edit."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A period without a run of Master's loop, in monotonic seconds: no peer could be heard."""

    began: float
    ended: float
