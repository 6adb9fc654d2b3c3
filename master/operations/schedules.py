"""Due accounts are handed out again and again, worker by worker."""

from __future__ import annotations

from master.decisions.schedule import find_due
from master.model import WorkerStatus
from master.operations.assignments import hand_out
from master.store import accounts as account_rows
from master.turn import Turn


async def hand_out_due(event: None, turn: Turn) -> int:
    """Hand out every account whose interval has passed to its worker, if that is connected; return how many.

    It takes a turn like any change of hands, so that no account is announced to a worker that has just lost it.
    """
    accounts = await account_rows.find_watchable(turn.connection)
    handed_out = 0
    for worker_id, due in sorted(find_due(accounts, turn.presence.handed_out, turn.monotonic).items()):
        seat = turn.presence.seats.get(worker_id)
        if seat is None or seat.sid is None or seat.status is not WorkerStatus.CONNECTED:
            continue
        await hand_out(turn, worker_id, due)
        handed_out += len(due)
    return handed_out
