"""Reports for people: counts by state, and the activity of each account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from master.minutes import MINUTE_S, name_minute
from master.model import (
    Account,
    AccountStatus,
    JsonObject,
    LoginStatus,
    MessageKind,
    NotificationType,
    SessionStatus,
    WorkerStatus,
)
from master.operations.accounts import find_accounts
from master.operations.maintenance import show_maintenance
from master.operations.placement import Placements
from master.operations.workers import render_live
from master.protocol.admin import StatusResponse, render_account
from master.protocol.answers import (
    Listing,
    ShownAccountStatus,
    ShownCounts,
    ShownFarm,
    ShownStatistics,
)
from master.protocol.http import Nothing
from master.protocol.lists import PAGE_LIMIT, AccountsQuery
from master.protocol.system import ShownMinutes
from master.protocol.wire import Empty
from master.store import logins as login_rows
from master.store import messages as message_rows
from master.store import notifications as notification_rows
from master.store.comparison import touch
from master.turn import Turn

NOTHING_DETECTED = {"comments": 0, "direct_messages": 0, "unread": 0, "last_detected_at": 0}


async def show_accounts_status(event: AccountsQuery, turn: Turn) -> Listing[ShownAccountStatus]:
    """List accounts, each with its `runtime_stats` and its `worker`."""
    found, count_unread = await find_accounts(event, turn)
    messages = await message_rows.summarise_messages(
        turn.connection, [account.id for account in found.records]
    )
    placements = Placements(turn.draft)

    def render(account: Account) -> ShownAccountStatus:
        worker = turn.draft.workers.get(account.assigned_worker_id or "")
        summary = messages.get(account.id, NOTHING_DETECTED)
        live = render_live(turn, worker) if worker else None
        stats = {
            **summary,
            "last_detected_at": summary["last_detected_at"] or None,
            "last_heartbeat": live["last_heartbeat"] if live else None,
        }
        row = render_account(account, placements.judge(account), count_unread(account.id))
        return {**row, "worker": live, "runtime_stats": stats}

    return found.render(render)


async def show_statistics(event: Nothing, turn: Turn) -> ShownStatistics:
    """Count everything by state, kind and type; counts are at most a second old."""
    connection, accounts = turn.connection, turn.draft.accounts
    messages = turn.draft.memory.farm.messages
    logins = _fill(SessionStatus, await login_rows.count_logins(connection))
    notifications = _fill(NotificationType, await notification_rows.count_notifications(connection))
    return {
        "workers": count_workers(turn),
        "accounts": {
            "total": len(accounts),
            "by_status": _fill(AccountStatus, accounts.count("status")),
            "by_login_status": _fill(LoginStatus, accounts.count("login_status")),
            "by_platform": dict(sorted(accounts.count("platform").items())),
        },
        "login_sessions": {"total": sum(logins.values()), "by_status": logins},
        "messages": {
            "comments": _count_messages(turn, MessageKind.COMMENT),
            "direct_messages": _count_messages(turn, MessageKind.DIRECT_MESSAGE),
            "unread_by_account": [
                {"account_id": account_id, "unread": unread}
                for account_id, unread in messages.find_most_unread(PAGE_LIMIT)
            ],
        },
        "notifications": {"total": sum(notifications.values()), "by_type": notifications},
        "proxies": {"total": len(turn.draft.proxies)},
        "worker_configs": {"total": len(turn.draft.configs)},
    }


def _count_messages(turn: Turn, kind: MessageKind) -> dict[str, int]:
    total, unread = turn.draft.memory.farm.messages.count(kind)
    return {"total": total, "unread": unread}


def show_minutes(event: Nothing, turn: Turn) -> ShownMinutes:
    """Count the messages that were stored in each minute of the last hour."""
    minutes = turn.draft.memory.minutes
    stored = minutes.list_counts(turn.now)
    since = turn.at if minutes.since is None else int(minutes.since)
    return {
        "stored": stored,
        "ends_at": (name_minute(turn.now) + 1) * MINUTE_S,
        "since": since,
        "last_seq": turn.draft.memory.farm.last_seq,
    }


async def show_status(event: Nothing, turn: Turn) -> ShownFarm:
    """Return the counts that administrators get; the HTTP edge adds figures of the process."""
    counts = await _count_everything(turn)
    return {**counts, "maintenance": show_maintenance(event, turn)}


async def _count_everything(turn: Turn) -> ShownCounts:
    """Return the counts of `admin:status:response`: flat, one number per state."""
    accounts = turn.draft.accounts
    logins = _fill(SessionStatus, await login_rows.count_logins(turn.connection))
    return {
        "workers": count_workers(turn),
        "accounts": {
            "total": len(accounts),
            **_fill(AccountStatus, accounts.count("status")),
            **_fill(LoginStatus, accounts.count("login_status")),
        },
        "loginSessions": {"total": sum(logins.values()), **logins},
        "platforms": dict(sorted(accounts.count("platform").items())),
    }


def count_workers(turn: Turn) -> dict[str, int]:
    """Return how many workers exist: total, online (connected), disconnected and offline."""
    states = turn.draft.workers.count("status")
    return {
        "total": sum(states.values()),
        "online": states[WorkerStatus.CONNECTED],
        "disconnected": states[WorkerStatus.DISCONNECTED],
        "offline": states[WorkerStatus.OFFLINE],
    }


async def look_at_health(event: None, turn: Turn) -> dict[str, int]:
    """Read from the database file, and count the workers by state."""
    await touch(turn.connection)
    return count_workers(turn)


def _fill(states: Any, counts: Mapping[str, int]) -> dict[str, int]:
    """Return a count for every state, also for those without any."""
    return {state.value: counts.get(state, 0) for state in states}


async def request_status(event: Empty, turn: Turn) -> JsonObject:
    """Count everything by state; `timestamp` is milliseconds."""
    reply = StatusResponse(**await _count_everything(turn), timestamp=turn.milliseconds)
    turn.answer(reply)
    return reply.render()
