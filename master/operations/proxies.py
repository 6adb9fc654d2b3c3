"""Administrators add, change and remove proxies; their passwords are sent to workers only."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest
from operator import attrgetter

import structlog

from master.errors import AlreadyExists, Conflict, Missing, ProxyUnreadable
from master.model import Account, Proxy
from master.operations.assignments import hand_out
from master.protocol import equipment
from master.protocol.answers import Listing, ShownProxy
from master.protocol.http import ById, NewProxy, ProxyChange
from master.protocol.lists import Page
from master.protocol.proxies import ShownLastTrial
from master.protocol.worker import ProxyForWorker
from master.record import change
from master.secret import Broken, Secret
from master.store.proxies import read_all_proxy_secrets, read_proxy_secrets
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

SHOWN_USERS = 20


async def list_proxies(event: Page, turn: Turn) -> Listing[ShownProxy]:
    """List proxies by name."""
    proxies = sorted(turn.draft.proxies.all(), key=lambda proxy: (proxy.name, proxy.id))
    page = proxies[event.offset : event.offset + event.limit]
    secrets = await read_all_proxy_secrets(turn.connection, [proxy.id for proxy in page])
    broken = {proxy_id for proxy_id, secret in secrets.items() if secret.broken}
    return Listing(
        [_render(turn, proxy, password_unreadable=proxy.id in broken) for proxy in page],
        len(proxies),
    )


async def show_proxy(event: ById, turn: Turn) -> ShownProxy:
    """Return one proxy, without its password."""
    proxy = _find(turn, event.id)
    secrets = await read_proxy_secrets(turn.connection, proxy.id)
    return _render(turn, proxy, password_unreadable=bool(secrets.broken))


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
    return _render(turn, proxy, password_unreadable=False)


def change_proxy(event: ProxyChange, turn: Turn) -> ShownProxy:
    """Change a proxy; the workers of the accounts that use it are told at once."""
    proxy = _find(turn, event.id)
    is_unreadable = _is_unreadable(turn, proxy)
    event.require_unchanged(_render(turn, proxy, password_unreadable=is_unreadable))
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
    if event.list_named().keys() - {"name"}:
        turn.go_on(tell_users, Users(proxy.id))
    return _render(turn, proxy, password_unreadable=unreadable)


@dataclass(frozen=True, slots=True)
class Users:
    """The accounts that use a proxy, behind one of them in the order of ids."""

    proxy_id: str
    after: str = ""


def tell_users(event: Users, turn: Turn) -> int:
    """Send the accounts that use a proxy to their workers again, a portion per turn."""
    draft = turn.draft
    users = [*draft.accounts.find("proxy", event.proxy_id)]
    for config in draft.configs.find("proxy", event.proxy_id):
        own = draft.accounts.find("owner", config.worker_id)
        users += [one for one in own if one.proxy_id != event.proxy_id]
    later = (one for one in users if one.id > event.after and one.assigned_worker_id is not None)
    some = nsmallest(PORTION, later, key=attrgetter("id"))
    if len(some) == PORTION:
        turn.go_on(tell_users, Users(event.proxy_id, some[-1].id))
    of_worker: dict[str, list[Account]] = {}
    for account in some:
        of_worker.setdefault(account.assigned_worker_id or "", []).append(account)
    hand_out(turn, of_worker)
    return len(some)


def _is_unreadable(turn: Turn, proxy: Proxy) -> bool:
    return (
        proxy.has_password
        and not turn.draft.has_kept("proxies", proxy.id)
        and bool(turn.fetch(read_proxy_secrets, proxy.id).broken)
    )


def remove_proxy(event: ById, turn: Turn) -> ShownProxy:
    """Remove a proxy that no account and no configuration uses."""
    proxy = _find(turn, event.id)
    workers = sorted(one.worker_id for one in turn.draft.configs.find("proxy", proxy.id))
    accounts = sorted(one.id for one in turn.draft.accounts.find("proxy", proxy.id))
    if workers or accounts:
        users = [{"worker_id": name} for name in workers]
        users += [{"account_id": name} for name in accounts[:SHOWN_USERS]]
        raise Conflict(
            f"{len(accounts)} accounts and {len(workers)} worker configurations use this proxy; "
            "change them first.",
            details=users[:SHOWN_USERS],
        )
    unreadable = proxy.has_password and bool(turn.fetch(read_proxy_secrets, proxy.id).broken)
    turn.draft.proxies.remove(proxy.id)
    turn.after_commit(lambda: turn.draft.memory.trials.pop(proxy.id, None))
    log.info("proxy_removed", proxy=proxy.id)
    return _render(turn, proxy, password_unreadable=unreadable)


def note_trial(event: tuple[str, ShownLastTrial], turn: Turn) -> None:
    """Remember the newest trial of a proxy for as long as this process runs."""
    proxy_id, trial = event
    if turn.draft.proxies.get(proxy_id) is not None:
        turn.after_commit(lambda: turn.draft.memory.trials.update({proxy_id: trial}))


def _render(turn: Turn, proxy: Proxy, *, password_unreadable: bool) -> ShownProxy:
    draft = turn.draft
    return equipment.render_proxy(
        proxy,
        password_unreadable=password_unreadable,
        used_by={
            "accounts": sum(1 for _ in draft.accounts.find("proxy", proxy.id)),
            "workers": sum(1 for _ in draft.configs.find("proxy", proxy.id)),
        },
        last_trial=draft.memory.trials.get(proxy.id),
    )


def _find(turn: Turn, proxy_id: str) -> Proxy:
    proxy = turn.draft.proxies.get(proxy_id)
    if proxy is None:
        raise Missing("There is no such proxy.")
    return proxy


def _require_free_name(turn: Turn, name: str, *, own_id: str | None) -> None:
    twin = turn.draft.proxies.first("name", name)
    if twin is not None and twin.id != own_id:
        raise AlreadyExists("There is a proxy with this name already.", details=[{"id": twin.id}])


def open_login_proxy(turn: Turn, account: Account, worker_id: str) -> ProxyForWorker | None:
    """Return the proxy that a login must use, or None. Errors: ProxyUnreadable.

    There is no fallback: a login from another address looks like a theft.
    """
    proxy = turn.draft.proxy_of(account, worker_id)
    if proxy is None:
        return None
    password = None
    if proxy.has_password:
        secrets = turn.fetch(read_proxy_secrets, proxy.id)
        if secrets.broken:
            raise ProxyUnreadable
        password = secrets.opened["password"]
    return ProxyForWorker(proxy.server, proxy.protocol, proxy.username, password)
