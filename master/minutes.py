"""How many messages were stored in each minute of the last hour, since this process started."""

from __future__ import annotations

from collections.abc import Mapping

MINUTE_S = 60
KEPT = 60
"""How many minutes are known, the present one included."""


class Minutes:
    """A ring of numbers, one per minute of the wall clock; to count costs the same at any load."""

    def __init__(self) -> None:
        self.since: float | None = None
        """When counting began (Unix seconds); None: it has not."""
        self._minutes = [-1] * KEPT
        self._counts = [0] * KEPT

    def begin(self, now: float) -> None:
        """Count from now on; further calls change nothing."""
        if self.since is None:
            self.since = now

    def add(self, stored: Mapping[int, int]) -> None:
        """Count messages that were stored; the keys are minutes since 1970."""
        for minute, number in stored.items():
            index = minute % KEPT
            if self._minutes[index] != minute:
                self._minutes[index], self._counts[index] = minute, 0
            self._counts[index] += number

    def list_counts(self, now: float) -> list[int | None]:
        """Return the numbers of the last KEPT minutes, the present one last.

        None is a minute that was over before counting began: its number is unknown.
        """
        if self.since is None:
            return [None] * KEPT
        self.since = min(self.since, now)  # the clock was set back
        last, first_known = name_minute(now), name_minute(self.since)
        return [self._read(minute, first_known) for minute in range(last - KEPT + 1, last + 1)]

    def _read(self, minute: int, first_known: int) -> int | None:
        index = minute % KEPT
        if self._minutes[index] == minute:
            return self._counts[index]
        return 0 if minute >= first_known else None


def name_minute(now: float) -> int:
    """Return the minute of a time in Unix seconds: minutes since 1970."""
    return int(now // MINUTE_S)
