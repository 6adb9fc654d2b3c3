"""How many bytes of accounts a worker is sent at once, limited by its reader and by memory.

The other accounts stay untold (sessions.py) and follow in portions as the worker reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from master.decisions.assignment import Ahead
from master.model import Account, Worker
from master.protocol.budgets import measure
from master.sessions import CAUGHT_UP_BYTES
from master.turn import Turn

PORTION_BYTES = 256 * 1024
"""About how many bytes of accounts may be queued for one worker; a larger one is sent alone."""

BATCH_BYTES = 8 * 1024 * 1024
"""Most bytes of accounts sent to all workers in one batch: their secrets are in memory together."""

AHEAD_BYTES = 4 * 1024 * 1024
"""A worker with this many untold bytes is assigned no more: it could not watch them meanwhile."""

PLAIN_BYTES = 500
"""About how many bytes the plain columns of an account need on the wire."""

ANSWER_ACCOUNTS = 1_000
"""Most accounts in the answer to a registration, however small they are."""

ANSWERS = 2
"""A registration is answered twice: by its acknowledgement and by its named reply."""


def measure_account(account: Account) -> int:
    """Return about how many bytes an account needs on the wire to its worker."""
    shown = measure(account.user_info) if account.user_info else 0
    return PLAIN_BYTES + account.stored_bytes + shown


def measure_accounts(accounts: Sequence[Account]) -> dict[str, int]:
    """Return about how many bytes each of these accounts needs on the wire, by account id."""
    return {account.id: measure_account(account) for account in accounts}


def choose_answer(turn: Turn, worker_id: str, accounts: Sequence[Account]) -> list[Account]:
    """Return the accounts that a registration is answered with, and count them as sent."""
    room = _find_room(turn, worker_id) // ANSWERS
    chosen: list[Account] = []
    for account in accounts:
        size = measure_account(account)
        if len(chosen) < ANSWER_ACCOUNTS and size <= room:
            room -= size
            chosen.append(account)
            turn.draft.count_told(worker_id, ANSWERS * size)
    return chosen


def choose_told(turn: Turn, worker_id: str, accounts: Sequence[Account]) -> Sequence[Account]:
    """Return the first of these accounts that a worker can be sent now; count them as sent."""
    sizes = [measure_account(account) for account in accounts]
    room = _find_room(turn, worker_id)
    if accounts and _is_idle(turn, worker_id) and turn.draft.told_bytes < BATCH_BYTES // 2:
        room = max(room, sizes[0])  # a first account of any size is sent, alone
    count = 0
    for size in sizes:
        if size > room:
            break
        room -= size
        count += 1
    turn.draft.count_told(worker_id, sum(sizes[:count]))
    return accounts[:count]


def find_ahead(turn: Turn, workers: Iterable[Worker]) -> Ahead:
    """Return how many bytes of accounts these workers may be assigned before they are sent."""
    left, untold = {}, turn.sessions.untold
    for worker in workers:
        size = turn.draft.measure_told(worker.id) + (
            untold[worker.id].bytes if worker.id in untold else 0
        )
        if size:
            left[worker.id] = AHEAD_BYTES - size
    return Ahead(AHEAD_BYTES, left, measure_account)


def _find_room(turn: Turn, worker_id: str) -> int:
    limit = turn.settings.outbound_queue_bytes
    most = min(PORTION_BYTES, limit // 4) if limit else PORTION_BYTES
    mine = most - _measure_waiting(turn, worker_id) - turn.draft.measure_told(worker_id)
    return min(mine, BATCH_BYTES - turn.draft.told_bytes)


def _is_idle(turn: Turn, worker_id: str) -> bool:
    """Tell whether a worker has read nearly all it was sent and this batch sends it nothing."""
    return _measure_waiting(turn, worker_id) <= CAUGHT_UP_BYTES and not turn.draft.measure_told(
        worker_id
    )


def _measure_waiting(turn: Turn, worker_id: str) -> int:
    """Return how many bytes are queued for the socket that speaks for a worker in this turn."""
    sid = turn.draft.socket_of(worker_id)
    return turn.sessions.outlets.measure_waiting(sid) if sid is not None else 0
