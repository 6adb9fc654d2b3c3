"""The meter: connections, requests, packets and bytes of peers, within a budget per kind of peer.

It has no I/O: it reads a clock and never waits. Callers query it before they read or parse,
wait as long as it returns, and pass `hang_up` for the connections that it closes itself.

It counts three things. A **line** is one TCP connection; it has a deadline until a peer
authenticates on it. A **flow** is one Engine.IO connection, whose packets come over one WebSocket
or over many POSTs. An **address** is where lines come from (`access.name_address`): an IPv4
address, or the /64 of an IPv6 address.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping

from master.budgets import (
    BURST,
    FAREWELL_S,
    MOST_ADDRESSES,
    PATIENCE_S,
    PROGRESS_BYTES,
    STRANGE_FLOWS,
    STRANGE_LINES,
    STRANGER_S,
    STRANGERS_PER_ADDRESS,
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
"""The kinds of peer, ranked by their budgets."""


class Line:
    """One TCP connection; `hang_up` ends it at once."""

    __slots__ = (
        "address",
        "flow",
        "hang_up",
        "has_ended",
        "is_known",
        "is_relay",
        "measure_unsent",
        "received",
        "sender",
        "when_ended",
    )

    def __init__(
        self, address: str, hang_up: Callable[[], None], *, is_relay: bool = False
    ) -> None:
        self.address = address
        self.hang_up = hang_up
        self.is_known = is_relay
        self.is_relay = is_relay
        """Whether a trusted proxy is at the other end: its line carries requests of many peers."""
        self.has_ended = False
        self.measure_unsent: Callable[[], int] = lambda: 0
        """Returns the bytes that were written to it and have not been sent yet."""
        self.flow: Flow | None = None
        self.sender: Flow | None = None
        """The flow whose packets are in the body under way, if any."""
        self.received = 0
        """Bytes of the body under way since the last progress."""
        self.when_ended: Callable[[], None] | None = None
        """Called once this line has ended."""


class Flow:
    """One Engine.IO connection: its packets, its events and its pending bytes."""

    __slots__ = (
        "_bytes",
        "_clock",
        "_events",
        "_loose",
        "_meter",
        "_strange",
        "_when_free",
        "address",
        "budget",
        "hang_up",
        "is_known",
        "kind",
        "lines",
        "pending",
        "progressed_at",
        "when_progressing",
    )

    def __init__(
        self, meter: Meter, clock: Clock, address: str, hang_up: Callable[[], None]
    ) -> None:
        self._meter = meter
        self._clock = clock
        self.address = address
        self.hang_up = hang_up
        self.kind = Kind.STRANGER
        self.is_known = False
        self.budget = meter.budgets[Kind.STRANGER]
        """The budget of this flow."""
        self.lines: tuple[Line, ...] = ()
        """TCP connections that carry its packets."""
        self.pending = 0
        self.progressed_at = float("-inf")
        """Monotonic second at which PROGRESS_BYTES of an unfinished message had arrived."""
        self.when_progressing: Callable[[], object] = lambda: None
        """Called whenever PROGRESS_BYTES of an unfinished message have arrived."""
        self._strange = 0
        self._loose, self._events, self._bytes = Pace(), Pace(), Pace()
        self._when_free: tuple[tuple[int, Callable[[], None]], ...] = ()

    def grow(self, kind: Kind) -> None:
        """Switch to the budget of `kind` if it is larger; its rates begin anew."""
        if RANKS[kind] > RANKS[self.kind]:
            self.kind, self.is_known, self.budget = kind, True, self._meter.budgets[kind]
            self._events, self._bytes = Pace(), Pace()

    def charge_loose(self) -> float:
        """Charge a packet that is no event of a joined socket; return its wait in seconds."""
        rate = self.budget.loose_per_s
        wait_s = self._loose.charge(self._clock.monotonic(), rate, rate)
        if self.is_known:
            return wait_s
        self._strange += 1
        return max(wait_s, self._meter.charge_strange(self.address))

    def note_progress(self) -> None:
        """Note that a part of an unfinished message arrived: its sender is alive, but slow."""
        if self.is_known:
            self.progressed_at = self._clock.monotonic()
            self.when_progressing()

    def pop_strange(self) -> int:
        """Return the number of packets before the authentication, once."""
        strange, self._strange = self._strange, 0
        return strange

    def charge_event(self) -> float:
        """Charge one event; return its wait in seconds."""
        rate = self.budget.events_per_s
        return self._events.charge(self._clock.monotonic(), rate, rate * BURST)

    def has_event(self) -> bool:
        """Charge one event if it need not wait; return whether it was charged."""
        rate = self.budget.events_per_s
        return self._events.ask(self._clock.monotonic(), rate, rate * BURST) == 0.0

    def charge_bytes(self, size: int) -> float:
        """Charge bytes that were read; return the seconds until the next read."""
        rate = self.budget.bytes_per_s
        return self._bytes.charge(self._clock.monotonic(), rate, rate * BURST, size)

    def has_room(self, ahead: int = 0) -> bool:
        """Return whether `ahead` more bytes may be read; one event always may."""
        return self.pending == 0 or self.pending + ahead <= self.budget.pending_bytes

    def add_pending(self, size: int) -> None:
        """Add a parsed event's bytes to the pending ones."""
        self.pending += size

    def release(self, size: int) -> None:
        """Remove a finished event's bytes from the pending ones."""
        self.pending -= size
        if self._when_free:
            waiting, self._when_free = self._when_free, ()
            for ahead, go_on in waiting:
                if self.has_room(ahead):
                    go_on()
                else:
                    self._when_free += ((ahead, go_on),)

    def call_when_free(self, go_on: Callable[[], None], ahead: int = 0) -> None:
        """Call back once, when there is room for `ahead` bytes."""
        self._when_free += ((ahead, go_on),)

    def measure_unsent(self) -> int:
        """Return the bytes that were written to its lines and have not been sent yet."""
        return sum(line.measure_unsent() for line in self.lines)

    def drop(self, line: Line) -> None:
        """Remove a TCP connection that carried packets."""
        self.lines = tuple(one for one in self.lines if one is not line)


Metered = Line | Flow


class Meter:
    """The costs of every peer.

    `requests_per_s` is per address; 0 is no limit, here and in the limits on strangers.
    """

    def __init__(
        self,
        clock: Clock,
        budgets: Mapping[Kind, Budget],
        *,
        requests_per_s: float = 200,
        strangers_per_address: int = STRANGERS_PER_ADDRESS,
        strange_lines: int = STRANGE_LINES,
        strange_flows: int = STRANGE_FLOWS,
    ) -> None:
        self.budgets = budgets
        self.hung_up = 0
        """Lines and flows closed without authentication in time, or after too long a transfer."""
        self._clock = clock
        self._requests_per_s = requests_per_s
        self._lines: Strangers[Line] = Strangers(strangers_per_address, strange_lines, YOUNG_LINE_S)
        self._flows: Strangers[Flow] = Strangers(strangers_per_address, strange_flows, YOUNG_FLOW_S)
        self._waiting: OrderedDict[Line, float] = OrderedDict()
        self.openings = Openings(clock, requests_per_s)
        self._requests = Paces(MOST_ADDRESSES)
        self._packets = Paces(MOST_ADDRESSES)
        self._all_packets = Pace()

    # -- lines: TCP connections

    @property
    def strange_lines(self) -> int:
        """Return the number of TCP connections of strangers."""
        return len(self._lines)

    def connect(self, address: str, hang_up: Callable[[], None], *, is_relay: bool = False) -> Line:
        """Add a new TCP connection, a stranger's; another stranger's may be closed for it.

        That of a trusted proxy is never a stranger's: it has no deadline and no limit.
        """
        line = Line(address, hang_up, is_relay=is_relay)
        if is_relay:
            return line
        self._end(self._lines.add(line, self._clock.monotonic()))
        return line

    def make_room(self) -> None:
        """Close one TCP connection of a stranger, if there are several: none may be left else."""
        self._end(self._lines.pop_oldest())

    def leave(self, line: Line) -> None:
        """Remove a TCP connection that has ended."""
        line.has_ended = True
        self._lines.drop(line)
        if line.flow is not None:
            line.flow.drop(line)
        self._waiting.pop(line, None)
        if line.when_ended is not None:
            line.when_ended()

    def welcome(self, line: Line) -> None:
        """Note that a peer has authenticated on a line: the line has no deadline."""
        line.is_known = True
        self._lines.drop(line)

    def set_aside(self, line: Line) -> None:
        """Suspend the deadline of a line that waits for Master, until `suspect` sets a new one."""
        self._lines.drop(line)

    def suspect(self, line: Line) -> None:
        """Return a line to the strangers, with the deadline of a new one."""
        if line.is_relay:
            return
        line.is_known = False
        if not line.has_ended:
            self._end(self._lines.add(line, self._clock.monotonic()))

    def begin(self, line: Line, sender: Flow | None = None) -> None:
        """Start the deadline PATIENCE_S for a transfer on a line; `end` cancels it.

        `sender` is the flow whose packets are sent, if it is one.
        """
        line.sender, line.received = sender, 0
        self._waiting.pop(line, None)
        if not line.has_ended:
            self._waiting[line] = self._clock.monotonic()

    def note_body(self, line: Line, size: int) -> None:
        """Note received bytes of a body; every PROGRESS_BYTES of them start its deadline anew."""
        line.received += size
        if line.received >= PROGRESS_BYTES and line in self._waiting:
            if line.sender is not None:
                line.sender.note_progress()
            self.begin(line, line.sender)

    def end(self, line: Line) -> None:
        """Note that the transfer on a line has ended."""
        line.sender = None
        self._waiting.pop(line, None)

    # -- flows: Engine.IO connections

    def open(self, address: str, hang_up: Callable[[], None]) -> Flow:
        """Add a new Engine.IO connection, a stranger's; another stranger's may be closed for it."""
        flow = Flow(self, self._clock, address, hang_up)
        self._end(self._flows.add(flow, self._clock.monotonic()))
        return flow

    def greet(self, flow: Flow, kind: Kind) -> None:
        """Record the kind of an authenticated peer; of several kinds the largest budget applies.

        The costs of the authentication are refunded.
        """
        if not flow.is_known:
            self._flows.drop(flow)
            packets = flow.pop_strange()
            self._all_packets.refund(packets)
            self._packets.refund(flow.address, packets)
            self.openings.refund(flow.address)
            for line in flow.lines:
                self.welcome(line)
        flow.grow(kind)

    def attach(self, line: Line, flow: Flow) -> None:
        """Note that a line carries a flow's packets; it is authenticated as long as the flow is."""
        if line.flow is not flow:
            if line.flow is not None:
                line.flow.drop(line)
            line.flow = flow
            flow.lines += (line,)
        if flow.is_known and not line.is_known:
            self.welcome(line)

    def close(self, flow: Flow) -> None:
        """Remove an Engine.IO connection that has ended; its lines are strangers' again."""
        self._flows.drop(flow)
        lines, flow.lines = flow.lines, ()
        for line in lines:
            line.flow = None
            if line.is_known:
                self.suspect(line)

    # -- addresses

    def admit(self, address: str, requests_per_s: float | None = None) -> None:
        """Count one request of an address or of a caller's name. Errors: TooManyRequests."""
        rate = self._requests_per_s if requests_per_s is None else requests_per_s
        wait_s = self._requests.find(address).ask(self._clock.monotonic(), rate, rate * BURST)
        if wait_s:
            raise TooManyRequests(retry_after_ms=round(wait_s * 1000) + 1)

    def charge_strange(self, address: str) -> float:
        """Charge one packet of a stranger; return its wait in seconds."""
        now, rate = self._clock.monotonic(), STRANGERS_PER_S / 2
        wait_s = self._packets.find(address).charge(now, rate, rate)
        return max(wait_s, self._all_packets.charge(now, STRANGERS_PER_S, STRANGERS_PER_S))

    # -- deadlines

    def hang_up_late(self, most: int = sys.maxsize) -> int:
        """Close up to `most` lines and flows past their deadlines; return how many.

        Call it every second, and again at once as long as it returns `most`.
        """
        now = self._clock.monotonic()
        late: list[Metered] = list(self._lines.pop_late(now, STRANGER_S + FAREWELL_S, most))
        late += self._flows.pop_late(now, STRANGER_S, most - len(late))
        while self._waiting and len(late) < most:
            line, since = next(iter(self._waiting.items()))
            if since >= now - PATIENCE_S:
                break
            del self._waiting[line]
            late.append(line)
        for metered in late:
            self._end(metered)
        return len(late)

    def _end(self, metered: Metered | None) -> None:
        if metered is not None:
            self.hung_up += 1
            metered.hang_up()
