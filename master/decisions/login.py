"""What a login session may become (protocol.md section 4).

    pending --qrcode--> scanning --success--> success
       |                   |----failed------> failed
       +-------------------+----time--------> expired

`success` is also reached from pending: a worker whose stored cookies still hold needs no scan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from master.errors import LoginClosed
from master.model import OPEN_SESSION, Account, Login, LoginStatus, SessionStatus


class LoginEvent(StrEnum):
    """What can happen to a login session."""

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
"""Every pair that is not here is refused as `login_closed`: all of them start from an ended session."""

REPORTED: Mapping[str, LoginEvent] = {
    "qrcode_ready": LoginEvent.QRCODE,
    "qrcode_refreshed": LoginEvent.QRCODE,
    "scanning": LoginEvent.PROGRESS,
    "scanned": LoginEvent.PROGRESS,
    "sms_input_required": LoginEvent.PROGRESS,
    "success": LoginEvent.SUCCESS,
    "failed": LoginEvent.FAILED,
    "error": LoginEvent.FAILED,
    "timeout": LoginEvent.TIME,
    "expired": LoginEvent.TIME,
}
"""The workers' words for what happens to a login. A word that is not here is relayed and changes nothing."""

COOKIES_LAST_S = 604_800
SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{8,128}")


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """How long a login may stay open, in seconds: after each QR code, and in all."""

    ttl_s: int = 300
    max_s: int = 600


def follow(status: SessionStatus, event: LoginEvent) -> SessionStatus:
    """Return the state that `event` leads to. Errors: LoginClosed if the session has ended."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise LoginClosed(
            f"This login is {status.value}; what comes later changes nothing."
        ) from None


def is_open(login: Login, now: float) -> bool:
    """Tell whether the session still takes reports: at `expires_at` its time is up, whether or not a sweep saw it."""
    return login.status in OPEN_SESSION and now < login.expires_at


def require_open(login: Login, now: float) -> None:
    """Refuse a report for a session that has ended. Errors: LoginClosed."""
    if login.status not in OPEN_SESSION:
        raise LoginClosed(f"This login is {login.status.value}; what comes later changes nothing.")
    if now >= login.expires_at:
        raise LoginClosed("This login's time is up; what comes later changes nothing.")


def extend_deadline(login: Login, now: float, limits: LoginLimits) -> int:
    """Return the new `expires_at` when a QR code arrives: the time starts again, up to the hard end."""
    return min(int(now) + limits.ttl_s, login.created_at + limits.max_s)


def login_status_before(account: Account, *, opens: bool) -> LoginStatus:
    """Return what the account's login status was before this login: what its stored credentials say.

    `opens` tells whether what is stored can be read.
    """
    return _judge_stored(account, opens) or LoginStatus.NOT_LOGGED_IN


def login_status_after_failure(account: Account, *, opens: bool) -> LoginStatus:
    """Return the account's login status once its worker says that the login failed.

    Stored cookies are not worse for a failed new login: such an account goes on being watched.
    """
    return _judge_stored(account, opens) or LoginStatus.LOGIN_FAILED


def _judge_stored(account: Account, opens: bool) -> LoginStatus | None:
    """Return what stored credentials alone say of a login; None if there are none."""
    if not account.has_credentials:
        return None
    return LoginStatus.LOGGED_IN if opens else LoginStatus.CREDENTIALS_UNREADABLE


def choose_cookies_end(reported: int | None, now: float) -> int:
    """Return until when cookies hold: the worker's value if it lies in the future, else seven days from now."""
    if reported is not None and reported > now:
        return reported
    return int(now) + COOKIES_LAST_S


def find_platform_user_id(user_info: Mapping[str, object] | None) -> str | None:
    """Return the account's own id on its platform, under whichever of the known names the worker sent it."""
    for name in ("platform_user_id", "douyin_id", "uid"):
        value = (user_info or {}).get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()[:128]
    return None


def is_sane_session_id(wanted: str | None) -> bool:
    """Tell whether an administrator's own session id can be kept."""
    return bool(wanted and SESSION_ID.fullmatch(wanted))
