"""Fills hand-outs: secrets are read after the commit, and only to be sent to their worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from master.decisions.account_state import enter_state
from master.farm import Farm
from master.model import Account, LoginStatus
from master.protocol.worker import ProxyForWorker, render_account_to_worker
from master.record import change
from master.store.accounts import read_account_secrets
from master.store.proxies import read_all_proxy_secrets
from master.store.sealing import Secrets
from master.store.sqlite.database import Database
from master.turn import HandOut, Turn

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Accounts rendered in one stretch."""

NO_SECRETS = Secrets({}, {})


@dataclass(frozen=True, slots=True)
class _Opened:
    """Inputs of a batch's hand-outs: accounts, their secrets, and the proxies by account.

    Only accounts that their workers still own are included.
    """

    accounts: Mapping[str, Account]
    secrets: Mapping[str, Secrets]
    proxies: Mapping[str, ProxyForWorker]


async def fill_handouts(turns: Sequence[Turn], database: Database) -> tuple[Any, Any] | None:
    """Fill the hand-outs of these turns; one query reads the secrets of all.

    Accounts that have changed owners since are left out. An account whose secrets cannot be
    decrypted is included without them; the operation that records this is returned with its event,
    or None if all could be decrypted. Errors: DBAPIError.
    """
    opened = await _open(turns, database)
    broken: dict[str, str] = {}
    known: dict[str, Any] = {}
    for turn in turns:
        for handout in turn.handouts:
            for account_id, epoch in handout.epochs.items():
                account = opened.accounts.get(account_id)
                # another turn of this batch may have reassigned it: only its present owner gets it
                if account is None or (account.epoch, account.assigned_worker_id) != (
                    epoch,
                    handout.worker_id,
                ):
                    continue
                secret = opened.secrets.get(account_id, NO_SECRETS)
                if secret.broken:
                    broken[account_id] = next(iter(secret.broken.values()))
                # a registration sends an account twice: in its answer, and as one to watch
                if account_id not in known:
                    proxy = opened.proxies.get(account_id)
                    known[account_id] = _render(turn, handout, account, secret, proxy)
                    if len(known) % AT_ONCE == 0:
                        await asyncio.sleep(0)
                handout.shown.append(known[account_id])
            if handout.is_task:
                handed = (account["id"] for account in handout.shown)
                turn.deadlines.handed_out.update(dict.fromkeys(handed, turn.monotonic))
    return (note_unreadable, broken) if broken else None


def _render(
    turn: Turn, handout: HandOut, account: Account, secret: Secrets, proxy: ProxyForWorker | None
) -> Any:
    if secret.broken and account.login_status is not LoginStatus.LOGGING_IN:
        account = change(account, login_status=LoginStatus.CREDENTIALS_UNREADABLE)
    # encoded only once: cookies are many small objects, and are sent more than once
    opened = (
        {}
        if secret.broken
        else {name: _encode(value) for name, value in secret.opened.items() if value is not None}
    )
    wait_s = turn.deadlines.find_wait(account.id, handout.worker_id, turn.monotonic)
    return render_account_to_worker(account, opened, proxy, wait_s)


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
    find_proxy = turns[0].draft.proxy_of
    proxies = {
        one.id: proxy
        for one in accounts.values()
        if (proxy := find_proxy(one, one.assigned_worker_id or "")) is not None
    }
    locked = sorted({proxy.id for proxy in proxies.values() if proxy.has_password})
    secrets: dict[str, Secrets] = {}
    passwords: dict[str, Secrets] = {}
    if sealed or locked:
        async with database.read(by="writer") as connection:
            secrets = await read_account_secrets(connection, sealed)
            passwords = await read_all_proxy_secrets(connection, locked)
    for proxy_id, password in passwords.items():
        for reason in password.broken.values():
            # without the password the proxy refuses the worker; without the proxy, the platform
            # would see accounts at another address
            log.error("proxy_password_unreadable", proxy=proxy_id, reason=reason)
    shown = {
        proxy.id: ProxyForWorker(
            proxy.server,
            proxy.protocol,
            proxy.username,
            passwords.get(proxy.id, NO_SECRETS).opened.get("password"),
        )
        for proxy in proxies.values()
    }
    return _Opened(accounts, secrets, {name: shown[one.id] for name, one in proxies.items()})


def _find_current(farm: Farm, handouts: Iterable[HandOut]) -> dict[str, Account]:
    """Return the accounts whose owner and epoch are still those of their hand-out."""
    return {
        account_id: account
        for handout in handouts
        for account_id, epoch in handout.epochs.items()
        if (account := farm.accounts.get(account_id)) is not None
        and (account.epoch, account.assigned_worker_id) == (epoch, handout.worker_id)
    }


def note_unreadable(event: Mapping[str, str], turn: Turn) -> int:
    """Mark accounts whose stored secrets cannot be decrypted; return how many are new.

    `event` is account -> reason. An account with an open login keeps its status: the login decides
    it.
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
        turn.draft.accounts.put(enter_state(account, turn.at, str(status), login_status=status))
        log.error("credentials_unreadable", account=account_id, reason=reason)
        noted += 1
    return noted
