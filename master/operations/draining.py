"""The rest of a draining worker, the part that can leave it, and the end of its drain."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from master.decisions.placement import explain_waiting
from master.draft import Draft
from master.model import Account, LoginStatus, Priority, Worker
from master.operations.notifications import send_system_notification
from master.protocol.answers import ShownDrain, ShownStay
from master.protocol.drains import DrainChanged
from master.protocol.words import DrainState, StayReason
from master.reasons import Unplaced
from master.record import change
from master.turn import ADMINS, Turn

log = structlog.get_logger(__name__)

SHOWN = 100
"""Most accounts that are named as unplaceable."""

TITLE = "工作节点排空"
"""The title of a notification about a drain's end."""


@dataclass(slots=True)
class Left:
    """The rest of a draining worker: accounts that may move, logins under way, and others."""

    movable: list[Account] = field(default_factory=list)
    logins: set[str] = field(default_factory=set)
    stays: list[ShownStay] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Return whether the worker can be stopped."""
        return not (self.movable or self.logins or self.stays)


def find_left(draft: Draft, worker: Worker) -> Left:
    """Return what a draining worker still has, by whether it can leave."""
    left = Left(logins={login.account_id for login in draft.logins.find("worker", worker.id)})
    reasons: dict[str, Unplaced] = {}
    for account in draft.held_by(worker.id):
        if account.id in left.logins or account.login_status is LoginStatus.LOGGING_IN:
            left.logins.add(account.id)
        elif account.pinned_worker_id is not None:
            left.stays.append({"account_id": account.id, "rule": StayReason.PINNED})
        else:
            rule = reasons.get(account.platform)
            if rule is None:
                rule = reasons[account.platform] = _explain(draft, account.platform, worker.id)
            if rule is Unplaced.BEING_PLACED:
                left.movable.append(account)
            else:
                left.stays.append({"account_id": account.id, "rule": rule})
    return left


def _explain(draft: Draft, platform: str, leaver: str) -> Unplaced:
    """Return why no other worker takes an account of a platform now; BEING_PLACED: one does."""
    if draft.maintenance is not None:
        return Unplaced.MAINTENANCE
    others = {
        one.id: change(one, assigned_accounts=one.assigned_accounts + draft.count_reserved(one.id))
        for one in draft.workers.all()
        if one.id != leaver
    }
    return explain_waiting(platform, None, others)


def render_draining(draft: Draft, worker: Worker) -> ShownDrain | None:
    """Return how far a worker is taken out of service, or None if it is in service."""
    if worker.drain_since is None:
        return None
    left = find_left(draft, worker)
    return {
        "state": "done" if worker.drain_done else "draining",
        "since": worker.drain_since,
        "by": worker.drain_by,
        "deadline_at": worker.drain_deadline or worker.drain_since,
        "reason": worker.drain_reason,
        "left": worker.assigned_accounts,
        "moved": worker.drain_moved,
        "waiting_login": len(left.logins),
        "unplaceable": left.stays[:SHOWN],
    }


def tell_drain(turn: Turn, worker: Worker, state: DrainState) -> None:
    """Tell administrators how far a worker is taken out of service."""
    stays = find_left(turn.draft, worker).stays[:SHOWN]
    told = DrainChanged(
        worker.id, state, worker.assigned_accounts, worker.drain_moved, stays, turn.rev
    )
    turn.tell(ADMINS, told)
    log.info("worker_drain", worker=worker.id, state=state, left=told.left, moved=told.moved)


def end_drain(turn: Turn, worker: Worker, state: DrainState) -> Worker:
    """End a worker's drain and tell people; return the worker as changed.

    After DONE it stays out of service; otherwise it takes accounts again, which the caller places.
    """
    tell_drain(turn, worker, state)
    turn.draft.explain("drains", [worker.id], state)
    if state in (DrainState.DONE, DrainState.DEADLINE):
        _announce(turn, worker, state)
    if state is DrainState.DONE:
        ended = change(worker, drain_done=True, updated_at=turn.at)
    else:
        ended = change(
            worker,
            drain_since=None,
            drain_deadline=None,
            drain_reason=None,
            drain_by=None,
            drain_moved=0,
            drain_done=False,
            updated_at=turn.at,
        )
    turn.draft.workers.put(ended)
    drains = turn.draft.memory.drains
    turn.after_commit(lambda: drains.resolve(worker.id, state))
    return ended


def _announce(turn: Turn, worker: Worker, state: DrainState) -> None:
    left, moved = worker.assigned_accounts, worker.drain_moved
    content = (
        f"Worker {worker.id} is drained: {moved:,} accounts have moved; it can be stopped."
        if state is DrainState.DONE
        else f"The drain of worker {worker.id} ran out of time: {moved:,} accounts have moved, "
        f"{left:,} stay with it."
    )
    data = {"worker_id": worker.id, "state": state, "left": left, "moved": moved}
    priority = Priority.NORMAL if state is DrainState.DONE else Priority.HIGH
    send_system_notification(turn, TITLE, content, data | {"reason": worker.drain_reason}, priority)
