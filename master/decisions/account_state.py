"""The states of accounts: what workers report of them, and when people are told that cookies end.

Source: protocol.md section 1, `worker:account:status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from master.errors import UnknownStatus
from master.model import Account, AccountStatus, LoginStatus, Priority
from master.record import change

S = TypeVar("S", bound=StrEnum)

LOGIN_WORDS: Mapping[str, LoginStatus] = {
    **dict.fromkeys(("logged_in", "online", "valid"), LoginStatus.LOGGED_IN),
    **dict.fromkeys(
        ("logged_out", "not_logged_in", "offline", "logout", "kicked_out"), LoginStatus.LOGGED_OUT
    ),
    **dict.fromkeys(
        ("expired", "cookies_expired", "session_expired", "invalid"), LoginStatus.EXPIRED
    ),
    **dict.fromkeys(
        ("needs_verification", "verification_required", "captcha", "captcha_required"),
        LoginStatus.NEEDS_VERIFICATION,
    ),
}
"""Words of workers for `login_status`, folded -> states. Any other word is refused by name."""

ACCOUNT_WORDS: Mapping[str, AccountStatus] = {
    **dict.fromkeys(("active", "normal", "ok"), AccountStatus.ACTIVE),
    **dict.fromkeys(("banned", "blocked", "suspended", "disabled"), AccountStatus.BANNED),
    **dict.fromkeys(("restricted", "limited", "muted"), AccountStatus.RESTRICTED),
    **dict.fromkeys(("error", "failed"), AccountStatus.ERROR),
}
"""Words of workers for `account_status`, folded -> states."""

BY_WORKERS = frozenset({AccountStatus.BANNED, AccountStatus.RESTRICTED, AccountStatus.ERROR})
"""States that a worker may end by reporting `active`; any other is a person's choice."""

PRIORITIES: Mapping[StrEnum, Priority] = {
    AccountStatus.BANNED: Priority.URGENT,
    LoginStatus.NEEDS_VERIFICATION: Priority.URGENT,
    AccountStatus.ERROR: Priority.HIGH,
    AccountStatus.RESTRICTED: Priority.HIGH,
    LoginStatus.EXPIRED: Priority.HIGH,
    LoginStatus.LOGGED_OUT: Priority.HIGH,
}
"""Priorities of the notifications on states that are worse than before."""

HOUR_S, DAY_S = 3_600, 86_400
WARNED_BEFORE_S = (DAY_S, HOUR_S, 0)
"""How long before their cookies end people are told, once each; 0 is the end itself."""

ALL_TOLD = len(WARNED_BEFORE_S)


def read_word(words: Mapping[str, S], said: str, field: str) -> S:
    """Return the state that a worker's word means. Errors: UnknownStatus."""
    try:
        return words[said.strip().lower().replace("-", "_").replace(" ", "_")]
    except KeyError:
        known = ", ".join(sorted(words))
        raise UnknownStatus(
            details=[{"field": field, "message": f"unknown; known are {known}"}]
        ) from None


def is_outdated(observed_at: int | None, account: Account, now: int) -> bool:
    """Tell whether an observation is surely older than the account's last login.

    A login in the future proves nothing: the wall clock was set back since.
    """
    login = account.last_login_time
    return observed_at is not None and login is not None and observed_at < login <= now


def enter_state(
    account: Account, now: int, reason: str, detail: str | None = None, **states: Any
) -> Account:
    """Return an account in new states (`status`, `login_status`), with since when and why.

    An account that is in these states already stays as it is. A login under way is no state of its
    own: since and why remain those of the state before.
    """
    if all(getattr(account, name) is state for name, state in states.items()):
        return account
    changed = change(account, updated_at=now, **states)
    if LoginStatus.LOGGING_IN in (states.get("login_status"), account.login_status) and (
        "status" not in states
    ):
        return changed
    return change(changed, state_since=now, state_reason=reason, state_detail=detail)


def set_login_status(
    account: Account, status: LoginStatus, before: LoginStatus | None, now: int, reason: str
) -> Account:
    """Return an account after a login has ended without success.

    `before` is its status before that login: if it is the same again, since and why remain.
    """
    changed = change(account, login_status=status, updated_at=now)
    if status is before:
        return changed
    return change(changed, state_since=now, state_reason=reason, state_detail=None)


def find_next_warning(account: Account) -> int | None:
    """Return when people must be told next that the account's cookies end (Unix seconds).

    None if they need not be told: the account is not logged in, or they have been told of the end.
    """
    if (
        account.login_status is not LoginStatus.LOGGED_IN
        or account.cookies_valid_until is None
        or account.cookies_told >= ALL_TOLD
    ):
        return None
    return account.cookies_valid_until - WARNED_BEFORE_S[account.cookies_told]


def count_past_warnings(cookies_valid_until: int, now: float) -> int:
    """Return how many warnings are past at a login: cookies of an hour need none a day before."""
    return sum(cookies_valid_until - before <= now for before in WARNED_BEFORE_S if before)
