"""Records as memory has them, for tests without a Master."""

from __future__ import annotations

from typing import Any

from master.login_link import LinkState, LoginLink
from master.model import (
    Account,
    AccountStatus,
    Device,
    Login,
    LoginStatus,
    Proxy,
    SessionStatus,
    Worker,
    WorkerConfig,
    WorkerStatus,
)


def make_worker(worker_id: str, load: int = 0, **changes: Any) -> Worker:
    fields: dict[str, Any] = {
        "id": worker_id, "host": "h", "port": 1, "status": WorkerStatus.CONNECTED,
        "capabilities": ("douyin",), "max_accounts": 3, "assigned_accounts": load, "started_at": 0,
        "version": None, "metadata": {}, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    return Worker(**fields | changes)


def make_account(key: str, **changes: Any) -> Account:
    fields: dict[str, Any] = {
        "id": key, "platform": "douyin", "account_name": "n", "account_id": None,
        "has_credentials": False, "has_fingerprint": False, "user_info": None,
        "status": AccountStatus.ACTIVE, "login_status": LoginStatus.LOGGED_IN,
        "monitor_interval": 20, "last_login_time": None, "cookies_valid_until": None,
        "assigned_worker_id": None, "pinned_worker_id": None, "platform_user_id": None, "epoch": 0,
        "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    return Account(**fields | changes)


def make_login(login_id: str, account_id: str, worker_id: str | None, **changes: Any) -> Login:
    fields: dict[str, Any] = {
        "id": login_id, "account_id": account_id, "worker_id": worker_id,
        "status": SessionStatus.PENDING, "login_method": "qrcode", "has_qr_code": False,
        "error_message": None, "expires_at": 300, "logged_in_at": None, "created_at": 0,
    }  # fmt: skip
    return Login(**fields | changes)


def make_link(link_id: str, account_id: str, **changes: Any) -> LoginLink:
    fields: dict[str, Any] = {
        "id": link_id, "account_id": account_id, "state": LinkState.MADE,
        "secret_hash": f"hash of {link_id}", "note": None, "require_uid": None, "made_by": "anna",
        "created_at": 0, "expires_at": 900,
    }  # fmt: skip
    return LoginLink(**fields | changes)


def make_proxy(proxy_id: str, **changes: Any) -> Proxy:
    fields: dict[str, Any] = {
        "id": proxy_id, "name": proxy_id, "server": "proxy.example:8080", "protocol": "http",
        "username": None, "has_password": False, "status": "active", "created_at": 0,
        "updated_at": 0,
    }  # fmt: skip
    return Proxy(**fields | changes)


def make_config(worker_id: str, **changes: Any) -> WorkerConfig:
    fields: dict[str, Any] = {
        "worker_id": worker_id, "command": None, "args": (), "env": {}, "proxy_id": None,
        "max_accounts": None, "auto_start": False, "auto_restart": False, "created_at": 0,
        "updated_at": 0,
    }  # fmt: skip
    return WorkerConfig(**fields | changes)


def make_device(device_id: str, **changes: Any) -> Device:
    fields: dict[str, Any] = {
        "device_id": device_id, "device_type": None, "device_name": None, "seen_seq": 0,
        "last_seen_at": 0, "created_at": 0,
    }  # fmt: skip
    return Device(**fields | changes)
