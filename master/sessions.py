"""Sessions: live sockets, last signs of life, and accounts that workers are still to be told of.

These are facts of this process; only a worker's last sign of life also comes from the database. A
sign of life counts on arrival; the socket that speaks for a worker changes after the commit of the
turn that binds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from master.model import Stall

MOST_TAKEOVERS = 1_000
"""How many takeovers are remembered."""

STALL_S = 2.0
"""A loop that is late by this much may have left heartbeats unread."""


CAUGHT_UP_BYTES = 16 * 1024
"""A reader with at most this many bytes queued has received nearly all that was sent to it."""


@dataclass(slots=True)
class Seat:
    """One known worker in this process. `heard` is monotonic seconds, `heard_at` Unix seconds."""

    worker_id: str
    heard: float
    heard_at: int | None = None
    sid: str | None = None
    lost: set[str] = field(default_factory=set)
    """Accounts that the worker has lost and could not be told of."""
    stats: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    """Address of the last socket that spoke for it; None if there was none since the start."""
    succeeded: float | None = None
    """Monotonic second of the last report of messages or successful login; None if none."""


class Outlets(Protocol):
    """The outbound queues of sockets; the socket server implements it."""

    def measure_waiting(self, sid: str) -> int:
        """Return the number of bytes queued for the connection of a worker's socket."""
        ...

    def call_when_caught_up(self, sid: str, callback: Callable[[], object]) -> None:
        """Call back once a worker's socket has nearly all queued bytes; never if it closes."""
        ...


class _NoOutlets:
    def measure_waiting(self, sid: str) -> int:
        return 0

    def call_when_caught_up(self, sid: str, callback: Callable[[], object]) -> None:
        return


class Untold:
    """Accounts a worker owns and has yet to be told of, in order: account -> approximate bytes."""

    __slots__ = ("bytes", "sizes")

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.bytes = 0

    def add(self, sizes: Mapping[str, int]) -> None:
        """Append accounts; one that is queued already keeps its position."""
        for account_id, size in sizes.items():
            self.bytes += size - self.sizes.get(account_id, 0)
            self.sizes[account_id] = size

    def remove(self, account_ids: Iterable[str]) -> None:
        """Remove accounts that the worker has been told of, or no longer owns."""
        for account_id in account_ids:
            self.bytes -= self.sizes.pop(account_id, 0)


class Sessions:
    """All state that lives only as long as the process and its sockets."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self.worker_of_socket: dict[str, str] = {}
        self.worker_sockets: set[str] = set()
        """Every live socket of /worker, whether or not it speaks for a worker."""
        self.addresses: dict[str, str] = {}
        """Live socket of /worker -> its remote address."""
        self.takeovers: deque[tuple[float, str]] = deque(maxlen=MOST_TAKEOVERS)
        """(monotonic second, worker) of live sockets that a takeover replaced, latest last."""
        self.takeover_count = 0
        self.contests: dict[str, float] = {}
        """Worker that two processes contend for -> monotonic second of the finding, in order."""
        self.contest_count = 0
        self.untold: dict[str, Untold] = {}
        """Worker -> the accounts it has yet to be told of, at the pace at which it reads."""
        self.outlets: Outlets = _NoOutlets()
        self.tell_on: Callable[[str], object] = lambda _: None
        """Has a worker told of more accounts once its reader has received the queued ones."""
        self.unwritten: dict[str, int] = {}
        """Signs of life (Unix seconds) that are not stored yet."""
        self.pulse: float | None = None
        """Monotonic second at which the loop last ran on time; None before its first beat."""
        self.stalls: list[Stall] = []
        """The loop's latest stalls, in order."""
        self.admins: dict[str, str] = {}
        self.clients: dict[str, str | None] = {}
        self.followers: dict[str, str] = {}
        """Socket of an administrator -> the worker whose output it follows."""
        self.tell_output: Callable[[str], object] = lambda _: None
        """Sends a worker's output to those who follow it, from now on until the last one stops."""
        self.delivered: dict[str, None] = {}
        """Notifications sent to a peer whose rows do not record that yet, in order."""

    def count_sockets(self) -> dict[str, int]:
        """Return the number of live sockets of each namespace."""
        return {
            "worker": len(self.worker_sockets),
            "admin": len(self.admins),
            "client": len(self.clients),
        }

    def follow(self, sid: str, worker_id: str | None) -> None:
        """Let a socket that is still connected follow a worker's output, or none."""
        if worker_id is None or sid not in self.admins:
            self.followers.pop(sid, None)
            return
        self.followers[sid] = worker_id
        self.tell_output(worker_id)

    def seat(self, worker_id: str, *, heard: float, heard_at: int | None) -> Seat:
        """Return a worker's seat; make one without a socket if there is none."""
        seat = self.seats.get(worker_id)
        if seat is None:
            seat = self.seats[worker_id] = Seat(worker_id, heard, heard_at)
        return seat

    def bind(self, worker_id: str, sid: str) -> str | None:
        """Let a live socket speak for a worker; return the socket that it replaces, or None."""
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
        """Remove a worker's socket; return the worker that it spoke for, or None."""
        self.worker_sockets.discard(sid)
        self.addresses.pop(sid, None)
        worker_id = self.worker_of_socket.pop(sid, None)
        if worker_id is not None:
            self.seats[worker_id].sid = None
        return worker_id

    def is_away(self, worker_id: str) -> bool:
        """Return whether a worker is known and has no live socket."""
        return worker_id in self.seats and self.seats[worker_id].sid is None

    def forget(self, worker_id: str) -> None:
        """Remove a worker whose row is gone; its socket then speaks for no worker."""
        seat = self.seats.pop(worker_id, None)
        if seat is not None and seat.sid is not None:
            self.worker_of_socket.pop(seat.sid, None)
        self.untold.pop(worker_id, None)
        self.unwritten.pop(worker_id, None)

    def leave_untold(self, worker_id: str, sizes: Mapping[str, int]) -> None:
        """Queue accounts that a worker is told of later."""
        if worker_id in self.seats:
            self.untold.setdefault(worker_id, Untold()).add(sizes)

    def forget_untold(self, worker_id: str, account_ids: Iterable[str]) -> None:
        """Remove accounts that a worker need not be told of any more."""
        untold = self.untold.get(worker_id)
        if untold is not None:
            untold.remove(account_ids)
            if not untold.sizes:
                del self.untold[worker_id]

    def measure_waiting(self, worker_id: str) -> int:
        """Return the number of bytes queued for a worker."""
        seat = self.seats.get(worker_id)
        return (
            self.outlets.measure_waiting(seat.sid)
            if seat is not None and seat.sid is not None
            else 0
        )

    def hear(self, worker_id: str, *, monotonic: float, at: int) -> None:
        """Record a sign of life of a known worker; the next sweep of heartbeats stores it.

        It never goes back in time, except for a worker without a socket: this ends its grace.
        """
        seat = self.seats.get(worker_id)
        if seat is not None and (monotonic >= seat.heard or seat.sid is None):
            seat.heard, seat.heard_at = monotonic, at
            self.unwritten[worker_id] = at

    def hear_socket(self, sid: str, *, monotonic: float, at: int) -> None:
        """Record a sign of life of the worker that a socket speaks for, if any."""
        worker_id = self.worker_of_socket.get(sid)
        if worker_id is not None:
            self.hear(worker_id, monotonic=monotonic, at=at)

    def note_takeover(self, worker_id: str, now: float) -> None:
        """Record that another socket has replaced a worker's live socket."""
        self.takeovers.append((now, worker_id))
        self.takeover_count += 1

    def note_contest(self, worker_id: str, now: float, *, keep_s: float) -> None:
        """Record that two processes contend for one worker; drop what is older than `keep_s`."""
        self.contests = {name: at for name, at in self.contests.items() if now - at < keep_s} | {
            worker_id: now
        }
        self.contest_count += 1

    def note_success(self, worker_ids: Iterable[str], now: float) -> None:
        """Record that workers have reported messages or a successful login."""
        for worker_id in worker_ids:
            if (seat := self.seats.get(worker_id)) is not None:
                seat.succeeded = now

    def begin_grace(self, now: float, *, grace_s: float) -> None:
        """Count the silence of workers without a socket from `grace_s` after `now`.

        Before `now` they could not be heard.
        """
        for seat in self.seats.values():
            if seat.sid is None:
                seat.heard = now + grace_s

    def find_seat(self, sid: str | None) -> Seat | None:
        """Return the seat of the worker that a socket speaks for, or None."""
        worker_id = self.worker_of_socket.get(sid) if sid else None
        return self.seats[worker_id] if worker_id else None

    def forget_written(self, written: Mapping[str, int]) -> None:
        """Remove signs of life that are stored; newer ones stay."""
        for worker_id, at in written.items():
            if self.unwritten.get(worker_id) == at:
                del self.unwritten[worker_id]

    def forget_delivered(self, marked: Iterable[str]) -> None:
        """Remove notifications whose rows record by now that they were sent."""
        for notification_id in marked:
            self.delivered.pop(notification_id, None)

    def note_stall(self, began: float, ended: float, *, keep_s: float) -> None:
        """Record a stall (monotonic seconds); drop those that ended over `keep_s` before it did."""
        self.stalls = [
            *(stall for stall in self.stalls if ended - stall.ended <= keep_s),
            Stall(began, ended),
        ]

    def list_stalls(self, now: float) -> list[Stall]:
        """Return the loop's latest stalls in order, including one that is not recorded yet."""
        if self.pulse is not None and now - self.pulse > 2 * STALL_S:
            # a turn that began before the stall may run before `note_stall` does
            return [*self.stalls, Stall(self.pulse, now)]
        return self.stalls
