"""All that Master knows while it runs: the farm, who is here, what has its time, and the draft under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from master.deadlines import Deadlines
from master.decisions.retention import Trust
from master.farm import Farm
from master.model import WorkerStatus
from master.sessions import Sessions


class Pending(Protocol):
    """What is asked of the draft of a group that is being committed; draft.py has it."""

    def touches(self, worker_id: str) -> bool:
        """Tell whether this changes a worker, what it holds, or which socket speaks for it."""
        ...

    def gives_up(self, worker_id: str) -> bool:
        """Tell whether a worker is offline by this."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """How silence is judged: the brake, and when workers were lately given up for their silence.

    Moments are monotonic seconds. Until `brake_until` nobody is given up; None while no brake is on. It was `put_on_at`
    for those that were silent for too long then.
    """

    brake_until: float | None = None
    put_on_at: float = float("-inf")
    brakes: int = 0
    given_up: tuple[float, ...] = ()


@dataclass(slots=True)
class Memory:
    """The one state. `pending` is the draft of the group that is being decided and committed, if there is one."""

    farm: Farm = field(default_factory=Farm)
    sessions: Sessions = field(default_factory=Sessions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    watch: Watch = field(default_factory=Watch)
    pending: Pending | None = None
    trust: Trust | None = None
    """How the clocks stood when they were last looked at; None until then."""
    login_outcomes: Counter[str] = field(default_factory=Counter)
    altered_duplicates: int = 0
    """How many reports said something else of a message than what is stored of it."""

    def count_altered(self, number: int) -> None:
        """Count reports that said something else of a message."""
        self.altered_duplicates += number

    def find_heard(self) -> Iterator[tuple[str, float]]:
        """Yield (worker id, monotonic second last heard) of every worker that is not offline, as committed."""
        workers = self.farm.workers
        for worker_id, seat in self.sessions.seats.items():
            worker = workers.get(worker_id)
            if worker is not None and worker.status is not WorkerStatus.OFFLINE:
                yield worker_id, seat.heard

    def is_pending(self, worker_id: str) -> bool:
        """Tell whether the group under way changes a worker or what it holds: what is committed may not hold on."""
        return self.pending is not None and self.pending.touches(worker_id)

    def is_being_lost(self, worker_id: str) -> bool:
        """Tell whether the group under way gives a worker up."""
        return self.pending is not None and self.pending.gives_up(worker_id)
