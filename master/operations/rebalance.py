"""Loads are made even, little by little, where the settings ask for it (docs/decisions/0009)."""

from __future__ import annotations

import structlog

from master.decisions.assignment import find_moves
from master.model import Account
from master.operations.assignments import count_reserved, give_account, hand_out, settle_loads, take_accounts
from master.operations.silence import find_silent_workers
from master.store import accounts as account_rows
from master.store import workers as worker_rows
from master.turn import Turn

log = structlog.get_logger(__name__)

HEARD_BEATS = 2
"""Of how many heartbeats one may be missing: who has said nothing for longer neither gives nor takes."""


async def rebalance(event: None, turn: Turn) -> int:
    """Move at most one account of each worker to one that holds at least two fewer; return how many moved.

    Nothing moves while the brake is on, nor where a sweep of the same group may put it on or give somebody up. An
    account that its owner may not act on yet stays: it would be watched by nobody for longer.
    """
    presence, settings, now = turn.presence, turn.settings, turn.monotonic
    if presence.brake_until is not None or find_silent_workers(presence, now, settings.heartbeat_timeout_s):
        return 0
    quiet_s = HEARD_BEATS * settings.heartbeat_interval_s
    heard = {name for name, at in presence.find_heard() if now - at <= quiet_s}
    workers = [one for one in await worker_rows.find_connected_workers(turn.connection) if one.id in heard]
    held = {worker.id: worker.assigned_accounts for worker in workers}
    open_workers = await count_reserved(turn, workers)
    least = min((worker.assigned_accounts for worker in open_workers), default=0)
    givers = [worker_id for worker_id, count in held.items() if count >= least + 2]
    if not givers:
        return 0
    accounts = [
        account
        for account in await account_rows.find_accounts_of_all(turn.connection, givers)
        if not presence.find_wait(account.id, account.assigned_worker_id or "", now)
    ]
    moves = find_moves(accounts, held, open_workers)
    given: dict[str, list[Account]] = {}
    for account, worker_id in moves:
        giver = account.assigned_worker_id
        assert giver is not None, "only what somebody holds is moved"
        for taken in await take_accounts(turn, [account], giver, "rebalanced"):
            moved = await give_account(turn, taken, worker_id)
            if moved is not None:
                given.setdefault(worker_id, []).append(moved)
    await hand_out(turn, given)
    await settle_loads(turn, {str(account.assigned_worker_id) for account, _ in moves} | set(given))
    if moves:
        log.info("accounts_rebalanced", accounts=len(moves), workers=sorted(given))
    return len(moves)
