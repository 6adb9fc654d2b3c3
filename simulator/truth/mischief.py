"""Rare deeds of a platform and its people: odd forms, wrong phones, history, short cookies.

All is off until a fault, or the demo, turns it on with a random stream of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from master.model import JsonObject, MessageKind
from simulator.truth.oddities import IDS, spoil_item, spoil_login

HISTORY = (100, 400)
"""Fewest and most old messages that appear at once after a login."""

COOKIES_LAST_S = (40, 400)
"""Shortest and longest life of short cookies."""

SHARE = 0.6
"""Share of logins that are made by the wrong phone, bring history, or get short cookies."""

NUMBERED_FROM = 7_000_000_000
"""Where ids begin that are small numbers."""


@dataclass(slots=True)
class Mischief:
    """The present mischief of one platform, and what it did to the ids of messages.

    Each stream is None while its mischief is off; `odd_share` is the share of odd reports.
    """

    odd: Random | None = None
    odd_share: float = 0.0
    wrong_phones: Random | None = None
    histories: Random | None = None
    short_cookies: Random | None = None
    names: dict[tuple[str, MessageKind, int], str] = field(default_factory=dict)
    """The ids of messages that have another than the usual id."""
    conversations: Counter[str] = field(default_factory=Counter)
    """How many further messages have an id that another message has."""
    numbered: int = NUMBERED_FROM

    def end(self) -> None:
        """End all mischief."""
        self.odd = self.wrong_phones = self.histories = self.short_cookies = None

    def spoil(
        self, key: tuple[str, MessageKind, int], payload: JsonObject, truth: JsonObject
    ) -> tuple[JsonObject, JsonObject, bool]:
        """Return a message as its worker reports it, what must be stored, and whether it is odd."""
        if self.odd is None or self.odd.random() >= self.odd_share:
            return payload, truth, False
        self.numbered += 1
        kind = key[1]
        odd, kept = spoil_item(kind, payload, truth, self.numbered, self.odd)
        ident = str(odd[IDS[kind]] if IDS[kind] in odd else odd["id"])
        if ident != payload[IDS[kind]]:
            self.names[key] = ident
        return odd, kept, True

    def spoil_login(self, profile: JsonObject) -> tuple[JsonObject, Sequence[JsonObject]]:
        """Return a login's success as its worker reports it, and the cookies to be stored."""
        if self.odd is None or self.odd.random() >= self.odd_share:
            return profile, profile["cookies"]
        return spoil_login(profile, self.odd)

    def draw_stranger(self, handles: Callable[[], Sequence[str]]) -> str | None:
        """Return whose phone scans instead of the right one; None for the right one."""
        rng = self.wrong_phones
        if rng is None or rng.random() >= SHARE:
            return None
        others = handles()
        return rng.choice(others) if others and rng.random() < SHARE else "stranger"

    def draw_history(self) -> int:
        """Return how many old messages a login brings."""
        rng = self.histories
        return rng.randint(*HISTORY) if rng is not None and rng.random() < SHARE else 0

    def draw_cookies_life(self) -> int | None:
        """Return how many seconds a login's cookies last; None if they outlast the run."""
        rng = self.short_cookies
        return rng.randint(*COOKIES_LAST_S) if rng is not None and rng.random() < SHARE else None
