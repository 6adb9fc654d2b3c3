"""A worker's equipment as people read it: its proxy and the configuration of its process."""

from __future__ import annotations

from master.model import Proxy, Scope, WorkerConfig
from master.protocol.answers import ShownConfig, ShownProxy
from master.protocol.proxies import ProxyUsers, ShownLastTrial
from master.protocol.shown import render_arguments


def render_proxy(
    proxy: Proxy,
    *,
    password_unreadable: bool,
    used_by: ProxyUsers,
    last_trial: ShownLastTrial | None,
) -> ShownProxy:
    """Return a proxy without its password."""
    return {
        "id": proxy.id,
        "name": proxy.name,
        "server": proxy.server,
        "protocol": proxy.protocol,
        "username": proxy.username,
        "has_password": proxy.has_password,
        "password_unreadable": password_unreadable,
        "status": proxy.status,
        "created_at": proxy.created_at,
        "updated_at": proxy.updated_at,
        "used_by": used_by,
        "last_trial": last_trial,
    }


def render_worker_config(config: WorkerConfig, scope: Scope) -> ShownConfig:
    """Return a worker's process configuration as a caller with this scope may read it.

    Values of environment variables may be secrets, so only their names are included. Arguments
    may be secrets too: below scope `admin`, which alone may set them, only option names are
    included.
    """
    return {
        "id": config.worker_id,
        "worker_id": config.worker_id,
        "command": config.command,
        "args": render_arguments(config.args, scope),
        "env": sorted(config.env),
        "proxy_id": config.proxy_id,
        "max_accounts": config.max_accounts,
        "auto_start": config.auto_start,
        "auto_restart": config.auto_restart,
        "verified": config.verified,
        "created_at": config.created_at,
        "updated_at": config.updated_at,
    }
