"""Loads are made even, little by little, where the settings ask for it (docs/decisions/0009)."""

from __future__ import annotations

import structlog

from master.decisions.assignment import find_moves
from master.model import Account
from master.operations.assignments import find_open_workers, give_account, hand_out, settle_loads, take_accounts
from master.store import accounts as account_rows
from master.store import workers as worker_rows
from master.turn import Turn

log = structlog.get_logger(__name__)


async def rebalance(event: None, turn: Turn) -> int:
    """Move at most one account of each worker to one that holds at least two fewer; return how many moved."""
    workers = await find_open_workers(turn)
    loads = [worker.assigned_accounts for worker in workers]
    if not loads or max(loads) - min(loads) < 2:
        return 0
    given: dict[str, list[Account]] = {}
    moves = find_moves(await account_rows.find_assigned(turn.connection), workers)
    for account, worker_id in moves:
        giver = account.assigned_worker_id
        assert giver is not None, "only what somebody holds is moved"
        for taken in await take_accounts(turn, [account], giver, "rebalanced"):
            moved = await give_account(turn, taken, worker_id)
            if moved is not None:
                given.setdefault(worker_id, []).append(moved)
    await hand_out(turn, given)
    await worker_rows.recount_loads(turn.connection, set(given))
    await settle_loads(turn, {str(account.assigned_worker_id) for account, _ in moves} | set(given))
    if moves:
        log.info("accounts_rebalanced", accounts=len(moves), workers=sorted(given))
    return len(moves)
