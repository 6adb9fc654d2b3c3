"""Ids, states and frozen records: what Master knows, without saying where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import Any, TypeVar

JsonObject = dict[str, Any]


R = TypeVar("R")

_SHAPES: dict[type, tuple[Callable[[Any], tuple[Any, ...]], dict[str, int]]] = {}


def change(record: R, **values: Any) -> R:
    """Return a record with some of its fields otherwise: what dataclasses.replace does, in half the time."""
    kind = type(record)
    if kind not in _SHAPES:
        names = [one.name for one in fields(kind)]  # type: ignore[arg-type]  # every record is a dataclass
        _SHAPES[kind] = attrgetter(*names), {name: place for place, name in enumerate(names)}
    read, places = _SHAPES[kind]
    content = list(read(record))
    for name, value in values.items():
        content[places[name]] = value
    return kind(*content)


class WorkerStatus(StrEnum):
    """A worker's state, as protocol.md section 5 has it.

    connected --socket closes--> disconnected --silent--> offline; any sign of life --> connected
    """

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    OFFLINE = "offline"


class AccountStatus(StrEnum):
    """Whether an account is to be watched; only `active` is."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PAUSED = "paused"
    ERROR = "error"
    EXPIRED = "expired"


class LoginStatus(StrEnum):
    """What is known of an account's login."""

    NOT_LOGGED_IN = "not_logged_in"
    LOGGING_IN = "logging_in"
    LOGGED_IN = "logged_in"
    LOGIN_FAILED = "login_failed"
    CREDENTIALS_UNREADABLE = "credentials_unreadable"
    """Cookies are stored, and the vault cannot open them; a new login repairs it."""


class SessionStatus(StrEnum):
    """A login session's state; the arrows stand in decisions/login.py."""

    PENDING = "pending"
    SCANNING = "scanning"
    SUCCESS = "success"
    FAILED = "failed"
    EXPIRED = "expired"


ACTIVE_PROXY = "active"
"""The status of a proxy that is used."""

OPEN_SESSION = frozenset({SessionStatus.PENDING, SessionStatus.SCANNING})


class MessageKind(StrEnum):
    """The two kinds of message that workers detect."""

    COMMENT = "comment"
    DIRECT_MESSAGE = "direct_message"


class NotificationType(StrEnum):
    """What a notification is about."""

    COMMENT = "comment"
    DIRECT_MESSAGE = "direct_message"
    SYSTEM = "system"
    ACCOUNT_STATUS = "account_status"


class Priority(StrEnum):
    """How urgently people want to know."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Direction(StrEnum):
    """Whether a direct message came in or went out."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Scope(IntEnum):
    """What somebody may do; each includes those before it. NONE: nobody knows yet who it is."""

    NONE = 0
    READ = 1
    OPERATE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Grant:
    """Who somebody is and what they may do.

    `kind` is worker, admin or client. A worker's `name` is the worker id that it may register, "*" or "" for any that
    has no token of its own. `accounts` limits a client; None is no limit.
    """

    kind: str
    name: str
    scope: Scope
    accounts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What a token gives, and the SHA-256 of its secret; the secret itself is kept nowhere.

    `mark` is by what a log line recognises it (logs.py).
    """

    grant: Grant
    digest: bytes = field(repr=False)
    mark: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Worker:
    """A remote process that holds browsers. Times are Unix seconds.

    Its last sign of life is no part of it: that changes by the second, and lives in sessions.py.
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

    @property
    def room(self) -> int:
        """Return how many more accounts this worker takes; negative if it holds more, having lowered its capacity."""
        return self.max_accounts - self.assigned_accounts

    def supports(self, platform: str) -> bool:
        """Tell whether the worker lists `platform` in its capabilities."""
        return platform in self.capabilities


@dataclass(frozen=True, slots=True)
class Account:
    """One social-media account that is to be watched. Times are Unix seconds, `monitor_interval` seconds.

    Its cookies, its fingerprint and its whole profile are secrets and no part of it: they are read where they are sent.
    `user_info` is what people may see of the profile.
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
    has_profile: bool = False
    """Whether its worker reported more of the person than `user_info` shows: that is sealed, for workers alone."""
    stored_bytes: int = field(default=0, repr=False, compare=False)
    """About how many bytes its worker is told of it beside its plain columns."""


@dataclass(frozen=True, slots=True)
class Login:
    """One QR login session. Times are Unix seconds.

    Its code is no part of it: whoever has that can log in, so it is read where it is shown.
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


@dataclass(frozen=True, slots=True)
class Proxy:
    """A way out to the network for a worker's browsers. Its password is no part of it: it is read where it is sent."""

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

    `verified`: whether the row is as Master has written it. A program is run by such a one only.
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
    """A person's device that takes notifications.

    `seen_seq`: the device has said that it holds every notification up to this one.
    """

    device_id: str
    device_type: str | None
    device_name: str | None
    seen_seq: int
    last_seen_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Notification:
    """What people are told. `seq` is its place in the clients' sequence."""

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


@dataclass(frozen=True, slots=True)
class Message:
    """A detected comment or direct message. A direct message's `author_*` is its sender.

    `reported_by` is the worker that reported it first; None of what an older version stored.
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


@dataclass(frozen=True, slots=True)
class Stall:
    """A time in which Master's own loop did not run, in monotonic seconds: nobody could be heard."""

    began: float
    ended: float
