"""Removes old rows, a portion per turn, while the wall clock is trusted."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from master.decisions.retention import (
    OWED_FOR,
    UNSENT_FOR,
    Trust,
    find_cutoff,
    find_passed,
    look_at_clocks,
)
from master.model import JsonObject
from master.operations.accounts import remove_hidden
from master.operations.messages import forget_former
from master.operations.names import forget_unused
from master.operations.notifications import raise_alarm
from master.operations.timelines import forget_events
from master.store.counters import read_counter, write_counter
from master.store.links import remove_old_links
from master.store.logins import remove_old_logins
from master.store.notifications import remove_old_notifications, remove_passed_notifications
from master.store.rows import ROWS
from master.turn import Turn

log = structlog.get_logger(__name__)

LAST_LOOK = "retention_looked_at"
"""The counter that stores when the clocks were last compared (Unix seconds)."""


FOLD_INTERVAL_S = 60.0
"""Seconds that a replaced value, such as an ended login's code, may stay in the database's log."""


def fold_log(event: None, turn: Turn) -> int:
    """Have the database's log emptied after this turn, while no write is under way."""
    turn.folds_log = True
    return 0


async def remove_old_rows(event: JsonObject | None, turn: Turn) -> JsonObject:
    """Remove login sessions and notifications past their retention; return how many of each.

    Turns after it remove former owners of long ago, workers and devices unseen for long, and old
    events. Beyond a portion, the next turns continue; `event` is what earlier ones have removed.
    Notifications still owed to an active device are kept for twice as long, those that were never
    sent for twelve times as long. Nothing is removed by a distrusted clock.
    """
    removed = event or {"login_sessions": 0, "notifications": 0}
    if event is None:
        turn.go_on(remove_hidden)  # a stop or a full disk may have interrupted it
    if not (await _look_at_clocks(turn)).is_trusted:
        return removed
    if event is None:
        turn.go_on(forget_former)
        turn.go_on(forget_unused)
        turn.go_on(forget_events)
    cutoff = find_cutoff(turn.now, turn.settings.retention_login_sessions_days)
    logins = await remove_old_logins(turn.connection, cutoff, ROWS)
    links = await remove_old_links(turn.connection, cutoff, ROWS)
    notifications = await _remove_notifications(turn)
    removed = {
        "login_sessions": removed["login_sessions"] + logins,
        "notifications": removed["notifications"] + notifications,
    }
    if ROWS in (logins, links, notifications):
        turn.go_on(remove_old_rows, removed)
    elif any(removed.values()):
        log.info("old_rows_removed", **removed)
    return removed


async def _remove_notifications(turn: Turn) -> int:
    """Remove a portion of the old notifications; return how many."""
    removed = await _remove_sent(turn)
    last_cutoff = find_cutoff(turn.now, UNSENT_FOR * turn.settings.retention_notifications_days)
    unsent = await remove_old_notifications(
        turn.connection, last_cutoff, ROWS - removed, sent=False
    )
    if unsent:
        log.warning("unsent_notifications_removed", notifications=unsent)
    return removed + unsent


async def _remove_sent(turn: Turn) -> int:
    days = turn.settings.retention_notifications_days
    cutoff, last_cutoff = find_cutoff(turn.now, days), find_cutoff(turn.now, OWED_FOR * days)
    passed = find_passed(turn.draft.devices.all(), cutoff)
    if passed is None:
        return await remove_old_notifications(turn.connection, cutoff, ROWS)
    removed = await remove_old_notifications(turn.connection, last_cutoff, ROWS)
    return removed + await remove_passed_notifications(
        turn.connection, cutoff, passed, ROWS - removed
    )


async def _look_at_clocks(turn: Turn) -> Trust:
    """Judge the wall clock, store when that was, and raise an alarm if the clock has stepped."""
    memory, before = turn.draft.memory, turn.draft.memory.trust
    last_look = await read_counter(turn.connection, LAST_LOOK) if before is None else None
    trust = look_at_clocks(before, last_look, turn.now, turn.monotonic)
    await write_counter(turn.connection, LAST_LOOK, turn.at)
    if trust.stepped_s:
        log.error("clock_stepped", seconds=trust.stepped_s)
        raise_alarm(
            turn,
            f"Master's clock reads {datetime.fromtimestamp(turn.at, UTC):%Y-%m-%d %H:%M} UTC, "
            f"{trust.stepped_s} s off the expected time: set it if it is wrong. "
            "No old rows are removed for a day.",
            {"stepped_s": trust.stepped_s},
        )

    def note() -> None:
        memory.trust = trust

    turn.after_commit(note)
    return trust
