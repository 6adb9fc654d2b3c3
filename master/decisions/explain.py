"""Why an account is where it is: each worker with the rule that excludes it, and the remedies.

Source: the rules of placement (decisions/assignment.py); a test compares the verdicts with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from master.model import Account, Worker, WorkerStatus
from master.reasons import Action, Rule, Unplaced


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker as a place for an account; `rule` is None if the account may be there."""

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
    if worker.status is not WorkerStatus.CONNECTED:
        return Rule.NOT_CONNECTED
    if not worker.supports(account.platform):
        return Rule.PLATFORM_NOT_SUPPORTED
    if account.pinned_worker_id not in (None, worker.id):
        return Rule.PINNED_ELSEWHERE
    if worker.room <= 0 and not keeps_slot:
        return Rule.FULL
    return None


def find_remedies(
    account: Account, reason: Unplaced, candidates: Sequence[Candidate]
) -> list[Remedy]:
    """Return what would give a waiting account a worker, the nearest first."""
    able = [one.worker for one in candidates if one.worker.supports(account.platform)]
    pinned = account.pinned_worker_id
    if pinned is not None and reason is not Unplaced.BEING_PLACED:
        own: Mapping[Unplaced, Action] = {
            Unplaced.PINNED_WORKER_GONE: Action.CONNECT_WORKER,
            Unplaced.PINNED_WORKER_DISCONNECTED: Action.CONNECT_WORKER,
            Unplaced.PINNED_WORKER_FULL: Action.RAISE_MAX_ACCOUNTS,
        }
        first: list[Remedy] = [(own[reason], {"worker_id": pinned})] if reason in own else []
        return [*first, (Action.UNPIN, {})]
    if reason is Unplaced.NO_ROOM:
        full = [one for one in able if one.status is WorkerStatus.CONNECTED]
        grown: list[Remedy] = [
            (Action.RAISE_MAX_ACCOUNTS, {"worker_id": one.id, "max_accounts": one.max_accounts + 1})
            for one in sorted(full, key=lambda one: (one.max_accounts, one.id))[:MOST_REMEDIES]
        ]
        return [*grown, (Action.ADD_WORKER, {"platform": account.platform})]
    if reason is Unplaced.NO_WORKER_CONNECTED:
        return [
            (Action.CONNECT_WORKER, {"worker_id": one.id})
            for one in sorted(able, key=lambda one: one.id)[:MOST_REMEDIES]
        ]
    if reason is Unplaced.NO_WORKER_SERVES:
        known = sorted({name for one in candidates for name in one.worker.capabilities})
        return [
            (Action.CHECK_PLATFORM, {"platform": account.platform, "known": known}),
            (Action.ADD_WORKER, {"platform": account.platform}),
        ]
    return []


MOST_REMEDIES = 3
"""Most workers that one remedy names."""
