"""Logins on the simulated platform: their plans, and the profiles that they bring."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from master.model import JsonObject
from simulator.chance import open_stream
from simulator.scenario import Scenario
from simulator.truth.ledger import SECRET_MARK

NAMES = ("小鹿", "阿杰", "Mia", "豆豆", "晨曦", "Leo", "一只猫", "南风", "Ada", "老王")
FAILURES = ("二维码登录被拒绝", "账号存在风险，请稍后再试", "network error while logging in")

VISITOR_S = 20.0
"""How long the simulated owner leaves a visitor's code alone before scanning it after all."""


class LoginView(StrEnum):
    """The state that a browser on the login page sees."""

    WAITING = "waiting"
    SCANNED = "scanned"
    CODE_NEEDED = "code_needed"
    CONFIRMED = "confirmed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LoginPlan:
    """The course of one login. Times are seconds; `scan_after_s` is None without a scan."""

    browser_start_s: float
    scan_after_s: float | None
    confirm_after_s: float
    succeeds: bool
    needs_code: bool
    error: str


@dataclass(slots=True)
class OpenLogin:
    """One login page that is open. Times are monotonic seconds."""

    account_id: str
    plan: LoginPlan
    attempt: int
    stranger: str | None = None
    cookies_end: int | None = None
    code_typed: bool = False
    first_code_at: float | None = None
    code_at: float = 0.0
    codes: int = 0
    by_hand: bool = False

    def scan_by_hand(self, now: float) -> None:
        """Scan the code now, once; the login then succeeds, and is of the right person."""
        if self.first_code_at is not None and not self.by_hand:
            since = now - self.first_code_at
            self.plan = replace(self.plan, scan_after_s=since, succeeds=True)
            self.by_hand, self.stranger = True, None


class Visitors:
    """People who look at a demo, and may play the logins that they start."""

    def __init__(self) -> None:
        self.are_here = False
        self.planned: set[str] = set()
        """Logins that simulated administrators have started."""

    def own(self, session_id: str) -> bool:
        """Tell whether a visitor has started a login."""
        return self.are_here and session_id not in self.planned

    def find_wait_s(self, session_id: str, login: OpenLogin) -> float:
        """Return how much longer the simulated owner leaves the code of a login alone."""
        return VISITOR_S if self.own(session_id) and not login.by_hand else 0.0


def draw_login(scenario: Scenario, handle: str, attempt: int) -> LoginPlan:
    """Return the plan of an account's login number `attempt`; equal for equal seeds."""
    rng = open_stream(scenario.seed, "login", f"{handle}/{attempt}")
    fate, luck = rng.random(), rng.random()
    return LoginPlan(
        browser_start_s=rng.uniform(0.3, 1.5),
        scan_after_s=None
        if fate < scenario.never_scan_rate
        else rng.uniform(*scenario.scan_delay_s),
        confirm_after_s=rng.uniform(0.2, 2.0),
        succeeds=luck >= scenario.login_failure_rate,
        needs_code=rng.random() < scenario.sms_rate,
        error=rng.choice(FAILURES),
    )


def draw_profile(account_id: str, handle: str, person: str, run: str, rng: Random) -> JsonObject:
    """Return the cookies, user_info and fingerprint that a confirmed login brings."""
    return {
        "cookies": [
            {
                "name": "sessionid",
                "value": f"{SECRET_MARK}.{account_id}.{rng.getrandbits(64):016x}",
                "path": "/",
            },
            {
                "name": "passport",
                "value": f"{SECRET_MARK}.{account_id}.{rng.getrandbits(64):016x}",
                "path": "/",
            },
        ],
        "user_info": {
            "nickname": f"{rng.choice(NAMES)}{rng.randrange(1000)}",
            "avatar": f"https://img.example/{handle}.webp",
            "uid": f"u-{run}-{person}",
            "followers": rng.randrange(10, 2_000_000),
        },
        "fingerprint": {
            "userAgent": f"Mozilla/5.0 (X11; Linux x86_64) Chrome/{rng.randrange(118, 141)}.0.0.0",
            "viewport": {
                "width": rng.choice((1280, 1440, 1920)),
                "height": rng.choice((720, 900, 1080)),
            },
            "storage": f"{SECRET_MARK}.{rng.getrandbits(64):016x}",
        },
    }
