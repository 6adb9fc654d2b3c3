"""Marks accounts whose stored secrets cannot be decrypted, until they can be again."""

from __future__ import annotations

import structlog

from master.decisions.account_state import enter_state
from master.model import LoginStatus
from master.operations.assignments import SHOWN
from master.store.accounts import find_unreadable_accounts, judge_account_secrets
from master.store.proxies import find_unreadable_proxies
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

UNREADABLE = LoginStatus.CREDENTIALS_UNREADABLE


async def find_unreadable(event: None, turn: Turn) -> set[str]:
    """Check every stored secret; return the accounts to check again in a turn.

    `mark_unreadable` is that turn. This check takes longer than a start, so it runs beside it.
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
    """Set the login status of accounts whose secrets cannot be decrypted, or can be again.

    An account with an open login keeps its status: it gets new secrets, or is checked when the
    login ends. Returns how many of a portion cannot be decrypted; later turns check the rest.
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
            why = str(UNREADABLE) if after is UNREADABLE else "credentials_readable"
            turn.draft.accounts.put(enter_state(account, turn.at, why, login_status=after))
    if broken:
        log.error("credentials_unreadable", count=len(broken), accounts=broken[:SHOWN])
    return len(broken)
