"""The fake social platform: it decides when people scan and which messages exist.

A login's states on the platform; its plan is drawn from the seed when it begins:

    waiting --scan--> scanned --(code typed)--> confirmed
       |                 |
       never             +--> failed
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from random import Random
from typing import Any

from master.clock import Clock
from master.model import JsonObject, MessageKind
from simulator.chance import draw_gap, open_stream
from simulator.scenario import Scenario
from simulator.truth.items import Item
from simulator.truth.ledger import SECRET_MARK
from simulator.truth.login_plans import (
    NAMES,
    LoginPlan,
    LoginView,
    OpenLogin,
    Visitors,
    draw_login,
    draw_profile,
)
from simulator.truth.mischief import Mischief
from simulator.truth.oddities import IDS, PERSON, show_truth
from simulator.truth.phrases import PHRASES
from simulator.truth.standing import Standings

PAGE = 20
"""How many of the latest messages a browser sees that opens an account for the first time."""

KEPT = 400
"""Messages per account that the platform lists at most, or one whole burst if that is more.

A browser that looks later misses the older ones.
"""

OLD_S = 86_400
"""Most seconds by which two messages of a history are apart."""

CODE_LASTS_S = 60.0
"""How long the platform's own QR code is valid before the worker must fetch a new one."""


@dataclass(slots=True)
class _Account:
    handle: str
    rng: Random
    rate_per_s: float
    attempts: int = 0
    next_at: float = float("inf")
    made: int = 0
    numbers: dict[MessageKind, int] = field(default_factory=lambda: dict.fromkeys(MessageKind, 0))
    shown: deque[Item] = field(default_factory=deque)
    kept: int = KEPT
    page: int = PAGE
    """How many messages a browser sees at first: more once a login has brought history."""

    def show(self, item: Item) -> None:
        """List one more message, and drop the oldest above the limit."""
        self.shown.append(item)
        while len(self.shown) > self.kept:
            self.shown.popleft()


class Platform:
    """One world of accounts, people and messages, equal for equal seeds.

    `run` is part of every id, so that two runs against one Master never produce the same message.
    """

    def __init__(self, scenario: Scenario, clock: Clock, run: str) -> None:
        self._scenario = scenario
        self._clock = clock
        self._run = run
        self._accounts: dict[str, _Account] = {}
        self._logins: dict[str, OpenLogin] = {}
        self._over = False
        self.visitors = Visitors()
        self.mischief = Mischief()
        self.standings = Standings(clock)
        self.remembers = False  # every message's truth; else only of those that are odd or edited
        self._edge: tuple[Random, float] | None = None
        self._mean_rate = scenario.rate_per_s / max(1, scenario.account_count)

    @property
    def produced(self) -> int:
        """Return how many messages have appeared so far."""
        return sum(account.made for account in self._accounts.values())

    def enroll(self, account_id: str, handle: str) -> None:
        """Register an account by the handle that seeds its random streams; ids differ by run."""
        rng = open_stream(self._scenario.seed, "messages", handle)
        self._accounts[account_id] = _Account(handle, rng, self._mean_rate * rng.uniform(0.4, 1.6))

    def stop_producing(self) -> None:
        """List no more messages."""
        self._over = True

    # -- logins ------------------------------------------------------------------------------------

    def begin_login(self, session_id: str, account_id: str) -> LoginPlan:
        """Open the login page for an account and return the login's plan."""
        account = self._find(account_id)
        account.attempts += 1
        plan = draw_login(self._scenario, account.handle, account.attempts)
        if self._edge is not None:
            rng, ttl_s = self._edge
            plan = replace(
                plan, scan_after_s=ttl_s + rng.choice((-2.1, -0.1, 0.0, 0.1)), confirm_after_s=0.0
            )
        others = [one.handle for name, one in self._accounts.items() if name != account_id]
        stranger = self.mischief.draw_stranger(lambda: others)
        self._logins[session_id] = OpenLogin(account_id, plan, account.attempts, stranger)
        return plan

    def scan_at_the_edge(self, rng: Random | None, ttl_s: float) -> None:
        """Let people scan about `ttl_s` after the first code, and some successes be reported twice.

        None as `rng` restores the usual scans.
        """
        self._edge = None if rng is None else (rng, ttl_s)

    def reports_twice(self) -> bool:
        """Draw whether a browser reports a login's success a second time."""
        return self._edge is not None and self._edge[0].random() < 0.5

    def end_login(self, session_id: str) -> None:
        """Close the login page."""
        self._logins.pop(session_id, None)
        self.visitors.planned.discard(session_id)

    def scan_by_hand(self, session_id: str) -> None:
        """Scan the code of a login now, as a visitor of the demo says."""
        login = self._logins.get(session_id)
        if login is not None:
            login.scan_by_hand(self._clock.monotonic())

    def is_played(self, session_id: str) -> bool:
        """Tell whether a visitor plays a login: any code is right then."""
        login = self._logins.get(session_id)
        return login is not None and (login.by_hand or self.visitors.own(session_id))

    def fetch_code(self, session_id: str) -> str:
        """Return the text of a fresh QR code."""
        login = self._logins[session_id]
        now = self._clock.monotonic()
        login.codes += 1
        login.code_at = now
        if login.first_code_at is None:
            login.first_code_at = now
        handle = self._accounts[login.account_id].handle
        return f"https://passport.example/scan?u={handle}&t={login.attempt}.{login.codes}"

    def look_at_login(self, session_id: str) -> LoginView:
        """Return the current state of the login page."""
        login = self._logins[session_id]
        plan = login.plan
        if login.first_code_at is None or plan.scan_after_s is None:
            return LoginView.WAITING
        scan_after_s = plan.scan_after_s + self.visitors.find_wait_s(session_id, login)
        since_scan = self._clock.monotonic() - login.first_code_at - scan_after_s
        if since_scan < 0:
            return LoginView.WAITING
        if plan.needs_code and not login.code_typed:
            return LoginView.CODE_NEEDED
        if since_scan < plan.confirm_after_s:
            return LoginView.SCANNED
        return LoginView.CONFIRMED if plan.succeeds else LoginView.FAILED

    def is_code_old(self, session_id: str) -> bool:
        """Return whether the QR code has expired at the platform and must be fetched anew."""
        return self._clock.monotonic() - self._logins[session_id].code_at > CODE_LASTS_S

    def read_phone(self, session_id: str) -> str | None:
        """Return the code that the account's owner received by SMS; None if the login is over."""
        login = self._logins.get(session_id)
        if login is None:
            return None
        rng = open_stream(
            self._scenario.seed, "sms", f"{self._accounts[login.account_id].handle}/{login.attempt}"
        )
        return f"{SECRET_MARK}-{rng.randrange(10**6):06d}"

    def type_code(self, session_id: str, value: str) -> bool:
        """Type an SMS code into the login page and return whether it was correct."""
        login = self._logins.get(session_id)
        is_right = value == self.read_phone(session_id) or self.is_played(session_id)
        if login is not None and is_right:
            login.code_typed = True
            return True
        return False

    def read_profile(self, session_id: str) -> JsonObject:
        """Return a confirmed login's cookies, user_info and fingerprint; its messages begin now."""
        login = self._logins[session_id]
        account = self._accounts[login.account_id]
        rng = open_stream(self._scenario.seed, "profile", f"{account.handle}/{login.attempt}")
        self._start_feed(account)
        life_s = self.mischief.draw_cookies_life()
        login.cookies_end = end = None if life_s is None else int(self._clock.now()) + life_s
        if login.stranger is None:
            self.standings.begin_session(login.account_id, end)
        self._show_history(login.account_id, account)
        person = login.stranger or account.handle
        profile = draw_profile(login.account_id, account.handle, person, self._run, rng)
        return profile if end is None else {**profile, "cookies_valid_until": end}

    def accept_stranger(self, session_id: str) -> None:
        """Begin the account's session, which only the right person's login begins by itself."""
        login = self._logins.get(session_id)
        if login is not None and login.stranger is not None:
            self.standings.begin_session(login.account_id, login.cookies_end)

    # -- messages ----------------------------------------------------------------------------------

    def accepts(self, account_id: str, credentials: Any) -> bool:
        """Return whether these are cookies that a simulated platform issued for this account."""
        cookies = credentials.get("cookies") if isinstance(credentials, dict) else None
        wanted = f"{SECRET_MARK}.{account_id}."
        return (
            isinstance(cookies, list)
            and bool(cookies)
            and all(
                isinstance(cookie, dict) and str(cookie.get("value", "")).startswith(wanted)
                for cookie in cookies
            )
        )

    def is_enrolled(self, account_id: str) -> bool:
        """Return whether the account belongs to this run."""
        return account_id in self._accounts

    def burst(self, account_ids: Sequence[str], count: int) -> None:
        """Add `count` messages at once, spread evenly over these accounts; all are listed."""
        for index, account_id in enumerate(account_ids):
            account = self._find(account_id)
            share = len(range(index, count, len(account_ids)))
            account.kept = max(KEPT, share)
            for _ in range(share):
                account.show(self._make_item(account_id, account))

    def _show_history(self, account_id: str, account: _Account) -> None:
        """List the old messages that a new login brings, all at once."""
        count = self.mischief.draw_history()
        if not count:
            return
        account.kept = max(KEPT, count + PAGE)
        account.page = count + PAGE
        for back in range(count, 0, -1):
            account.show(self._make_item(account_id, account, back * OLD_S // count))

    def edit(self, account_id: str, rng: Random) -> bool:
        """Let an author change the text of a listed message; False if none can be changed.

        Browsers see the present text alone, once more.
        """
        account = self._find(account_id)
        item = self._choose_plain(account, rng)
        if item is None:
            return False
        text = f"{item.payload['content']}（已编辑 {rng.randrange(1_000)}）"
        account.made += 1
        edited = replace(
            item,
            position=account.made,
            payload={**item.payload, "content": text},
            truth={**show_truth(item.kind, item.payload), "content": text},
            is_plain=False,
        )
        account.shown.remove(item)
        account.show(edited)
        return True

    def use_id_again(self, account_id: str, rng: Random) -> bool:
        """Let a message of another conversation have the id of a listed one; False without one."""
        account = self._find(account_id)
        item = self._choose_plain(account, rng)
        if item is None:
            return False
        account.made += 1
        account.numbers[item.kind] += 1
        number = account.numbers[item.kind]
        name = str(item.payload[IDS[item.kind]])
        payload = {
            **item.payload,
            "content": rng.choice(PHRASES),
            PERSON[item.kind][1]: f"other-{rng.randrange(100_000)}",
            "created_at": int(self._clock.now()),
        }
        self.mischief.names[account_id, item.kind, number] = name
        self.mischief.conversations[name] += 1
        account.shown[account.shown.index(item)] = replace(item, is_plain=False)
        truth = show_truth(item.kind, payload)
        account.show(Item(account.made, item.kind, number, payload, truth, is_plain=False))
        return True

    def _choose_plain(self, account: _Account, rng: Random) -> Item | None:
        plain = [item for item in account.shown if item.is_plain]
        return rng.choice(plain[-PAGE:]) if plain else None

    def look_at_messages(self, account_id: str, after: int | None) -> Sequence[Item]:
        """Return the listed messages after `after`, oldest first; the latest page if it is None."""
        if self._over:
            return []
        account = self._find(account_id)
        self._start_feed(account)  # its login may have run in another process
        self._advance(account_id, account)
        if after is None:
            page, account.page = account.page, PAGE
            return list(account.shown)[-page:]
        new = list(takewhile(lambda item: item.position > after, reversed(account.shown)))
        return new[::-1]

    def name_item(self, account_id: str, kind: MessageKind, number: int) -> str:
        """Return the platform's id of a message."""
        usual = self._name(self._accounts[account_id].handle, kind, number)
        return self.mischief.names.get((account_id, kind, number), usual)

    def is_ours(self, platform_id: str) -> bool:
        """Return whether a message id belongs to this run."""
        return platform_id.startswith(f"{self._run}-") or platform_id.isdecimal()

    def count_conversations(self, platform_id: str) -> int:
        """Return how many messages have this id, each of another conversation."""
        return 1 + self.mischief.conversations[platform_id]

    def _name(self, handle: str, kind: MessageKind, number: int) -> str:
        return f"{self._run}-{handle}-{'c' if kind is MessageKind.COMMENT else 'd'}{number}"

    def _find(self, account_id: str) -> _Account:
        if account_id not in self._accounts:
            self.enroll(account_id, account_id)
        return self._accounts[account_id]

    def _start_feed(self, account: _Account) -> None:
        if account.next_at == float("inf"):
            account.next_at = self._clock.monotonic() + draw_gap(account.rng, account.rate_per_s)

    def _advance(self, account_id: str, account: _Account) -> None:
        now = self._clock.monotonic()
        while account.next_at <= now:
            account.show(self._make_item(account_id, account))
            account.next_at += draw_gap(account.rng, account.rate_per_s)

    def _make_item(self, account_id: str, account: _Account, age_s: int = 0) -> Item:
        rng = account.rng
        kind = (
            MessageKind.COMMENT
            if rng.random() < self._scenario.comment_share
            else MessageKind.DIRECT_MESSAGE
        )
        account.made += 1
        account.numbers[kind] += 1
        number = account.numbers[kind]
        text, name, person = rng.choice(PHRASES), rng.choice(NAMES), rng.randrange(100_000)
        post, inbound = rng.randrange(1, 30), rng.random() < 0.9
        platform_id = self._name(account.handle, kind, number)
        payload: JsonObject = {"content": text, "created_at": int(self._clock.now()) - age_s}
        if kind is MessageKind.COMMENT:
            payload |= {
                "platform_comment_id": platform_id,
                "author_name": name,
                "author_id": f"p{person}",
                "post_id": f"post-{account.handle}-{post}",
                "post_title": f"视频 {post}",
            }
        else:
            payload |= {
                "platform_message_id": platform_id,
                "sender_name": name,
                "sender_id": f"p{person}",
                "direction": "inbound" if inbound else "outbound",
            }
        truth = show_truth(kind, payload)
        key = (account_id, kind, number)
        told, kept, odd = self.mischief.spoil(key, payload, truth)
        kept = kept if odd or self.remembers else {}
        return Item(account.made, kind, number, told, kept, is_plain=not odd)
