"""How long rows are kept, and whether the clock is to be believed that says how old they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from master.model import Device

DAY_S = 86_400

STEP_S = 3_600
"""How far the wall clock may move against the monotonic one before its word is doubted."""

OWED_FOR = 2
"""How many times as long rows are kept that a device is still owed, which may never say what it has seen."""

STEADY_S = DAY_S
"""How long a doubted clock must go evenly before rows are removed by it: time for somebody to see the alarm."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How two clocks stood when they were last looked at, and from when on rows may be removed (monotonic seconds).

    `stepped_s` is how far the wall clock was found to have moved by itself just now; 0 if it goes evenly.
    """

    now: float
    monotonic: float
    trusted_from: float
    stepped_s: int = 0

    @property
    def is_trusted(self) -> bool:
        """Tell whether what cannot be undone may be done by the wall clock."""
        return self.monotonic >= self.trusted_from


def look_at_clocks(
    before: Trust | None, last_look: int | None, now: float, monotonic: float
) -> Trust:
    """Judge the wall clock by the monotonic one, and the first time by the last look that is stored (Unix seconds).

    A process that begins cannot tell how long there was none before it. Within a day that does not matter; after more,
    or if the last look lies ahead, the clock may be wrong.
    """
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
    """Return the Unix second before which a row is old. A row exactly `days` old is still kept (source document)."""
    return int(now) - days * DAY_S


def find_passed(devices: Iterable[Device], since: int) -> int | None:
    """Return the place up to which every device seen since then (Unix seconds) has passed the sequence.

    None if there is no such device: nobody is owed anything.
    """
    return min(
        (device.seen_seq for device in devices if device.last_seen_at >= since), default=None
    )
