"""The audit compares memory with the database file and makes up for missed sweeps."""

from __future__ import annotations

import structlog

from master.decisions.retention import STEP_S
from master.operations.assignments import place_what_waits
from master.operations.silence import choose_judged, evict_some, find_silent, judge_silence
from master.operations.workers import FLUSH_INTERVAL_S
from master.store.comparison import find_difference
from master.turn import Turn

log = structlog.get_logger(__name__)


async def audit_workers(event: None, turn: Turn) -> int:
    """Compare farm and file; find silent workers and waiting accounts that fit; return how many.

    The source document requires this check. Other sweeps act earlier, so it should find nothing. If
    the file
    differs from memory, another process wrote it, and the farm is reloaded.
    """
    difference = await find_difference(turn.connection, turn.draft.memory.farm)
    if difference is not None:
        log.error("audit_found_difference", what=difference)
        turn.in_doubt = True
        turn.go_on(look_over)
        return 1
    return look_over(None, turn)


def look_over(event: None, turn: Turn) -> int:
    """Evict workers and assign accounts that sweeps have missed; return how many there were."""
    overdue = turn.at - turn.settings.heartbeat_timeout_s - FLUSH_INTERVAL_S
    seats = turn.sessions.seats
    # a time in the future was recorded while the clock was wrong
    missed = [
        name
        for name in find_silent(turn)
        if not overdue <= (seats[name].heard_at or 0) <= turn.at + STEP_S
    ]
    missed, found = choose_judged(turn, missed), 0
    # an earlier turn of this batch may have put on the brake
    if missed and not judge_silence(turn, missed).protected:
        log.warning("audit_found_silent_workers", workers=missed)
        return evict_some(turn, missed)
    placed = place_what_waits(turn)
    if placed:
        log.warning(
            "audit_placed_accounts", workers=sorted({str(one.assigned_worker_id) for one in placed})
        )
    return found + len(placed)
