"""Rules about workers that are taken out of service (docs/simulation.md, "What must hold")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from master.clock import Clock
from master.model import WorkerStatus
from simulator.virtual.machine.house import House
from simulator.virtual.rules.deadlines import Complain
from simulator.virtual.rules.file_view import View, WorkerRow

LATE_S = 5.0
"""Most seconds that an undisturbed Master may need to end a drain whose time is up."""

SERVED = ("active", "restricted")


class Drains:
    """Watches the drains of one file."""

    def __init__(self, house: House, clock: Clock, complain: Complain) -> None:
        self._house = house
        self._clock = clock
        self._complain = complain
        self._ends: dict[tuple[str, int, int | None, float], float] = {}
        """(worker, since, deadline, start of Master) -> when the drain ends (monotonic)."""
        self._left: set[tuple[str, int, str]] = set()
        """(worker, since, account): the account has left the worker in this drain."""

    def check_hands(self, before: View, now: View, read_status: Callable[[str], str]) -> None:
        """Check that a draining worker only loses accounts, each once, and each to another."""
        same = {
            worker_id: worker.drain_since
            for worker_id, worker in now.workers.items()
            if worker.drain_since is not None
            and worker_id in before.workers
            and before.workers[worker_id].drain_since == worker.drain_since
        }
        if not same:
            return
        for account_id, account in now.accounts.items():
            old = before.accounts.get(account_id)
            was = old.owner if old is not None else None
            if was == account.owner:
                continue
            if account.owner in same:
                told = f"{account_id} went from {was} to {account.owner}, which is drained"
                if (account.owner, same[account.owner], account_id) in self._left:
                    self._complain("drain_moved_twice", told)
                else:
                    self._complain("given_to_draining", told)
            if old is not None and was in same:
                self._left.add((was, same[was], account_id))
                worker = now.workers[was]
                if (
                    account.owner is None
                    and account.epoch == old.epoch  # else a turn of the batch gave it to another
                    and account.pinned is None
                    and account.platform in worker.capabilities
                    and worker.status != WorkerStatus.OFFLINE
                    and read_status(account_id) in SERVED
                ):
                    self._complain(
                        "drain_left_unowned", f"{account_id} left {was} and has no owner"
                    )

    def check_ends(self, workers: Mapping[str, WorkerRow], undisturbed_s: float) -> None:
        """Check that every drain ends in time, by the clock that cannot be set."""
        at, known = self._clock.monotonic(), self._ends
        self._ends = {}
        for worker_id, worker in workers.items():
            if worker.drain_since is None or worker.drain_done:
                continue
            key = worker_id, worker.drain_since, worker.drain_deadline, self._house.started_at
            left_s = (worker.drain_deadline or 0) - self._clock.now()
            end = self._ends[key] = known.get(key, at + max(0.0, left_s))
            if min(at - end, undisturbed_s) > LATE_S:
                self._complain(
                    "drain_never_ended", f"{worker_id} is drained {at - end:.0f} s after its time"
                )
                self._ends[key] = at
