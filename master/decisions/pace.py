"""How fast something may come: a token bucket, and one for each of many names."""

from __future__ import annotations

from collections import OrderedDict


class Pace:
    """How fast one thing comes, in a bucket that is full at first. Rates are per second; a rate of 0 is no limit.

    The bucket never holds more than `burst`, and less than nothing is owed.
    """

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        self._tokens, self._at = (
            0.0,
            float("-inf"),
        )  # whatever is asked for first, it is full by then

    def take(self, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Take so much at the monotonic second `now`; return the seconds to wait until it is really there."""
        if not rate:
            return 0.0
        tokens = self._fill(now, rate, burst) - cost
        self._tokens, self._at = tokens, now
        return -tokens / rate if tokens < 0.0 else 0.0

    def ask(self, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Take so much if it is there; return the seconds to wait if it is not."""
        if not rate:
            return 0.0
        tokens = self._fill(now, rate, burst) - cost
        if tokens < 0.0:
            return -tokens / rate
        self._tokens, self._at = tokens, now
        return 0.0

    def give_back(self, cost: float = 1.0) -> None:
        """Put back what was taken."""
        self._tokens += cost

    def _fill(self, now: float, rate: float, burst: float) -> float:
        """Return what is in the bucket by now."""
        tokens = self._tokens + (now - self._at) * rate if now > self._at else self._tokens
        return burst if tokens > burst else tokens


class Paces:
    """The pace of each of many names. Past `most` names the one that was not asked for longest is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paces)

    def find(self, name: str) -> Pace:
        """Return a name's pace, a new one if it has none."""
        found = self._paces.get(name)
        if found is None:
            found = self._paces[name] = Pace()
            if len(self._paces) > self._most:
                self._paces.popitem(last=False)
        else:
            self._paces.move_to_end(name)
        return found

    def give_back(self, name: str, cost: float = 1.0) -> None:
        """Put back what was taken of a name's, if it is remembered."""
        found = self._paces.get(name)
        if found is not None:
            found.give_back(cost)
