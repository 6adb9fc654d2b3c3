"""How long an address that presents wrong tokens must wait: nothing at first, then longer each time."""

from __future__ import annotations

from dataclasses import dataclass

FREE = 3
"""So many wrong tokens from one address are a mistake; from this one on it has to wait."""

FIRST_S = 1.0
MOST_S = 60.0
FORGOTTEN_S = 900.0
"""Without a further wrong token for so long, the count begins anew. A right one in between does not end it."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """An address's wrong tokens: how many, when the last one came, and until when no new one is looked at.

    Times are monotonic seconds.
    """

    wrong: int
    last: float
    until: float


def note_wrong(before: Attempts | None, now: float) -> Attempts:
    """Return the attempts after one more wrong token."""
    wrong = 1 if before is None or now - before.last > FORGOTTEN_S else before.wrong + 1
    wait_s = 0.0 if wrong < FREE else min(MOST_S, FIRST_S * 2.0 ** min(wrong - FREE, 10))
    return Attempts(wrong, now, now + wait_s)


def find_wait(attempts: Attempts | None, now: float) -> float:
    """Return the seconds for which no new token of this address is looked at; 0 for none."""
    return 0.0 if attempts is None else max(0.0, attempts.until - now)
