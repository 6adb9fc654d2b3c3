"""Delays for an address that presents wrong tokens: none at first, then longer each time."""

from __future__ import annotations

from dataclasses import dataclass

FREE = 3
"""From this many wrong tokens on, an address must wait; fewer pass as mistakes."""

FIRST_S = 1.0
MOST_S = 60.0
FORGOTTEN_S = 900.0
"""Seconds without a wrong token after which the count restarts; a right token does not reset it."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """The wrong tokens of one address; times are monotonic seconds.

    `wrong` is their number, `last` the time of the last one; before `until`, a further wrong token
    is refused as `too_many_attempts`, and neither counted nor logged.
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
    """Return the seconds until a wrong token of this address counts again; 0 for no wait."""
    return 0.0 if attempts is None else max(0.0, attempts.until - now)
