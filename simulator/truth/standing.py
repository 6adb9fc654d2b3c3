"""How accounts stand with their platform: who is logged in, banned or restricted, and why."""

from __future__ import annotations

from dataclasses import dataclass

from master.clock import Clock
from master.model import AccountStatus, LoginStatus

REASONS = {
    LoginStatus.LOGGED_IN: "session_valid",
    LoginStatus.LOGGED_OUT: "kicked_out",
    LoginStatus.EXPIRED: "cookies_expired",
    LoginStatus.NEEDS_VERIFICATION: "captcha",
}
"""The reasons that workers give for what they see of a session."""


@dataclass(slots=True)
class Standing:
    """One account. `cookies_end` is Unix seconds; None: the cookies outlast the run."""

    login: LoginStatus = LoginStatus.LOGGED_IN
    status: AccountStatus = AccountStatus.ACTIVE
    cookies_end: int | None = None


class Standings:
    """The standing of every account; without mishaps, all are logged in and active."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, Standing] = {}

    def begin_session(self, account_id: str, cookies_end: int | None) -> None:
        """Note a new login: whatever ended the session before is over."""
        standing = self._find(account_id)
        standing.login, standing.cookies_end = LoginStatus.LOGGED_IN, cookies_end

    def end_session(self, account_id: str, state: LoginStatus) -> None:
        """End the account's session; its cookies open nothing until the next login."""
        self._find(account_id).login = state

    def judge(self, account_id: str, status: AccountStatus) -> None:
        """Ban or restrict an account, or let it be as before."""
        self._find(account_id).status = status

    def look(self, account_id: str) -> tuple[LoginStatus, AccountStatus]:
        """Return what a browser with the account's cookies sees."""
        standing = self._known.get(account_id)
        if standing is None:
            return LoginStatus.LOGGED_IN, AccountStatus.ACTIVE
        end = standing.cookies_end
        if standing.login is LoginStatus.LOGGED_IN and end is not None and end <= self._clock.now():
            standing.login = LoginStatus.EXPIRED
        return standing.login, standing.status

    def _find(self, account_id: str) -> Standing:
        return self._known.setdefault(account_id, Standing())
