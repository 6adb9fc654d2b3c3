"""Rules about time: when a silent worker is evicted, and until when a login's reports are accepted.

The rules use the workers' acknowledgements, arrivals at Master and the laboratory's faults, never
Master's own memory (docs/simulation.md, "What must hold").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from master.clock import Clock
from master.memory import Watch
from master.model import WorkerStatus
from master.periodic import PULSE_S
from master.sessions import Sessions
from master.settings import Settings
from simulator.virtual.machine.house import House
from simulator.virtual.rules.file_view import WorkerRow

DETECTION_S = 1.0
"""Most seconds by which an undisturbed Master may evict a silent worker late."""

PROTECTED_TIMEOUTS = 3
"""Timeouts of silence for which brakes may keep a worker, however often they are renewed."""

EQUAL_S = 1e-6
"""Moments this close are equal: a brake may end exactly one timeout after its stall."""

GHOST_S = 5.0
"""Most seconds that an undisturbed Master may need to notice the end of a link."""

Complain = Callable[[str, str], None]
"""Receives a broken rule and the detail."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The beginning of a batch: by the monotonic clock, and by the wall clock in Unix seconds."""

    monotonic: float
    wall: float

    @classmethod
    def read(cls, clock: Clock) -> Moment:
        """Return the present moment."""
        return cls(clock.monotonic(), clock.now())


@dataclass(slots=True)
class Signs:
    """One worker's signs of life. `answered`: when the latest acknowledged one was sent."""

    answered: float = float("-inf")
    arrived: float = float("-inf")
    """When the latest one arrived at Master, or when a stalled Master could read it."""
    left: bool = False
    lost: tuple[Moment, Moment] | None = None
    """When a turn last decided its eviction, and when that was stored."""


class Silence:
    """Checks the evictions of silent workers, over all Masters of a run."""

    def __init__(self, house: House, settings: Settings, clock: Clock, complain: Complain) -> None:
        self._house = house
        self._timeout_s = settings.heartbeat_timeout_s
        self._grace_s = settings.restart_grace_s
        self._clock = clock
        self._complain = complain
        self._evictions: list[float] = []
        self._may_count: list[float] = []
        """As `_evictions`, and of workers assigned an account before in the same batch."""
        self._returned: list[tuple[float, str]] = []
        """Silent workers back in the batch that judged them; owners are among those alive."""
        self._chances: list[tuple[float, str]] = []
        """When Master may have applied a brake, and the overdue worker; the latest last."""
        self._braked_since = math.inf
        """When the present brake was first seen, and the workers overdue since just before."""
        self._braked_for = set[str]()
        self._resumed_at = -math.inf
        self._brakes = self._holding = 0
        """Brakes applied, and workers owning accounts or an open login, as of the latest check."""
        self._ghosts: dict[tuple[str, str], float] = {}
        self.signs: dict[str, Signs] = {}
        self._unread: set[str] = set()
        house.on_resume = self._go_on

    def of(self, worker_id: str) -> Signs:
        """Return a worker's signs of life."""
        signs = self.signs.get(worker_id)
        if signs is None:
            signs = self.signs[worker_id] = Signs()
        return signs

    def note_answered(self, worker_id: str, sent: float, said_at: int) -> None:
        """Record that a sign of life was acknowledged: `sent` is monotonic, `said_at` Master's wall
        clock in ms.

        Master must not acknowledge a worker while its eviction is being stored: both it and the new
        owner of its accounts would act.
        """
        signs = self.of(worker_id)
        if sent - signs.answered > self._timeout_s:
            self._returned.append((self._clock.monotonic(), worker_id))
        signs.answered = max(signs.answered, sent)
        lost = signs.lost
        if (
            lost
            and sent < lost[1].monotonic
            and int(lost[0].wall * 1000) < said_at < int(lost[1].wall * 1000)
        ):
            self._complain(
                "answered_while_lost",
                f"{worker_id} was answered at {said_at}, while it was evicted",
            )

    def note_arrived(self, worker_id: str) -> None:
        """Record that a sign of life has arrived at Master."""
        self.of(worker_id).arrived = self._clock.monotonic()
        if self._house.stalled_since is not None:
            self._unread.add(worker_id)

    def _go_on(self, goes_on: bool) -> None:
        # a stalled Master reads afterwards what arrived meanwhile; a killed one never does
        if goes_on:
            self._resumed_at = self._clock.monotonic()
            for worker_id in self._unread:
                self.of(worker_id).arrived = self._resumed_at
        self._unread.clear()

    # -- after every turn --------------------------------------------------------------------------

    def check_evictions(
        self,
        before: Mapping[str, WorkerRow],
        now: Mapping[str, WorkerRow],
        began: float | None,
        *holdings: Collection[str],
    ) -> None:
        """Check that no worker is evicted early, nor against a stall or a brake.

        `began` is when the batch began (monotonic), or None for evictions during a start, whose
        time is unknown. `holdings` are sets of workers owning something at the decision; only these
        count. If the state within a batch is unknown there are several sets, and a violation must
        be one under all of them.
        """
        lost = [
            worker_id
            for worker_id, worker in now.items()
            if worker.status == WorkerStatus.OFFLINE
            and worker_id in before
            and before[worker_id].status != WorkerStatus.OFFLINE
            and not self.of(worker_id).left
        ]
        if not lost:
            return
        at = self._clock.monotonic()
        if began is not None:
            ended = Moment.read(self._clock)
            for worker_id in lost:
                self.of(worker_id).lost = Moment(began, ended.wall - (at - began)), ended
        for worker_id in lost:
            silent_s = at - self.signs[worker_id].answered
            if silent_s <= self._timeout_s:
                self._complain(
                    "evicted_early",
                    f"{worker_id} was evicted {silent_s:.3f} s after its last acknowledgement",
                )
        grace_end = self._house.started_at + self._timeout_s + self._grace_s
        early = [name for name in lost if self.signs[name].arrived < self._house.started_at]
        if at < grace_end and early:
            self._complain(
                "grace_missed", f"{early} evicted {grace_end - at:.3f} s before the grace's end"
            )
        if began is None:
            return
        stall_ended = self._house.stall_ended
        # Master receives a first sign of life then at the earliest, or when it acknowledged one
        started_at = self._house.started_at
        ends = {
            name: self._find_protection_end(max(started_at, self.signs[name].answered))
            for name in lost
        }
        protected = [name for name in lost if at < ends[name] - EQUAL_S]
        if protected and stall_ended <= began and at - stall_ended < self._timeout_s - EQUAL_S:
            detail = f"{protected} evicted {at - stall_ended:.3f} s after Master's own stall"
            self._complain("evicted_after_stall", detail)
        self._check_brake(lost, now, at, began, holdings)

    def _find_protection_end(self, heard: float, *, slack_s: float = 0.0) -> float:
        """Return until when brakes may keep a worker last heard at `heard`: three timeouts.

        A stall that began before its deadline, or up to `slack_s` later, grants it one timeout from
        the stall's end.
        """
        longest = heard + PROTECTED_TIMEOUTS * self._timeout_s
        return max(longest, self._find_end_after_stalls(heard, slack_s=slack_s))

    def _find_end_after_stalls(self, heard: float, *, slack_s: float = 0.0) -> float:
        """Return until when stalls protect a worker last heard at `heard`; -inf: none does."""
        ends = [
            one.ended
            for one in self._house.stalls
            if heard < one.ended and one.began <= heard + self._timeout_s + slack_s
        ]
        return max(ends, default=-math.inf) + self._timeout_s

    def _check_brake(
        self,
        lost: list[str],
        now: Mapping[str, WorkerRow],
        at: float,
        began: float,
        holdings: Sequence[Collection[str]],
    ) -> None:
        lately, found = (
            [then for then in self._evictions if at - then <= self._timeout_s],
            list[tuple[int, int]](),
        )
        for holding in holdings:
            counted = len(lately) + sum(name in holding for name in lost)
            total = counted + sum(
                now[name].status != WorkerStatus.OFFLINE for name in holding if name in now
            )
            if counted > len(lately) and total >= 3 and 2 * counted > total:
                found.append((counted, total))
        # wherever the batch's turns lie in time, Master counts at least the evictions that began so
        # recently
        self._evictions = lately + [began] * sum(
            any(name in holding for holding in holdings) for name in lost
        )
        served = {
            platform
            for one in holdings
            for name in one
            if name in now
            for platform in now[name].capabilities
        }
        recent = [then for then in self._may_count if at - then <= 2 * self._timeout_s]
        self._may_count = recent + [began] * sum(
            not served.isdisjoint(now[name].capabilities) for name in lost
        )
        longest = max(at - self.signs[worker_id].answered for worker_id in lost)
        if found and len(found) == len(holdings) and longest < 2 * self._timeout_s:
            self._complain(
                "brake_missed",
                f"{found[0][0]} of {found[0][1]} evicted, one after {longest:.3f} s",
            )

    # -- once a second -----------------------------------------------------------------------------

    def check_late(
        self, workers: Mapping[str, WorkerRow], undisturbed_s: float, *, braked: bool
    ) -> None:
        """Check that silent workers are evicted in time, and that every brake ends.

        A brake applied at a worker's deadline lasts one further timeout. An earlier brake may be
        renewed at its end, for other workers or because Master stalled meanwhile. Any disturbance
        of Master may renew a brake.
        """
        at, offline = self._clock.monotonic(), WorkerStatus.OFFLINE.value
        self._note_brake(workers, at, braked=braked)
        once_s, of, longest_s = self._timeout_s + DETECTION_S, self.of, self._timeout_s
        overdue = [
            worker_id
            for worker_id, worker in workers.items()
            if worker.status != offline and at - of(worker_id).arrived > longest_s
        ]
        for worker_id in overdue:
            signs = self.signs[worker_id]
            silent_s = at - signs.arrived
            if braked:
                due = max(signs.arrived, self._house.started_at + self._grace_s) + self._timeout_s
                protected_since = max(due, at - undisturbed_s)
                kept_until = self._find_end_after_stalls(signs.arrived) + 2 * DETECTION_S
                if due <= self._braked_since <= kept_until and self._braked_for - {worker_id}:
                    # a stall kept the worker until a pulse at which a brake began for another
                    protected_since = max(protected_since, self._braked_since)
                brakes = 2 if self._may_have_been_braked(worker_id, protected_since) else 1
                late = at - protected_since > brakes * once_s + DETECTION_S
            else:
                late = silent_s > once_s and undisturbed_s > once_s + self._grace_s
            if late:
                self._complain(
                    "evicted_late",
                    f"{worker_id} is {workers[worker_id].status}, silent for {silent_s:.3f} s",
                )
                signs.arrived = at
        self._note_chances(overdue, at)

    def check_protection(
        self, workers: Mapping[str, WorkerRow], holding: Collection[str], watch: Watch
    ) -> None:
        """Check that workers owning nothing neither cause nor prolong a brake.

        No worker owning something is kept beyond the limit of brakes, however often they are
        renewed. A stalled Master evicts no worker, nor does one that another fault hindered within
        the last timeout. A worker heard since a brake was applied may have been silent at that
        moment.
        """
        at, house, once_s = self._clock.monotonic(), self._house, self._timeout_s + DETECTION_S
        alive = [
            name
            for name in holding
            if name in workers and workers[name].status != WorkerStatus.OFFLINE
        ]
        if (
            watch.brakes > self._brakes
            and at - max(self._resumed_at, house.started_at) > once_s + DETECTION_S
        ):
            lately = sum(at - then <= once_s + DETECTION_S for then in self._may_count)
            returned = [name for then, name in self._returned if at - then <= once_s + DETECTION_S]
            since, put_on_at = [self.of(name).answered for name in alive], watch.put_on_at
            lost = lately + len(returned)
            lost += sum(heard > put_on_at or put_on_at - heard > self._timeout_s for heard in since)
            total = lately + min(len(alive), self._holding) + len(set(returned) - set(alive))
            if not 2 * lost > total:
                self._complain(
                    "brake_held",
                    f"a brake begins: {lost} of {total} workers that own something are silent",
                )
        self._brakes, self._holding = watch.brakes, len(alive)
        if house.stalled_since is not None or at - self._resumed_at <= DETECTION_S:
            return
        if at - house.hindered_at <= once_s + self._grace_s:
            return
        for name in alive:
            signs = self.of(name)
            heard = (
                signs.arrived
                if signs.arrived >= house.started_at
                else house.started_at + self._grace_s
            )
            if at > self._find_protection_end(heard, slack_s=PULSE_S) + 2 * DETECTION_S:
                self._complain(
                    "brake_held", f"{name} is kept, silent for {at - signs.arrived:.3f} s"
                )
                signs.arrived = at

    def _note_brake(self, workers: Mapping[str, WorkerRow], at: float, *, braked: bool) -> None:
        if not braked:
            self._braked_since, self._braked_for = math.inf, set()
        elif self._braked_since == math.inf:
            late = {name: at - self.of(name).arrived - self._timeout_s for name in workers}
            just = {name for name, late_s in late.items() if 0 <= late_s <= 2 * DETECTION_S}
            self._braked_since, self._braked_for = at, just

    def _note_chances(self, overdue: list[str], at: float) -> None:
        stalled_since = self._house.stalled_since
        ran_until = at if stalled_since is None else stalled_since
        self._chances = [
            one for one in self._chances if at - one[0] <= 4 * (self._timeout_s + DETECTION_S)
        ]
        self._chances += [
            (at, name) for name in overdue if self.signs[name].arrived + self._timeout_s < ran_until
        ]

    def _may_have_been_braked(self, worker_id: str, moment: float) -> bool:
        """Tell whether a brake that was on at `moment` may be renewed for a worker."""
        earliest = max(moment - self._timeout_s - DETECTION_S, self._house.started_at)
        return any(
            earliest < then < moment and (name != worker_id or then < self._resumed_at)
            for then, name in self._chances
        )

    def check_links(
        self, sessions: Sessions, workers: Mapping[str, WorkerRow], undisturbed_s: float
    ) -> None:
        """Check that each worker's socket has an open link, and that each connected worker has a
        socket.

        If the disk refuses a worker's registration on a new socket, the worker may count as
        connected without a socket until it retries or is evicted, for as long as brakes may keep
        it.
        """
        at, longest_s = self._clock.monotonic(), PROTECTED_TIMEOUTS * self._timeout_s + DETECTION_S
        found, limits_s = dict[tuple[str, str], float](), dict[tuple[str, str], float]()
        find_link, connected = self._house.find_link, WorkerStatus.CONNECTED.value
        for worker_id, seat in sessions.seats.items():
            if seat.sid is not None:
                link = find_link(seat.sid)
                if link is not None and not link.ended_for_master:
                    continue
                ghost, limit_s = (
                    f"{seat.sid} speaks for {worker_id}, and its link has ended",
                    GHOST_S,
                )
            elif (worker := workers.get(worker_id)) is not None and worker.status == connected:
                ghost, limit_s = f"{worker_id} is connected by no socket", longest_s
            else:
                continue
            limits_s[worker_id, ghost] = limit_s
            found[worker_id, ghost] = self._ghosts.get((worker_id, ghost), at)
        self._ghosts = found
        for (worker_id, ghost), since in found.items():
            if min(at - since, undisturbed_s) > limits_s[worker_id, ghost]:
                self._complain("ghost_socket", f"{ghost}, for {at - since:.0f} s")
                self._ghosts[worker_id, ghost] = at
