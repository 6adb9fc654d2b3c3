"""Keys that become due at a moment, and stay due until they are dealt with."""

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
