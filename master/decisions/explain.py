"""Why an account is where it is: each worker with the rule that excludes it, and the remedies.

Source: the rules of placement (decisions/assignment.py); a test compares the verdicts with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from master.model import Account, Worker, WorkerStatus
from master.reasons import Action, Rule, Unplaced


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker as a candidate for an account; `rule` is None if the account may be there."""

    worker: Worker
    held: int
    reserved: int
    rule: Rule | None


Remedy = tuple[Action, dict[str, object]]


def find_rule(account: Account, worker: Worker, *, keeps_slot: bool) -> Rule | None:
    """Return the first rule that excludes a worker for an account, or None.

    The worker's load includes reservations. `keeps_slot`: it owns the account, or has a reservation
    for its login.
    """
    rules = (
        (Rule.NOT_CONNECTED, worker.status is not WorkerStatus.CONNECTED),
        (Rule.PLATFORM_NOT_SUPPORTED, not worker.supports(account.platform)),
        (Rule.PINNED_ELSEWHERE, account.pinned_worker_id not in (None, worker.id)),
        (Rule.DRAINING, not keeps_slot and not worker.takes_accounts),
        (Rule.FULL, not keeps_slot and worker.room <= 0),
    )
    return next((rule for rule, excludes in rules if excludes), None)


def find_remedies(
    account: Account, reason: Unplaced, candidates: Sequence[Candidate]
) -> list[Remedy]:
    """Return what would give a waiting account a worker, the nearest first."""
    if reason is Unplaced.MAINTENANCE:
        return [(Action.END_MAINTENANCE, {})]
    if reason is Unplaced.BEING_PLACED:
        return []
    if account.pinned_worker_id is not None:
        own = PINNED_REMEDIES.get(reason)
        first: list[Remedy] = [(own, {"worker_id": account.pinned_worker_id})] if own else []
        return [*first, (Action.UNPIN, {})]
    another: Remedy = (Action.ADD_WORKER, {"platform": account.platform})
    if reason is Unplaced.NO_WORKER_SERVES:
        known = sorted({name for one in candidates for name in one.worker.capabilities})
        return [(Action.CHECK_PLATFORM, {"platform": account.platform, "known": known}), another]
    able = [one.worker for one in candidates if one.worker.supports(account.platform)]
    remedies = _find_nearest(reason, able)[:MOST_REMEDIES]
    return remedies if reason is Unplaced.NO_WORKER_CONNECTED else [*remedies, another]


PINNED_REMEDIES = {
    Unplaced.PINNED_WORKER_GONE: Action.CONNECT_WORKER,
    Unplaced.PINNED_WORKER_DISCONNECTED: Action.CONNECT_WORKER,
    Unplaced.PINNED_WORKER_FULL: Action.RAISE_MAX_ACCOUNTS,
    Unplaced.PINNED_WORKER_DRAINING: Action.END_DRAIN,
}


def _find_nearest(reason: Unplaced, able: Sequence[Worker]) -> list[Remedy]:
    """Return what could be done with each worker that has the platform."""
    by_id = sorted(able, key=lambda one: one.id)
    if reason is Unplaced.NO_WORKER_CONNECTED:
        return [(Action.CONNECT_WORKER, {"worker_id": one.id}) for one in by_id]
    connected = [one for one in by_id if one.status is WorkerStatus.CONNECTED]
    if reason is Unplaced.DRAINING:
        drained = [one for one in connected if one.drain_since is not None]
        return [(Action.END_DRAIN, {"worker_id": one.id}) for one in drained]
    return [
        (Action.RAISE_MAX_ACCOUNTS, {"worker_id": one.id, "max_accounts": one.max_accounts + 1})
        for one in sorted(connected, key=lambda one: one.max_accounts)
    ]


MOST_REMEDIES = 3
"""Most workers that one remedy names."""
