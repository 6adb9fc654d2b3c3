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
    due = find_due(accounts, turn.presence.handed_out, turn.monotonic)
    present = {worker_id: due[worker_id] for worker_id in sorted(due) if _is_connected(turn, worker_id)}
    await hand_out(turn, present)
    return sum(map(len, present.values()))


def _is_connected(turn: Turn, worker_id: str) -> bool:
    seat = turn.presence.seats.get(worker_id)
    return seat is not None and seat.sid is not None and seat.status is WorkerStatus.CONNECTED
