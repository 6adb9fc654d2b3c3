"""Accounts as their workers get them: their secrets are read after the commit, and only to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from master.farm import Farm
from master.model import Account, LoginStatus, change
from master.protocol.worker import ProxyForWorker, show_account_to_worker
from master.store.accounts import read_account_secrets
from master.store.proxies import read_all_proxy_secrets
from master.store.sealing import Secrets
from master.store.sqlite.database import Database
from master.turn import HandOut, Turn

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Accounts that are shown in one stretch."""

NO_SECRETS = Secrets({}, {})


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the hand-outs of a group need: accounts that are still the workers', secrets, and each worker's proxy."""

    accounts: Mapping[str, Account]
    secrets: Mapping[str, Secrets]
    proxies: Mapping[str, ProxyForWorker | None]


async def fill_handouts(turns: Sequence[Turn], database: Database) -> tuple[Any, Any] | None:
    """Show what these turns hand out as workers get it: secrets are read in one query for all.

    What has changed hands since is left out. What does not open is shown without, and returned to be noted: an
    operation and its event. Errors: DBAPIError.
    """
    opened = await _open(turns, database)
    broken: dict[str, str] = {}
    known: dict[str, Any] = {}
    for turn in turns:
        for handout in turn.handouts:
            for account_id, epoch in handout.epochs.items():
                account = opened.accounts.get(account_id)
                # another turn of this group may have handed it out to somebody else: that one is shown
                if account is None or (account.epoch, account.assigned_worker_id) != (
                    epoch,
                    handout.worker_id,
                ):
                    continue
                secret = opened.secrets.get(account_id, NO_SECRETS)
                if secret.broken:
                    broken[account_id] = next(iter(secret.broken.values()))
                if (
                    account_id not in known
                ):  # who registers is shown an account twice: as its own, and to watch
                    known[account_id] = _show(
                        turn, handout, account, secret, opened.proxies[handout.worker_id]
                    )
                    if len(known) % AT_ONCE == 0:
                        await asyncio.sleep(0)
                handout.shown.append(known[account_id])
            if handout.is_task:
                handed = (account["id"] for account in handout.shown)
                turn.deadlines.handed_out.update(dict.fromkeys(handed, turn.monotonic))
    return (note_unreadable, broken) if broken else None


def _show(
    turn: Turn, handout: HandOut, account: Account, secret: Secrets, proxy: ProxyForWorker | None
) -> Any:
    if secret.broken and account.login_status is not LoginStatus.LOGGING_IN:
        account = change(account, login_status=LoginStatus.CREDENTIALS_UNREADABLE)
    # as text that is sent as it is: cookies are many small objects, and are told more than once
    opened = (
        {}
        if secret.broken
        else {name: _encode(value) for name, value in secret.opened.items() if value is not None}
    )
    wait_s = turn.deadlines.find_wait(account.id, handout.worker_id, turn.monotonic)
    return show_account_to_worker(account, opened, proxy, wait_s)


def _encode(value: Any) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(value))


async def _open(turns: Sequence[Turn], database: Database) -> _Opened:
    handouts = [handout for turn in turns for handout in turn.handouts]
    farm = turns[0].draft.memory.farm
    accounts = _find_current(farm, handouts)
    sealed = tuple(
        one.id
        for one in accounts.values()
        if one.has_credentials or one.has_fingerprint or one.has_profile
    )
    proxies = {
        handout.worker_id: turns[0].draft.proxy_of(handout.worker_id) for handout in handouts
    }
    locked = sorted(
        {proxy.id for proxy in proxies.values() if proxy is not None and proxy.has_password}
    )
    secrets: dict[str, Secrets] = {}
    passwords: dict[str, Secrets] = {}
    if sealed or locked:
        async with database.read(by="writer") as connection:
            secrets = await read_account_secrets(connection, sealed)
            passwords = await read_all_proxy_secrets(connection, locked)
    for proxy_id, password in passwords.items():
        for reason in password.broken.values():
            # the proxy then refuses the worker; without the proxy, accounts would be seen at a strange address
            log.error("proxy_password_unreadable", proxy=proxy_id, reason=reason)
    shown = {
        worker_id: None
        if proxy is None
        else ProxyForWorker(
            proxy.server,
            proxy.protocol,
            proxy.username,
            passwords.get(proxy.id, NO_SECRETS).opened.get("password"),
        )
        for worker_id, proxy in proxies.items()
    }
    return _Opened(accounts, secrets, shown)


def _find_current(farm: Farm, handouts: Iterable[HandOut]) -> dict[str, Account]:
    """Return the accounts that are still held as they were handed out."""
    return {
        account_id: account
        for handout in handouts
        for account_id, epoch in handout.epochs.items()
        if (account := farm.accounts.get(account_id)) is not None
        and (account.epoch, account.assigned_worker_id) == (epoch, handout.worker_id)
    }


def note_unreadable(event: Mapping[str, str], turn: Turn) -> int:
    """Note that what is stored of these accounts does not open; `event` is account -> why. Returns how many are new.

    A login under way decides for itself what its account becomes.
    """
    noted = 0
    for account_id, reason in event.items():
        account = turn.draft.accounts.get(account_id)
        if account is None or account.login_status in (
            LoginStatus.CREDENTIALS_UNREADABLE,
            LoginStatus.LOGGING_IN,
        ):
            continue
        status = LoginStatus.CREDENTIALS_UNREADABLE
        turn.draft.accounts.put(change(account, login_status=status, updated_at=turn.at))
        log.error("credentials_unreadable", account=account_id, reason=reason)
        noted += 1
    return noted
