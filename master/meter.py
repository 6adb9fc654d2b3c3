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

from master.budgets import (
    BURST,
    FAREWELL_S,
    MOST_PLACES,
    PATIENCE_S,
    STRANGE_FLOWS,
    STRANGE_LINES,
    STRANGER_S,
    STRANGERS_PER_PLACE,
    STRANGERS_PER_S,
    YOUNG_FLOW_S,
    YOUNG_LINE_S,
    Budget,
    Kind,
)
from master.clock import Clock
from master.decisions.pace import Pace, Paces
from master.errors import TooManyRequests
from master.openings import Openings
from master.strangers import Strangers

RANKS = {kind: rank for rank, kind in enumerate(Kind)}
"""Who speaks, by the size of their budgets."""


class Line:
    """One TCP connection; `hang_up` ends it at once."""

    __slots__ = ("flow", "hang_up", "has_ended", "is_known", "place", "when_ended")

    def __init__(self, place: str, hang_up: Callable[[], None]) -> None:
        self.place = place
        self.hang_up = hang_up
        self.is_known = False
        self.has_ended = False
        self.flow: Flow | None = None
        self.when_ended: Callable[[], None] | None = None
        """What is to be told once this line has ended."""


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
        "budget",
        "hang_up",
        "is_known",
        "kind",
        "lines",
        "pending",
        "place",
    )

    def __init__(self, meter: Meter, clock: Clock, place: str, hang_up: Callable[[], None]) -> None:
        self._meter = meter
        self._clock = clock
        self.place = place
        self.hang_up = hang_up
        self.kind = Kind.STRANGER
        self.is_known = False
        self.budget = meter.budgets[Kind.STRANGER]
        """What this flow may cost."""
        self.lines: tuple[Line, ...] = ()
        """TCP connections over which its packets come."""
        self.pending = 0
        self._strange = 0
        self._loose, self._events, self._bytes = Pace(), Pace(), Pace()
        self._when_free: tuple[tuple[int, Callable[[], None]], ...] = ()

    def grow(self, kind: Kind) -> None:
        """Let the larger budget of two kinds hold; its paces begin anew."""
        if RANKS[kind] > RANKS[self.kind]:
            self.kind, self.is_known, self.budget = kind, True, self._meter.budgets[kind]
            self._events, self._bytes = Pace(), Pace()

    def take_loose(self) -> float:
        """Take a packet that is no event of a socket in its namespace; return the seconds that it must wait."""
        rate = self.budget.loose_per_s
        wait_s = self._loose.take(self._clock.monotonic(), rate, rate)
        if self.is_known:
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

    def has_room(self, ahead: int = 0) -> bool:
        """Tell whether so many bytes more may be read; one event may be in any case."""
        return self.pending == 0 or self.pending + ahead <= self.budget.pending_bytes

    def hold(self, size: int) -> None:
        """Note an event that is read."""
        self.pending += size

    def release(self, size: int) -> None:
        """Note that one is dealt with."""
        self.pending -= size
        if self._when_free:
            waiting, self._when_free = self._when_free, ()
            for ahead, go_on in waiting:
                if self.has_room(ahead):
                    go_on()
                else:
                    self._when_free += ((ahead, go_on),)

    def call_when_free(self, go_on: Callable[[], None], ahead: int = 0) -> None:
        """Call back once, as soon as there is room for so many bytes."""
        self._when_free += ((ahead, go_on),)

    def drop(self, line: Line) -> None:
        """Forget a TCP connection over which packets came."""
        self.lines = tuple(one for one in self.lines if one is not line)


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
        strange_lines: int = STRANGE_LINES,
        strange_flows: int = STRANGE_FLOWS,
    ) -> None:
        self.budgets = budgets
        self.hung_up = 0
        """Lines and flows that were ended because nobody became known on them, or was patient for too long."""
        self._clock = clock
        self._requests_per_s = requests_per_s
        self._lines: Strangers[Line] = Strangers(strangers_per_place, strange_lines, YOUNG_LINE_S)
        self._flows: Strangers[Flow] = Strangers(strangers_per_place, strange_flows, YOUNG_FLOW_S)
        self._waiting: OrderedDict[Line, float] = OrderedDict()
        self.openings = Openings(clock, requests_per_s)
        self._requests = Paces(MOST_PLACES)
        self._packets = Paces(MOST_PLACES)
        self._all_packets = Pace()

    # -- lines: TCP connections

    @property
    def strange_lines(self) -> int:
        """Return how many TCP connections stand on which nobody is known."""
        return len(self._lines)

    def connect(self, place: str, hang_up: Callable[[], None]) -> Line:
        """Note a new TCP connection, which is nobody's yet; another such one may be hung up."""
        line = Line(place, hang_up)
        self._end(self._lines.add(line, self._clock.monotonic()))
        return line

    def leave(self, line: Line) -> None:
        """Forget a TCP connection that has ended."""
        line.has_ended = True
        self._lines.drop(line)
        if line.flow is not None:
            line.flow.drop(line)
        self._waiting.pop(line, None)
        if line.when_ended is not None:
            line.when_ended()

    def welcome(self, line: Line) -> None:
        """Note that somebody known speaks on a line: it may stand for as long as they like."""
        line.is_known = True
        self._lines.drop(line)

    def set_aside(self, line: Line) -> None:
        """Note that a line waits for Master: it has no deadline, until `suspect` gives it one anew."""
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
        """Note a new Engine.IO connection, which is nobody's yet; another such one may be hung up."""
        flow = Flow(self, self._clock, place, hang_up)
        self._end(self._flows.add(flow, self._clock.monotonic()))
        return flow

    def greet(self, flow: Flow, kind: Kind) -> None:
        """Note who speaks on a flow; the largest budget of several holds. What it took to get here is given back."""
        if not flow.is_known:
            self._flows.drop(flow)
            packets = flow.take_strange()
            self._all_packets.give_back(packets)
            self._packets.give_back(flow.place, packets)
            self.openings.give_back(flow.place)
            for line in flow.lines:
                self.welcome(line)
        flow.grow(kind)

    def attach(self, line: Line, flow: Flow) -> None:
        """Note that a flow's packets come over a line: it is known as long as the flow is."""
        if line.flow is not flow:
            if line.flow is not None:
                line.flow.drop(line)
            line.flow = flow
            flow.lines += (line,)
        if flow.is_known and not line.is_known:
            self.welcome(line)

    def close(self, flow: Flow) -> None:
        """Forget an Engine.IO connection that has ended; nobody is known on its lines any more."""
        self._flows.drop(flow)
        lines, flow.lines = flow.lines, ()
        for line in lines:
            line.flow = None
            if line.is_known:
                self.suspect(line)

    # -- places

    def admit(self, place: str, requests_per_s: float | None = None) -> None:
        """Take one request of a place, or of whatever name stands for who asks. Errors: TooManyRequests."""
        rate = self._requests_per_s if requests_per_s is None else requests_per_s
        wait_s = self._requests.find(place).ask(self._clock.monotonic(), rate, rate * BURST)
        if wait_s:
            raise TooManyRequests(retry_after_ms=round(wait_s * 1000) + 1)

    def take_strange(self, place: str) -> float:
        """Take one packet of a stranger; return the seconds that it must wait."""
        now, rate = self._clock.monotonic(), STRANGERS_PER_S / 2
        wait_s = self._packets.find(place).take(now, rate, rate)
        return max(wait_s, self._all_packets.take(now, STRANGERS_PER_S, STRANGERS_PER_S))

    # -- deadlines

    def hang_up_late(self) -> int:
        """End every line and flow whose time is over; return how many. To be called about once a second."""
        now = self._clock.monotonic()
        late: list[Held] = [
            *self._lines.take_late(now, STRANGER_S + FAREWELL_S),
            *self._flows.take_late(now, STRANGER_S),
        ]
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
