"""Rate limits: a token bucket, and a bounded set of token buckets by name."""

from __future__ import annotations

from collections import OrderedDict

from master.errors import Overloaded


class Pace:
    """A token bucket that is full at first. Rates are per second; a rate of 0 is no limit.

    The bucket never contains more than `burst`; below zero it is in debt.
    """

    __slots__ = ("_at", "_tokens")

    def __init__(self) -> None:
        # filled since minus infinity: at its first use the bucket is full
        self._tokens, self._at = 0.0, float("-inf")

    def charge(self, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Consume `cost` at the monotonic second `now`; return the seconds until it is covered."""
        if not rate:
            return 0.0
        tokens = self._fill(now, rate, burst) - cost
        self._tokens, self._at = tokens, now
        return -tokens / rate if tokens < 0.0 else 0.0

    def ask(self, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Consume `cost` if the bucket covers it; else return the seconds until it does."""
        if not rate:
            return 0.0
        tokens = self._fill(now, rate, burst) - cost
        if tokens < 0.0:
            return -tokens / rate
        self._tokens, self._at = tokens, now
        return 0.0

    def refund(self, cost: float = 1.0) -> None:
        """Return `cost` to the bucket."""
        self._tokens += cost

    def _fill(self, now: float, rate: float, burst: float) -> float:
        """Return the content of the bucket at `now`."""
        tokens = self._tokens + (now - self._at) * rate if now > self._at else self._tokens
        return burst if tokens > burst else tokens


class Paces:
    """One bucket per name; beyond `most` names the least recently used one is dropped."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paces)

    def find(self, name: str) -> Pace:
        """Return the bucket of a name; a new one for a new name."""
        found = self._paces.get(name)
        if found is None:
            found = self._paces[name] = Pace()
            if len(self._paces) > self._most:
                self._paces.popitem(last=False)
        else:
            self._paces.move_to_end(name)
        return found

    def refund(self, name: str, cost: float = 1.0) -> None:
        """Return `cost` to the bucket of a name, if that is still known."""
        found = self._paces.get(name)
        if found is not None:
            found.refund(cost)


class Admission:
    """Admits registrations up to a rate per second (0: no limit); the others must come again."""

    def __init__(self, rate: float) -> None:
        self._rate, self._pace, self._turned_away = rate, Pace(), 0

    def admit(self, now: float) -> None:
        """Admit one, or tell it when to come again. Errors: Overloaded."""
        rate = self._rate
        if not rate:
            return
        wait_s = self._pace.ask(now, rate, rate)
        if wait_s:
            # each refused worker gets a later moment, so that they do not all retry at once
            self._turned_away += 1
            wait_s += self._turned_away / rate
            raise Overloaded(
                "Too many workers register at once.", retry_after_ms=round(wait_s * 1000) + 1
            )
        self._turned_away = 0
