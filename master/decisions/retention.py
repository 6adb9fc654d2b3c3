"""How long rows are kept, and whether the wall clock that measures their age is trusted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from master.model import Device

DAY_S = 86_400

STEP_S = 3_600
"""Most seconds that the wall clock may move against the monotonic one before it is distrusted."""

OWED_FOR = 2
"""Factor on the retention of rows still owed to a device, which may never confirm them."""

UNSENT_FOR = 12
"""Factor on the retention of notifications that were never sent: a last bound."""

STEADY_S = DAY_S
"""Seconds that a distrusted clock must run evenly before rows are removed by it.

This leaves administrators time to see the alarm.
"""


@dataclass(frozen=True, slots=True)
class Trust:
    """The last reading of both clocks, and from when on rows may be removed (monotonic seconds).

    `stepped_s` is the step of the wall clock found by this reading, in seconds; 0 if it runs
    evenly.
    """

    now: float
    monotonic: float
    trusted_from: float
    stepped_s: int = 0

    @property
    def is_trusted(self) -> bool:
        """Tell whether rows may be removed by this clock, which cannot be undone."""
        return self.monotonic >= self.trusted_from


BUILT_AT = 1_735_689_600
"""2025-01-01 (Unix seconds): a clock that reads less is wrong, because this program is younger."""


def look_at_clocks(
    before: Trust | None, last_look: int | None, now: float, monotonic: float
) -> Trust:
    """Judge the wall clock by the monotonic one, the first time by the stored last check.

    `last_look` is that stored time (Unix seconds): a new process cannot know how long none ran
    before it. A gap of up to a day does not matter; after a longer one, or if the last check lies
    in the future, the clock may be wrong. A clock before BUILT_AT is wrong, whatever
    was before.
    """
    if now < BUILT_AT:
        is_news = before is None or before.now >= BUILT_AT
        return Trust(now, monotonic, monotonic + STEADY_S, int(now - BUILT_AT) if is_news else 0)
    if before is None:
        away_s = 0.0 if last_look is None else now - last_look
        if -STEP_S <= away_s <= STEADY_S:
            return Trust(now, monotonic, monotonic)
        return Trust(now, monotonic, monotonic + STEADY_S, int(away_s))
    stepped_s = (now - before.now) - (monotonic - before.monotonic)
    if abs(stepped_s) > STEP_S:
        return Trust(now, monotonic, monotonic + STEADY_S, int(stepped_s))
    return Trust(now, monotonic, before.trusted_from)


def find_cutoff(now: float, days: int) -> int:
    """Return the Unix second before which a row is old.

    A row exactly `days` old is still kept (source document).
    """
    return int(now) - days * DAY_S


def find_passed(devices: Iterable[Device], since: int) -> int | None:
    """Return the sequence number that every device seen at or after `since` has passed.

    `since` is Unix seconds. None if there is no such device: then nothing is owed.
    """
    return min(
        (device.seen_seq for device in devices if device.last_seen_at >= since), default=None
    )
