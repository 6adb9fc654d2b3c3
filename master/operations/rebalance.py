"""Evens out loads, little by little, if the settings say so (docs/decisions/0009)."""

from __future__ import annotations

import structlog

from master.decisions.assignment import find_moves
from master.model import Account
from master.operations.assignments import assign_account, count_reserved, hand_out, revoke_accounts
from master.operations.silence import find_heard, find_silent
from master.protocol.words import RevokeReason
from master.turn import Turn

log = structlog.get_logger(__name__)

HEARD_BEATS = 2
"""Heartbeat intervals after which a silent worker neither loses nor gets accounts.

One heartbeat may be missed.
"""


def rebalance(event: None, turn: Turn) -> int:
    """Move at most one account of each worker to one with at least two fewer; return how many.

    Nothing moves to or from a draining worker, during a maintenance, while the brake is on, nor
    while a sweep of the same batch may put it on or evict a worker. An account that its owner may
    not act on yet stays: a move would leave it unwatched for longer.
    """
    draft, now = turn.draft, turn.monotonic
    if draft.watch.brake_until is not None or draft.maintenance is not None or find_silent(turn):
        return 0
    quiet_s = HEARD_BEATS * turn.settings.heartbeat_interval_s
    heard = {name for name, at in find_heard(draft) if now - at <= quiet_s}
    connected = draft.list_connected()
    workers = [one for one in connected if one.takes_accounts and one.id in heard]
    held = {worker.id: worker.assigned_accounts for worker in workers}
    open_workers = count_reserved(turn, workers)
    least = min((worker.assigned_accounts for worker in open_workers), default=0)
    owners = [worker_id for worker_id, count in held.items() if count >= least + 2]
    accounts = [
        account
        for worker_id in owners
        for account in draft.held_by(worker_id)
        if not turn.deadlines.find_wait(account.id, worker_id, now)
    ]
    moves = find_moves(accounts, held, open_workers)
    assigned: dict[str, list[Account]] = {}
    for account, worker_id in moves:
        owner = account.assigned_worker_id
        assert owner is not None, "only an account with an owner is moved"
        [revoked] = revoke_accounts(turn, [account], owner, RevokeReason.REBALANCED)
        assigned.setdefault(worker_id, []).append(assign_account(turn, revoked, worker_id))
    hand_out(turn, assigned)
    if moves:
        log.info("accounts_rebalanced", accounts=len(moves), workers=sorted(assigned))
    return len(moves)
