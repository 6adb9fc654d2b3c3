"""Takes workers out of service: their accounts move to others, little by little."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import structlog

from master.decisions.assignment import find_leaving
from master.errors import NotDraining, UnknownWorker, WorkerNotConnected
from master.memory import Memory
from master.model import Account, Worker, WorkerStatus
from master.operations.assignments import (
    assign_account,
    count_reserved,
    hand_out,
    place_what_waits,
    revoke_accounts,
)
from master.operations.draining import end_drain, find_left, tell_drain
from master.operations.silence import find_heard, find_silent
from master.operations.workers import render_live
from master.protocol.answers import ShownLiveWorker
from master.protocol.drains import DrainWorker
from master.protocol.http import ById
from master.protocol.words import DrainState, RevokeReason
from master.record import change
from master.settings import Settings
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)

HEARD_BEATS = 2
"""Heartbeat intervals after which a silent worker neither loses nor gets accounts."""


def begin_drain(event: DrainWorker, turn: Turn) -> ShownLiveWorker:
    """Take a worker out of service: it takes no accounts, and its accounts move to other workers.

    A drain under way gets the new deadline and reason.
    Errors: UnknownWorker, WorkerNotConnected.
    """
    worker = _find(turn, event.id)
    if worker.status is WorkerStatus.OFFLINE:
        raise WorkerNotConnected("This worker is offline; it owns nothing and can be stopped.")
    drained = change(
        worker,
        drain_since=worker.drain_since if worker.drain_since is not None else turn.at,
        drain_deadline=turn.at + event.deadline_s,
        drain_reason=event.reason,
        drain_by=turn.caller.name or turn.caller.kind,
        drain_done=False,
        updated_at=turn.at,
    )
    turn.draft.workers.put(drained)
    tell_drain(turn, drained, DrainState.BEGUN)
    return render_live(turn, drained)


def cancel_drain(event: ById, turn: Turn) -> ShownLiveWorker:
    """Put a worker back into service, also after its drain is done.

    Errors: UnknownWorker, NotDraining.
    """
    worker = _find(turn, event.id)
    if worker.drain_since is None:
        raise NotDraining
    back = end_drain(turn, worker, DrainState.CANCELLED)
    place_what_waits(turn)
    return render_live(turn, turn.draft.workers.get(back.id) or back)


def wait_for_drain(event: ById, turn: Turn) -> asyncio.Future[str]:
    """Return a future of the state in which the worker's drain ends."""
    drains, worker = turn.draft.memory.drains, turn.draft.workers.get(event.id)
    ended = drains.wait(event.id)
    if worker is None or not worker.is_draining:  # it ended before this look
        done = worker is not None and worker.drain_done
        drains.resolve(event.id, DrainState.DONE if done else DrainState.DEADLINE)
    return ended


def finish_restart(event: ById, turn: Turn) -> None:
    """Put a worker whose process was restarted back into service."""
    worker = turn.draft.workers.get(event.id)
    if worker is not None and worker.drain_since is not None:
        end_drain(turn, worker, DrainState.OFFLINE)
        place_what_waits(turn)


def is_somebody_draining(memory: Memory, settings: Settings, now: float, monotonic: float) -> bool:
    """Tell whether a worker is being drained."""
    return memory.drains.is_any


def go_on_draining(event: None, turn: Turn) -> int:
    """Move some accounts of each draining worker, or end its drain; return how many moved.

    Nothing moves during a maintenance, while the brake is on, nor while a sweep of the same batch
    may put it on or evict a worker.
    """
    draining, ended = _end_some(turn)  # first: a worker whose time is up takes accounts of others
    moved, portions, heard = 0, dict[str, list[Account]](), _list_heard(turn)
    for worker in draining:
        if worker.id in heard and moved < PORTION:
            moved += _move_some(turn, worker, heard, portions)
    hand_out(turn, portions)
    if ended:
        place_what_waits(turn)
    return moved


def _end_some(turn: Turn) -> tuple[list[Worker], bool]:
    """End the drains that are done or out of time; return the others, and if any ran out."""
    draining, ended = list[Worker](), False
    for worker_id in turn.draft.memory.drains.list_draining():
        worker = turn.draft.workers.get(worker_id)
        if worker is None or not worker.is_draining:
            continue
        if find_left(turn.draft, worker).is_empty:
            end_drain(turn, worker, DrainState.DONE)
        elif is_over(turn, worker):
            end_drain(turn, worker, DrainState.DEADLINE)
            ended = True
        else:
            draining.append(worker)
    return draining, ended


def is_over(turn: Turn, worker: Worker) -> bool:
    """Tell whether the time of a worker's drain is up."""
    return not turn.draft.memory.drains.find_left(worker.id, turn.now, turn.monotonic)


def _list_heard(turn: Turn) -> set[str]:
    """Return the workers that may lose and get accounts now; none while Master may be deaf."""
    draft = turn.draft
    if draft.maintenance is not None or draft.watch.brake_until is not None or find_silent(turn):
        return set()
    quiet_s = HEARD_BEATS * turn.settings.heartbeat_interval_s
    return {name for name, at in find_heard(draft) if turn.monotonic - at <= quiet_s}


def _move_some(
    turn: Turn, worker: Worker, heard: set[str], portions: dict[str, list[Account]]
) -> int:
    """Move as few accounts of a worker as its time permits, each to another owner at once.

    An account that its owner may not act on yet stays: a move would leave it unwatched for longer.
    Half of the time is kept in reserve.
    """
    draft = turn.draft
    if worker.status is not WorkerStatus.CONNECTED:
        return 0
    left_s = draft.memory.drains.find_left(worker.id, turn.now, turn.monotonic)
    number = min(PORTION, math.ceil(2 * worker.assigned_accounts / max(1.0, left_s)))
    ready = [
        account
        for account in find_left(draft, worker).movable
        if not turn.deadlines.find_wait(account.id, worker.id, turn.monotonic)
    ]
    open_workers = [one for one in draft.list_connected() if one.id in heard]
    moves = find_leaving(ready, count_reserved(turn, open_workers), number)
    for account, taker in moves:
        [revoked] = revoke_accounts(turn, [account], worker.id, RevokeReason.DRAINED)
        portions.setdefault(taker, []).append(assign_account(turn, revoked, taker))
    if moves:
        now = _find(turn, worker.id)
        now = change(now, drain_moved=now.drain_moved + len(moves), updated_at=turn.at)
        draft.workers.put(now)
        tell_drain(turn, now, DrainState.MOVED)
    return len(moves)


def move_drained(event: Sequence[str], turn: Turn) -> int:
    """Move at once all that can leave these draining workers; return how much. Only plans do this.

    A drain moves the same accounts in the same order, little by little.
    """
    moved = 0
    if turn.draft.maintenance is not None:
        return moved
    for worker_id in sorted(set(event)):
        ready = find_left(turn.draft, _find(turn, worker_id)).movable
        takers = count_reserved(turn, turn.draft.list_connected())
        for account, taker in find_leaving(ready, takers, len(ready)):
            [revoked] = revoke_accounts(turn, [account], worker_id, RevokeReason.DRAINED)
            assign_account(turn, revoked, taker)
            moved += 1
    return moved


def _find(turn: Turn, worker_id: str) -> Worker:
    worker = turn.draft.workers.get(worker_id)
    if worker is None:
        raise UnknownWorker
    return worker
