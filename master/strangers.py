"""Connections on which nobody is known, by when and from where they came, and which of them must go."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Placed(Protocol):
    """What comes from somewhere."""

    place: str


H = TypeVar("H", bound=Placed)


class Strangers(Generic[H]):
    """Those on which nobody is known, in the order in which they came. A limit of 0 is none.

    The limit of a place is not for those that are younger than `young_s`. After a restart all workers behind one
    address come at the same time: were the oldest to make room for the newest, each would be hung up before its turn.
    """

    def __init__(self, per_place: int, in_all: int, young_s: float) -> None:
        self._per_place = per_place
        self._in_all = in_all
        self._young_s = young_s
        self._since: OrderedDict[H, float] = OrderedDict()
        self._places: dict[str, OrderedDict[H, None]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, held: H, now: float) -> H | None:
        """Note one; return which must go for it, if any.

        It is the oldest of its place, unless even that is young; past the limit of all, the oldest of the place that
        has most: were it the newest, whoever keeps opening connections would keep everybody else out.
        """
        self.drop(held)
        self._since[held] = now
        here = self._places.setdefault(held.place, OrderedDict())
        here[held] = None
        too_many = bool(self._in_all) and len(self._since) > self._in_all
        if not too_many and not (self._per_place and len(here) > self._per_place):
            return None
        crowd = max(self._places.values(), key=len) if too_many else here
        oldest = next(iter(crowd))
        if now - self._since[oldest] < self._young_s and not too_many:
            return None
        self.drop(oldest)
        return oldest

    def drop(self, held: H) -> None:
        """Forget one, if it is here."""
        if self._since.pop(held, None) is None:
            return
        here = self._places[held.place]
        del here[held]
        if not here:
            del self._places[held.place]

    def take_late(self, now: float, longest_s: float) -> list[H]:
        """Forget and return those that stand for longer, and those past the limit of their place that are not young."""
        late = []
        for held, since in self._since.items():
            if now - since <= longest_s:
                break
            late.append(held)
        for held in late:
            self.drop(held)
        if self._per_place and len(self._since) > self._per_place:
            late += [
                held
                for here in list(self._places.values())
                for held in self._take_surplus(here, now)
            ]
        return late

    def _take_surplus(self, here: OrderedDict[H, None], now: float) -> list[H]:
        surplus = []
        for held in list(here)[: max(0, len(here) - self._per_place)]:
            if now - self._since[held] < self._young_s:
                break
            surplus.append(held)
            self.drop(held)
        return surplus
