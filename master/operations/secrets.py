"""Stored secrets that do not open are said of their accounts, and no longer said once they open again."""

from __future__ import annotations

import structlog

from master.model import LoginStatus, change
from master.operations.assignments import SHOWN
from master.store.accounts import find_unreadable_accounts, judge_account_secrets
from master.store.proxies import find_unreadable_proxies
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

UNREADABLE = LoginStatus.CREDENTIALS_UNREADABLE


async def find_unreadable(event: None, turn: Turn) -> set[str]:
    """Look at every stored secret, and return the accounts to be looked at again in a turn (`mark_unreadable`).

    It takes longer than a start, and is done beside it.
    """
    found = await find_unreadable_accounts(turn.connection)
    proxies = await find_unreadable_proxies(turn.connection)
    if proxies:
        log.error("proxy_password_unreadable", count=len(proxies), proxies=sorted(proxies)[:SHOWN])
    marked = {
        account.id for account in turn.draft.accounts.all() if account.login_status is UNREADABLE
    }
    return found | marked


def mark_unreadable(event: set[str], turn: Turn) -> int:
    """Let login statuses say whose secrets do not open, and no longer say it of those that open again.

    An account that is being logged in keeps its status: it will have new ones, or be looked at when that ends. Returns
    how many of a portion do not open; the rest has the next turns.
    """
    names = sorted(event)
    if left := names[PORTION:]:
        turn.go_on(mark_unreadable, set(left))
    accounts = [
        account
        for name in names[:PORTION]
        if (account := turn.draft.accounts.get(name)) is not None
    ]
    if not accounts:
        return 0
    secrets = turn.fetch(judge_account_secrets, tuple(account.id for account in accounts))
    broken = []
    for account in accounts:
        secret = secrets.get(account.id)
        status = account.login_status
        if secret is not None and secret.broken:
            broken.append(account.id)
            after = status if status is LoginStatus.LOGGING_IN else UNREADABLE
        elif status is UNREADABLE:
            after = LoginStatus.LOGGED_IN if account.has_credentials else LoginStatus.NOT_LOGGED_IN
        else:
            after = status
        if after is not status:
            turn.draft.accounts.put(change(account, login_status=after, updated_at=turn.at))
    if broken:
        log.error("credentials_unreadable", count=len(broken), accounts=broken[:SHOWN])
    return len(broken)
