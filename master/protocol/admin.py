"""The /admin namespace: what administrators ask and what they are told; nothing here may carry a secret."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from master.model import Account, JsonObject, Login, Notification, Proxy, Worker, WorkerConfig
from master.protocol.wire import Id, Payload

SECRET = re.compile(
    r"cookie|credential|fingerprint|passw|passwd|secret|token|storage|authorization|^headers$|session_?key|api_?key",
    re.IGNORECASE,
)
"""Names of keys whose values never reach people: workers invent new ones, so the pattern is wide."""

CODE = re.compile(r"qr|code_?(data|url|image)|image|screenshot|base64", re.IGNORECASE)
"""The same for QR codes, which only those who may operate get."""


class Auth(Payload):
    """An administrator says who they are."""

    token: Annotated[str, Field(max_length=4_096)] | None = Field(default=None, repr=False)
    userId: Id | None = None  # noqa: N815 - the field's spelling


class StartLogin(Payload):
    """Start a QR login; without `worker_id` Master chooses the worker."""

    account_id: Id
    worker_id: Id | None = None
    session_id: Annotated[str, Field(max_length=4_096)] | None = None


class CancelLogin(Payload):
    """End an open login."""

    session_id: Id


class StatusResponse(Payload):
    """Counts of everything, by state. `timestamp` is milliseconds."""

    workers: dict[str, int]
    accounts: dict[str, int]
    loginSessions: dict[str, int]  # noqa: N815 - the field's spelling
    platforms: dict[str, int]
    timestamp: int


class AuthSuccess(Payload):
    """The administrator is known."""

    userId: str  # noqa: N815
    timestamp: int


class AuthFailed(Payload):
    """The token is wrong."""

    error: str


class LoginStarted(Payload):
    """The login was handed to the worker."""

    account_id: str
    worker_id: str
    session_id: str
    status: str
    expires_at: int
    timestamp: int


class AdminError(Payload):
    """Something was refused: `error` is the code, `message` says it in words."""

    error: str
    message: str


class UserInputRelayed(Payload):
    """What was typed went to the worker."""

    session_id: str
    timestamp: int


class LoginList(Payload):
    """Login sessions, the newest first."""

    sessions: list[dict[str, Any]]
    timestamp: int


class QrCodeReady(Payload):
    """A code is ready to be scanned until `expires_at` (seconds)."""

    session_id: str
    account_id: str
    worker_id: str | None
    qr_code_data: str
    qr_code_url: str | None = None
    expires_at: int


class LoginSucceeded(Payload):
    """The account is logged in."""

    session_id: str
    account_id: str
    worker_id: str | None
    user_info: dict[str, Any] | None
    logged_in_at: int


class LoginFailed(Payload):
    """The login ended without success."""

    session_id: str
    account_id: str
    worker_id: str | None
    error_message: str
    error_type: str


class QrCodeExpired(Payload):
    """The login's time is up."""

    session_id: str
    account_id: str
    worker_id: str | None


class LoginStatusUpdate(Payload):
    """What the worker reported, without secrets."""

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True, allow_inf_nan=False)

    session_id: str
    account_id: str
    worker_id: str | None
    status: str


class NewNotification(Payload):
    """Something that people should know. `created_at` is seconds, `timestamp` milliseconds."""

    id: str
    notification_id: str
    seq: int
    type: str
    account_id: str | None
    related_id: str | None
    title: str
    content: str
    data: dict[str, Any]
    priority: str
    created_at: int
    timestamp: int


class WorkerChanged(Payload):
    """A worker's row after it changed."""

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True, allow_inf_nan=False)

    id: str
    status: str


class AccountChanged(Payload):
    """An account's row after it changed, without secrets."""

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True, allow_inf_nan=False)

    id: str
    status: str
    login_status: str


class NotificationConfirmed(Payload):
    """A device has seen a notification."""

    notification_id: str
    confirmed_by: str
    confirmed_at: int


def remove_secrets(value: Any) -> Any:
    """Return `value` without any key that is known to carry a secret, however deeply nested."""
    return _remove(SECRET, value, 0)


def remove_codes(value: Any) -> Any:
    """Return `value` without any key that may carry a QR code: whoever has the code of a login can log in."""
    return _remove(CODE, value, 0)


def _remove(names: re.Pattern[str], value: Any, depth: int) -> Any:
    if depth > 32:
        return None
    if isinstance(value, dict):
        return {key: _remove(names, inner, depth + 1) for key, inner in value.items() if not names.search(str(key))}
    if isinstance(value, list):
        return [_remove(names, inner, depth + 1) for inner in value]
    return value


def show_account(account: Account) -> JsonObject:
    """Return an account as people may see it."""
    return {
        "id": account.id,
        "platform": account.platform,
        "account_name": account.account_name,
        "account_id": account.account_id,
        "platform_user_id": account.platform_user_id,
        "user_info": remove_secrets(account.user_info),
        "status": account.status.value,
        "login_status": account.login_status.value,
        "monitor_interval": account.monitor_interval,
        "last_login_time": account.last_login_time,
        "cookies_valid_until": account.cookies_valid_until,
        "has_credentials": account.has_credentials,
        "assigned_worker_id": account.assigned_worker_id,
        "pinned_worker_id": account.pinned_worker_id,
        "epoch": account.epoch,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }


def show_worker(worker: Worker) -> JsonObject:
    """Return a worker as people may see it."""
    return {
        "id": worker.id,
        "host": worker.host,
        "port": worker.port,
        "status": worker.status.value,
        "capabilities": list(worker.capabilities),
        "max_accounts": worker.max_accounts,
        "assigned_accounts": worker.assigned_accounts,
        "last_heartbeat": worker.last_heartbeat,
        "started_at": worker.started_at,
        "version": worker.version,
        "metadata": remove_secrets(worker.metadata),
        "created_at": worker.created_at,
        "updated_at": worker.updated_at,
    }


def show_login(login: Login, *, with_code: bool = False) -> JsonObject:
    """Return a login session; its QR code lets whoever scans it in, so it is shown only where asked for."""
    shown: JsonObject = {
        "id": login.id,
        "session_id": login.id,
        "account_id": login.account_id,
        "worker_id": login.worker_id,
        "status": login.status.value,
        "login_method": login.login_method,
        "has_qr_code": login.qr_code_data is not None,
        "error_message": login.error_message,
        "expires_at": login.expires_at,
        "logged_in_at": login.logged_in_at,
        "created_at": login.created_at,
    }
    if with_code:
        shown["qr_code_data"] = login.qr_code_data
        shown["qr_code_url"] = login.qr_code_url
    return shown


def show_notification(notification: Notification) -> JsonObject:
    """Return a notification as /admin, /client and HTTP carry it."""
    return {
        "id": notification.id,
        "notification_id": notification.id,
        "seq": notification.seq,
        "type": notification.type.value,
        "account_id": notification.account_id,
        "related_id": notification.related_id,
        "title": notification.title,
        "content": notification.content,
        "data": notification.data,
        "priority": notification.priority.value,
        "created_at": notification.created_at,
        "timestamp": notification.created_at * 1000,
    }


def show_proxy(proxy: Proxy) -> JsonObject:
    """Return a proxy without its password."""
    return {
        "id": proxy.id,
        "name": proxy.name,
        "server": proxy.server,
        "protocol": proxy.protocol,
        "username": proxy.username,
        "has_password": proxy.password is not None,
        "password_unreadable": proxy.password is not None and not proxy.password.can_be_read(),
        "status": proxy.status,
        "created_at": proxy.created_at,
        "updated_at": proxy.updated_at,
    }


def show_worker_config(config: WorkerConfig) -> JsonObject:
    """Return how a worker is run; environment values may be secrets, so only their names are shown."""
    return {
        "id": config.worker_id,
        "worker_id": config.worker_id,
        "command": config.command,
        "args": list(config.args),
        "env": sorted(config.env),
        "proxy_id": config.proxy_id,
        "max_accounts": config.max_accounts,
        "auto_start": config.auto_start,
        "auto_restart": config.auto_restart,
        "created_at": config.created_at,
        "updated_at": config.updated_at,
    }
