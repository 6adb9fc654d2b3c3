"""Who is here right now: live sockets, last signs of life, and what has been handed to whom.

These are facts of this process and never come from the database, but for when a worker was last heard. A sign of life
counts when it arrives; which socket speaks for a worker changes after the commit of the turn that binds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from master.model import Stall

MOST_TAKEOVERS = 1_000
"""Takeovers that are remembered."""

STALL_S = 2.0
"""A loop that is so late may have left workers' heartbeats unread."""


TAKEN_BYTES = 16 * 1024
"""A reader for whom no more than this waits has taken nearly all that it was sent."""


@dataclass(slots=True)
class Seat:
    """One known worker as this process sees it. `heard` is monotonic seconds, `heard_at` Unix seconds."""

    worker_id: str
    heard: float
    heard_at: int | None = None
    sid: str | None = None
    owed: set[str] = field(default_factory=set)
    """Accounts taken away while nobody could be told."""
    stats: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    """Where the socket came from that spoke for it last; None if none has since the start."""


class Outlets(Protocol):
    """What waits to be sent to sockets; the sockets' server has it."""

    def measure_waiting(self, sid: str) -> int:
        """Return how many bytes wait for the connection of a worker's socket."""
        ...

    def call_when_taken(self, sid: str, callback: Callable[[], object]) -> None:
        """Call back once the reader of a worker's socket has taken nearly all that waits; not if it leaves before."""
        ...


class _NoOutlets:
    def measure_waiting(self, sid: str) -> int:
        return 0

    def call_when_taken(self, sid: str, callback: Callable[[], object]) -> None:
        return


class Untold:
    """Accounts that a worker holds and is still to be told of, in order: account -> about how many bytes that takes."""

    __slots__ = ("bytes", "sizes")

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.bytes = 0

    def add(self, sizes: Mapping[str, int]) -> None:
        """Put accounts behind the others; one that waits already keeps its place."""
        for account_id, size in sizes.items():
            self.bytes += size - self.sizes.get(account_id, 0)
            self.sizes[account_id] = size

    def remove(self, account_ids: Iterable[str]) -> None:
        """Forget accounts that the worker has been told of, or holds no more."""
        for account_id in account_ids:
            self.bytes -= self.sizes.pop(account_id, 0)


class Sessions:
    """Everything that lives only as long as the process and its sockets."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self.worker_of_socket: dict[str, str] = {}
        self.worker_sockets: set[str] = set()
        """Every live socket of /worker, whether or not it speaks for a worker."""
        self.addresses: dict[str, str] = {}
        """Live socket of /worker -> where it comes from."""
        self.takeovers: deque[tuple[float, str]] = deque(maxlen=MOST_TAKEOVERS)
        """(monotonic second, worker) of live sockets that another one of their worker has replaced, the latest last."""
        self.takeover_count = 0
        self.contest_at: float | None = None
        """When it was said last that two processes contend for one worker."""
        self.untold: dict[str, Untold] = {}
        """Worker -> what it is still to be told of, at the pace at which it reads."""
        self.outlets: Outlets = _NoOutlets()
        self.tell_on: Callable[[str], object] = lambda _: None
        """Has a worker told of more, now that its reader has taken what waited."""
        self.unwritten: dict[str, int] = {}
        """Signs of life (Unix seconds) that the next batch stores."""
        self.pulse: float | None = None
        """Monotonic second at which the loop was last seen to run on time; None before its first beat."""
        self.stalls: list[Stall] = []
        """The loop's latest stalls, in order."""
        self.admins: dict[str, str] = {}
        self.clients: dict[str, str | None] = {}
        self.delivered: dict[str, None] = {}
        """Notifications handed to somebody whose rows do not say so yet, in order."""

    def seat(self, worker_id: str, *, heard: float, heard_at: int | None) -> Seat:
        """Return a worker's seat; make one, without a socket, for a worker that has none."""
        seat = self.seats.get(worker_id)
        if seat is None:
            seat = self.seats[worker_id] = Seat(worker_id, heard, heard_at)
        return seat

    def bind(self, worker_id: str, sid: str) -> str | None:
        """Let a live socket speak for a worker; return the one that did before, if that was another."""
        former = self.worker_of_socket.get(sid)
        if former is not None and former != worker_id:
            self.seats[former].sid = None
        seat = self.seats[worker_id]
        older = seat.sid if seat.sid != sid else None
        if older is not None:
            self.worker_of_socket.pop(older, None)
        seat.sid, seat.address = sid, self.addresses.get(sid, seat.address)
        self.worker_of_socket[sid] = worker_id
        return older

    def leave(self, sid: str) -> str | None:
        """Forget a worker's socket; return the worker that it spoke for, if any."""
        self.worker_sockets.discard(sid)
        self.addresses.pop(sid, None)
        worker_id = self.worker_of_socket.pop(sid, None)
        if worker_id is not None:
            self.seats[worker_id].sid = None
        return worker_id

    def is_away(self, worker_id: str) -> bool:
        """Tell whether a worker is known and has no live socket."""
        return worker_id in self.seats and self.seats[worker_id].sid is None

    def forget(self, worker_id: str) -> None:
        """Forget a worker whose row is gone; a socket that spoke for it speaks for none."""
        seat = self.seats.pop(worker_id, None)
        if seat is not None and seat.sid is not None:
            self.worker_of_socket.pop(seat.sid, None)
        self.untold.pop(worker_id, None)
        self.unwritten.pop(worker_id, None)

    def leave_untold(self, worker_id: str, sizes: Mapping[str, int]) -> None:
        """Note accounts that a worker is to be told of later."""
        if worker_id in self.seats:
            self.untold.setdefault(worker_id, Untold()).add(sizes)

    def forget_untold(self, worker_id: str, account_ids: Iterable[str]) -> None:
        """Forget accounts that a worker need not be told of any more."""
        untold = self.untold.get(worker_id)
        if untold is not None:
            untold.remove(account_ids)
            if not untold.sizes:
                del self.untold[worker_id]

    def measure_untold(self, worker_id: str) -> int:
        """Return about how many bytes a worker is still to be told of."""
        untold = self.untold.get(worker_id)
        return untold.bytes if untold is not None else 0

    def measure_waiting(self, worker_id: str) -> int:
        """Return how many bytes wait to be sent to a worker."""
        seat = self.seats.get(worker_id)
        return (
            self.outlets.measure_waiting(seat.sid)
            if seat is not None and seat.sid is not None
            else 0
        )

    def hear(self, worker_id: str, *, monotonic: float, at: int) -> None:
        """Note a sign of life of a known worker, to be stored with the next batch.

        It never goes back in time, but for who comes back without a socket: its silence counts no more from a grace.
        """
        seat = self.seats.get(worker_id)
        if seat is not None and (monotonic >= seat.heard or seat.sid is None):
            seat.heard, seat.heard_at = monotonic, at
            self.unwritten[worker_id] = at

    def note_takeover(self, worker_id: str, now: float) -> None:
        """Note that a worker's live socket was replaced by another."""
        self.takeovers.append((now, worker_id))
        self.takeover_count += 1

    def note_contest(self, now: float) -> None:
        """Note that it was said that two processes contend for one worker."""
        self.contest_at = now

    def begin_grace(self, now: float, *, grace_s: float) -> None:
        """Count the silence of those who have no socket from now on, when they can first be heard."""
        for seat in self.seats.values():
            if seat.sid is None:
                seat.heard = now + grace_s

    def find_seat(self, sid: str | None) -> Seat | None:
        """Return the worker that this socket speaks for, or None."""
        worker_id = self.worker_of_socket.get(sid) if sid else None
        return self.seats[worker_id] if worker_id else None

    def forget_written(self, written: Mapping[str, int]) -> None:
        """Forget signs of life that are stored now; newer ones stay."""
        for worker_id, at in written.items():
            if self.unwritten.get(worker_id) == at:
                del self.unwritten[worker_id]

    def forget_delivered(self, marked: Iterable[str]) -> None:
        """Forget notifications whose rows say by now that they were sent."""
        for notification_id in marked:
            self.delivered.pop(notification_id, None)

    def note_stall(self, began: float, ended: float, *, keep_s: float) -> None:
        """Note a stall (monotonic seconds); forget those that ended longer than `keep_s` before it did."""
        self.stalls = [
            *(stall for stall in self.stalls if ended - stall.ended <= keep_s),
            Stall(began, ended),
        ]

    def list_stalls(self, now: float) -> list[Stall]:
        """Return the loop's latest stalls, in order; the last may be this one, which is not noted yet."""
        if self.pulse is not None and now - self.pulse > 2 * STALL_S:
            return [
                *self.stalls,
                Stall(self.pulse, now),
            ]  # a turn begun before it may be the first to run after it
        return self.stalls
