"""Workers register, send heartbeats, disconnect, leave and return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import structlog

from master.decisions import liveness
from master.decisions.assignment import find_misplaced
from master.decisions.sickness import render_health
from master.errors import NotRegistered, NotYours, UnknownWorker
from master.memory import Memory
from master.model import Account, JsonObject, Worker, WorkerStatus
from master.operations.assignments import (
    fill_worker,
    hand_out,
    leave_untold,
    place_what_waits,
    revoke_accounts,
)
from master.operations.draining import end_drain, render_draining
from master.operations.login_ends import end_logins_of
from master.operations.logins import tell_pending_logins
from master.operations.names import require_worker_name
from master.operations.placement import Placements
from master.operations.takeovers import change_hands, is_elsewhere, note_takeover
from master.operations.telling import choose_answer
from master.protocol.admin import render_account, render_worker
from master.protocol.answers import Listing, ShownLiveWorker, ShownWorkerWithAccounts
from master.protocol.http import ById
from master.protocol.lists import PAGE_LIMIT, WorkersQuery
from master.protocol.stats import keep_figures, read_stats
from master.protocol.words import DrainState, RevokeReason
from master.protocol.worker import (
    Goodbye,
    Heartbeat,
    Register,
    Registered,
    TaskRevoke,
    read_heartbeat,
)
from master.record import change
from master.turn import Caller, HandOut, Turn, worker_address

log = structlog.get_logger(__name__)

FLUSH_INTERVAL_S = 5
"""Seconds between two writes of heartbeats; a crash loses at most those since the last write."""

DRAIN_FIELDS = tuple(one.name for one in fields(Worker) if one.name.startswith("drain_"))


def register_worker(event: Register, turn: Turn) -> JsonObject:
    """Register a worker and assign it waiting accounts that fit; `worker:registered` answers.

    A repeated registration on the same socket is a reload: the worker keeps its accounts. The
    newest socket of a worker wins.
    """
    _require_live_socket(turn)
    draft = turn.draft
    before = draft.workers.get(event.worker_id)
    if before is None:
        require_worker_name(turn, event.worker_id)
    stays = before is not None and before.status is WorkerStatus.CONNECTED
    if before is not None and is_elsewhere(turn, before, event.host, event.port):
        change_hands(turn, before)
        before = draft.workers.get(before.id)
    worker = Worker(
        id=before.id if before else event.worker_id,
        host=event.host,
        port=event.port,
        status=liveness.follow(
            before.status if before else WorkerStatus.CONNECTED, liveness.SIGN_OF_LIFE
        ),
        capabilities=tuple(event.capabilities),
        max_accounts=event.max_accounts,
        assigned_accounts=before.assigned_accounts if before else 0,
        started_at=before.started_at if before and stays else turn.at,
        version=event.version,
        metadata=event.metadata,
        created_at=before.created_at if before else turn.at,
        updated_at=turn.at,
    )
    if before is not None:  # a worker that registers again stays out of service
        worker = change(worker, **{name: getattr(before, name) for name in DRAIN_FIELDS})
    draft.workers.put(worker)
    if before is None:
        draft.signs[worker.id] = turn.at
    was_bound = draft.speaker_of(turn.caller.sid) == worker.id
    misplaced = revoke_accounts(
        turn,
        find_misplaced(worker, draft.held_by(worker.id)),
        worker.id,
        RevokeReason.PLATFORM_NOT_SUPPORTED,
    )
    assigned = fill_worker(turn, worker.id)
    held = draft.held_by(worker.id)
    _bind_socket(turn, worker, before)
    reply = _answer_registration(turn, event, held, assigned)
    if assigned:
        hand_out(turn, {worker.id: assigned})
    if misplaced:
        place_what_waits(turn)
    if not was_bound:
        tell_pending_logins(turn, worker.id)
    _tell_losses(turn, worker.id)
    log.info("worker_registered", worker=worker.id, accounts=len(held), reload=stays)
    return reply.render()


def _answer_registration(
    turn: Turn, event: Register, held: Sequence[Account], assigned: Sequence[Account]
) -> Registered:
    """Answer a registration with as many accounts as the worker reads soon; the rest follow later.

    Accounts assigned by this turn are also sent in an event of their own.
    """
    worker_id = event.worker_id
    first = choose_answer(turn, worker_id, held)
    known = {account.id for account in (*first, *assigned)}
    sessions = turn.sessions
    turn.after_commit(lambda: sessions.forget_untold(worker_id, [account.id for account in first]))
    if later := [account for account in held if account.id not in known]:
        leave_untold(turn, worker_id, later)
    shown = HandOut(worker_id, {account.id: account.epoch for account in first})
    turn.handouts.append(shown)
    reply = Registered(
        success=True,
        workerId=worker_id,
        heartbeatInterval=turn.settings.heartbeat_interval_s,
        heartbeatTimeout=turn.settings.heartbeat_timeout_s,
        accounts=shown.shown,
        accountsTotal=len(held),
        timestamp=turn.milliseconds,
        **event.render_notes(),
    )
    turn.answer(reply)
    return reply


def _require_live_socket(turn: Turn) -> None:
    """Refuse an event whose socket closed while the event was queued. Errors: NotRegistered."""
    if turn.caller.sid is None or turn.caller.sid not in turn.sessions.worker_sockets:
        raise NotRegistered("This socket has closed.")


def _bind_socket(turn: Turn, worker: Worker, before: Worker | None) -> None:
    """Let the caller's socket speak for a worker and close the worker's older socket.

    `before` is the worker's row of the older socket. Another worker for which this socket spoke
    before has no socket then. The binding counts as a sign of life at once: a sweep of the same
    batch must not evict the worker.
    """
    sid, draft, worker_id = turn.caller.sid, turn.draft, worker.id
    assert sid is not None, "only a live socket is bound"
    former = draft.speaker_of(sid)
    if former is not None and former != worker_id:
        draft.bound[former] = ""
        note_disconnect(former, turn)
    older = draft.socket_of(worker_id)
    if older is not None and older != sid:
        note_takeover(turn, older, before or worker, worker)
        turn.hang_up("worker", older)
    draft.bound[worker_id] = sid
    turn.sessions.hear(worker_id, monotonic=turn.monotonic, at=turn.at)


def _tell_losses(turn: Turn, worker_id: str) -> None:
    """Tell a worker of accounts lost while unreachable, except those this turn assigns again."""
    if lost := turn.draft.lost_by(worker_id):
        turn.tell(worker_address(worker_id), TaskRevoke(sorted(lost), RevokeReason.REASSIGNED))
        turn.draft.lost[worker_id] = set()


def hear_heartbeat(sent: Any, caller: Caller, memory: Memory, now: float, monotonic: float) -> Any:
    """Record a worker's sign of life; the answer's `accountIds` are the accounts that it owns.

    The farm supplies the answer. The payload is decoded only if it is in an odd form: naming
    the worker that the socket speaks for is enough.
    Returns None if a turn must readmit the worker first, and while a batch under way changes the
    worker or its accounts: the committed state may be outdated then, and the answer follows the
    commit.
    """
    seat = memory.sessions.find_seat(caller.sid)
    if seat is None or (beat := read_heartbeat(sent, seat.worker_id)) is None:
        return None
    stats, notes = beat
    worker = memory.farm.workers.get(seat.worker_id)
    if worker is None or worker.status is not WorkerStatus.CONNECTED:
        return None
    pending = memory.is_pending(seat.worker_id)
    if pending and memory.is_being_lost(seat.worker_id):
        return None
    # a queued heartbeat was recorded on arrival, and newer ones may have arrived since
    if monotonic >= seat.heard:
        seat.heard, seat.heard_at = monotonic, int(now)
        memory.sessions.unwritten[seat.worker_id] = seat.heard_at
        if stats is not None:
            seat.stats = keep_figures(stats) or {}
    if pending:
        return None
    held = list(memory.farm.accounts.list_keys("owner", seat.worker_id))
    answer = {"workerId": seat.worker_id, "accountIds": held, "timestamp": int(now * 1000)}
    return answer | {"notes": notes} if notes else answer


def _require_speaker(turn: Turn, worker_id: str) -> bool:
    """Tell whether the caller's socket speaks for this worker; False if it speaks for none yet.

    Errors: NotYours if it speaks for another worker; NotRegistered if a newer socket, even one
    bound in this batch, speaks for this worker.
    """
    speaks_for = turn.draft.speaker_of(turn.caller.sid)
    if speaks_for is not None:
        if speaks_for != worker_id:
            raise NotYours("This socket speaks for another worker.")
        return True
    if turn.sessions.worker_of_socket.get(turn.caller.sid or "") == worker_id:
        raise NotRegistered("A newer socket speaks for this worker.")
    return False


def return_worker(event: Heartbeat, turn: Turn) -> JsonObject:
    """Readmit a known worker by its heartbeat after a lost connection or a silence."""
    draft = turn.draft
    worker = draft.workers.get(event.worker_id)
    if worker is None:
        raise NotRegistered("Master does not know this worker; register first.")
    was_bound = _require_speaker(turn, event.worker_id)
    _require_live_socket(turn)
    returns = worker.status is not WorkerStatus.CONNECTED
    if is_elsewhere(turn, worker, worker.host, worker.port):
        change_hands(turn, worker)
        worker, returns = draft.workers.get(worker.id) or worker, True
    if returns:
        status = liveness.follow(worker.status, liveness.SIGN_OF_LIFE)
        draft.workers.put(change(worker, status=status, updated_at=turn.at))
        fill_worker(turn, worker.id)
    if not was_bound or returns:
        _bind_socket(turn, worker, worker)
        _tell_losses(turn, worker.id)
    held = draft.held_by(worker.id)
    if returns and held:  # hand-outs and changes during its absence did not reach it
        hand_out(turn, {worker.id: held})
    if not was_bound:
        tell_pending_logins(turn, worker.id)
    if returns or not was_bound:
        log.info("worker_returned", worker=worker.id, accounts=len(held))
    return {
        "workerId": worker.id,
        "accountIds": [account.id for account in held],
        "timestamp": turn.milliseconds,
    }


def note_disconnect(event: str, turn: Turn) -> None:
    """Record that the worker `event` lost its socket; it keeps its accounts, as it may return."""
    worker = turn.draft.workers.get(event)
    if (
        worker is None
        or worker.status is not WorkerStatus.CONNECTED
        or turn.draft.socket_of(event) is not None
    ):
        return
    status = liveness.follow(worker.status, liveness.SOCKET_CLOSED)
    turn.draft.workers.put(change(worker, status=status, updated_at=turn.at))
    log.info("worker_disconnected", worker=event)


def say_goodbye(event: Goodbye, turn: Turn) -> JsonObject:
    """Mark a leaving worker offline and move its accounts at once."""
    if not _require_speaker(turn, event.worker_id):
        raise NotRegistered
    freed = evict(turn, [event.worker_id], liveness.GOODBYE, reachable=True)
    return {"workerId": event.worker_id, "released": freed}


def evict(turn: Turn, worker_ids: Iterable[str], why: str, *, reachable: bool) -> int:
    """Mark workers offline, end their logins, revoke and reassign their accounts.

    Returns how many accounts lost their worker. All these workers are offline before any account is
    assigned, so no account goes to a worker that the same turn evicts.
    """
    draft = turn.draft
    names = list(worker_ids)
    lost = [worker for name in names if (worker := draft.workers.get(name)) is not None]
    for worker in lost:
        if worker.status is not WorkerStatus.OFFLINE:
            draft.workers.put(change(worker, status=WorkerStatus.OFFLINE, updated_at=turn.at))
    draft.explain("workers", (worker.id for worker in lost), why)
    end_logins_of(turn, [worker.id for worker in lost])
    for worker in lost:
        now = draft.workers.get(worker.id)
        if now is not None and now.drain_since is not None:
            end_drain(turn, now, DrainState.OFFLINE)
    freed: list[Account] = []
    for worker in lost:
        held = draft.held_by(worker.id)
        freed += revoke_accounts(
            turn,
            held,
            worker.id,
            RevokeReason(f"worker_{why}"),
            reachable=reachable,
            gone=True,
        )
        log.info("worker_offline", worker=worker.id, reason=why, accounts=len(held))
    place_what_waits(turn)
    return len(freed)


def write_heartbeats(event: None, turn: Turn) -> int:
    """Store the signs of life received since the last write; return how many."""
    heard = dict(turn.sessions.unwritten)
    turn.draft.signs.update(heard)
    turn.after_commit(lambda: turn.sessions.forget_written(heard))
    return len(heard)


def wake_up(event: None, turn: Turn) -> JsonObject:
    """Mark connected workers disconnected at startup; return counts of what memory contains."""
    draft = turn.draft
    for worker in draft.list_connected():
        draft.workers.put(change(worker, status=WorkerStatus.DISCONNECTED, updated_at=turn.at))
    owned = sum(worker.assigned_accounts for worker in draft.workers.all())
    return {"workers": len(draft.workers), "accounts": owned, "logins": len(draft.logins)}


def list_workers(event: WorkersQuery, turn: Turn) -> Listing[ShownLiveWorker]:
    """List workers, by id unless `sort` names another order."""
    sought = (event.q or "").casefold()
    found = [
        one
        for one in turn.draft.workers.all()
        if (not event.status or one.status in event.status)
        and (sought in one.id.casefold() or sought in one.host.casefold())
    ]
    seats = turn.sessions.seats

    def rank(worker: Worker) -> Any:
        seat = seats.get(worker.id)
        return {
            "id": worker.id,
            "host": worker.host,
            "status": worker.status,
            "accounts": worker.assigned_accounts,
            "room": worker.room,
            "heartbeat": (seat.heard_at if seat is not None else None) or 0,
            "started": worker.started_at,
        }[event.sort.removeprefix("-")]

    found.sort(key=lambda worker: (rank(worker), worker.id), reverse=event.sort.startswith("-"))
    page = found[event.offset : event.offset + event.limit]
    return Listing([render_live(turn, worker) for worker in page], len(found))


def show_worker(event: ById, turn: Turn) -> ShownWorkerWithAccounts:
    """Return one worker with its first 500 accounts."""
    worker = turn.draft.workers.get(event.id)
    if worker is None:
        raise UnknownWorker
    accounts = turn.draft.held_by(worker.id)[:PAGE_LIMIT]
    placements = Placements(turn.draft)
    unread = turn.draft.count_unread
    shown = [render_account(one, placements.judge(one), unread(one.id)) for one in accounts]
    return {**render_live(turn, worker), "accounts": shown}


def render_live(turn: Turn, worker: Worker) -> ShownLiveWorker:
    """Return a worker with its last sign of life, the `stats` it reported, and its `health`."""
    seat = turn.sessions.seats.get(worker.id)
    heard_at = seat.heard_at if seat is not None else None
    shown = render_worker(worker, heard_at, render_draining(turn.draft, worker))
    return {
        **shown,
        "stats": read_stats(seat.stats) if seat is not None else {},
        "health": render_health(turn.draft.health_of(worker.id)),
    }
