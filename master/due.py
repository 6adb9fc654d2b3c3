"""Keys that become due at a moment, and stay due until they are dealt with; ends by both clocks."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import islice


class Due:
    """A heap of (moment, key). A key may have several entries; the caller judges what is outdated.

    Moments are of one clock, which the owner of the list names.
    """

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, None] = {}

    def note(self, at: float, key: str) -> None:
        """Record that a key is due at a moment."""
        heapq.heappush(self._heap, (at, key))

    def find(self, now: float, most: int) -> list[str]:
        """Return due keys, at most `most`, the oldest first.

        They stay due until `forget`: the disk may refuse the turn that deals with them.
        """
        while self._heap and self._heap[0][0] <= now:
            self._due[heapq.heappop(self._heap)[1]] = None
        return list(islice(self._due, most))

    def forget(self, keys: Iterable[str]) -> None:
        """Remove due keys that have been dealt with."""
        for key in keys:
            self._due.pop(key, None)


class Ends:
    """Ends by name; the rows have them in Unix seconds.

    The monotonic ends here stay right even if the clock is set back.
    """

    def __init__(self) -> None:
        self.ends: dict[str, tuple[int, float]] = {}
        """Name -> its end in Unix seconds, and the same monotonic."""

    def note(self, name: str, end_at: int | None, now: float, monotonic: float) -> None:
        """Record an end, once for each moment; None: there is none."""
        if end_at is None:
            self.ends.pop(name, None)
        elif name not in self.ends or self.ends[name][0] != end_at:
            self.ends[name] = end_at, monotonic + max(0.0, end_at - now)

    def find_left(self, name: str, now: float, monotonic: float) -> float:
        """Return the seconds until an end, by the clock that is first; 0: it is over."""
        if name not in self.ends:
            return 0.0
        end_at, end = self.ends[name]
        return max(0.0, min(end_at - now, end - monotonic))

    def find_over(self, now: float, monotonic: float) -> list[str]:
        """Return the names whose end has passed by either clock."""
        return [name for name in self.ends if not self.find_left(name, now, monotonic)]
