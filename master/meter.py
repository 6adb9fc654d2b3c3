"""What peers cost: connections, requests, packets and bytes, with budgets that depend on who speaks.

Pure: it reads the clock that it is given, and waits for nothing. Its callers ask before they read or parse anything,
wait for as long as they are told, and pass `hang_up` for what it ends by itself.

Three things are metered. A **line** is one TCP connection: nobody's until somebody known speaks on it, and so long
it has a deadline. A **flow** is one Engine.IO connection, whose packets come over one WebSocket or over many POSTs. A
**place** is where lines come from (`access.name_place`): an address of IPv4, the /64 of one of IPv6.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from master.clock import Clock
from master.decisions import pace
from master.decisions.pace import Bucket
from master.errors import TooManyRequests
from master.strangers import Strangers

STRANGER_S = 30.0
"""How long a line, or a flow, may stand before somebody who is known speaks on it."""

PATIENCE_S = 120.0
"""How long somebody who is known may take to end what they began on a line: to send a body, to read an answer."""

BURST = 4
"""Seconds' worth of requests or events that may come at once."""

STRANGERS_PER_PLACE = 256
STRANGERS = 1_024
"""Lines on which nobody is known, and as many flows: of one place (but for young ones), and in all (strangers.py)."""

MOST_PLACES = 10_000
"""Places whose pace is remembered; the one not heard from for longest is forgotten first."""

STRANGER_BYTES = 16 * 1024
"""The largest packet or body taken from strangers: nothing that says who somebody is needs more."""

LOOSE_PER_S = 50
"""Packets per second of one flow that are no event of a socket in its namespace, and as many at once."""

STRANGERS_PER_S = 500
"""Packets per second of all strangers together, and half as many of one place; what makes somebody known is free."""


class Kind(StrEnum):
    """Who speaks, each with a larger budget than the one before."""

    STRANGER = "stranger"
    DEVICE = "client"
    ADMINISTRATOR = "admin"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one flow may cost. Rates are per second, with a burst of `BURST` seconds; a rate of 0 is no limit."""

    packet_bytes: int
    """The largest packet, or body of one POST, while it is read."""
    post_packets: int
    """Packets in the body of one POST."""
    events_per_s: float
    bytes_per_s: float
    pending_bytes: int
    """Bytes of events that are read and not dealt with, those at the writer among them; one event in any case."""


def make_budgets(events_per_s: float, largest_bytes: int) -> Mapping[Kind, Budget]:
    """Return what each kind of peer may cost, by the largest event that Master accepts of anybody."""
    small = 1024 * 1024
    most = min(largest_bytes, 8 * small)
    return {
        Kind.STRANGER: Budget(STRANGER_BYTES, 16, LOOSE_PER_S, STRANGER_BYTES, STRANGER_BYTES),
        Kind.DEVICE: Budget(small, 10_000, events_per_s, small / 4, small),
        Kind.ADMINISTRATOR: Budget(small, 10_000, events_per_s, small / 4, small),
        Kind.WORKER: Budget(most, 10_000, events_per_s, small * 4, small * 4),
    }


class Line:
    """One TCP connection; `hang_up` ends it at once."""

    __slots__ = ("hang_up", "has_ended", "is_known", "place")

    def __init__(self, place: str, hang_up: Callable[[], None]) -> None:
        self.place = place
        self.hang_up = hang_up
        self.is_known = False
        self.has_ended = False


class Pace:
    """How fast one thing comes, in a bucket that is full at first. A rate of 0 is no limit."""

    __slots__ = ("_bucket",)

    def __init__(self) -> None:
        self._bucket: Bucket | None = None

    def take(self, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Take so much and return the seconds to wait until it is really there."""
        if not rate:
            return 0.0
        self._bucket, wait_s = pace.take(self._bucket or pace.fill(burst, now), now, rate, burst, cost)
        return wait_s

    def ask(self, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Take so much if it is there; return the seconds to wait if it is not."""
        before = self._bucket
        wait_s = self.take(now, rate, burst, cost)
        if wait_s:
            self._bucket = before
        return wait_s

    def give_back(self, cost: float = 1.0) -> None:
        """Put back what was taken."""
        if self._bucket is not None:
            self._bucket = pace.give_back(self._bucket, cost)


class Flow:
    """One Engine.IO connection: its packets, its events and the bytes that are under way."""

    __slots__ = (
        "_bytes",
        "_clock",
        "_events",
        "_loose",
        "_meter",
        "_strange",
        "_when_free",
        "hang_up",
        "kind",
        "pending",
        "place",
    )

    def __init__(self, meter: Meter, clock: Clock, place: str, hang_up: Callable[[], None]) -> None:
        self._meter = meter
        self._clock = clock
        self.place = place
        self.hang_up = hang_up
        self.kind = Kind.STRANGER
        self.pending = 0
        self._strange = 0
        self._loose, self._events, self._bytes = Pace(), Pace(), Pace()
        self._when_free: list[Callable[[], None]] = []

    @property
    def budget(self) -> Budget:
        """Return what this flow may cost."""
        return self._meter.budgets[self.kind]

    def take_loose(self) -> float:
        """Take a packet that is no event of a socket in its namespace; return the seconds that it must wait."""
        wait_s = self._loose.take(self._clock.monotonic(), LOOSE_PER_S, LOOSE_PER_S)
        if self.kind is not Kind.STRANGER:
            return wait_s
        self._strange += 1
        return max(wait_s, self._meter.take_strange(self.place))

    def take_strange(self) -> int:
        """Return how many packets came before anybody was known, once."""
        strange, self._strange = self._strange, 0
        return strange

    def take_event(self) -> float:
        """Take one event; return the seconds that it must wait."""
        rate = self.budget.events_per_s
        return self._events.take(self._clock.monotonic(), rate, rate * BURST)

    def has_event(self) -> bool:
        """Take one event if it need not wait; tell whether that is so."""
        rate = self.budget.events_per_s
        return self._events.ask(self._clock.monotonic(), rate, rate * BURST) == 0.0

    def take_bytes(self, size: int) -> float:
        """Take what was read; return the seconds until more is read."""
        rate = self.budget.bytes_per_s
        return self._bytes.take(self._clock.monotonic(), rate, rate * BURST, size)

    @property
    def is_full(self) -> bool:
        """Tell whether nothing more is to be read until something is dealt with."""
        return self.pending > self.budget.pending_bytes

    def hold(self, size: int) -> None:
        """Note an event that is read."""
        self.pending += size

    def release(self, size: int) -> None:
        """Note that one is dealt with."""
        self.pending -= size
        if self._when_free and not self.is_full:
            waiting, self._when_free = self._when_free, []
            for go_on in waiting:
                go_on()

    def call_when_free(self, go_on: Callable[[], None]) -> None:
        """Call back once, as soon as there is room again; for a flow that is full."""
        self._when_free.append(go_on)


Held = Line | Flow


class Meter:
    """What every peer costs. `requests_per_s` is of one place; 0 is no limit, here and for strangers."""

    def __init__(
        self,
        clock: Clock,
        budgets: Mapping[Kind, Budget],
        *,
        requests_per_s: float = 200,
        strangers_per_place: int = STRANGERS_PER_PLACE,
        strangers: int = STRANGERS,
    ) -> None:
        self.budgets = budgets
        self.hung_up = 0
        """Lines and flows that were ended because nobody became known on them, or was patient for too long."""
        self._clock = clock
        self._requests_per_s = requests_per_s
        self._lines: Strangers[Line] = Strangers(strangers_per_place, strangers)
        self._flows: Strangers[Flow] = Strangers(strangers_per_place, strangers)
        self._waiting: OrderedDict[Line, float] = OrderedDict()
        self._requests: OrderedDict[str, Pace] = OrderedDict()
        self._packets: OrderedDict[str, Pace] = OrderedDict()
        self._all_packets = Pace()

    # -- lines: TCP connections

    @property
    def strange_lines(self) -> int:
        """Return how many TCP connections stand on which nobody is known."""
        return len(self._lines)

    def connect(self, place: str, hang_up: Callable[[], None]) -> Line:
        """Note a new TCP connection, which is nobody's yet; another such one, or itself, may be hung up."""
        line = Line(place, hang_up)
        self._end(self._lines.add(line, self._clock.monotonic()))
        return line

    def leave(self, line: Line) -> None:
        """Forget a TCP connection that has ended."""
        line.has_ended = True
        self._lines.drop(line)
        self._waiting.pop(line, None)

    def welcome(self, line: Line) -> None:
        """Note that somebody known speaks on a line: it may stand for as long as they like."""
        line.is_known = True
        self._lines.drop(line)

    def suspect(self, line: Line) -> None:
        """Note that nobody is known on a line any more: it has as long as a new one."""
        line.is_known = False
        if not line.has_ended:
            self._end(self._lines.add(line, self._clock.monotonic()))

    def begin(self, line: Line) -> None:
        """Give whoever speaks on a line until PATIENCE_S from now to end what they begin; `end` takes it back."""
        self._waiting.pop(line, None)
        if not line.has_ended:
            self._waiting[line] = self._clock.monotonic()

    def end(self, line: Line) -> None:
        """Note that what was begun on a line has ended."""
        self._waiting.pop(line, None)

    # -- flows: Engine.IO connections

    def open(self, place: str, hang_up: Callable[[], None]) -> Flow:
        """Note a new Engine.IO connection, which is nobody's yet; another such one, or itself, may be hung up."""
        flow = Flow(self, self._clock, place, hang_up)
        self._end(self._flows.add(flow, self._clock.monotonic()))
        return flow

    def greet(self, flow: Flow, kind: Kind) -> None:
        """Note who speaks on a flow; the largest budget of several holds. What it took to get here is given back."""
        if flow.kind is Kind.STRANGER:
            self._flows.drop(flow)
            packets = flow.take_strange()
            self._all_packets.give_back(packets)
            for table, cost in ((self._packets, packets), (self._requests, 1)):
                if flow.place in table:
                    table[flow.place].give_back(cost)
        kinds = list(Kind)
        flow.kind = max(flow.kind, kind, key=kinds.index)

    def close(self, flow: Flow) -> None:
        """Forget an Engine.IO connection that has ended."""
        self._flows.drop(flow)

    # -- places

    def admit(self, place: str, requests_per_s: float | None = None) -> None:
        """Take one request of a place, or of whatever name stands for who asks. Errors: TooManyRequests."""
        rate = self._requests_per_s if requests_per_s is None else requests_per_s
        wait_s = _find(self._requests, place).ask(self._clock.monotonic(), rate, rate * BURST)
        if wait_s:
            raise TooManyRequests(retry_after_ms=round(wait_s * 1000) + 1)

    def take_strange(self, place: str) -> float:
        """Take one packet of a stranger; return the seconds that it must wait."""
        now, rate = self._clock.monotonic(), STRANGERS_PER_S / 2
        wait_s = _find(self._packets, place).take(now, rate, rate)
        return max(wait_s, self._all_packets.take(now, STRANGERS_PER_S, STRANGERS_PER_S))

    # -- deadlines

    def hang_up_late(self) -> int:
        """End every line and flow whose time is over; return how many. To be called about once a second."""
        now = self._clock.monotonic()
        late: list[Held] = [*self._lines.take_late(now, STRANGER_S), *self._flows.take_late(now, STRANGER_S)]
        while self._waiting:
            line, since = next(iter(self._waiting.items()))
            if since >= now - PATIENCE_S:
                break
            del self._waiting[line]
            late.append(line)
        for held in late:
            self._end(held)
        return len(late)

    def _end(self, held: Held | None) -> None:
        if held is not None:
            self.hung_up += 1
            held.hang_up()


def _find(table: OrderedDict[str, Pace], name: str) -> Pace:
    """Return a name's pace, a new one if it has none; the one not asked for longest goes past the limit."""
    found = table.get(name)
    if found is None:
        found = table[name] = Pace()
        if len(table) > MOST_PLACES:
            table.popitem(last=False)
    else:
        table.move_to_end(name)
    return found
