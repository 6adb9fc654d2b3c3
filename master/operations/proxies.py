"""Proxies are added, changed and removed by people; their passwords go to workers alone."""

from __future__ import annotations

import structlog

from master.errors import AlreadyExists, Conflict, Missing
from master.model import JsonObject, Proxy
from master.protocol.admin import show_proxy as show_row
from master.protocol.http import Listing, NewProxy, NoQuery, Page, ProxyChange, Request
from master.store import proxies as rows
from master.turn import Turn

log = structlog.get_logger(__name__)


async def list_proxies(event: Request[Page, None], turn: Turn) -> Listing:
    """List proxies by name."""
    found, total = await rows.list_proxies(turn.connection, limit=event.query.limit, offset=event.query.offset)
    return Listing([show_row(proxy) for proxy in found], total)


async def show_proxy(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Show one proxy."""
    return show_row(await find_proxy(event, turn))


async def find_proxy(event: Request[NoQuery, None], turn: Turn) -> Proxy:
    """Return one proxy with its password, for whoever connects to it."""
    proxy = await rows.find_proxy(turn.connection, event.path["id"])
    if proxy is None:
        raise Missing("There is no such proxy.")
    return proxy


async def add_proxy(event: Request[NoQuery, NewProxy], turn: Turn) -> JsonObject:
    """Add a proxy; its name is its own."""
    body = event.body
    await _require_free_name(turn, body.name, own_id=None)
    proxy = Proxy(
        id=turn.new_id(),
        name=body.name,
        server=body.server,
        protocol=body.protocol,
        username=body.username,
        password=body.password,
        status=body.status,
        created_at=turn.at,
        updated_at=turn.at,
    )
    await rows.add_proxy(turn.connection, proxy)
    log.info("proxy_added", proxy=proxy.id)
    return show_row(proxy)


async def change_proxy(event: Request[NoQuery, ProxyChange], turn: Turn) -> JsonObject:
    """Change what was given of a proxy; workers get it with their next login or assignment."""
    lookup = Request(NoQuery(), None, event.path)
    proxy = await find_proxy(lookup, turn)
    values = {name: getattr(event.body, name) for name in sorted(event.body.model_fields_set)}
    if "name" in values:
        await _require_free_name(turn, values["name"], own_id=proxy.id)
    if values:
        await rows.change_proxy(turn.connection, proxy.id, values, turn.at)
    return await show_proxy(lookup, turn)


async def remove_proxy(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Remove a proxy that no worker's configuration names."""
    proxy = await find_proxy(event, turn)
    users = await rows.find_users_of_proxy(turn.connection, proxy.id)
    if users:
        raise Conflict(
            "Worker configurations use this proxy; change them first.",
            details=[{"worker_id": worker_id} for worker_id in users],
        )
    await rows.remove_proxy(turn.connection, proxy.id)
    log.info("proxy_removed", proxy=proxy.id)
    return show_row(proxy)


async def _require_free_name(turn: Turn, name: str, *, own_id: str | None) -> None:
    twin = await rows.find_proxy_named(turn.connection, name)
    if twin is not None and twin.id != own_id:
        raise AlreadyExists("There is a proxy with this name already.", details=[{"id": twin.id}])
