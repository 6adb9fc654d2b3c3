"""All state of a running Master: the farm, sessions, deadlines, and the draft under way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from master.deadlines import Deadlines
from master.decisions.retention import Trust
from master.decisions.sickness import Health, Track
from master.drains import Drains
from master.farm import Farm
from master.links import Links
from master.minutes import Minutes
from master.model import WorkerStatus
from master.protocol.proxies import ShownLastTrial
from master.revision import Revision
from master.sessions import Sessions


class Pending(Protocol):
    """The interface of the draft of the batch under way; draft.py implements it."""

    def touches(self, worker_id: str) -> bool:
        """Return whether the draft changes a worker, its accounts or its socket."""
        ...

    def evicts(self, worker_id: str) -> bool:
        """Return whether a worker is offline in the draft."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """How silence is judged: the brake, and the latest evictions of silent workers.

    Moments are monotonic seconds. No worker is evicted until `brake_until`; None means that no
    brake is on. `put_on_at` is when it was put on, for the workers that were silent for too long
    then.
    """

    brake_until: float | None = None
    put_on_at: float = float("-inf")
    brakes: int = 0
    evictions: tuple[float, ...] = ()


@dataclass(slots=True)
class Wards:
    """How the workers do their work, since this process started."""

    tracks: dict[str, Track] = field(default_factory=dict)
    """Of the workers whose figures say something of it."""
    health: dict[str, Health] = field(default_factory=dict)
    """Of the workers that are not `ok`, as people were told."""
    found: dict[str, Health | None] = field(default_factory=dict)
    """Newer findings, to be told; None is `ok`."""
    waiting: deque[str] = field(default_factory=deque)
    """Workers still to be looked at in this round."""

    def apply(self, worker_id: str, health: Health | None) -> None:
        """Record a state that people have been told of."""
        if health is not None:
            self.health[worker_id] = health
        else:
            self.health.pop(worker_id, None)
        if worker_id in self.found and self.found[worker_id] == health:
            del self.found[worker_id]


@dataclass(slots=True)
class Memory:
    """The complete state. `pending` is the draft of the batch under way, or None."""

    farm: Farm = field(default_factory=Farm)
    sessions: Sessions = field(default_factory=Sessions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    watch: Watch = field(default_factory=Watch)
    drains: Drains = field(default_factory=Drains)
    links: Links = field(default_factory=Links)
    revision: Revision = field(default_factory=Revision)
    wards: Wards = field(default_factory=Wards)
    minutes: Minutes = field(default_factory=Minutes)
    pending: Pending | None = None
    trust: Trust | None = None
    """The clocks at the last check; None before the first."""
    login_outcomes: Counter[str] = field(default_factory=Counter)
    login_steps: dict[str, str] = field(default_factory=dict)
    """Open login -> the step that its worker reported last."""
    trials: dict[str, ShownLastTrial] = field(default_factory=dict)
    """Proxy -> its newest trial since this process started."""
    altered_duplicates: int = 0
    """How many reported messages with a stored id were edits or other messages."""

    def count_altered(self, number: int) -> None:
        """Count messages with a stored id that are edits or other messages."""
        self.altered_duplicates += number

    def forget_login(self, login_id: str) -> None:
        """Forget the deadline and the last step of a login that has ended."""
        self.deadlines.forget_login(login_id)
        self.links.prompts.pop(login_id, None)
        self.login_steps.pop(login_id, None)

    def find_heard(self) -> Iterator[tuple[str, float]]:
        """Yield (worker id, monotonic second last heard) of workers not committed as offline."""
        workers = self.farm.workers
        for worker_id, seat in self.sessions.seats.items():
            worker = workers.get(worker_id)
            if worker is not None and worker.status is not WorkerStatus.OFFLINE:
                yield worker_id, seat.heard

    def is_pending(self, worker_id: str) -> bool:
        """Return whether the batch under way changes a worker or its accounts.

        The committed data may then be about to change.
        """
        return self.pending is not None and self.pending.touches(worker_id)

    def is_being_lost(self, worker_id: str) -> bool:
        """Return whether the batch under way evicts a worker."""
        return self.pending is not None and self.pending.evicts(worker_id)
