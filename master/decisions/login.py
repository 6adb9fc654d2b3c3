"""The states of a login session.

    pending --qrcode--> scanning --success--> success
       |                   |----failed------> failed
       +-------------------+----time--------> expired

`success` is also reached from pending: a worker whose stored cookies are still valid needs no scan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from master.errors import LoginClosed, UnknownStatus
from master.model import (
    LARGEST_EXACT,
    LOST,
    OPEN_SESSION,
    Account,
    Login,
    LoginStatus,
    SessionStatus,
)


class LoginEvent(StrEnum):
    """Events of a login session."""

    QRCODE = "qrcode"
    PROGRESS = "progress"
    SUCCESS = "success"
    FAILED = "failed"
    TIME = "time"


TRANSITIONS: Mapping[tuple[SessionStatus, LoginEvent], SessionStatus] = {
    (SessionStatus.PENDING, LoginEvent.QRCODE): SessionStatus.SCANNING,
    (SessionStatus.PENDING, LoginEvent.PROGRESS): SessionStatus.SCANNING,
    (SessionStatus.PENDING, LoginEvent.SUCCESS): SessionStatus.SUCCESS,
    (SessionStatus.PENDING, LoginEvent.FAILED): SessionStatus.FAILED,
    (SessionStatus.PENDING, LoginEvent.TIME): SessionStatus.EXPIRED,
    (SessionStatus.SCANNING, LoginEvent.QRCODE): SessionStatus.SCANNING,
    (SessionStatus.SCANNING, LoginEvent.PROGRESS): SessionStatus.SCANNING,
    (SessionStatus.SCANNING, LoginEvent.SUCCESS): SessionStatus.SUCCESS,
    (SessionStatus.SCANNING, LoginEvent.FAILED): SessionStatus.FAILED,
    (SessionStatus.SCANNING, LoginEvent.TIME): SessionStatus.EXPIRED,
}
"""Any other pair starts from an ended session and is refused as `login_closed`."""

REPORTED: Mapping[str, LoginEvent] = {
    **dict.fromkeys(
        ("qrcode_ready", "qrcode_refreshed", "qr_code_ready", "qr_code_refreshed"),
        LoginEvent.QRCODE,
    ),
    **dict.fromkeys(
        (
            "pending", "waiting", "scanning", "scanned", "confirming", "confirmed", "verifying",
            "sms_input_required", "sms_required", "captcha_required", "verification_required",
            "input_required", "input_submitted", "logging_in",
        ),
        LoginEvent.PROGRESS,
    ),
    **dict.fromkeys(("success", "succeeded", "logged_in", "ok"), LoginEvent.SUCCESS),
    **dict.fromkeys(("failed", "failure", "error", "cancelled", "canceled"), LoginEvent.FAILED),
    **dict.fromkeys(("timeout", "timed_out", "expired"), LoginEvent.TIME),
}  # fmt: skip
"""Statuses reported by workers, in lower case -> events. Any other status is refused by name."""


def fold_status(status: str) -> str:
    """Return a reported status as the known words are written."""
    return status.strip().lower().replace("-", "_").replace(" ", "_")


def read_status(status: str) -> LoginEvent:
    """Return the event that a reported status means, whatever its case. Errors: UnknownStatus."""
    try:
        return REPORTED[fold_status(status)]
    except KeyError:
        known = ", ".join(sorted(REPORTED))
        raise UnknownStatus(
            details=[{"field": "status", "message": f"unknown; known are {known}"}]
        ) from None


COOKIES_LAST_S = 604_800
SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How many seconds a login may stay open: `ttl_s` after each sign of progress, `max_s` in all.

    Each code, each report of progress and each input of a person is such a sign.
    """

    ttl_s: int = 300
    max_s: int = 600


def follow(status: SessionStatus, event: LoginEvent) -> SessionStatus:
    """Return the state that `event` leads to. Errors: LoginClosed if the session has ended."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise LoginClosed(f"This login is {status}; later reports change nothing.") from None


def is_open(login: Login, now: float) -> bool:
    """Tell whether the session still accepts reports.

    From `expires_at` on it does not, even before a sweep has ended it.
    """
    return login.status in OPEN_SESSION and now < login.expires_at


def require_open(login: Login, now: float) -> None:
    """Refuse a report for a session that has ended. Errors: LoginClosed."""
    if login.status not in OPEN_SESSION:
        raise LoginClosed(f"This login is {login.status}; later reports change nothing.")
    if now >= login.expires_at:
        raise LoginClosed("This login's time is up; later reports change nothing.")


def extend_deadline(login: Login, now: float, limits: LoginLimits) -> int:
    """Return `expires_at` after a sign of progress: `ttl_s` from now, up to `max_s` in all."""
    return min(int(now) + limits.ttl_s, login.created_at + limits.max_s)


def login_status_before(
    account: Account, before: LoginStatus | None, *, opens: bool
) -> LoginStatus:
    """Return the account's login status before this login, derived from its stored credentials.

    `before` is the recorded status; it decides only whether the cookies had lost their use. `opens`
    tells whether the stored secrets can be decrypted.
    """
    return _judge_stored(account, before, opens) or LoginStatus.NOT_LOGGED_IN


def login_status_after_failure(
    account: Account, before: LoginStatus | None, *, opens: bool
) -> LoginStatus:
    """Return the account's login status after its worker reported a failed login.

    A failed login does not invalidate stored cookies: an account with cookies that can be decrypted
    is still watched.
    """
    return _judge_stored(account, before, opens) or LoginStatus.LOGIN_FAILED


def _judge_stored(account: Account, before: LoginStatus | None, opens: bool) -> LoginStatus | None:
    """Return the login status that the stored credentials imply; None without credentials."""
    if not account.has_credentials:
        return None
    if not opens:
        return LoginStatus.CREDENTIALS_UNREADABLE
    return before if before in LOST else LoginStatus.LOGGED_IN


def choose_cookies_end(reported: int | None, now: float) -> int:
    """Return when cookies expire: the worker's value if in the future, else in seven days."""
    if reported is not None and reported > now:
        return reported
    return int(now) + COOKIES_LAST_S


def find_platform_user_id(user_info: Mapping[str, object] | None) -> str | None:
    """Return the account's id on its platform, under the first known name that has one; or None."""
    found = (read_id((user_info or {}).get(name)) for name in PLATFORM_IDS)
    return next((one for one in found if one is not None), None)


PLATFORM_IDS = ("platform_user_id", "douyin_id", "uid")
"""Names of a person's ids in profiles, the best first."""


def read_id(value: object) -> str | None:
    """Return an id of a profile as text; None if the value is none.

    A number that may have been rounded is none: two persons would become one.
    """
    if isinstance(value, int) and abs(value) > LARGEST_EXACT:
        return None
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()[:128]
    return None


def is_sane_session_id(wanted: str | None) -> bool:
    """Tell whether an administrator's own session id is well-formed."""
    return bool(wanted and SESSION_ID.fullmatch(wanted))
