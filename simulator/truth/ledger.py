"""The record of a run, apart from Master: reports, acknowledgements and broken rules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from master.clock import Clock
from master.model import JsonObject, MessageKind
from simulator.truth.account_states import Expected, States
from simulator.truth.ownership import Ownership
from simulator.truth.persons import Persons

SECRET_MARK = "sim-secret"  # noqa: S105 - a mark, not a secret
"""Every cookie, password and typed code of a simulation contains this, to recognise leaks."""

MAX_VIOLATIONS = 200
MAX_SESSIONS = 20_000

Feed = tuple[str, MessageKind]
"""One account's messages of one kind."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule. `at` is seconds since the start of the run."""

    at: float
    rule: str
    detail: str


@dataclass(slots=True)
class Told:
    """Message numbers of one feed: sent to Master at least once, and acknowledged with success."""

    sent: set[int] = field(default_factory=set)
    acknowledged: set[int] = field(default_factory=set)


@dataclass(slots=True)
class ToldLogin:
    """A login whose success was sent with these cookies, at least once, perhaps acknowledged."""

    account_id: str
    cookies: list[Any]
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that Master had acknowledged at one moment, and must therefore have stored."""

    acknowledged: dict[Feed, set[int]]
    inserted: int
    accounts: set[str]
    logins: set[str]
    logged_in: set[str]
    confirmations: set[tuple[str, str]]
    states: Expected = field(default_factory=dict)


class Ledger:
    """The independent record that Master's answers are compared with."""

    def __init__(self, clock: Clock, overlap_grace_s: float = 1.0) -> None:
        self._clock = clock
        self.started = clock.monotonic()
        self.violations: list[Violation] = []
        self.violation_count = 0
        self.ownership = Ownership(self.complain, overlap_grace_s)
        self.states = States(self.complain)
        self.persons = Persons(self.complain)
        self.told: dict[Feed, Told] = {}
        self.truths: dict[Feed, dict[int, list[JsonObject]]] = {}
        """Columns that must be stored of acknowledged messages, as far as a rule compares them."""
        self.inserted = 0
        self.accounts: set[str] = set()
        self.logged_in: set[str] = set()
        self.logins: dict[str, ToldLogin] = {}
        self.confirmations: set[tuple[str, str]] = set()
        self.on_complaint: Callable[[], object] = lambda: None
        """Called after each violation, so that a run may end at the first."""
        self._closings: OrderedDict[tuple[str, str], None] = OrderedDict()

    def complain(self, rule: str, detail: str) -> None:
        """Record a broken rule; the first 200 keep their detail."""
        self.violation_count += 1
        if len(self.violations) < MAX_VIOLATIONS:
            at = round(self._clock.monotonic() - self.started, 3)
            self.violations.append(Violation(at, rule, detail[:500]))
        self.on_complaint()

    def note_sent(self, feed: Feed, numbers: Iterable[int]) -> None:
        """Note that these messages were sent: from now on Master may have stored them."""
        self.told.setdefault(feed, Told()).sent.update(numbers)

    def note_acknowledged(
        self, feed: Feed, numbers: list[int], inserted: int, duplicates: int
    ) -> None:
        """Note that Master acknowledged these messages: it must have stored them, each once."""
        told = self.told.setdefault(feed, Told())
        told.acknowledged.update(numbers)
        self.inserted += inserted
        if inserted + duplicates != len(numbers):
            self.complain(
                "count_in_ack",
                f"{len(numbers)} messages sent, "
                f"{inserted} inserted and {duplicates} duplicates acknowledged",
            )

    def note_truths(self, feed: Feed, numbers: list[int], truths: Iterable[JsonObject]) -> None:
        """Note what must be stored of acknowledged messages; an edit adds to the first text."""
        for number, truth in zip(numbers, truths, strict=False):
            if truth:
                known = self.truths.setdefault(feed, {}).setdefault(number, [])
                if truth not in known:
                    known.append(truth)

    def note_account(self, account_id: str) -> None:
        """Note that Master acknowledged a new account."""
        self.accounts.add(account_id)

    def note_login_sent(self, session_id: str, account_id: str, cookies: list[Any]) -> None:
        """Note that this success was sent: from now on Master may have stored it."""
        self.logins.setdefault(session_id, ToldLogin(account_id, cookies))
        self.states.begin(account_id, session_id)

    def note_login_acknowledged(self, session_id: str) -> None:
        """Note that Master acknowledged this success."""
        login = self.logins[session_id]
        login.acknowledged = True
        self.logged_in.add(login.account_id)
        self.states.end(login.account_id, session_id, {"login_status": "logged_in"})

    def note_login_over(self, session_id: str) -> None:
        """Note that a success is sent no more: Master may have stored it or not."""
        login = self.logins.get(session_id)
        if login is not None:
            self.states.end(login.account_id, session_id)

    def note_confirmed(self, device_id: str, notification_id: str) -> None:
        """Note that Master acknowledged a device's confirmation of a notification."""
        self.confirmations.add((device_id, notification_id))

    def freeze(self) -> Facts:
        """Return a copy of everything acknowledged so far."""
        return Facts(
            {feed: set(told.acknowledged) for feed, told in self.told.items()},
            self.inserted,
            set(self.accounts),
            {session_id for session_id, login in self.logins.items() if login.acknowledged},
            set(self.logged_in),
            set(self.confirmations),
            self.states.freeze(),
        )

    def show_told(self, feed: Feed, facts: Facts) -> Told:
        """Return the numbers of a feed sent until now, and those acknowledged in `facts`."""
        sent = self.told[feed].sent if feed in self.told else set()
        return Told(sent, facts.acknowledged.get(feed, set()))

    def note_closing(self, audience: str, session_id: str) -> bool:
        """Note a login's closing event for `audience`; False if the session had one before."""
        key = (audience, session_id)
        if key in self._closings:
            return False
        self._closings[key] = None
        if len(self._closings) > MAX_SESSIONS:
            self._closings.popitem(last=False)
        return True

    def search_secrets(self, where: str, raw: bytes) -> None:
        """Complain if data that Master sent to people contains a simulated secret."""
        start = raw.find(SECRET_MARK.encode())
        if start >= 0:
            self.complain(
                "secret_leak",
                f"{where}: ...{raw[max(0, start - 80) : start].decode(errors='replace')}<secret>",
            )
