"""The /admin namespace: requests of administrators and events to them; none may carry a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from master.model import (
    Account,
    Login,
    Notification,
    NotificationType,
    Priority,
    Worker,
)
from master.protocol.answers import (
    ListedLogin,
    Placement,
    ShownAccount,
    ShownDrain,
    ShownLogin,
    ShownWorker,
)
from master.protocol.shown import render_machine, render_profile
from master.protocol.wire import Id, Outbound, Payload


class Auth(Payload):
    """An administrator authenticates."""

    token: Annotated[str, Field(max_length=4_096)] | None = Field(default=None, repr=False)
    userId: Id | None = None  # noqa: N815 - the field's spelling


class StartLogin(Payload):
    """Start a QR login; without `worker_id` Master chooses the worker.

    A login of another person than the account's ends as `identity_mismatch`, unless
    `accept_identity` is true.
    """

    account_id: Id
    worker_id: Id | None = None
    session_id: Annotated[str, Field(max_length=4_096)] | None = None
    accept_identity: bool = False


class CancelLogin(Payload):
    """End an open login."""

    session_id: Id


@dataclass(frozen=True, slots=True)
class StatusResponse(Outbound):
    """Counts of everything, by state. `timestamp` is milliseconds."""

    event: ClassVar[str] = "admin:status:response"
    workers: dict[str, int]
    accounts: dict[str, int]
    loginSessions: dict[str, int]  # noqa: N815 - the field's spelling
    platforms: dict[str, int]
    timestamp: int


@dataclass(frozen=True, slots=True)
class AuthSuccess(Outbound):
    """The administrator is authenticated."""

    event: ClassVar[str] = "admin:auth:success"
    userId: str  # noqa: N815
    timestamp: int


@dataclass(frozen=True, slots=True)
class AuthFailed(Outbound):
    """The token is wrong."""

    event: ClassVar[str] = "admin:auth:failed"
    error: str


@dataclass(frozen=True, slots=True)
class LoginStarted(Outbound):
    """The login was sent to the worker."""

    event: ClassVar[str] = "admin:login:start:ack"
    account_id: str
    worker_id: str
    session_id: str
    status: str
    expires_at: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class AdminError(Outbound):
    """A request was refused: `error` is the code, `message` explains it."""

    event: ClassVar[str] = "admin:error"
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class UserInputRelayed(Outbound):
    """The typed input was sent to the worker."""

    event: ClassVar[str] = "admin:login:user_input:ack"
    session_id: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class LoginList(Outbound):
    """Login sessions, the newest first."""

    event: ClassVar[str] = "admin:login_sessions:list:response"
    sessions: list[ListedLogin]
    timestamp: int
    rev: int


@dataclass(frozen=True, slots=True)
class QrCodeReady(Outbound):
    """A QR code is ready to be scanned until `expires_at` (seconds)."""

    event: ClassVar[str] = "login:qrcode:ready"
    may_lack: ClassVar[frozenset[str]] = frozenset({"qr_code_url"})
    session_id: str
    account_id: str
    worker_id: str | None
    qr_code_data: str = field(repr=False)
    qr_code_url: str | None = field(default=None, repr=False)
    expires_at: int = 0
    rev: int = 0

    @property
    def state_key(self) -> str | None:
        """Return the key of the login: a newer code replaces an older one."""
        return f"code {self.session_id}"


@dataclass(frozen=True, slots=True)
class LoginSucceeded(Outbound):
    """The account is logged in."""

    event: ClassVar[str] = "login:success"
    session_id: str
    account_id: str
    worker_id: str | None
    user_info: dict[str, Any] | None
    logged_in_at: int
    rev: int


@dataclass(frozen=True, slots=True)
class LoginFailed(Outbound):
    """The login ended without success."""

    event: ClassVar[str] = "login:failed"
    session_id: str
    account_id: str
    worker_id: str | None
    error_message: str
    error_type: str
    rev: int


@dataclass(frozen=True, slots=True)
class QrCodeExpired(Outbound):
    """The login's deadline has passed."""

    event: ClassVar[str] = "login:qrcode:expired"
    session_id: str
    account_id: str
    worker_id: str | None
    rev: int


@dataclass(frozen=True, slots=True)
class LoginStatusUpdate(Outbound):
    """A worker's login report; its own keys that docs/security.md lists become further fields."""

    event: ClassVar[str] = "login:status:update"
    beside: ClassVar[str] = "words"
    session_id: str
    account_id: str
    worker_id: str | None
    status: str
    words: dict[str, Any] = field(default_factory=dict)
    rev: int = 0


@dataclass(frozen=True, slots=True)
class NewNotification(Outbound):
    """A notification. `created_at` is seconds, `timestamp` milliseconds."""

    event: ClassVar[str] = "notification:new"
    id: str
    notification_id: str
    seq: int
    type: NotificationType
    account_id: str | None
    related_id: str | None
    title: str
    content: str
    data: dict[str, Any]
    priority: Priority
    created_at: int
    timestamp: int
    rev: int

    @property
    def delivery(self) -> str | None:
        """Return the id of the notification that this event delivers."""
        return self.id


@dataclass(frozen=True, slots=True)
class WorkerChanged(Outbound):
    """A worker's row after it or its `health` changed."""

    event: ClassVar[str] = "worker:status"
    may_lack: ClassVar[frozenset[str]] = frozenset({"health"})
    beside: ClassVar[str] = "row"
    row: ShownWorker
    rev: int
    health: dict[str, Any] | None = None

    @property
    def state_key(self) -> str | None:
        """Return the key of the worker whose state this event carries."""
        return f"worker {self.row['id']}"


@dataclass(frozen=True, slots=True)
class AccountChanged(Outbound):
    """An account's row after it changed, without secrets."""

    event: ClassVar[str] = "account:status"
    beside: ClassVar[str] = "row"
    row: ShownAccount
    rev: int

    @property
    def state_key(self) -> str | None:
        """Return the key of the account whose state this event carries."""
        return f"account {self.row['id']}"


@dataclass(frozen=True, slots=True)
class NotificationConfirmed(Outbound):
    """A device has confirmed a notification."""

    event: ClassVar[str] = "notification:confirmed"
    notification_id: str
    confirmed_by: str
    confirmed_at: int


def render_account(account: Account, placement: Placement, unread: int) -> ShownAccount:
    """Return an account as people may read it, with the number of its unread messages."""
    return {
        "id": account.id,
        "platform": account.platform,
        "account_name": account.account_name,
        "account_id": account.account_id,
        "platform_user_id": account.platform_user_id,
        "user_info": render_profile(account.user_info),
        "status": account.status,
        "login_status": account.login_status,
        "monitor_interval": account.monitor_interval,
        "last_login_time": account.last_login_time,
        "cookies_valid_until": account.cookies_valid_until,
        "has_credentials": account.has_credentials,
        "assigned_worker_id": account.assigned_worker_id,
        "pinned_worker_id": account.pinned_worker_id,
        "epoch": account.epoch,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
        "state": {
            "since": account.state_since,
            "reason": account.state_reason,
            "detail": account.state_detail,
        },
        "placement": placement,
        "proxy_id": account.proxy_id,
        "tags": list(account.tags),
        "note": account.note,
        "unread": unread,
    }


def render_worker(
    worker: Worker, last_heartbeat: int | None, draining: ShownDrain | None = None
) -> ShownWorker:
    """Return a worker as people may read it.

    `last_heartbeat` is when the worker was last heard (Unix seconds).
    """
    return {
        "id": worker.id,
        "host": worker.host,
        "port": worker.port,
        "status": worker.status,
        "capabilities": list(worker.capabilities),
        "max_accounts": worker.max_accounts,
        "assigned_accounts": worker.assigned_accounts,
        "last_heartbeat": last_heartbeat,
        "started_at": worker.started_at,
        "version": worker.version,
        "metadata": render_machine(worker.metadata),
        "created_at": worker.created_at,
        "updated_at": worker.updated_at,
        "draining": draining,
    }


def render_login(login: Login) -> ShownLogin:
    """Return a login session without its QR code, because scanning the code logs a person in."""
    return {
        "id": login.id,
        "session_id": login.id,
        "account_id": login.account_id,
        "worker_id": login.worker_id,
        "status": login.status,
        "login_method": login.login_method,
        "has_qr_code": login.has_qr_code,
        "error_message": login.error_message,
        "expires_at": login.expires_at,
        "logged_in_at": login.logged_in_at,
        "created_at": login.created_at,
    }


def render_notification(notification: Notification, rev: int) -> NewNotification:
    """Return a notification as /admin and /client send it."""
    return NewNotification(
        id=notification.id,
        notification_id=notification.id,
        seq=notification.seq,
        type=notification.type,
        account_id=notification.account_id,
        related_id=notification.related_id,
        title=notification.title,
        content=notification.content,
        data=notification.data,
        priority=notification.priority,
        created_at=notification.created_at,
        timestamp=notification.created_at * 1000,
        rev=rev,
    )
