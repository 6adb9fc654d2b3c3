"""Names that peers choose (workers, devices): how many each token may have, and their removal."""

from __future__ import annotations

import structlog

from master.decisions.retention import find_cutoff
from master.errors import TooManyNames, UnknownWorker, WorkerInUse
from master.model import Device, Worker, WorkerStatus
from master.protocol.admin import render_worker
from master.protocol.answers import ShownWorker
from master.protocol.http import ById
from master.turn import PORTION, Turn

log = structlog.get_logger(__name__)


def require_worker_name(turn: Turn, worker_id: str) -> None:
    """Refuse a new worker id beyond the limit of ids that no token names. Errors: TooManyNames.

    Ids named by a token or a configuration are limited by what administrators have configured. All
    others are counted together, because a worker does not tell which `*` token or trusted address
    it came with.
    """
    most, draft = turn.settings.worker_names_per_token, turn.draft
    if not most or len(draft.workers) < most:
        return
    written = {token.grant.name for token in turn.settings.worker_tokens}
    written.update(config.worker_id for config in draft.configs.all())
    if worker_id in written:
        return
    if len(draft.workers) - sum(draft.workers.get(name) is not None for name in written) >= most:
        log.warning("too_many_workers", worker=worker_id, most=most)
        raise TooManyNames(
            f"Master already knows {most:,} workers that no token names; remove some offline ones."
        )


def require_device_name(turn: Turn, owner: str) -> None:
    """Refuse a new device beyond its token's limit. Errors: TooManyNames.

    `owner` is the prefix of the keys of the token's devices.
    """
    most, draft = turn.settings.device_names_per_token, turn.draft
    if not most or len(draft.devices) < most:
        return
    if sum(device.device_id.startswith(owner) for device in draft.devices.all()) >= most:
        log.warning("too_many_devices", token=turn.caller.name, most=most)
        raise TooManyNames(
            f"This token already has {most:,} devices; unused ones are removed after a while."
        )


def remove_worker(event: ById, turn: Turn) -> ShownWorker:
    """Remove an offline worker that has no account, pin or open login.

    Errors: UnknownWorker, WorkerInUse.
    """
    worker = turn.draft.workers.get(event.id)
    if worker is None:
        raise UnknownWorker
    if worker.status is not WorkerStatus.OFFLINE:
        timeout_s = turn.settings.heartbeat_timeout_s
        raise WorkerInUse(
            f"This worker is {worker.status}; a silent worker is offline after {timeout_s:g} s."
        )
    if reason := _find_use(turn, worker, _find_pinned(turn)):
        raise WorkerInUse(reason)
    shown = render_worker(worker, _find_last_heard(turn, worker))
    turn.draft.workers.remove(worker.id)
    log.info("worker_removed", worker=worker.id)
    return shown


def forget_unused(event: None, turn: Turn) -> int:
    """Remove workers offline for long, and devices unseen for long; return how many.

    A worker that owns accounts, has accounts pinned to it, an open login or a configuration stays.
    At most a portion is removed; the next turn continues.
    """
    workers = _list_unused_workers(turn)
    for worker in workers[:PORTION]:
        turn.draft.workers.remove(worker.id)
    devices = _list_unseen_devices(turn)[: max(0, PORTION - len(workers))]
    for device in devices:
        turn.draft.devices.remove(device.device_id)
    forgotten = min(len(workers), PORTION) + len(devices)
    if forgotten == PORTION:
        turn.go_on(forget_unused)
    if forgotten:
        log.info("names_forgotten", workers=forgotten - len(devices), devices=len(devices))
    return forgotten


def _list_unused_workers(turn: Turn) -> list[Worker]:
    cutoff, pinned = find_cutoff(turn.now, turn.settings.retention_workers_days), _find_pinned(turn)
    return [
        worker
        for worker in turn.draft.workers.all()
        if worker.status is WorkerStatus.OFFLINE
        and max(_find_last_heard(turn, worker) or 0, worker.updated_at) < cutoff
        and turn.draft.configs.get(worker.id) is None
        and _find_use(turn, worker, pinned) is None
    ]


def _find_use(turn: Turn, worker: Worker, pinned: set[str]) -> str | None:
    """Return why a worker is still in use, as a sentence, or None."""
    if worker.assigned_accounts:
        return f"This worker owns {worker.assigned_accounts:,} accounts."
    if worker.id in pinned:
        return "Accounts are pinned to this worker; unpin them or pin them elsewhere first."
    if turn.draft.logins.first("worker", worker.id) is not None:
        return "A login is open on this worker; cancel it first."
    return None


def _find_pinned(turn: Turn) -> set[str]:
    return {
        one.pinned_worker_id
        for one in turn.draft.accounts.all()
        if one.pinned_worker_id is not None
    }


def _find_last_heard(turn: Turn, worker: Worker) -> int | None:
    seat = turn.sessions.seats.get(worker.id)
    return seat.heard_at if seat is not None else None


def _list_unseen_devices(turn: Turn) -> list[Device]:
    """Return devices not connected now and unseen for as long as notifications are kept."""
    cutoff = find_cutoff(turn.now, turn.settings.retention_notifications_days)
    here = set(turn.sessions.clients.values())
    return [
        device
        for device in turn.draft.devices.all()
        if device.last_seen_at < cutoff and not here.intersection(_names_of(device))
    ]


def _names_of(device: Device) -> tuple[str, ...]:
    """Return the ids that a device may use on its connection.

    Its key may begin with its token's name.
    """
    return device.device_id, *(
        device.device_id.partition(separator)[2] for separator in (":", "\x1f")
    )
