"""How much a worker is told of accounts at once: what its reader takes, and what a group of turns may hold in memory.

What does not fit stays untold (sessions.py) and follows, portion by portion, as the reader takes what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from master.decisions.assignment import Ahead
from master.model import Account, Worker
from master.protocol.budgets import measure
from master.sessions import TAKEN_BYTES
from master.turn import Turn

PORTION_BYTES = 256 * 1024
"""What may wait for one worker, about, when it is told of accounts; one larger account is told alone."""

GROUP_BYTES = 8 * 1024 * 1024
"""What all workers together are told in one group: their secrets are in memory at the same time."""

AHEAD_BYTES = 4 * 1024 * 1024
"""Whoever is still to be told of so much is given nothing more: nobody would watch it meanwhile."""

PLAIN_BYTES = 500
"""What the plain columns of an account take on the wire, about."""

ANSWER_ACCOUNTS = 1_000
"""What a registration is answered with at most, however small they are."""

ANSWERS = 2
"""A registration is answered twice: acknowledged, and by its named reply."""


def measure_account(account: Account) -> int:
    """Return about how many bytes it takes to tell a worker of an account."""
    shown = measure(account.user_info) if account.user_info else 0
    return PLAIN_BYTES + account.stored_bytes + shown


def measure_accounts(accounts: Sequence[Account]) -> dict[str, int]:
    """Return about how many bytes it takes to tell a worker of each of these accounts."""
    return {account.id: measure_account(account) for account in accounts}


def choose_answer(turn: Turn, worker_id: str, accounts: Sequence[Account]) -> list[Account]:
    """Return those of a worker's accounts that its registration is answered with, counted as told."""
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
    """Return the first of these accounts, as many as a worker can be told of now, counted as told."""
    sizes = [measure_account(account) for account in accounts]
    room = _find_room(turn, worker_id)
    if accounts and _is_idle(turn, worker_id) and turn.draft.told_bytes < GROUP_BYTES // 2:
        room = max(room, sizes[0])  # however large the first is, it is told alone
    count = 0
    for size in sizes:
        if size > room:
            break
        room -= size
        count += 1
    turn.draft.count_told(worker_id, sum(sizes[:count]))
    return accounts[:count]


def find_ahead(turn: Turn, workers: Iterable[Worker]) -> Ahead:
    """Return how many bytes of accounts these workers may be given before they are told of those that they have."""
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
    return min(mine, GROUP_BYTES - turn.draft.told_bytes)


def _is_idle(turn: Turn, worker_id: str) -> bool:
    """Tell whether a worker's reader has taken nearly all that it was sent, and this group tells it nothing yet."""
    return _measure_waiting(turn, worker_id) <= TAKEN_BYTES and not turn.draft.measure_told(
        worker_id
    )


def _measure_waiting(turn: Turn, worker_id: str) -> int:
    """Return how many bytes wait for the socket that speaks for a worker from this turn on."""
    sid = turn.draft.socket_of(worker_id)
    return turn.sessions.outlets.measure_waiting(sid) if sid is not None else 0
