"""One worker id on two hosts: a process from another address becomes a new owner.

A process is identified by the address of its socket and by the host and port that it registers. If
all three are the same, it is the same worker after a lost connection and waits for nothing.
"""

from __future__ import annotations

import math

import structlog

from master.model import Worker, WorkerStatus
from master.operations.notifications import raise_alarm
from master.protocol.words import RevokeReason
from master.protocol.worker import TaskRevoke
from master.turn import Address, Turn

log = structlog.get_logger(__name__)

MINUTE_S = 60.0
MOST_TAKEOVERS = 5
"""Replacements of a worker's live socket allowed in a minute; more means two processes contend."""

MOST_CONTESTS = 20
"""Contested workers that people are told of within a minute; each is told at most once in it."""

ELSEWHERE = "\x1f"
"""Suffix of a worker id for the worker's former process; no id contains a control character."""


def is_elsewhere(turn: Turn, worker: Worker, host: str, port: int) -> bool:
    """Tell whether a worker comes from elsewhere while its former process may still act.

    An offline worker has said goodbye, or was silent for so long that it has stopped by itself.
    """
    if worker.status is WorkerStatus.OFFLINE or turn.draft.speaker_of(turn.caller.sid) == worker.id:
        return False
    return (host, port) != (worker.host, worker.port) or _comes_from_elsewhere(turn, worker.id)


def _comes_from_elsewhere(turn: Turn, worker_id: str) -> bool:
    """Tell whether the caller's address differs from that of the worker's last socket.

    False if that address is unknown, as after a start of Master: all owners wait then.
    """
    sessions = turn.sessions
    older, seat = turn.draft.socket_of(worker_id), sessions.seats.get(worker_id)
    former = sessions.addresses.get(older or "") or (seat.address if seat is not None else None)
    return former is not None and former != sessions.addresses.get(turn.caller.sid or "")


def change_hands(turn: Turn, worker: Worker) -> None:
    """Hand a worker's accounts over to its new process, in a new epoch.

    The new process may act on them only once the former one must have stopped.
    """
    draft, held = turn.draft, turn.draft.held_by(worker.id)
    older = draft.socket_of(worker.id)
    log.warning(
        "worker_elsewhere", worker=worker.id, accounts=len(held), connected=older is not None
    )
    if not held:
        return
    account_ids = [account.id for account in held]
    until = turn.monotonic + turn.settings.heartbeat_timeout_s
    turn.deadlines.record_handovers(
        account_ids, f"{worker.id}{ELSEWHERE}", now=turn.monotonic, until=until
    )
    draft.explain("accounts", account_ids, "registered_elsewhere")
    draft.assign_all(draft.release_all(held, worker.id, turn.at), worker.id, turn.at)
    if older is not None:
        turn.tell(
            Address("worker_socket", older),
            TaskRevoke(account_ids, RevokeReason.REGISTERED_ELSEWHERE),
        )


def note_takeover(turn: Turn, older: str, before: Worker, after: Worker) -> None:
    """Count the replacement of a worker's live socket; raise an alarm if this goes on.

    `older` is the replaced socket; `before` and `after` are the worker's row as each registered it.
    """
    sessions, now, worker_id = turn.sessions, turn.monotonic, after.id
    lately = 1 + sum(name == worker_id and now - at < MINUTE_S for at, name in sessions.takeovers)
    turn.after_commit(lambda: sessions.note_takeover(worker_id, now))
    recent = sum(now - at < MINUTE_S for at in sessions.contests.values())
    if (
        lately <= MOST_TAKEOVERS
        or now - sessions.contests.get(worker_id, -math.inf) < MINUTE_S
        or recent >= MOST_CONTESTS
    ):
        return
    turn.after_commit(lambda: sessions.note_contest(worker_id, now, keep_s=MINUTE_S))
    addresses = [sessions.addresses.get(sid or "") for sid in (older, turn.caller.sid)]
    registered = [f"{one.host}:{one.port}" for one in (before, after)]
    former, newer = (
        f"{address or 'an unknown address'} (registered as {name})"
        for address, name in zip(addresses, registered, strict=True)
    )
    raise_alarm(
        turn,
        f"The socket of worker {worker_id} was replaced {lately} times within a minute: "
        f"two processes use its id, at {former} and at {newer}.",
        {
            "worker_id": worker_id,
            "takeovers": lately,
            "addresses": addresses,
            "registered": registered,
        },
    )
    log.warning(
        "worker_contested",
        worker=worker_id,
        takeovers=lately,
        addresses=addresses,
        registered=registered,
    )
