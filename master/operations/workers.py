"""Workers come, live, fall silent, leave and return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import structlog

from master.decisions import liveness
from master.decisions.assignment import find_misplaced
from master.errors import NotRegistered, NotYours, UnknownWorker
from master.model import Account, JsonObject, Worker, WorkerStatus
from master.operations.assignments import (
    give_account,
    hand_out,
    kept_place,
    place_waiting,
    settle_loads,
    show_to_worker,
    take_accounts,
)
from master.operations.login_ends import fail_logins_of, note_deadline
from master.operations.logins import tell_pending_logins
from master.presence import Presence, Seat
from master.protocol.admin import show_account
from master.protocol.admin import show_worker as show_row
from master.protocol.http import Listing, NoQuery, Request, WorkersQuery
from master.protocol.worker import Goodbye, Heartbeat, Register
from master.store import accounts as account_rows
from master.store import logins as login_rows
from master.store import workers as worker_rows
from master.store.proxies import find_unreadable as find_unreadable_proxies
from master.turn import Caller, Turn, worker_address

log = structlog.get_logger(__name__)

SHOWN = 20
"""How many ids a log line names at most."""

FLUSH_INTERVAL_S = 5
"""Seconds between two batches of heartbeats; a crash loses no more than one batch."""


async def register_worker(event: Register, turn: Turn) -> JsonObject:
    """Take a worker in: keep its row, bind its socket, give it free accounts that fit.

    Again on the same socket means reload: what it holds stays as it is. The newest socket of a worker wins.
    """
    before = await worker_rows.find_worker(turn.connection, event.worker_id)
    stays = before is not None and before.status is WorkerStatus.CONNECTED
    worker = Worker(
        id=event.worker_id,
        host=event.host,
        port=event.port,
        status=liveness.follow(before.status if before else WorkerStatus.CONNECTED, liveness.SIGN_OF_LIFE),
        capabilities=tuple(event.capabilities),
        max_accounts=event.max_accounts,
        assigned_accounts=before.assigned_accounts if before else 0,
        last_heartbeat=turn.at,
        started_at=before.started_at if before and stays else turn.at,
        version=event.version,
        metadata=event.metadata,
        created_at=before.created_at if before else turn.at,
        updated_at=turn.at,
    )
    await worker_rows.put_worker(turn.connection, worker)
    await _part_from_former_worker(turn, worker.id)
    changed = {worker.id}
    held = await account_rows.find_accounts_of(turn.connection, worker.id)
    misplaced = await take_accounts(turn, find_misplaced(worker, held), worker.id, "platform_not_supported")
    if misplaced:
        held = await account_rows.find_accounts_of(turn.connection, worker.id)
    given = await _fill(turn, worker, len(held))
    held += given
    reply = {
        "workerId": worker.id,
        "heartbeatInterval": turn.settings.heartbeat_interval_s,
        "heartbeatTimeout": turn.settings.heartbeat_timeout_s,
        "accounts": await show_to_worker(turn, worker.id, sorted(held, key=lambda account: account.id)),
        "timestamp": int(turn.now * 1000),
    }
    turn.answer("worker:registered", {"success": True, **reply})
    if given:
        await hand_out(turn, {worker.id: given})
    if misplaced:
        changed |= await place_waiting(turn)
    await settle_loads(turn, changed)
    await tell_pending_logins(turn, worker.id)
    _bind_socket(turn, worker.id)
    log.info("worker_registered", worker=worker.id, accounts=len(held), reload=stays)
    return reply


async def _fill(turn: Turn, worker: Worker, held: int) -> list[Account]:
    """Give the worker waiting accounts up to its room; return them."""
    reserved = (await login_rows.count_reserved(turn.connection)).get(worker.id, 0)
    room = worker.max_accounts - held - reserved
    if room <= 0:
        return []
    waiting = await account_rows.find_waiting_for(turn.connection, worker, limit=room)
    asked = [await give_account(turn, account, worker.id) for account in waiting]
    given = [account for account in asked if account is not None]
    await worker_rows.recount_loads(turn.connection, {worker.id})
    if kept_place(given):
        given += await _fill(turn, worker, held + len(given))
    return given


def _bind_socket(turn: Turn, worker_id: str) -> None:
    """Bind the caller's socket after the commit, hang up an older one, tell what was taken away meanwhile.

    Errors: NotRegistered for a socket that has closed while its event waited; it must not displace a live one.
    """
    sid, presence = turn.caller.sid, turn.presence
    if sid is None or sid not in presence.worker_sockets:
        raise NotRegistered("This socket has closed.")
    presence.claim(worker_id, sid)
    known = presence.seats.get(worker_id)
    if known is not None:
        presence.hear(known, monotonic=turn.monotonic, at=turn.at)  # before a sweep of this very group gives it up

    def bind() -> None:
        older = presence.seat(worker_id, sid, monotonic=turn.monotonic, at=turn.at)
        if older is not None:
            turn.hang_up("worker", older)
        if sid not in presence.worker_sockets:  # closed during the commit: its disconnect is noted next
            presence.leave(sid)

    def tell_losses() -> None:
        seat = presence.seats[worker_id]
        if seat.owed_revocations:
            lost = {"accountIds": sorted(seat.owed_revocations), "reason": "reassigned"}
            turn.tell(worker_address(worker_id), "master:task:revoke", lost)
            seat.owed_revocations.clear()

    turn.effects.insert(0, bind)  # a new worker has no seat yet, and the other effects need one
    turn.after_commit(tell_losses)  # what this turn gives back is no loss


async def _part_from_former_worker(turn: Turn, worker_id: str) -> None:
    """Note that a socket which spoke for another worker before does so no more."""
    seat = turn.presence.seat_of_socket(turn.caller.sid)
    if seat is not None and seat.worker_id != worker_id:
        former, sid = seat.worker_id, turn.caller.sid
        assert sid is not None
        await note_disconnect((former, sid), turn)


def hear_heartbeat(event: Heartbeat, caller: Caller, presence: Presence, now: float, monotonic: float) -> Any:
    """Note a sign of life that came at this moment, without touching the database.

    Returns None if the worker must first be taken in again.
    """
    seat = presence.seat_of_socket(caller.sid)
    if seat is None or seat.worker_id != event.worker_id or seat.status is not WorkerStatus.CONNECTED:
        return None
    if seat.worker_id in presence.doubted:
        return None
    if monotonic >= seat.heard:  # one that waited behind others was noted when it came, and newer ones may have come
        presence.hear(seat, monotonic=monotonic, at=int(now))
        if event.stats is not None:
            seat.stats = event.stats.model_dump()
    return {"workerId": seat.worker_id, "accountIds": list(seat.owned), "timestamp": int(now * 1000)}


def _find_spoken_for(turn: Turn, worker_id: str) -> Seat | None:
    """Return the seat of the worker that the caller's socket speaks for, or None if it speaks for none yet.

    Errors: NotYours if that is another worker; NotRegistered if a newer socket, even in this very group, speaks for it.
    """
    seat = turn.presence.seat_of_socket(turn.caller.sid)
    if seat is None:
        return None
    if seat.worker_id != worker_id:
        raise NotYours("This socket speaks for another worker.")
    if turn.presence.claims.get(worker_id, turn.caller.sid) != turn.caller.sid:
        raise NotRegistered("A newer socket speaks for this worker.")
    return seat


async def return_worker(event: Heartbeat, turn: Turn) -> JsonObject:
    """Take a known worker in again by its heartbeat, after a lost connection or a silence."""
    worker = await worker_rows.find_worker(turn.connection, event.worker_id)
    if worker is None:
        raise NotRegistered("Master does not know this worker; register first.")
    _find_spoken_for(turn, event.worker_id)
    status = liveness.follow(worker.status, liveness.SIGN_OF_LIFE)
    await worker_rows.set_worker_status(
        turn.connection, worker.id, status, among=list(WorkerStatus), now=turn.at, last_heartbeat=turn.at
    )
    held = await account_rows.find_accounts_of(turn.connection, worker.id)
    if worker.status is not WorkerStatus.CONNECTED:
        # whatever was handed out or changed while it was away was told to nobody
        held += await _fill(turn, worker, len(held))
        if held:
            await hand_out(turn, {worker.id: held})
    await settle_loads(turn, {worker.id})
    await tell_pending_logins(turn, worker.id)
    _bind_socket(turn, worker.id)
    log.info("worker_returned", worker=worker.id, accounts=len(held))
    return {
        "workerId": worker.id,
        "accountIds": sorted(account.id for account in held),
        "timestamp": int(turn.now * 1000),
    }


async def note_disconnect(event: tuple[str, str], turn: Turn) -> None:
    """Note that a worker's socket closed; its accounts stay, it may return. `event` is (worker id, socket)."""
    worker_id, sid = event
    if turn.presence.claims.get(worker_id, sid) != sid:
        return  # a newer socket speaks for this worker
    changed = await worker_rows.set_worker_status(
        turn.connection,
        worker_id,
        liveness.follow(WorkerStatus.CONNECTED, liveness.SOCKET_CLOSED),
        among=[WorkerStatus.CONNECTED],
        now=turn.at,
    )
    if changed:
        turn.after_commit(lambda: turn.presence.set_status(worker_id, WorkerStatus.DISCONNECTED))
        await settle_loads(turn, {worker_id})
        log.info("worker_disconnected", worker=worker_id)


async def say_goodbye(event: Goodbye, turn: Turn) -> JsonObject:
    """Let a worker leave: offline at once, its accounts move at once."""
    if _find_spoken_for(turn, event.worker_id) is None:
        raise NotRegistered
    moved = await give_up(turn, [event.worker_id], liveness.GOODBYE, reachable=True)
    return {"workerId": event.worker_id, "released": moved}


async def give_up(turn: Turn, worker_ids: Iterable[str], why: str, *, reachable: bool) -> int:
    """Mark workers offline, end their logins, revoke and re-place their accounts; return how many accounts moved."""
    changed: set[str] = set()
    freed = 0
    worker_ids = list(worker_ids)
    turn.presence.doubted.update(worker_ids)
    for worker_id in worker_ids:
        await worker_rows.set_worker_status(
            turn.connection,
            worker_id,
            WorkerStatus.OFFLINE,
            among=[WorkerStatus.CONNECTED, WorkerStatus.DISCONNECTED],
            now=turn.at,
        )
        await fail_logins_of(turn, worker_id)
        held = await account_rows.find_accounts_of(turn.connection, worker_id)
        freed += len(await take_accounts(turn, held, worker_id, f"worker_{why}", reachable=reachable, gone=True))
        changed.add(worker_id)
        log.info("worker_offline", worker=worker_id, reason=why, accounts=len(held))
    lost = tuple(changed)

    def note() -> None:
        for worker_id in lost:
            turn.presence.set_status(worker_id, WorkerStatus.OFFLINE)

    turn.after_commit(note)
    if freed:
        changed |= await place_waiting(turn)
    await settle_loads(turn, changed)
    return freed


async def write_heartbeats(event: None, turn: Turn) -> int:
    """Write the signs of life since the last batch."""
    heard = dict(turn.presence.unwritten)
    await worker_rows.write_heartbeats(turn.connection, heard)
    turn.after_commit(lambda: turn.presence.forget_written(heard))
    return len(heard)


async def wake_up(event: None, turn: Turn) -> JsonObject:
    """Rebuild memory from the file at a start: nobody is connected. Their grace begins when Master listens."""
    await worker_rows.disconnect_all(turn.connection, turn.at)
    unreadable = await account_rows.find_unreadable(turn.connection)
    await account_rows.mark_unreadable(turn.connection, unreadable, turn.at)
    if unreadable:
        log.error("credentials_unreadable", count=len(unreadable), accounts=sorted(unreadable)[:SHOWN])
    proxies = await find_unreadable_proxies(turn.connection)
    if proxies:
        log.error("proxy_password_unreadable", count=len(proxies), proxies=sorted(proxies)[:SHOWN])
    workers = await worker_rows.find_all_workers(turn.connection)
    holders = await account_rows.find_holders(turn.connection)
    logins = await login_rows.find_open_logins(turn.connection)

    def restore() -> None:
        for worker in workers:
            turn.presence.restore(worker.id, worker.status, heard=turn.monotonic, heard_at=worker.last_heartbeat)
        for account_id, worker_id, epoch in holders:
            turn.presence.give(account_id, worker_id, epoch)
        for login in logins:
            note_deadline(turn, login.id, login.expires_at)

    turn.after_commit(restore)
    return {"workers": len(workers), "accounts": len(holders), "logins": len(logins)}


async def list_workers(event: Request[WorkersQuery, None], turn: Turn) -> Listing:
    """List workers by id."""
    query = event.query
    workers, total = await worker_rows.list_workers(
        turn.connection, status=query.status, limit=query.limit, offset=query.offset
    )
    return Listing([show_live(turn, worker) for worker in workers], total)


async def show_worker(event: Request[NoQuery, None], turn: Turn) -> JsonObject:
    """Show one worker with the accounts that it holds."""
    worker = await worker_rows.find_worker(turn.connection, event.path["id"])
    if worker is None:
        raise UnknownWorker
    accounts = await account_rows.find_accounts_of(turn.connection, worker.id)
    return {**show_live(turn, worker), "accounts": [show_account(account) for account in accounts]}


def show_live(turn: Turn, worker: Worker) -> JsonObject:
    """Show a worker with its last sign of life and stats from memory, which are newer than the row."""
    seat = turn.presence.seats.get(worker.id)
    shown = show_row(worker)
    if seat is not None:
        shown["last_heartbeat"] = seat.heard_at or worker.last_heartbeat
        shown["stats"] = dict(seat.stats)
    return shown
