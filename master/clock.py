"""The only module that reads the time; other modules receive `now` or a Clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time. Both readings are seconds."""

    def now(self) -> float:
        """Return the wall time as Unix seconds; it may step when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only grow; silence is measured with these."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only by a call; it ships with the code so that tests need no sleep."""

    def __init__(self, now: float = 1_760_000_000.0) -> None:
        self._now = now
        self._monotonic = 1_000.0

    def now(self) -> float:
        """Return the Unix seconds that were set."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds advanced so far, from an arbitrary origin."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward by `seconds`."""
        assert seconds >= 0, "time does not run backwards; use step for the wall clock"
        self._now += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back by `seconds` without any time passing."""
        self._now += seconds
