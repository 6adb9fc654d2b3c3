"""Who is here right now: live sockets, last signs of life, and a copy of what is committed about ownership.

Only a turn's effects change what is kept about ownership, after the commit, so memory never runs ahead of the file.
Sockets and signs of life exist in memory alone; heartbeats reach the file in batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from master.model import WorkerStatus

STALL_S = 2.0
"""A loop that is so late may have left workers' heartbeats unread."""


@dataclass(slots=True)
class Seat:
    """One worker as memory knows it. `heard` is monotonic seconds, `heard_at` Unix seconds."""

    worker_id: str
    status: WorkerStatus
    heard: float
    heard_at: int | None = None
    sid: str | None = None
    owned: dict[str, int] = field(default_factory=dict)
    """Account id -> epoch, as committed."""
    owed_revocations: set[str] = field(default_factory=set)
    """Accounts taken away while nobody could be told."""
    stats: Mapping[str, float | int | None] = field(default_factory=dict)


class Presence:
    """Everything that lives only as long as the process."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self.worker_of_socket: dict[str, str] = {}
        self.worker_sockets: set[str] = set()
        """Every live socket of /worker, whether or not a worker is bound to it."""
        self.claims: dict[str, str] = {}
        """Worker -> the socket that bound it last, noted before the commit: an older socket's close counts no more."""
        self._former_claims: dict[str, str | None] = {}
        """Worker -> its claim before the group of turns that is being written, which may fail."""
        self.doubted: set[str] = set()
        """Workers that the group of turns which is being written gives up, or takes accounts from, unless it fails. A
        heartbeat that memory answered meanwhile would let one act on what others are about to get."""
        self.unwritten: dict[str, int] = {}
        self.brake_until: float | None = None
        """Monotonic second until which nobody is given up; None while no brake is on."""
        self.brakes = 0
        self.login_outcomes: Counter[str] = Counter()
        self.pulse: float | None = None
        """Monotonic second at which the loop was last seen to run on time; None before its first beat."""
        self.stalled_at: float | None = None
        self.given_up: list[float] = []
        """Monotonic seconds at which workers were given up for their silence, of the last timeout."""
        self.deadlines: dict[str, int] = {}
        """Open login -> the Unix second at which it ends, as its row says."""
        self.ends: dict[str, float] = {}
        """Open login -> the monotonic second at which it ends even if somebody sets the wall clock back."""
        self.last_ends: dict[str, float] = {}
        """Open login -> the monotonic second after which no new QR code keeps it open."""
        self.handed_out: dict[str, float] = {}
        self.partings: dict[str, dict[str, float]] = {}
        """Account -> the workers it was taken from that may not have heard of it yet, and until when (monotonic).

        An account that was removed is here by its name on its platform: it may be added again under another id.
        """
        self.unsure_until = float("-inf")
        """Until when (monotonic) workers may hold what the Master before took from them: it cannot be asked."""
        self.admins: dict[str, str] = {}
        self.clients: dict[str, str | None] = {}
        self.delivered: dict[str, None] = {}
        """Notifications handed to somebody whose rows do not say so yet, in order."""

    # -- workers -------------------------------------------------------------------------------------------------

    def seat(self, worker_id: str, sid: str, *, monotonic: float, at: int) -> str | None:
        """Bind a worker to its newest socket; return the socket that it had before, if that was another one."""
        before = self.worker_of_socket.get(sid)
        if before is not None and before != worker_id:
            self.seats[before].sid = None
        seat = self.seats.get(worker_id)
        if seat is None:
            seat = self.seats[worker_id] = Seat(worker_id, WorkerStatus.CONNECTED, monotonic)
        older = seat.sid if seat.sid != sid else None
        if older is not None:
            self.worker_of_socket.pop(older, None)
        seat.sid, seat.status = sid, WorkerStatus.CONNECTED
        self.worker_of_socket[sid] = worker_id
        self.hear(seat, monotonic=monotonic, at=at)
        return older

    def claim(self, worker_id: str, sid: str) -> None:
        """Note, before the commit, the socket that a turn binds a worker to."""
        self._former_claims.setdefault(worker_id, self.claims.get(worker_id))
        self.claims[worker_id] = sid

    def settle_claims(self, *, stored: bool) -> None:
        """Keep the claims of a group of turns that was stored; give back those before them if it was undone."""
        if not stored:
            for worker_id, sid in self._former_claims.items():
                if sid is None:
                    del self.claims[worker_id]
                else:
                    self.claims[worker_id] = sid
        self._former_claims.clear()

    def restore(self, worker_id: str, status: WorkerStatus, *, heard: float, heard_at: int | None) -> Seat:
        """Put a worker from the file into memory, without a socket; `begin_grace` says since when it is silent."""
        seat = self.seats[worker_id] = Seat(worker_id, status, heard, heard_at)
        return seat

    def hear(self, seat: Seat, *, monotonic: float, at: int) -> None:
        """Note a sign of life, to be written with the next batch."""
        seat.heard = monotonic
        seat.heard_at = at
        self.unwritten[seat.worker_id] = at

    def leave(self, sid: str) -> str | None:
        """Forget a worker's socket; return the worker that it was the newest socket of, if any.

        A socket that closes while its registration waits for the commit counts as well: it has claimed its worker.
        """
        self.worker_sockets.discard(sid)
        worker_id = self.worker_of_socket.pop(sid, None)
        if worker_id is None:
            return next((claimed for claimed, by in self.claims.items() if by == sid), None)
        seat = self.seats[worker_id]
        if seat.sid != sid:
            return None
        seat.sid = None
        return worker_id

    def begin_grace(self, now: float, *, grace_s: float, timeout_s: float) -> None:
        """Count the silence of those restored from the file from now on, when they can first be heard."""
        for seat in self.seats.values():
            if seat.sid is None:
                seat.heard = now + grace_s
        self.unsure_until = now + timeout_s

    def set_status(self, worker_id: str, status: WorkerStatus) -> None:
        """Note a worker's committed state."""
        if worker_id in self.seats:
            self.seats[worker_id].status = status

    def seat_of_socket(self, sid: str | None) -> Seat | None:
        """Return the worker that this socket speaks for, or None."""
        worker_id = self.worker_of_socket.get(sid) if sid else None
        return self.seats[worker_id] if worker_id else None

    def has_socket(self, worker_id: str) -> bool:
        """Tell whether a worker has a live socket, or one that binds it in the group of turns that is being written."""
        seat = self.seats.get(worker_id)
        return (seat is not None and seat.sid is not None) or self.claims.get(worker_id) in self.worker_sockets

    def find_heard(self) -> Iterable[tuple[str, float]]:
        """Yield (worker id, monotonic second last heard) of every worker that is not offline."""
        return ((s.worker_id, s.heard) for s in self.seats.values() if s.status is not WorkerStatus.OFFLINE)

    def forget_written(self, written: Mapping[str, int]) -> None:
        """Forget signs of life that are in the file now; newer ones stay."""
        for worker_id, at in written.items():
            if self.unwritten.get(worker_id) == at:
                del self.unwritten[worker_id]

    def forget_delivered(self, marked: Iterable[str]) -> None:
        """Forget notifications whose rows say by now that they were sent."""
        for notification_id in marked:
            self.delivered.pop(notification_id, None)

    def find_stall(self, now: float) -> float | None:
        """Return the monotonic second at which the loop's latest stall ended, which may be this one; None of none."""
        if self.pulse is not None and now - self.pulse > 2 * STALL_S:
            return now  # a turn that was begun before the stall may be the first to run after it
        return self.stalled_at

    # -- logins --------------------------------------------------------------------------------------------------

    def note_deadline(self, login_id: str, expires_at: int, *, now: float, monotonic: float, most_s: float) -> None:
        """Note when a login ends, `most_s` after this was noted first at the latest.

        `now` and `monotonic` are the same moment.
        """
        last = self.last_ends.setdefault(login_id, monotonic + most_s)
        self.deadlines[login_id] = expires_at
        self.ends[login_id] = min(monotonic + expires_at - now, last)

    def forget_deadline(self, login_id: str) -> None:
        """Forget a login that has ended."""
        self.deadlines.pop(login_id, None)
        self.ends.pop(login_id, None)
        self.last_ends.pop(login_id, None)

    def find_overdue(self, now: float, monotonic: float) -> list[str]:
        """Return the open logins whose time is up by either clock."""
        return [
            login_id
            for login_id, expires_at in self.deadlines.items()
            if expires_at <= now or self.ends[login_id] <= monotonic
        ]

    # -- ownership -----------------------------------------------------------------------------------------------

    def part(self, account_ids: Iterable[str], worker_id: str, *, now: float, until: float) -> None:
        """Note that a worker loses accounts and may act on them `until` then, at the latest.

        Noted before the commit: another worker must be told in the same turn, and too much caution does no harm. Nobody
        who lost one before is forgotten: within a timeout an account may change hands more than once.
        """
        partings = {}
        for account_id, formers in self.partings.items():
            if lasting := {former: at for former, at in formers.items() if at > now}:
                partings[account_id] = lasting
        for account_id in account_ids:
            partings.setdefault(account_id, {})[worker_id] = until
        self.partings = partings

    def pass_partings(self, name: str, heir: str) -> None:
        """Let whoever may still act on one account count for `heir` as well, which is the same account elsewhere."""
        for former, until in self.partings.get(name, {}).items():
            known = self.partings.setdefault(heir, {})
            known[former] = max(until, known.get(former, until))

    def find_wait(self, account_id: str, worker_id: str, now: float) -> float:
        """Return the seconds until a worker that did not hold an account may act on it."""
        formers = self.partings.get(account_id, {})
        until = [at for former, at in formers.items() if former != worker_id]
        return max(0.0, self.unsure_until - now, *(at - now for at in until))

    def give(self, account_id: str, worker_id: str, epoch: int) -> None:
        """Note a committed assignment."""
        seat = self.seats.get(worker_id)
        if seat is not None:
            seat.owned[account_id] = epoch
            seat.owed_revocations.discard(account_id)

    def take(self, account_id: str, worker_id: str, *, told: bool) -> None:
        """Note that a worker lost an account; if nobody could be `told`, the worker is told when it returns."""
        seat = self.seats.get(worker_id)
        if seat is not None:
            seat.owned.pop(account_id, None)
            if not told:
                seat.owed_revocations.add(account_id)
        self.handed_out.pop(account_id, None)
