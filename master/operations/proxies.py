"""Administrators add, change and remove proxies; their passwords are sent to workers only."""

from __future__ import annotations

import structlog

from master.errors import AlreadyExists, Conflict, Missing
from master.model import Proxy, change
from master.protocol.answers import Listing, ShownProxy
from master.protocol.equipment import show_proxy as show_row
from master.protocol.http import ById, NewProxy, Page, ProxyChange
from master.secret import Broken, Secret
from master.store.proxies import read_all_proxy_secrets, read_proxy_secrets
from master.turn import Turn

log = structlog.get_logger(__name__)

SHOWN_USERS = 20


async def list_proxies(event: Page, turn: Turn) -> Listing[ShownProxy]:
    """List proxies by name."""
    proxies = sorted(turn.draft.proxies.all(), key=lambda proxy: (proxy.name, proxy.id))
    page = proxies[event.offset : event.offset + event.limit]
    secrets = await read_all_proxy_secrets(turn.connection, [proxy.id for proxy in page])
    broken = {proxy_id for proxy_id, secret in secrets.items() if secret.broken}
    return Listing(
        [show_row(proxy, password_unreadable=proxy.id in broken) for proxy in page], len(proxies)
    )


async def show_proxy(event: ById, turn: Turn) -> ShownProxy:
    """Return one proxy, without its password."""
    proxy = _find(turn, event.id)
    secrets = await read_proxy_secrets(turn.connection, proxy.id)
    return show_row(proxy, password_unreadable=bool(secrets.broken))


async def find_proxy(event: ById, turn: Turn) -> tuple[Proxy, Secret[str] | None]:
    """Return one proxy with its password, to connect to it."""
    proxy = _find(turn, event.id)
    secrets = await read_proxy_secrets(turn.connection, proxy.id)
    if secrets.broken:
        return proxy, Broken(secrets.broken["password"])
    password = secrets.opened["password"]
    return proxy, None if password is None else Secret(password)


def add_proxy(event: NewProxy, turn: Turn) -> ShownProxy:
    """Add a proxy; its name must be unique."""
    _require_free_name(turn, event.name, own_id=None)
    proxy = Proxy(
        id=turn.new_id(),
        name=event.name,
        server=event.server,
        protocol=event.protocol,
        username=event.username,
        has_password=event.password is not None,
        status=event.status,
        created_at=turn.at,
        updated_at=turn.at,
    )
    turn.draft.proxies.put(proxy)
    if event.password is not None:
        turn.draft.keep("proxies", proxy.id, {"password": event.password})
    log.info("proxy_added", proxy=proxy.id)
    return show_row(proxy, password_unreadable=False)


def change_proxy(event: ProxyChange, turn: Turn) -> ShownProxy:
    """Change a proxy; workers receive it with their next login or assignment."""
    proxy = _find(turn, event.id)
    event.require_unchanged(show_row(proxy, password_unreadable=_is_unreadable(turn, proxy)))
    values = event.list_named()
    if "name" in values:
        _require_free_name(turn, values["name"], own_id=proxy.id)
    unreadable = False
    if "password" in values:
        password = values.pop("password")
        turn.draft.keep("proxies", proxy.id, {"password": password})
        proxy = change(proxy, has_password=password is not None, updated_at=turn.at)
    else:
        unreadable = _is_unreadable(turn, proxy)
    if values:
        proxy = change(proxy, **values, updated_at=turn.at)
    turn.draft.proxies.put(proxy)
    return show_row(proxy, password_unreadable=unreadable)


def _is_unreadable(turn: Turn, proxy: Proxy) -> bool:
    return (
        proxy.has_password
        and not turn.draft.has_kept("proxies", proxy.id)
        and bool(turn.fetch(read_proxy_secrets, proxy.id).broken)
    )


def remove_proxy(event: ById, turn: Turn) -> ShownProxy:
    """Remove a proxy that no configuration uses."""
    proxy = _find(turn, event.id)
    users = sorted(config.worker_id for config in turn.draft.configs.find("proxy", proxy.id))
    if users:
        raise Conflict(
            "Worker configurations use this proxy; change them first.",
            details=[{"worker_id": worker_id} for worker_id in users[:SHOWN_USERS]],
        )
    unreadable = proxy.has_password and bool(turn.fetch(read_proxy_secrets, proxy.id).broken)
    turn.draft.proxies.remove(proxy.id)
    log.info("proxy_removed", proxy=proxy.id)
    return show_row(proxy, password_unreadable=unreadable)


def _find(turn: Turn, proxy_id: str) -> Proxy:
    proxy = turn.draft.proxies.get(proxy_id)
    if proxy is None:
        raise Missing("There is no such proxy.")
    return proxy


def _require_free_name(turn: Turn, name: str, *, own_id: str | None) -> None:
    twin = turn.draft.proxies.first("name", name)
    if twin is not None and twin.id != own_id:
        raise AlreadyExists("There is a proxy with this name already.", details=[{"id": twin.id}])
