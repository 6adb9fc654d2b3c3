"""Old rows are removed."""

from __future__ import annotations

import structlog

from master.decisions.retention import find_cutoff
from master.model import JsonObject
from master.store.logins import remove_old_logins
from master.store.notifications import remove_old_notifications
from master.turn import Turn

log = structlog.get_logger(__name__)


async def remove_old_rows(event: None, turn: Turn) -> JsonObject:
    """Remove login sessions and notifications older than the settings allow; return how many of each."""
    settings = turn.settings
    removed = {
        "login_sessions": await remove_old_logins(
            turn.connection, find_cutoff(turn.now, settings.retention_login_sessions_days)
        ),
        "notifications": await remove_old_notifications(
            turn.connection, find_cutoff(turn.now, settings.retention_notifications_days)
        ),
    }
    if any(removed.values()):
        log.info("old_rows_removed", **removed)
    return removed
