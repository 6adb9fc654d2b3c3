"""Loads are made even, little by little, where the settings ask for it (docs/decisions/0009)."""

from __future__ import annotations

import structlog

from master.decisions.assignment import find_moves
from master.model import Account
from master.operations.assignments import count_reserved, give_account, hand_out, take_accounts
from master.operations.silence import find_heard, find_silent
from master.turn import Turn

log = structlog.get_logger(__name__)

HEARD_BEATS = 2
"""Of how many heartbeats one may be missing: who has said nothing for longer neither gives nor takes."""


def rebalance(event: None, turn: Turn) -> int:
    """Move at most one account of each worker to one that holds at least two fewer; return how many moved.

    Nothing moves while the brake is on, nor where a sweep of the same group may put it on or give somebody up. An
    account that its owner may not act on yet stays: it would be watched by nobody for longer.
    """
    draft, now = turn.draft, turn.monotonic
    if draft.watch.brake_until is not None or find_silent(turn):
        return 0
    quiet_s = HEARD_BEATS * turn.settings.heartbeat_interval_s
    heard = {name for name, at in find_heard(draft) if now - at <= quiet_s}
    workers = [worker for worker in draft.list_connected() if worker.id in heard]
    held = {worker.id: worker.assigned_accounts for worker in workers}
    open_workers = count_reserved(turn, workers)
    least = min((worker.assigned_accounts for worker in open_workers), default=0)
    givers = [worker_id for worker_id, count in held.items() if count >= least + 2]
    accounts = [
        account
        for worker_id in givers
        for account in draft.held_by(worker_id)
        if not turn.deadlines.find_wait(account.id, worker_id, now)
    ]
    moves = find_moves(accounts, held, open_workers)
    given: dict[str, list[Account]] = {}
    for account, worker_id in moves:
        giver = account.assigned_worker_id
        assert giver is not None, "only what somebody holds is moved"
        [taken] = take_accounts(turn, [account], giver, "rebalanced")
        given.setdefault(worker_id, []).append(give_account(turn, taken, worker_id))
    hand_out(turn, given)
    if moves:
        log.info("accounts_rebalanced", accounts=len(moves), workers=sorted(given))
    return len(moves)
