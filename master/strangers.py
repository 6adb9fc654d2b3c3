"""Strangers: unauthenticated connections by age and address, and which of them must close."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Addressed(Protocol):
    """An object with an address."""

    address: str


H = TypeVar("H", bound=Addressed)


class Strangers(Generic[H]):
    """Unauthenticated connections in order of arrival. A limit of 0 is no limit.

    The limit per address does not apply to connections younger than `young_s`. After a restart all
    workers behind one address connect at the same time: if the oldest made room for the newest,
    each would be closed before it could authenticate.
    """

    def __init__(self, per_address: int, in_all: int, young_s: float) -> None:
        self._per_address = per_address
        self._in_all = in_all
        self._young_s = young_s
        self._since: OrderedDict[H, float] = OrderedDict()
        self._by_address: dict[str, OrderedDict[H, None]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, connection: H, now: float) -> H | None:
        """Add a connection; return the one that must close for it, or None.

        That is the oldest of its address, unless even that is young. Past the total limit it is the
        oldest of the address with the most: if it were the newest, one peer that keeps opening
        connections would keep all others out.
        """
        self.drop(connection)
        self._since[connection] = now
        here = self._by_address.setdefault(connection.address, OrderedDict())
        here[connection] = None
        too_many = bool(self._in_all) and len(self._since) > self._in_all
        if not too_many and not (self._per_address and len(here) > self._per_address):
            return None
        crowd = max(self._by_address.values(), key=len) if too_many else here
        oldest = next(iter(crowd))
        if now - self._since[oldest] < self._young_s and not too_many:
            return None
        self.drop(oldest)
        return oldest

    def pop_oldest(self) -> H | None:
        """Remove and return the oldest of the address with the most, or None if there are few.

        The newest of all stays, so that a request is answered however many others are idle.
        """
        if len(self._since) <= 1:
            return None
        crowd = max(self._by_address.values(), key=len)
        oldest = next(iter(crowd if len(crowd) > 1 else self._since))
        self.drop(oldest)
        return oldest

    def drop(self, connection: H) -> None:
        """Remove a connection, if it is present."""
        if self._since.pop(connection, None) is None:
            return
        here = self._by_address[connection.address]
        del here[connection]
        if not here:
            del self._by_address[connection.address]

    def pop_late(self, now: float, longest_s: float, most: int) -> list[H]:
        """Remove and return up to `most` connections past their time.

        These are older than `longest_s`, or not young and past the limit of their address.
        """
        late: list[H] = []
        for connection, since in self._since.items():
            if now - since <= longest_s or len(late) >= most:
                break
            late.append(connection)
        for connection in late:
            self.drop(connection)
        if self._per_address and len(self._since) > self._per_address:
            for here in list(self._by_address.values()):
                late += self._pop_surplus(here, now, most - len(late))
        return late

    def _pop_surplus(self, here: OrderedDict[H, None], now: float, most: int) -> list[H]:
        surplus = []
        for connection in list(islice(here, max(0, min(most, len(here) - self._per_address)))):
            if now - self._since[connection] < self._young_s:
                break
            surplus.append(connection)
            self.drop(connection)
        return surplus
