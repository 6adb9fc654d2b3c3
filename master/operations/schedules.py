"""Hands out due accounts again and again, worker by worker."""

from __future__ import annotations

from master.decisions.schedule import find_due
from master.model import Worker
from master.operations.assignments import hand_out
from master.turn import PORTION, Turn


def hand_out_due(event: str | None, turn: Turn) -> int:
    """Hand out every account whose interval has passed to its connected worker; return how many.

    This is a turn, like any change of owners, so that no account is sent to a worker that has just
    lost it. About a portion is handed out; the next turn continues after the worker `event`.
    """
    handed = 0
    for worker in _list_present(turn, event or ""):
        due = find_due(turn.draft.held_by(worker.id), turn.deadlines.handed_out, turn.monotonic)
        hand_out(turn, due)
        handed += sum(map(len, due.values()))
        if handed >= PORTION:
            turn.go_on(hand_out_due, worker.id)
            break
    return handed


def _list_present(turn: Turn, after: str) -> list[Worker]:
    """Return the connected workers with a live socket, by id, after the id `after`."""
    seats = turn.sessions.seats
    connected = [one for one in turn.draft.list_connected() if one.id > after]
    # a worker registering in this batch has no seat yet; its answer includes its accounts
    present = [
        one for one in connected if (seat := seats.get(one.id)) is not None and seat.sid is not None
    ]
    return sorted(present, key=lambda worker: worker.id)
